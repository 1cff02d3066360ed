use std::{collections::HashMap, sync::Arc};

use collector::metric::{Preemption, PreemptionKind};

use super::{Grid, Side, format};
use crate::cli::output::Size;

/// The maximum number of rows.
const ROWS: usize = 8;

/// The pairs of cgroups with the most preemptions since the previous sample, or
/// in total without one; empty if there are none.
pub(super) fn table(
    now: &[Preemption],
    before: Option<&[Preemption]>,
    size: Size,
) -> Option<String> {
    let key = |row: &Preemption| (row.kind, row.victim_id, row.preemptor_id);
    let previous: HashMap<_, _> = before
        .unwrap_or_default()
        .iter()
        .map(|row| (key(row), row.count))
        .collect();
    let mut rows: Vec<(u64, &Preemption)> = now
        .iter()
        .map(|row| {
            let was = previous.get(&key(row)).copied().unwrap_or(0);
            (row.count.saturating_sub(was), row)
        })
        .filter(|(count, _)| *count > 0)
        .collect();
    if rows.is_empty() {
        return None;
    }
    rows.sort_by_key(|(count, _)| std::cmp::Reverse(*count));
    let mut grid = Grid::new(&[
        ("PREEMPTED", Side::Right),
        ("BY", Side::Left),
        ("CGROUP", Side::Left),
    ]);
    for (count, row) in rows.into_iter().take(ROWS) {
        let name = |path: &Option<Arc<str>>, id: Option<u64>| match (row.kind, path, id) {
            (PreemptionKind::Other, ..) => "(other)".to_owned(),
            (PreemptionKind::Pair, Some(path), _) => format::harmless(path),
            (PreemptionKind::Pair, None, Some(id)) => format!("(number {id})"),
            (PreemptionKind::Pair, None, None) => format::UNKNOWN.to_owned(),
        };
        grid.add([
            count.to_string(),
            name(&row.preemptor, row.preemptor_id),
            name(&row.victim, row.victim_id),
        ]);
    }
    Some(grid.render(size))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_most_frequent_since_the_sample_before_is_first() {
        let row = |victim, preemptor, count| Preemption {
            victim_id: Some(victim),
            preemptor_id: Some(preemptor),
            count,
            ..Preemption::default()
        };
        let before = [row(1, 2, 100), row(3, 4, 10)];
        let now = [row(1, 2, 101), row(3, 4, 40)];
        let text = table(&now, Some(&before), Size::UNBOUNDED).unwrap();
        let rows: Vec<Vec<&str>> = text
            .lines()
            .skip(1)
            .map(|line| line.split_whitespace().collect())
            .collect();
        assert_eq!(rows[0], ["30", "(number", "4)", "(number", "3)"]);
        assert_eq!(rows[1][0], "1");
        assert_eq!(table(&before, Some(&before), Size::UNBOUNDED), None);
    }
}
