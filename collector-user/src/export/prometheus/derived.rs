//! Families that follow from the declaration of a metric.
//!
//! A number of a record is a family: its name is the prefix of the record, the
//! name of the field and its unit. A list has a series per row, whose labels are
//! the keys of the row. Fields of kind `label` are the labels of an `_info`
//! family, which is 1.

use std::{borrow::Cow, collections::BTreeMap, fmt::Write as _, sync::Arc};

use super::text::{Kind, Text, Value, Written};
use crate::metric::{
    AnyReading, ProcessCounters,
    schema::{
        self, AnyRecord, FieldInfo, FieldKind, MetricSchema, RecordInfo, SeriesRule, Unit,
        Value as Field, ValueType,
    },
};

/// A family, and the fields that its series have their values from.
#[derive(Debug)]
pub(super) struct DerivedFamily {
    pub(super) name: String,
    pub(super) kind: Kind,
    pub(super) help: String,
    pub(super) parts: Vec<Part>,
}

/// The field of one series of a row.
#[derive(Debug)]
pub(super) struct Part {
    /// The index of the field in its record.
    pub(super) index: usize,
    unit: Unit,
    /// What tells the series from the others of the row.
    pub(super) label: Option<(&'static str, &'static str)>,
}

impl Part {
    /// A value of the field in the unit of its series.
    pub(super) fn value(&self, value: Field<'_>) -> Option<Value> {
        Some(match value {
            Field::Unsigned(number) if self.unit == Unit::Nanoseconds => Value::Nanos(number),
            Field::Unsigned(number) => Value::Count(number),
            Field::Float(number) => Value::Float(number),
            Field::Bool(flag) => Value::Count(flag.into()),
            _ => return None,
        })
    }
}

impl DerivedFamily {
    /// The series of rows of counters, with labels that are written already.
    pub(super) fn encode(&self, text: &mut Text, rows: &[(&Written, ProcessCounters)]) {
        let mut is_begun = false;
        for (labels, record) in rows {
            self.encode_row(text, &mut is_begun, labels, record);
        }
    }

    fn encode_row(
        &self,
        text: &mut Text,
        is_begun: &mut bool,
        labels: &Written,
        record: &dyn AnyRecord,
    ) {
        for part in &self.parts {
            let Some(value) = part.value(record.field(part.index)) else {
                continue;
            };
            if !std::mem::replace(is_begun, true) {
                text.begin(&self.name, self.kind, &self.help);
            }
            text.row(&self.name, labels, part.label, value);
        }
    }
}

/// The families of the records at one place in a reading.
#[derive(Debug)]
struct Table {
    /// The indexes of the fields that lead to the records.
    path: Vec<usize>,
    families: Vec<DerivedFamily>,
    info: Option<InfoFamily>,
}

/// The `_info` family of a table.
#[derive(Debug)]
struct InfoFamily {
    name: String,
    help: String,
    labels: Vec<(usize, &'static str)>,
}

/// The families of one metric.
#[derive(Debug, Default)]
pub(super) struct MetricFamilies {
    tables: Vec<Table>,
}

/// The families of a record whose series have this prefix.
pub(super) fn families(record: &RecordInfo, prefix: &str) -> Vec<DerivedFamily> {
    let mut families: Vec<DerivedFamily> = Vec::new();
    for (index, field) in record.fields.iter().enumerate() {
        let kind = match (field.kind, field.value) {
            (FieldKind::Counter, _) => Kind::Counter,
            (FieldKind::Gauge, _) | (FieldKind::State, ValueType::Bool) => Kind::Gauge,
            _ => continue,
        };
        let (name, label, help) = match field.series {
            SeriesRule::Skipped => continue,
            SeriesRule::Derived => (derived_name(field, kind), None, None),
            SeriesRule::Named { name, label, help } => {
                let name = name.map_or_else(|| derived_name(field, kind), Cow::Borrowed);
                (name, label, help)
            }
        };
        let name = if name.starts_with("host_") || name.starts_with("collector_") {
            name.into_owned()
        } else {
            format!("{prefix}_{name}")
        };
        let part = Part {
            index,
            unit: field.unit,
            label,
        };
        match families.iter_mut().find(|family| family.name == name) {
            Some(family) => family.parts.push(part),
            None => families.push(DerivedFamily {
                name,
                kind,
                help: help.map_or_else(|| field.summary(), str::to_owned),
                parts: vec![part],
            }),
        }
    }
    families
}

/// The name of a field with its unit as Prometheus has it, and `_total` for
/// counters only.
fn derived_name(field: &FieldInfo, kind: Kind) -> Cow<'static, str> {
    let units = [("_ns", "_seconds"), ("_s", "_seconds"), ("_hz", "_hertz")];
    let renamed = units.iter().find_map(|(suffix, unit)| {
        let name = field.name.strip_suffix(suffix)?;
        Some(format!("{name}{unit}"))
    });
    let name = renamed.map_or(Cow::Borrowed(field.name), Cow::Owned);
    match kind {
        Kind::Counter if !name.ends_with("_total") => Cow::Owned(format!("{name}_total")),
        Kind::Counter | Kind::Histogram => name,
        Kind::Gauge => match name.strip_suffix("_total") {
            Some(name) => Cow::Owned(name.to_owned()),
            None => name,
        },
    }
}

impl MetricFamilies {
    /// Those of a metric.
    pub(super) fn of(schema: &MetricSchema) -> Self {
        let mut families = Self::default();
        let prefix = schema
            .prefix
            .map_or_else(|| format!("host_{}", schema.metric.name), str::to_owned);
        families.add(schema.record, &prefix, &mut Vec::new());
        families
    }

    fn add(&mut self, record: &RecordInfo, prefix: &str, path: &mut Vec<usize>) {
        let labels: Vec<_> = record
            .fields
            .iter()
            .enumerate()
            .filter(|(_, field)| field.kind == FieldKind::Label)
            .map(|(index, field)| (index, field.name))
            .collect();
        self.tables.push(Table {
            path: path.clone(),
            families: families(record, prefix),
            info: (!labels.is_empty()).then(|| InfoFamily {
                name: format!("{prefix}_info"),
                help: first_line(record.doc),
                labels,
            }),
        });
        for (index, field) in record.fields.iter().enumerate() {
            let Some(inner) = field.record() else {
                continue;
            };
            let prefix = match field.series {
                SeriesRule::Skipped => continue,
                SeriesRule::Named {
                    name: Some(name), ..
                } => name.to_owned(),
                _ => inner
                    .prefix
                    .map_or_else(|| format!("{prefix}_{}", field.name), str::to_owned),
            };
            path.push(index);
            self.add(inner, &prefix, path);
            path.pop();
        }
    }

    /// The series of a reading.
    pub(super) fn encode(&self, text: &mut Text, reading: &dyn AnyRecord) {
        for table in &self.tables {
            if let Some(info) = &table.info {
                let mut is_begun = false;
                visit(
                    reading,
                    &table.path,
                    &Labels::default(),
                    &mut |labels, record| {
                        let mut labels = labels.clone();
                        for &(index, name) in &info.labels {
                            labels.push(name, &record.field(index));
                        }
                        if !std::mem::replace(&mut is_begun, true) {
                            text.begin(&info.name, Kind::Gauge, &info.help);
                        }
                        text.row(&info.name, &labels.written(), None, Value::Count(1));
                    },
                );
            }
            for family in &table.families {
                let mut is_begun = false;
                visit(
                    reading,
                    &table.path,
                    &Labels::default(),
                    &mut |labels, record| {
                        family.encode_row(text, &mut is_begun, &labels.written(), record);
                    },
                );
            }
        }
    }
}

/// The labels of a row, by name.
#[derive(Clone, Debug, Default)]
struct Labels(Vec<(Cow<'static, str>, String)>);

impl Labels {
    /// Adds a label, unless its value is unknown.
    fn push(&mut self, name: impl Into<Cow<'static, str>>, value: &Field<'_>) {
        let mut text = String::new();
        write_label(&mut text, value);
        if !text.is_empty() {
            self.0.push((name.into(), text));
        }
    }

    fn has(&self, name: &str) -> bool {
        self.0.iter().any(|(other, _)| other == name)
    }

    fn written(&self) -> Written {
        Written::new(self.0.iter().map(|(name, value)| (&**name, value.as_str())))
    }
}

fn write_label(text: &mut String, value: &Field<'_>) {
    // Writing to a `String` does not fail.
    let _ = match value {
        Field::Text(value) => write!(text, "{value}"),
        Field::Unsigned(number) => write!(text, "{number}"),
        Field::Float(number) => write!(text, "{number}"),
        Field::Bool(flag) => write!(text, "{flag}"),
        Field::Choice(choice) => write!(text, "{}", choice.name),
        Field::List(list) => {
            list.for_each(&mut |value| {
                if !text.is_empty() {
                    text.push(',');
                }
                write_label(text, &value);
            });
            Ok(())
        }
        Field::Null | Field::Time(_) | Field::Record(_) => Ok(()),
    };
}

/// Calls this for each record at a path, with the labels that its keys and
/// those of the records around it make.
fn visit(
    record: &dyn AnyRecord,
    path: &[usize],
    labels: &Labels,
    found: &mut dyn FnMut(&Labels, &dyn AnyRecord),
) {
    let Some((&index, rest)) = path.split_first() else {
        found(labels, record);
        return;
    };
    match record.field(index) {
        Field::Record(inner) => visit(inner, rest, labels, found),
        Field::List(rows) => rows.for_each(&mut |row| {
            let Field::Record(row) = row else { return };
            let info = row.info();
            let mut labels = labels.clone();
            for (key, field) in info.keys() {
                let name = if labels.has(field.name) {
                    Cow::Owned(format!("{}_{}", schema::snake_case(info.name), field.name))
                } else {
                    Cow::Borrowed(field.name)
                };
                labels.push(name, &row.field(key));
            }
            visit(row, rest, &labels, found);
        }),
        _ => {}
    }
}

fn first_line(doc: &str) -> String {
    let lines = doc.lines().take_while(|line| !line.is_empty());
    lines.collect::<Vec<_>>().join(" ")
}

/// The families of each metric, by its name.
#[derive(Debug, Default)]
pub(super) struct AllFamilies {
    metrics: BTreeMap<&'static str, MetricFamilies>,
    encoded: BTreeMap<&'static str, Encoded>,
}

/// The text of a reading, for the scrapes until the next one.
#[derive(Debug)]
struct Encoded {
    reading: Arc<dyn AnyReading>,
    text: String,
}

impl AllFamilies {
    /// Writes the series of a reading, which are encoded once: most metrics are
    /// scraped more often than they are collected.
    pub(super) fn encode_once(&mut self, text: &mut Text, reading: &Arc<dyn AnyReading>) {
        let Some(schema) = reading.schema() else {
            return;
        };
        let name = schema.metric.name;
        let encoded = self.encoded.get(name);
        if encoded.is_none_or(|encoded| !Arc::ptr_eq(&encoded.reading, reading)) {
            let mut own = Text::default();
            self.encode(&mut own, &**reading);
            let encoded = Encoded {
                reading: Arc::clone(reading),
                text: own.finish(),
            };
            self.encoded.insert(name, encoded);
        }
        if let Some(encoded) = self.encoded.get(name) {
            text.append(&encoded.text);
        }
    }

    /// Writes the series of a reading; none if its fields are not declared.
    pub(super) fn encode(&mut self, text: &mut Text, reading: &dyn AnyReading) {
        let (Some(schema), Some(record)) = (reading.schema(), reading.record()) else {
            return;
        };
        self.metrics
            .entry(schema.metric.name)
            .or_insert_with(|| MetricFamilies::of(schema))
            .encode(text, record);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::metric::{Disk, DiskInfo, MemoryInfo, MemoryNode, NodeDistance, Partition, SCHEMAS};

    #[test]
    fn no_two_metrics_have_a_family_of_one_name() {
        let mut seen = BTreeMap::new();
        for schema in SCHEMAS.iter().flatten() {
            let metric = schema.metric;
            for table in MetricFamilies::of(schema).tables {
                let names = table.families.into_iter().map(|family| family.name);
                let info = table.info.map(|family| family.name);
                for name in names.chain(info) {
                    let place = (metric.name, table.path.clone());
                    if let Some(other) = seen.insert(name.clone(), place) {
                        panic!("{name} is in {other:?} and in {}", metric.name);
                    }
                }
            }
        }
        assert!(seen.contains_key("host_memory_available_bytes"));
    }

    #[test]
    fn rows_in_rows_have_the_keys_of_both() {
        let reading = DiskInfo {
            disks: vec![Disk {
                name: "sda".into(),
                model: Some("A \"B\"".into()),
                size_bytes: Some(7),
                rotational: Some(true),
                partitions: vec![Partition {
                    name: "sda1".into(),
                    start_bytes: Some(2),
                    ..Partition::default()
                }],
                ..Disk::default()
            }],
        };
        let mut text = Text::default();
        AllFamilies::default().encode(&mut text, &reading);
        let text = text.finish();
        for line in [
            "host_disk_info{name=\"sda\",model=\"A \\\"B\\\"\"} 1\n",
            "host_disk_size_bytes{name=\"sda\"} 7\n",
            "host_disk_rotational{name=\"sda\"} 1\n",
            "host_disk_partition_start_bytes{name=\"sda\",partition_name=\"sda1\"} 2\n",
            "# TYPE host_disk_size_bytes gauge\n",
        ] {
            assert!(text.contains(line), "{line} in {text}");
        }
        assert!(!text.contains("removable"), "unknown has no series: {text}");
    }

    #[test]
    fn a_reading_is_encoded_once() {
        let reading = |rotational| -> Arc<dyn AnyReading> {
            Arc::new(DiskInfo {
                disks: vec![Disk {
                    name: "sda".into(),
                    rotational: Some(rotational),
                    ..Disk::default()
                }],
            })
        };
        let mut families = AllFamilies::default();
        let mut encoded = |reading: &Arc<dyn AnyReading>| {
            let mut text = Text::default();
            families.encode_once(&mut text, reading);
            (text.finish(), families.encoded["disk_info"].text.as_ptr())
        };
        let first = reading(true);
        let (text, place) = encoded(&first);
        assert!(
            text.contains("host_disk_rotational{name=\"sda\"} 1\n"),
            "{text}"
        );
        assert_eq!(encoded(&first), (text, place));
        let (text, _) = encoded(&reading(false));
        assert!(
            text.contains("host_disk_rotational{name=\"sda\"} 0\n"),
            "{text}"
        );
    }

    #[test]
    fn two_keys_of_one_name_are_two_labels() {
        let reading = MemoryInfo {
            nodes: vec![MemoryNode {
                node: 1,
                distances: vec![NodeDistance {
                    node: 0,
                    distance: 21,
                }],
                ..MemoryNode::default()
            }],
            ..MemoryInfo::default()
        };
        let mut text = Text::default();
        AllFamilies::default().encode(&mut text, &reading);
        let text = text.finish();
        let line = "host_numa_node_distance{node=\"1\",node_distance_node=\"0\"} 21\n";
        assert!(text.contains(line), "{text}");
    }
}
