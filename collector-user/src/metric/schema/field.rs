use super::{FieldValue, RecordInfo, Unit, ValueType};
use crate::metric::Backend;

/// The declaration of one field.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct FieldInfo {
    /// Its number in protobuf: never renamed or reused.
    pub number: u32,
    /// Its name in JSON and everywhere else. A suffix is its unit.
    pub name: &'static str,
    /// Its meaning: the doc comment.
    pub doc: &'static str,
    /// What kind of value it is.
    pub kind: FieldKind,
    /// The unit of a number.
    pub unit: Unit,
    /// The type of its value.
    pub value: ValueType,
    /// Whether the value may be unknown: `null` in JSON.
    pub is_optional: bool,
    /// The oldest kernel that has it; `None` for every supported one.
    pub minimum_kernel: Option<&'static str>,
    /// The only backend that knows it; `None` for all that have the metric.
    pub backend: Option<Backend>,
    /// Its Prometheus series.
    pub series: SeriesRule,
}

/// How the values of a field follow each other.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FieldKind {
    /// A sum that only grows; its rate is what is of interest.
    Counter,
    /// A number that rises and falls.
    Gauge,
    /// A text, a flag or a choice.
    State,
    /// Describes the record that it is in, beside its key.
    Label,
    /// Identifies the record that it is in among those of its list.
    Key,
    /// Records: its own fields are what is of interest.
    Part,
}

/// How a number becomes a Prometheus series.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SeriesRule {
    /// By the prefix of its record and its own name.
    Derived,
    /// Not at all.
    Skipped,
    /// By a name of its own, perhaps together with other fields.
    Named {
        /// The name behind the prefix of the record; `None` for the derived one.
        name: Option<&'static str>,
        /// The label that tells it from the other fields of that name.
        label: Option<(&'static str, &'static str)>,
        /// The HELP text; `None` for the first sentence of the meaning.
        help: Option<&'static str>,
    },
}

/// What the attributes of a field declare beside its number, name and meaning.
#[derive(Clone, Copy, Debug)]
pub struct Declared {
    /// The kind; `None` for that of its type.
    pub kind: Option<FieldKind>,
    /// The unit; `None` for that of its name.
    pub unit: Option<&'static str>,
    /// See [`FieldInfo::minimum_kernel`].
    pub minimum_kernel: Option<&'static str>,
    /// See [`FieldInfo::backend`].
    pub backend: Option<Backend>,
    /// See [`FieldInfo::series`].
    pub series: SeriesRule,
}

impl FieldInfo {
    /// The declaration of a field of this type.
    ///
    /// # Panics
    ///
    /// When the unit is not known, or a counter is not a number: in a constant
    /// that is an error of the compiler.
    #[expect(
        clippy::panic,
        reason = "in a constant, it is an error of the compiler"
    )]
    pub const fn of<T: FieldValue>(
        number: u32,
        name: &'static str,
        doc: &'static str,
        declared: Declared,
    ) -> Self {
        let kind = match declared.kind {
            Some(kind) => kind,
            None => T::TYPE.default_kind(),
        };
        assert!(
            T::TYPE.is_number() || !matches!(kind, FieldKind::Counter | FieldKind::Gauge),
            "a counter or a gauge is a number"
        );
        let unit = match declared.unit {
            Some(text) => match Unit::parse(text) {
                Some(unit) => unit,
                None => panic!("there is no such unit"),
            },
            None if T::TYPE.is_number() => Unit::of_name(name),
            None => Unit::None,
        };
        Self {
            number,
            name,
            doc,
            kind,
            unit,
            value: T::TYPE,
            is_optional: T::IS_OPTIONAL,
            minimum_kernel: declared.minimum_kernel,
            backend: declared.backend,
            series: declared.series,
        }
    }

    /// The declaration of a variant of an enum that holds this record.
    pub const fn of_variant<T: FieldValue>(
        number: u32,
        name: &'static str,
        doc: &'static str,
    ) -> Self {
        Self {
            number,
            name,
            doc,
            kind: FieldKind::Part,
            unit: Unit::None,
            value: T::TYPE,
            is_optional: true,
            minimum_kernel: None,
            backend: None,
            series: SeriesRule::Skipped,
        }
    }

    /// The record that its value is, or that its list has.
    pub const fn record(&self) -> Option<&'static RecordInfo> {
        match &self.value {
            ValueType::Record(record) | ValueType::List(ValueType::Record(record)) => Some(*record),
            _ => None,
        }
    }

    /// The first sentence of its meaning.
    pub fn summary(&self) -> String {
        let text = self.doc.replace('\n', " ");
        match text.find(". ") {
            Some(end) => text[..=end].to_owned(),
            None => text,
        }
    }
}
