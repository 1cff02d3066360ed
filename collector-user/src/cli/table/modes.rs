use std::fmt::Write as _;

use super::{Grid, Side, format};
use crate::cli::{mode_cost::ModeCost, output::Size};

/// The cost of each mode, and the savings of the bus.
pub(in crate::cli) fn modes(costs: &[ModeCost], size: Size) -> String {
    let mut grid = Grid::new(&[
        ("A MINUTE", Side::Left),
        ("COLLECTED", Side::Right),
        ("OPENS", Side::Right),
        ("READS", Side::Right),
        ("READS SAVED", Side::Right),
        ("BYTES READ", Side::Right),
        ("CPU ms", Side::Right),
    ]);
    for cost in costs {
        grid.add([
            cost.mode.to_owned(),
            format::whole(Some(cost.collections)),
            format::whole(Some(cost.opens)),
            format::whole(Some(cost.reads)),
            format::whole(Some(cost.reads_saved)),
            format::bytes(cost.read_bytes as u64),
            format::whole(Some(cost.cpu_ms)),
        ]);
    }
    let mut text = grid.render(size);
    if let (Some(bus), Some(independent)) = (costs.first(), costs.last())
        && bus.reads > 0.0
    {
        let _ = writeln!(
            text,
            "\n\nWithout the bus these consumers would read {:.1} times as often. What the bus\n\
             itself saved (READS SAVED) is between metrics that need the same file at one tick.",
            independent.reads / bus.reads
        );
    }
    text
}
