use std::{error::Error, time::Instant};

use crate::report::Part;

/// Why a part has no figures. The other parts still run.
pub(crate) type Failure = Box<dyn Error>;

/// A part of the benchmark.
pub(crate) type PartOf = fn(&Run) -> Result<Part, Failure>;

/// How a part is run, and where it reports its progress.
#[derive(Debug)]
pub(crate) struct Run {
    /// Whether to use fewer rounds and smaller populations.
    pub(crate) is_quick: bool,
    part: &'static str,
    start: Instant,
}

impl Run {
    pub(crate) fn begin(part: &'static str, is_quick: bool) -> Self {
        Self {
            is_quick,
            part,
            start: Instant::now(),
        }
    }

    /// Reports the progress.
    pub(crate) fn say(&self, what: &str) {
        let seconds = self.start.elapsed().as_secs();
        eprintln!("{:>8} {seconds:>4} s  {what}", self.part);
    }

    /// The first value for a quick run, otherwise the second one.
    pub(crate) fn choose<T>(&self, quick: T, thorough: T) -> T {
        if self.is_quick { quick } else { thorough }
    }
}
