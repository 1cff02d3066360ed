//! Samples in formats: [`json`] by names, for those that describe themselves,
//! and [`binary`] by order, for those that do not.

mod binary;
mod decoders;
mod json;
mod status;
#[cfg(test)]
mod tests;

use std::sync::Arc;

use serde::{Deserialize, Deserializer, Serialize, Serializer, de::DeserializeSeed as _};

pub use decoders::Decoders;

use super::{AnySample, Reading, Sample};

impl<R: Reading> Serialize for Sample<R> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        if serializer.is_human_readable() {
            json::serialize(self, serializer)
        } else {
            binary::serialize(self, serializer)
        }
    }
}

impl Serialize for AnySample {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        if serializer.is_human_readable() {
            json::serialize(self, serializer)
        } else {
            binary::serialize(self, serializer)
        }
    }
}

/// A sample of another metric than `R` is an error.
impl<'de, R: Reading> Deserialize<'de> for Sample<R> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let (head, data) = if deserializer.is_human_readable() {
            json::deserialize::<R, D>(deserializer)?
        } else {
            binary::deserialize::<R, D>(deserializer)?
        };
        if head.metric.name() != R::METRIC.name {
            return Err(serde::de::Error::custom(format_args!(
                "a sample of {} is not one of {}",
                head.metric,
                R::METRIC.name
            )));
        }
        Ok(head.with_data(data.map(Arc::new)))
    }
}

/// With the readings of the catalogue: see [`Decoders::catalog`].
impl<'de> Deserialize<'de> for AnySample {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        Decoders::of_catalog().deserialize(deserializer)
    }
}

/// A sample whose data is still to be read.
type Head = Sample<()>;
