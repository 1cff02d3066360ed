use std::{sync::Arc, time::SystemTime};

use super::{AnyRecord, ChoiceInfo, ChoiceValue, FieldKind, RecordInfo};

/// The type of a field's value.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ValueType {
    /// A flag.
    Bool,
    /// A whole number from 0 of at most 32 bits.
    U32,
    /// A whole number from 0.
    U64,
    /// A number with a fraction.
    F64,
    /// A text.
    Text,
    /// A time on the wall clock: RFC 3339 in JSON.
    Time,
    /// One of a few names.
    Choice(&'static ChoiceInfo),
    /// Fields of its own.
    Record(&'static RecordInfo),
    /// Any number of values.
    List(&'static Self),
}

impl ValueType {
    /// Whether it is a number.
    pub const fn is_number(&self) -> bool {
        matches!(self, Self::U32 | Self::U64 | Self::F64)
    }

    /// The kind of a field of this type that declares none.
    pub(super) const fn default_kind(&self) -> FieldKind {
        match self {
            Self::U32 | Self::U64 | Self::F64 => FieldKind::Gauge,
            Self::Bool | Self::Text | Self::Time | Self::Choice(_) => FieldKind::State,
            Self::Record(_) => FieldKind::Part,
            Self::List(inner) => match inner {
                Self::Record(_) => FieldKind::Part,
                _ => FieldKind::State,
            },
        }
    }
}

/// The value of a field.
#[derive(Clone, Copy)]
pub enum Value<'v> {
    /// It is not known.
    Null,
    /// A flag.
    Bool(bool),
    /// A whole number.
    Unsigned(u64),
    /// A number with a fraction.
    Float(f64),
    /// A text.
    Text(&'v str),
    /// A time.
    Time(SystemTime),
    /// One of a few names.
    Choice(&'static ChoiceValue),
    /// Fields of its own.
    Record(&'v dyn AnyRecord),
    /// Any number of values.
    List(&'v dyn List),
}

/// A list of values.
pub trait List {
    /// Calls this for each value, in their order.
    fn for_each(&self, visit: &mut dyn FnMut(Value<'_>));
}

/// What a field can hold.
pub trait FieldValue {
    /// The type of the value.
    const TYPE: ValueType;

    /// Whether the value may be unknown.
    const IS_OPTIONAL: bool = false;

    /// The value.
    fn value(&self) -> Value<'_>;

    /// The bytes that it owns on the heap.
    fn owned_bytes(&self) -> usize {
        0
    }
}

macro_rules! scalars {
    ($($type:ty: $variant:ident, |$value:ident| $get:expr;)+) => {
        $(impl FieldValue for $type {
            const TYPE: ValueType = ValueType::$variant;

            fn value(&self) -> Value<'_> {
                let $value = *self;
                $get
            }
        })+
    };
}

scalars! {
    bool: Bool, |value| Value::Bool(value);
    u8: U32, |value| Value::Unsigned(value.into());
    u32: U32, |value| Value::Unsigned(value.into());
    u64: U64, |value| Value::Unsigned(value);
    f64: F64, |value| Value::Float(value);
    SystemTime: Time, |value| Value::Time(value);
}

/// What stands before the value of an `Arc`: its two counts.
const COUNTS: usize = 2 * size_of::<usize>();

impl FieldValue for Arc<str> {
    const TYPE: ValueType = ValueType::Text;

    fn value(&self) -> Value<'_> {
        Value::Text(self)
    }

    fn owned_bytes(&self) -> usize {
        self.len() + COUNTS
    }
}

impl<T: FieldValue> FieldValue for Arc<T> {
    const TYPE: ValueType = T::TYPE;
    const IS_OPTIONAL: bool = T::IS_OPTIONAL;

    fn value(&self) -> Value<'_> {
        T::value(self)
    }

    fn owned_bytes(&self) -> usize {
        size_of::<T>() + COUNTS + T::owned_bytes(self)
    }
}

impl<T: FieldValue> FieldValue for Option<T> {
    const TYPE: ValueType = T::TYPE;
    const IS_OPTIONAL: bool = true;

    fn value(&self) -> Value<'_> {
        self.as_ref().map_or(Value::Null, T::value)
    }

    fn owned_bytes(&self) -> usize {
        self.as_ref().map_or(0, T::owned_bytes)
    }
}

impl<T: FieldValue> FieldValue for Vec<T> {
    const TYPE: ValueType = ValueType::List(&T::TYPE);

    fn value(&self) -> Value<'_> {
        Value::List(self)
    }

    fn owned_bytes(&self) -> usize {
        self.capacity() * size_of::<T>() + self.iter().map(T::owned_bytes).sum::<usize>()
    }
}

impl<T: FieldValue> List for Vec<T> {
    fn for_each(&self, visit: &mut dyn FnMut(Value<'_>)) {
        for value in self {
            visit(value.value());
        }
    }
}
