//! The schema of the readings: what their fields are called, what kind and unit
//! they have, and what they mean.
//!
//! It is declared once, in the struct of a reading, and the derive macros
//! [`Reading`](derive@super::Reading), [`Record`](derive@super::Record) and
//! [`Choice`](derive@super::Choice) turn it into constants. From those follow the
//! catalogue, the reference, the protobuf messages, the Prometheus series, the
//! rates in tables and the heap size of a reading.

mod choice;
mod field;
mod metric;
pub mod proto;
mod record;
pub mod reference;
mod unit;
mod value;

pub use choice::{Choice, ChoiceInfo, ChoiceValue};
pub use field::{Declared, FieldInfo, FieldKind, SeriesRule};
pub use metric::MetricSchema;
pub use record::{AnyRecord, Record, RecordInfo};
pub use unit::Unit;
pub use value::{FieldValue, List, Value, ValueType};

/// The name of a type in snake case: `NodeDistance` as `node_distance`.
pub(crate) fn snake_case(name: &str) -> String {
    let mut text = String::new();
    for (index, letter) in name.char_indices() {
        if letter.is_uppercase() && index > 0 {
            text.push('_');
        }
        text.extend(letter.to_lowercase());
    }
    text
}
