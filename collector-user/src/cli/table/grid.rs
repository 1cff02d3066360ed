use comfy_table::{Cell, CellAlignment, ColumnConstraint, ContentArrangement, Row, Table, presets};

use crate::cli::output::Size;

/// On which side of its column a text stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::cli) enum Side {
    Left,
    Right,
}

/// Rows and columns without lines between them. The last column gets what is
/// left of the width, and is cut where it is longer.
pub(in crate::cli) struct Grid {
    table: Table,
    sides: Vec<Side>,
    /// What each column but the last needs.
    widths: Vec<u16>,
}

impl Grid {
    /// A grid with a title over each column.
    pub(in crate::cli) fn new(titles: &[(&str, Side)]) -> Self {
        let mut grid = Self {
            table: Table::new(),
            sides: titles.iter().map(|(_, side)| *side).collect(),
            widths: vec![0; titles.len()],
        };
        grid.table.load_style(presets::NOTHING);
        let header = grid.row(titles.iter().map(|(title, _)| (*title).to_owned()));
        grid.table.set_header(header);
        grid
    }

    pub(in crate::cli) fn add(&mut self, cells: impl IntoIterator<Item = String>) {
        let row = self.row(cells);
        self.table.add_row(row);
    }

    fn row(&mut self, cells: impl IntoIterator<Item = String>) -> Row {
        let mut row = Row::new();
        row.max_height(1);
        for (index, text) in cells.into_iter().enumerate() {
            if let Some(width) = self.widths.get_mut(index) {
                *width = (*width).max(text.chars().count().min(u16::MAX as usize) as u16);
            }
            let align = match self.sides.get(index) {
                Some(Side::Right) => CellAlignment::Right,
                _ => CellAlignment::Left,
            };
            row.add_cell(Cell::new(text).set_alignment(align));
        }
        row
    }

    /// The lines, none of them wider than the size.
    pub(in crate::cli) fn render(mut self, size: Size) -> String {
        const GAP: u16 = 2;
        let last = self.sides.len().saturating_sub(1);
        for (index, column) in self.table.column_iter_mut().enumerate() {
            let gap = if index == last { 0 } else { GAP };
            column.set_padding((0, gap));
        }
        if let Some(width) = size.width {
            self.table.set_width(width);
            self.table
                .set_content_arrangement(ContentArrangement::Dynamic);
            for (index, column) in self.table.column_iter_mut().enumerate() {
                if index != last {
                    let needed = self.widths[index] + GAP;
                    column.set_constraint(ColumnConstraint::Absolute(comfy_table::Width::Fixed(
                        needed,
                    )));
                }
            }
        }
        let lines: Vec<String> = self
            .table
            .lines()
            .map(|line| cut(line.trim_end(), size))
            .collect();
        lines.join("\n")
    }
}

/// A line that is no wider than the terminal, however narrow that is.
fn cut(line: &str, size: Size) -> String {
    match size.width {
        Some(width) => line.chars().take(width as usize).collect(),
        None => line.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn grid() -> Grid {
        let mut grid = Grid::new(&[("PID", Side::Right), ("COMMAND", Side::Left)]);
        grid.add(["7".to_owned(), "a command that is rather long".to_owned()]);
        grid.add(["12345".to_owned(), "short".to_owned()]);
        grid
    }

    #[test]
    fn columns_are_as_wide_as_their_widest_cell() {
        let text = grid().render(Size::UNBOUNDED);
        assert_eq!(
            text,
            "  PID  COMMAND\n    7  a command that is rather long\n12345  short"
        );
    }

    #[test]
    fn the_last_column_is_cut_to_the_width_and_no_row_wraps() {
        let size = Size {
            width: Some(20),
            height: None,
        };
        let text = grid().render(size);
        assert_eq!(text.lines().count(), 3, "{text}");
        assert!(
            text.lines().all(|line| line.chars().count() <= 20),
            "{text}"
        );
        assert!(text.contains("    7  a command"), "{text}");
    }

    #[test]
    fn a_terminal_narrower_than_the_columns_still_gets_whole_lines() {
        let size = Size {
            width: Some(5),
            height: None,
        };
        let text = grid().render(size);
        assert!(text.lines().all(|line| line.chars().count() <= 5), "{text}");
    }
}
