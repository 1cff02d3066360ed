use std::borrow::Cow;

use collector::text::harmless;
use comfy_table::{Cell, CellAlignment, ColumnConstraint, ContentArrangement, Row, Table, presets};

use crate::cli::output::Size;

/// The alignment of a column.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::cli) enum Side {
    Left,
    Right,
}

/// A table without rulers. The last column gets the rest of the width, and is
/// cut where it is longer.
pub(in crate::cli) struct Grid {
    columns: Vec<Column>,
    rows: Vec<Vec<String>>,
    /// The columns to drop first on a narrow terminal.
    expendable: &'static [&'static str],
}

struct Column {
    title: String,
    side: Side,
    /// The width of its longest cell.
    width: usize,
}

/// The gap between two columns.
const GAP: usize = 2;
/// The minimum width of the last column.
const TELLING: usize = 24;

impl Grid {
    /// An empty table with these titles.
    pub(in crate::cli) fn new(titles: &[(&str, Side)]) -> Self {
        let columns = titles.iter().map(|(title, side)| Column {
            title: harmless(title).into_owned(),
            side: *side,
            width: width(title),
        });
        Self {
            columns: columns.collect(),
            rows: Vec::new(),
            expendable: &[],
        }
    }

    /// Sets the columns to drop first on a narrow terminal.
    pub(in crate::cli) fn without_if_narrow(self, expendable: &'static [&'static str]) -> Self {
        Self { expendable, ..self }
    }

    /// Adds a row. Line breaks and terminal escapes in cells are replaced.
    pub(in crate::cli) fn add(&mut self, cells: impl IntoIterator<Item = String>) {
        let cells = cells.into_iter().map(|cell| match harmless(&cell) {
            Cow::Borrowed(_) => cell,
            Cow::Owned(shown) => shown,
        });
        let cells: Vec<String> = cells.collect();
        for (column, cell) in self.columns.iter_mut().zip(&cells) {
            column.width = column.width.max(width(cell));
        }
        self.rows.push(cells);
    }

    /// Its width on an unbounded terminal.
    pub(in crate::cli) fn width(&self) -> usize {
        let columns = self.columns.iter().map(|column| column.width + GAP);
        columns.sum::<usize>().saturating_sub(GAP)
    }

    /// The lines, none wider than the terminal.
    pub(in crate::cli) fn render(mut self, size: Size) -> String {
        if let Some(width) = size.width {
            self.fit(width as usize);
        }
        let Some(last) = self.columns.len().checked_sub(1) else {
            return String::new();
        };
        let mut table = Table::new();
        table.load_style(presets::NOTHING);
        // A long cell is cut at the width, not at a word: no text contains this
        // character.
        table.set_delimiter('\u{0}');
        let titles: Vec<String> = self.columns.iter().map(|c| c.title.clone()).collect();
        table.set_header(self.row(&titles));
        for cells in &self.rows {
            table.add_row(self.row(cells));
        }
        if let Some(width) = size.width {
            table.set_width(width);
            table.set_content_arrangement(ContentArrangement::Dynamic);
        }
        for (index, column) in table.column_iter_mut().enumerate() {
            let gap = if index == last { 0 } else { GAP as u16 };
            column.set_padding((0, gap));
            if size.width.is_some() && index != last {
                let needed = comfy_table::Width::Fixed(self.columns[index].width as u16 + gap);
                column.set_constraint(ColumnConstraint::Absolute(needed));
            }
        }
        let lines: Vec<String> = table.lines().map(|line| cut(&line, size)).collect();
        lines.join("\n")
    }

    fn row(&self, cells: &[String]) -> Row {
        let mut row = Row::new();
        row.max_height(1);
        for (column, text) in self.columns.iter().zip(cells) {
            let align = match column.side {
                Side::Right => CellAlignment::Right,
                Side::Left => CellAlignment::Left,
            };
            row.add_cell(Cell::new(text).set_alignment(align));
        }
        row
    }

    /// Drops columns until the others fit: first the expendable ones, then
    /// numbers from the right.
    fn fit(&mut self, width: usize) {
        let mut expendable = self.expendable.iter();
        while self.needed() > width && self.columns.len() > 1 {
            let named = expendable.next().map(|name| {
                let mut titles = self.columns.iter().map(|column| &column.title);
                titles.position(|title| title == name)
            });
            let last = self.columns.len() - 1;
            match named {
                Some(Some(index)) => self.remove(index),
                Some(None) => {}
                None if self.columns[last].side == Side::Right => self.remove(last),
                None => return,
            }
        }
    }

    /// The width below which a cell would be cut.
    fn needed(&self) -> usize {
        let Some((last, others)) = self.columns.split_last() else {
            return 0;
        };
        let others: usize = others.iter().map(|column| column.width + GAP).sum();
        match last.side {
            Side::Right => others + last.width,
            Side::Left => others + last.width.min(TELLING),
        }
    }

    fn remove(&mut self, index: usize) {
        self.columns.remove(index);
        for row in &mut self.rows {
            if index < row.len() {
                row.remove(index);
            }
        }
    }
}

/// An upper bound of the width of a text on the terminal.
fn width(text: &str) -> usize {
    text.chars().count().min(u16::MAX as usize / 2)
}

/// A line cut to the width of the terminal.
fn cut(line: &str, size: Size) -> String {
    let line = line.trim_end();
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
    fn no_cell_steers_the_terminal_or_makes_a_line_of_its_own() {
        let mut grid = Grid::new(&[("NAME", Side::Left), ("N", Side::Right)]);
        grid.add([
            "a\x1b[2J\r\nroot  1\u{202e}".to_owned(),
            "7\u{9b}".to_owned(),
        ]);
        let text = grid.render(Size::UNBOUNDED);
        assert_eq!(
            text.lines().nth(1),
            Some("a\\x1b[2J\\r\\nroot  1\\u{202e}  7\\u{9b}")
        );
        assert_eq!(text.lines().count(), 2);
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

    #[test]
    fn where_there_is_no_room_expendable_columns_go_first_and_then_numbers_from_the_right() {
        let titles = ["AAAA", "BBBB", "CCCC", "DDDD"].map(|title| (title, Side::Right));
        let titles_at = |width| {
            let grid = Grid::new(&titles).without_if_narrow(&["BBBB"]);
            let size = Size {
                width: Some(width),
                height: None,
            };
            grid.render(size)
        };
        assert_eq!(titles_at(22), "AAAA  BBBB  CCCC  DDDD");
        assert_eq!(titles_at(21), "AAAA  CCCC  DDDD");
        assert_eq!(titles_at(15), "AAAA  CCCC");
    }
}
