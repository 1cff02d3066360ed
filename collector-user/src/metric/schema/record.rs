use super::{FieldInfo, FieldKind, Value};

/// A struct of named fields: a reading, or a part of one.
///
/// Implemented by [`derive@crate::metric::Record`].
pub trait Record {
    /// Its fields.
    const INFO: RecordInfo;

    /// The value of the field with this index in [`RecordInfo::fields`];
    /// [`Value::Null`] if there is no such field.
    fn value(&self, index: usize) -> Value<'_>;

    /// The bytes that its fields own on the heap.
    fn owned_bytes(&self) -> usize;

    /// Visits each counter that may be unknown, with the index of its field.
    fn visit_counters_mut(&mut self, visit: &mut dyn FnMut(usize, &mut Option<u64>));
}

/// A [`Record`] whose type is not known at compile time.
pub trait AnyRecord {
    /// Its fields.
    fn info(&self) -> &'static RecordInfo;

    /// As [`Record::value`].
    fn field(&self, index: usize) -> Value<'_>;
}

impl<R: Record> AnyRecord for R {
    fn info(&self) -> &'static RecordInfo {
        &R::INFO
    }

    fn field(&self, index: usize) -> Value<'_> {
        Record::value(self, index)
    }
}

/// The declaration of a [`Record`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RecordInfo {
    /// The name of the type.
    pub name: &'static str,
    /// Its doc comment.
    pub doc: &'static str,
    /// What the names of its Prometheus series begin with; `None` for the prefix
    /// of the record that it is part of, and the name of the field there.
    pub prefix: Option<&'static str>,
    /// Field numbers of fields that it has no more.
    pub reserved: &'static [u32],
    /// Whether at most one of its fields has a value: it is an enum.
    pub is_one_of: bool,
    /// Its fields, in the order of their declaration.
    pub fields: &'static [FieldInfo],
}

impl RecordInfo {
    /// The index and the declaration of the field of this name.
    pub fn field(&self, name: &str) -> Option<(usize, &'static FieldInfo)> {
        self.fields
            .iter()
            .enumerate()
            .find(|(_, field)| field.name == name)
    }

    /// The fields that identify a record in a list.
    pub fn keys(&self) -> impl Iterator<Item = (usize, &'static FieldInfo)> {
        let fields = self.fields.iter().enumerate();
        fields.filter(|(_, field)| field.kind == FieldKind::Key)
    }
}
