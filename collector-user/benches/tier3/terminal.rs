//! The figures of a part as text for a terminal.

use comfy_table::{CellAlignment, ContentArrangement, Table as Grid, presets};

use crate::report::{Column, Figure, Part, Table, Unit};

/// The width if standard output is no terminal.
const WIDTH: u16 = 100;

pub(crate) fn print(part: &Part) {
    println!("\n{}\n{}", part.title, part.about);
    if !part.figures.is_empty() {
        println!("\n{}", figures(&part.figures));
    }
    for table in &part.tables {
        println!("\n{}\n{}", table.title, cells(table));
    }
    if !part.notes.is_empty() {
        println!();
    }
    for note in &part.notes {
        println!("- {note}");
    }
    for figure in &part.figures {
        if let Some(reason) = &figure.reason {
            println!("- {}: {reason}", figure.name);
        }
    }
    println!();
}

fn grid<T: Into<comfy_table::Row>>(header: T) -> Grid {
    let mut grid = Grid::new();
    grid.load_style(presets::NOTHING)
        .set_content_arrangement(ContentArrangement::Dynamic)
        .set_header(header);
    if grid.width().is_none() {
        grid.set_width(WIDTH);
    }
    grid
}

fn figures(figures: &[Figure]) -> Grid {
    let mut grid = grid(["figure", "median", "from", "to", "aim", ""]);
    for figure in figures {
        let unit = figure.unit;
        let number = |value: Option<f64>| value.map(|value| unit.show(value)).unwrap_or_default();
        grid.add_row([
            figure.name.clone(),
            number(figure.measured.map(|spread| spread.median)),
            number(figure.measured.map(|spread| spread.min)),
            number(figure.measured.map(|spread| spread.max)),
            figure.aim.map(|aim| aim.show(unit)).unwrap_or_default(),
            figure
                .verdict()
                .map(|verdict| verdict.word().to_owned())
                .unwrap_or_default(),
        ]);
    }
    for column in 1..4 {
        align_right(&mut grid, column);
    }
    grid
}

fn cells(table: &Table) -> Grid {
    let mut grid = grid(
        table
            .columns
            .iter()
            .map(Column::heading)
            .collect::<Vec<_>>(),
    );
    for row in &table.rows {
        let cells = row.iter().zip(&table.columns);
        grid.add_row(cells.map(|(cell, column)| cell.show(column.unit)));
    }
    for (at, column) in table.columns.iter().enumerate() {
        if column.unit != Unit::Text {
            align_right(&mut grid, at);
        }
    }
    grid
}

fn align_right(grid: &mut Grid, column: usize) {
    if let Some(column) = grid.column_mut(column) {
        column.set_cell_alignment(CellAlignment::Right);
    }
}
