//! Every reading is read back as it was written, in JSON and in postcard, and its
//! JSON is what its schema declares.

#![expect(
    clippy::expect_used,
    clippy::panic,
    reason = "a test fails by panicking, also where a function of its own does it"
)]

use std::time::SystemTime;

use collector::metric::{
    AnySample, Reading, ReadingVisitor, Sample,
    schema::{FieldInfo, RecordInfo, ValueType},
    visit_readings,
};
use proptest::{prelude::*, strategy::BoxedStrategy, test_runner::TestRunner};
use serde::de::DeserializeOwned;
use serde_json::{Map, Value as Json, json};

/// Any JSON that a type can have.
fn any_value(value: &'static ValueType) -> BoxedStrategy<Json> {
    match value {
        ValueType::Bool => any::<bool>().prop_map(Json::from).boxed(),
        // The numbers of 32 bits include some of 8.
        ValueType::U32 => any::<u8>().prop_map(Json::from).boxed(),
        ValueType::U64 => any::<u64>().prop_map(Json::from).boxed(),
        ValueType::F64 => any::<i32>()
            .prop_map(|number| json!(f64::from(number) / 8.0))
            .boxed(),
        ValueType::Text => "\\PC{0,12}".prop_map(Json::from).boxed(),
        ValueType::Time => (0..4_000_000_000_u64, 0..1_000_000_000_u32)
            .prop_map(|(seconds, nanos)| {
                let since = std::time::Duration::new(seconds, nanos);
                let time = std::time::UNIX_EPOCH + since;
                Json::from(humantime::format_rfc3339_nanos(time).to_string())
            })
            .boxed(),
        ValueType::Choice(choice) => (0..choice.values.len())
            .prop_map(|index| Json::from(choice.values[index].name))
            .boxed(),
        ValueType::Record(record) => any_record(record),
        ValueType::List(inner) => prop::collection::vec(any_value(inner), 0..4)
            .prop_map(Json::from)
            .boxed(),
    }
}

fn any_field(field: &'static FieldInfo) -> BoxedStrategy<Json> {
    let value = any_value(&field.value);
    if field.is_optional {
        prop_oneof![1 => Just(Json::Null), 3 => value].boxed()
    } else {
        value
    }
}

fn any_record(record: &'static RecordInfo) -> BoxedStrategy<Json> {
    if record.is_one_of {
        let variants = record.fields.iter().map(|field| {
            let value = any_value(&field.value);
            value.prop_map(|mut value| {
                value["kind"] = field.name.into();
                value
            })
        });
        return prop::strategy::Union::new(variants).boxed();
    }
    let fields: Vec<_> = record.fields.iter().map(any_field).collect();
    let names: Vec<_> = record
        .fields
        .iter()
        .map(|field| field.name.to_owned())
        .collect();
    fields
        .prop_map(move |values| Json::Object(names.iter().cloned().zip(values).collect()))
        .boxed()
}

/// The names of a record and of the records in it are those of its schema.
fn assert_declared(record: &'static RecordInfo, json: &Map<String, Json>) {
    if record.is_one_of {
        let kind = json["kind"].as_str().expect("it has one");
        let (_, variant) = record.field(kind).expect("it is declared");
        let mut fields = json.clone();
        fields.remove("kind");
        return assert_declared(variant.record().expect("it is a record"), &fields);
    }
    let mut declared: Vec<&str> = record.fields.iter().map(|field| field.name).collect();
    declared.sort_unstable();
    let mut written: Vec<&str> = json.keys().map(String::as_str).collect();
    written.sort_unstable();
    assert_eq!(written, declared, "{}", record.name);
    for field in record.fields {
        let Some(inner) = field.record() else {
            continue;
        };
        match &json[field.name] {
            Json::Object(fields) => assert_declared(inner, fields),
            Json::Array(rows) => {
                for row in rows {
                    assert_declared(inner, row.as_object().expect("it is a record"));
                }
            }
            other => assert!(other.is_null(), "{}: {other}", field.name),
        }
    }
}

struct RoundTrip;

impl ReadingVisitor for RoundTrip {
    fn visit<R: Reading + DeserializeOwned>(&mut self) {
        let name = R::METRIC.name;
        let record = R::SCHEMA.expect("it is declared").record;
        let mut runner = TestRunner::new(ProptestConfig::with_cases(24));
        let result = runner.run(&any_record(record), |json| {
            let reading: R = serde_json::from_value(json.clone())
                .map_err(|error| TestCaseError::fail(format!("{name}: {error}: {json}")))?;
            let written = serde_json::to_value(&reading).expect("it can be written");
            assert_declared(record, written.as_object().expect("it is an object"));

            let text = serde_json::to_string(&reading).expect("it can be written");
            let read: R = serde_json::from_str(&text).expect("it was just written");
            prop_assert_eq!(&serde_json::to_value(&read).expect("as before"), &written);

            let bytes = postcard::to_allocvec(&reading).expect("it can be written");
            let read: R = postcard::from_bytes(&bytes)
                .map_err(|error| TestCaseError::fail(format!("{name} in postcard: {error}")))?;
            prop_assert_eq!(&serde_json::to_value(&read).expect("as before"), &written);

            // The type is found by the name of the metric.
            let sample = Sample::new(read, SystemTime::UNIX_EPOCH, 1);
            let text = serde_json::to_string(&sample).expect("it can be written");
            let read: AnySample = serde_json::from_str(&text).expect("it was just written");
            let read = read.downcast::<R>().and_then(|sample| sample.data);
            let read = read.expect("it is of that type");
            prop_assert_eq!(&serde_json::to_value(&*read).expect("as before"), &written);
            Ok(())
        });
        if let Err(error) = result {
            panic!("{name}: {error}");
        }
    }
}

#[test]
fn every_reading_is_read_back_as_it_was_written() {
    visit_readings(&mut RoundTrip);
}
