//! Readings as Prometheus text.
//!
//! What a family is called, what it means and where its values come from
//! stands in tables, one file a metric, so that a family can be found by its
//! name. Base units are seconds and bytes, counters end in `_total`, and a
//! value that is not known has no series. The number of series does not grow
//! with the number of processes.
//!
//! The format: <https://prometheus.io/docs/instrumenting/exposition_formats/>

mod agent;
mod cpu_stats;
mod gauges;
mod process_stats;
mod rows;
mod sched_latency;
mod text;

use std::collections::BTreeMap;

use crate::metric::{AnySample, CpuStats, ProcessStats, SchedLatency};

use process_stats::ProcessFamilies;
use text::Text;

/// What the server calls the format.
pub const CONTENT_TYPE: &str = "text/plain; version=0.0.4; charset=utf-8";

/// Makes the text, one scrape after another.
///
/// It remembers which processes have series of their own, so that no counter
/// goes back from one scrape to the next.
#[derive(Debug)]
pub struct Exporter {
    processes: ProcessFamilies,
}

impl Exporter {
    /// An exporter that gives at most so many processes series of their own.
    pub fn new(processes: usize) -> Self {
        Self {
            processes: ProcessFamilies::new(processes),
        }
    }

    /// The text of these samples.
    pub fn encode(&mut self, samples: &BTreeMap<&'static str, AnySample>) -> String {
        let mut text = Text::default();
        agent::encode(&mut text, samples);
        for sample in samples.values() {
            if let Some(data) = sample.downcast::<CpuStats>().and_then(|s| s.data) {
                cpu_stats::encode(&mut text, &data);
            } else if let Some(data) = sample.downcast::<ProcessStats>().and_then(|s| s.data) {
                self.processes.encode(&mut text, &data);
            } else if let Some(data) = sample.downcast::<SchedLatency>().and_then(|s| s.data) {
                sched_latency::encode(&mut text, &data);
            } else {
                gauges::encode(&mut text, sample);
            }
        }
        text.finish()
    }
}
