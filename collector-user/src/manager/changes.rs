use std::{
    collections::{BTreeMap, BTreeSet},
    fmt,
};

use serde_json::Value;

use crate::metric::schema::RecordInfo;

/// A difference between two snapshots of the same metric.
#[derive(Clone, Debug, PartialEq)]
pub struct Change {
    /// The path of the value: `disk_info.disks[sda].size_bytes`.
    pub path: String,
    /// The value before; `None` if it was added.
    pub before: Option<Value>,
    /// The value after; `None` if it was removed.
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

/// The changes from one value to another, in the order of their paths.
///
/// `record` declares the fields of both. A row of a list is identified by its
/// keys, so that a disk that is removed does not change all disks after it; by
/// its index where its keys are not declared, or are not unique.
pub fn changes(
    path: &str,
    record: Option<&'static RecordInfo>,
    before: &Value,
    after: &Value,
) -> Vec<Change> {
    let mut found = Vec::new();
    compare(path, record, Some(before), Some(after), &mut found);
    found
}

/// A part of a value: what follows its path, and the declaration of its fields.
type Child<'v> = (String, Option<&'static RecordInfo>, &'v Value);

fn compare(
    path: &str,
    record: Option<&'static RecordInfo>,
    before: Option<&Value>,
    after: Option<&Value>,
    found: &mut Vec<Change>,
) {
    if before == after {
        return;
    }
    let before_parts = before.and_then(|value| children(record, value));
    let after_parts = after.and_then(|value| children(record, value));
    match (before_parts, after_parts) {
        (Some(before), Some(after)) => {
            let keys: BTreeMap<&String, _> = before
                .iter()
                .chain(&after)
                .map(|(key, record, _)| (key, *record))
                .collect();
            for (key, record) in keys {
                let of = |side: &[Child<'_>]| -> Option<Value> {
                    let child = side.iter().find(|(other, ..)| other == key);
                    child.map(|(.., value)| (*value).clone())
                };
                let path = format!("{path}{key}");
                let (before, after) = (of(&before), of(&after));
                compare(&path, record, before.as_ref(), after.as_ref(), found);
            }
        }
        _ => found.push(Change {
            path: path.to_owned(),
            before: before.cloned(),
            after: after.cloned(),
        }),
    }
}

/// The parts of a value; `None` if it has none.
fn children<'v>(record: Option<&'static RecordInfo>, value: &'v Value) -> Option<Vec<Child<'v>>> {
    match value {
        Value::Object(fields) => {
            let fields = fields.iter().map(|(name, value)| {
                let field = record.and_then(|record| record.field(name));
                let inner = field.and_then(|(_, field)| field.record());
                (format!(".{name}"), inner, value)
            });
            Some(fields.collect())
        }
        Value::Array(rows) => {
            let names: Vec<String> = rows
                .iter()
                .enumerate()
                .map(|(index, row)| key_of(record, row).unwrap_or_else(|| index.to_string()))
                .collect();
            let unique: BTreeSet<&String> = names.iter().collect();
            let is_unique = unique.len() == names.len();
            let rows = rows.iter().zip(names).enumerate();
            let rows = rows.map(|(index, (row, name))| {
                let name = if is_unique { name } else { index.to_string() };
                (format!("[{name}]"), record, row)
            });
            Some(rows.collect())
        }
        _ => None,
    }
}

/// The keys of a row; `None` if it has none.
fn key_of(record: Option<&'static RecordInfo>, row: &Value) -> Option<String> {
    let keys = record?
        .keys()
        .filter_map(|(_, key)| match row.get(key.name)? {
            Value::Null => None,
            Value::String(text) => Some(text.clone()),
            value => Some(value.to_string()),
        });
    let keys: Vec<String> = keys.collect();
    (!keys.is_empty()).then(|| keys.join(" "))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::metric::{Record, schema::Record as _};

    /// What the tests compare.
    #[derive(Record)]
    struct Machine {
        /// Disks.
        #[field(1)]
        disks: Vec<Disk>,
        /// CPUs.
        #[field(2)]
        cpus: Vec<Cpu>,
    }

    /// One of them.
    #[derive(Record)]
    struct Disk {
        /// Its name.
        #[field(1, key)]
        name: std::sync::Arc<str>,
        /// A value.
        #[field(2)]
        v: u64,
    }

    /// One of them.
    #[derive(Record)]
    struct Cpu {
        /// Its number.
        #[field(1, key)]
        cpu: u32,
        /// A value.
        #[field(2)]
        mhz: u64,
    }

    fn texts(before: &Value, after: &Value) -> Vec<String> {
        let changes = changes("m", Some(&Machine::INFO), before, after);
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
        let before = json!({ "disks": [{ "name": "x", "v": 1 }, { "name": "x", "v": 2 }] });
        let after = json!({ "disks": [{ "name": "x", "v": 1 }, { "name": "x", "v": 3 }] });
        assert_eq!(texts(&before, &after), ["changed m.disks[1].v: 2 → 3"]);
    }
}
