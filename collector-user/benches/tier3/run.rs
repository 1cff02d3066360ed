use std::{error::Error, time::Instant};

use crate::report::Part;

/// Why a part has no figures. The other parts run all the same.
pub(crate) type Failure = Box<dyn Error>;

/// A part of the benchmark.
pub(crate) type PartOf = fn(&Run) -> Result<Part, Failure>;

/// How a part is to run, and where it says how far it is.
#[derive(Debug)]
pub(crate) struct Run {
    /// Whether fewer rounds and smaller populations shall do.
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

    /// Tells those who wait what is done now.
    pub(crate) fn say(&self, what: &str) {
        let seconds = self.start.elapsed().as_secs();
        eprintln!("{:>8} {seconds:>4} s  {what}", self.part);
    }

    /// The first one if it shall be quick, else the second one.
    pub(crate) fn choose<T>(&self, quick: T, thorough: T) -> T {
        if self.is_quick { quick } else { thorough }
    }
}
