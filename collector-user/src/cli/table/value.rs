use serde_json::{Map, Value};

use super::{Grid, Side, format};
use crate::cli::output::Size;

/// Any data: single values first, then a table for each list.
pub(super) fn value(value: &Value, size: Size) -> String {
    let mut scalars = Vec::new();
    let mut lists = Vec::new();
    walk("", value, &mut scalars, &mut lists);
    let mut blocks = Vec::new();
    if !scalars.is_empty() {
        let mut grid = Grid::new(&[("FIELD", Side::Left), ("VALUE", Side::Left)]);
        for (name, text) in scalars {
            grid.add([name, text]);
        }
        blocks.push(grid.render(size));
    }
    for (name, rows) in lists {
        blocks.push(format!(
            "{}:\n{}",
            format::harmless(&name),
            list(rows, size)
        ));
    }
    let text = blocks.join("\n\n");
    match size.height {
        // The header of the sample takes one line.
        Some(height) => {
            let lines = text.lines().take((height as usize).saturating_sub(1));
            lines.collect::<Vec<_>>().join("\n")
        }
        None => text,
    }
}

fn walk<'v>(
    name: &str,
    value: &'v Value,
    scalars: &mut Vec<(String, String)>,
    lists: &mut Vec<(String, &'v [Value])>,
) {
    match value {
        Value::Object(fields) => {
            for (field, value) in fields {
                let name = match name {
                    "" => field.clone(),
                    _ => format!("{name}.{field}"),
                };
                walk(&name, value, scalars, lists);
            }
        }
        Value::Array(rows) if rows.iter().any(Value::is_object) => {
            lists.push((name.to_owned(), rows));
        }
        value => scalars.push((name.to_owned(), scalar(name, value))),
    }
}

/// The maximum number of rows shown side by side.
const FEW: usize = 4;

/// A table with a column for each field that is known in a row.
fn list(rows: &[Value], size: Size) -> String {
    let rows: Vec<Vec<(String, String)>> = rows
        .iter()
        .map(|row| {
            let mut cells = Vec::new();
            let mut inner = Vec::new();
            walk("", row, &mut cells, &mut inner);
            for (name, list) in inner {
                cells.push((name, format!("{} rows", list.len())));
            }
            cells
        })
        .collect();
    let mut names: Vec<&str> = Vec::new();
    for (name, text) in rows.iter().flatten() {
        if text != format::UNKNOWN && !names.contains(&name.as_str()) {
            names.push(name);
        }
    }
    // Keys come first.
    names.sort_by_key(|name| !matches!(*name, "name" | "cpu" | "node"));
    let cell = |row: &[(String, String)], name: &str| {
        let cell = row.iter().find(|(other, _)| other == name);
        cell.map_or_else(String::new, |(_, text)| text.clone())
    };
    let titles: Vec<(&str, Side)> = names.iter().map(|name| (*name, Side::Left)).collect();
    let mut grid = Grid::new(&titles);
    for row in &rows {
        grid.add(names.iter().map(|name| cell(row, name)));
    }
    let is_wide = size
        .width
        .is_some_and(|width| grid.width() > width as usize);
    if !is_wide || rows.len() > FEW {
        return grid.render(size);
    }
    // A few rows that are too wide are shown side by side.
    let titles = vec![("", Side::Left); 1 + rows.len()];
    let mut grid = Grid::new(&titles);
    for name in names {
        let cells = rows.iter().map(|row| cell(row, name));
        grid.add([name.to_owned()].into_iter().chain(cells));
    }
    grid.render(size).trim_start().to_owned()
}

/// A single value, in the unit of its name.
fn scalar(name: &str, value: &Value) -> String {
    match value {
        Value::Null => format::UNKNOWN.to_owned(),
        Value::Number(number) => match number.as_u64() {
            Some(number) if name.ends_with("bytes") => format::bytes(number),
            Some(number) if name.ends_with("_ns") => format::seconds(number),
            _ => number.to_string(),
        },
        Value::String(text) => format::harmless(text),
        Value::Array(values) if values.is_empty() => format::UNKNOWN.to_owned(),
        Value::Array(values) => {
            let texts: Vec<String> = values.iter().map(|value| scalar(name, value)).collect();
            shortened(&texts.join(" "))
        }
        Value::Object(fields) => scalar_map(fields),
        Value::Bool(flag) => flag.to_string(),
    }
}

/// A long list, cut to what can be read at a glance.
fn shortened(text: &str) -> String {
    const GLANCE: usize = 100;
    match text.char_indices().nth(GLANCE) {
        Some((end, _)) => format!("{}…", &text[..end]),
        None => text.to_owned(),
    }
}

fn scalar_map(fields: &Map<String, Value>) -> String {
    let texts: Vec<String> = fields
        .iter()
        .map(|(name, value)| format!("{name}={}", scalar(name, value)))
        .collect();
    texts.join(" ")
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn single_values_come_first_in_the_unit_of_their_name() {
        let data = json!({ "total_bytes": 20480, "wait_ns": 1500, "name": "x\u{7}", "none": null });
        let text = value(&data, Size::UNBOUNDED);
        for part in ["20.0K", "1.50us", "x\\x07", "none         -"] {
            assert!(text.contains(part), "{part} in {text}");
        }
    }

    #[test]
    fn a_few_rows_that_are_too_wide_are_shown_side_by_side() {
        let long = "x".repeat(20);
        let data = json!({ "disks": [{ "name": "a", "model": long, "vendor": long }] });
        let size = Size {
            width: Some(40),
            height: None,
        };
        let text = value(&data, size);
        assert_eq!(text.lines().count(), 4, "{text}");
        assert!(text.contains(&format!("vendor  {long}")), "{text}");
    }

    #[test]
    fn a_list_of_objects_is_a_table_with_every_field_that_a_row_has() {
        let data =
            json!({ "disks": [{ "name": "a", "n": 1 }, { "name": "b", "more": { "x": 2 } }] });
        let text = value(&data, Size::UNBOUNDED);
        assert!(text.starts_with("disks:\n"), "{text}");
        assert!(text.contains("more.x"), "{text}");
    }
}
