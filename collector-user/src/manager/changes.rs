use std::{collections::BTreeSet, fmt};

use serde_json::Value;

/// A difference between two snapshots of the same data.
#[derive(Clone, Debug, PartialEq)]
pub struct Change {
    /// Where: `disk_info.disks[sda].size_bytes`.
    pub path: String,
    /// What was there; `None` if nothing was.
    pub before: Option<Value>,
    /// What is there; `None` if nothing is.
    pub after: Option<Value>,
}

impl fmt::Display for Change {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match (&self.before, &self.after) {
            (None, Some(after)) => write!(f, "added {}: {after}", self.path),
            (Some(before), None) => write!(f, "removed {}: {before}", self.path),
            (Some(before), Some(after)) => {
                write!(f, "changed {}: {before} → {after}", self.path)
            }
            (None, None) => write!(f, "{}", self.path),
        }
    }
}

/// What changed from one value to another, in the order of the paths.
///
/// A row of a list is known by its name or its number if it has one, else by
/// its place, so that a disk that is taken out does not change all the disks
/// after it.
pub fn changes(path: &str, before: &Value, after: &Value) -> Vec<Change> {
    let mut found = Vec::new();
    compare(path, Some(before), Some(after), &mut found);
    found
}

fn compare(path: &str, before: Option<&Value>, after: Option<&Value>, found: &mut Vec<Change>) {
    if before == after {
        return;
    }
    match (before.map(children), after.map(children)) {
        (Some(Some(before)), Some(Some(after))) => {
            let keys: BTreeSet<&String> = before.iter().chain(&after).map(|(key, _)| key).collect();
            for key in keys {
                let of = |side: &[(String, &Value)]| -> Option<Value> {
                    let child = side.iter().find(|(other, _)| other == key);
                    child.map(|(_, value)| (*value).clone())
                };
                let path = format!("{path}{key}");
                compare(&path, of(&before).as_ref(), of(&after).as_ref(), found);
            }
        }
        _ => found.push(Change {
            path: path.to_owned(),
            before: before.cloned(),
            after: after.cloned(),
        }),
    }
}

/// The parts of a value, by what follows its path; `None` if it has none.
fn children(value: &Value) -> Option<Vec<(String, &Value)>> {
    match value {
        Value::Object(fields) => Some(
            fields
                .iter()
                .map(|(name, value)| (format!(".{name}"), value))
                .collect(),
        ),
        Value::Array(rows) => {
            let names: Vec<String> = rows.iter().enumerate().map(name_of).collect();
            let unique: BTreeSet<&String> = names.iter().collect();
            let is_unique = unique.len() == names.len();
            let named = rows.iter().enumerate().zip(names);
            Some(
                named
                    .map(|((index, row), name)| {
                        let name = if is_unique { name } else { index.to_string() };
                        (format!("[{name}]"), row)
                    })
                    .collect(),
            )
        }
        _ => None,
    }
}

fn name_of((index, row): (usize, &Value)) -> String {
    const IDENTITIES: [&str; 4] = ["name", "cpu", "node", "id"];
    let identity = IDENTITIES.iter().find_map(|field| match row.get(field)? {
        Value::String(name) => Some(name.clone()),
        Value::Number(number) => Some(number.to_string()),
        _ => None,
    });
    identity.unwrap_or_else(|| index.to_string())
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn texts(before: &Value, after: &Value) -> Vec<String> {
        let changes = changes("m", before, after);
        changes.iter().map(Change::to_string).collect()
    }

    #[test]
    fn equal_values_have_no_changes() {
        let value = json!({ "a": [1, { "name": "x" }] });
        assert!(texts(&value, &value).is_empty());
    }

    #[test]
    fn a_removed_row_is_one_change_and_its_neighbours_are_the_same() {
        let before = json!({ "disks": [{ "name": "a" }, { "name": "b" }, { "name": "c" }] });
        let after = json!({ "disks": [{ "name": "a" }, { "name": "c" }] });
        assert_eq!(
            texts(&before, &after),
            ["removed m.disks[b]: {\"name\":\"b\"}"]
        );
    }

    #[test]
    fn a_changed_value_is_shown_before_and_after() {
        let before = json!({ "cpus": [{ "cpu": 0, "mhz": 1 }], "gone": 1 });
        let after = json!({ "cpus": [{ "cpu": 0, "mhz": 2 }], "new": null });
        assert_eq!(
            texts(&before, &after),
            [
                "changed m.cpus[0].mhz: 1 → 2",
                "removed m.gone: 1",
                "added m.new: null"
            ]
        );
    }

    #[test]
    fn rows_that_share_a_name_are_known_by_their_place() {
        let before = json!([{ "name": "x", "v": 1 }, { "name": "x", "v": 2 }]);
        let after = json!([{ "name": "x", "v": 1 }, { "name": "x", "v": 3 }]);
        assert_eq!(texts(&before, &after), ["changed m[1].v: 2 → 3"]);
    }
}
