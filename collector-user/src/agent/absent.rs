use std::marker::PhantomData;

use crate::{
    collectors::{CollectError, Collector},
    metric::Reading,
    source::Tick,
};

/// Stands for a metric that this host, or this backend, cannot give, so that
/// its samples say why.
pub(super) struct Absent<R> {
    reason: String,
    reading: PhantomData<fn() -> R>,
}

impl<R> Absent<R> {
    pub(super) fn because(reason: String) -> Self {
        Self {
            reason,
            reading: PhantomData,
        }
    }
}

impl<R: Reading> Collector for Absent<R> {
    type Reading = R;

    fn sources(&self) -> &'static [&'static str] {
        &[]
    }

    fn collect(&mut self, _tick: &Tick) -> Result<R, CollectError> {
        Err(CollectError::Unsupported(self.reason.clone().into()))
    }
}
