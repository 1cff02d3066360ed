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
mod cgroups;
mod cpu_stats;
mod gauges;
mod held;
mod process_stats;
mod rows;
mod sched_latency;
mod sticky;
mod text;

use std::collections::BTreeMap;

use crate::metric::{AnySample, CpuStats, ProcessStats, SchedLatency};

use cgroups::CgroupFamilies;
use held::HeldCpus;
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
    cgroups: CgroupFamilies,
    cpus: HeldCpus,
}

impl Exporter {
    /// An exporter that gives at most so many processes series of their own,
    /// and as many cgroups, and pairs of them.
    pub fn new(processes: usize) -> Self {
        Self {
            processes: ProcessFamilies::new(processes),
            cgroups: CgroupFamilies::new(processes),
            cpus: HeldCpus::default(),
        }
    }

    /// The text of these samples.
    pub fn encode(&mut self, samples: &BTreeMap<&'static str, AnySample>) -> String {
        let mut text = Text::default();
        agent::encode(&mut text, samples);
        for sample in samples.values() {
            if let Some(data) = sample.downcast::<CpuStats>().and_then(|s| s.data) {
                self.cpus.observe(&data, sample.monotonic_ns);
                cpu_stats::encode(&mut text, self.cpus.stats().unwrap_or(&data));
            } else if let Some(data) = sample.downcast::<ProcessStats>().and_then(|s| s.data) {
                self.processes.encode(&mut text, &data);
                self.cgroups.encode(&mut text, &data.cgroups);
            } else if let Some(data) = sample.downcast::<SchedLatency>().and_then(|s| s.data) {
                sched_latency::encode(&mut text, &data);
                if let Some(preemptions) = &data.preemptions {
                    self.cgroups.encode_preemptions(&mut text, preemptions);
                }
            } else {
                gauges::encode(&mut text, sample);
            }
        }
        text.finish()
    }
}

#[cfg(test)]
mod tests {
    use std::{
        collections::BTreeSet,
        sync::Arc,
        time::{Duration, SystemTime},
    };

    use super::*;
    use crate::metric::{
        AnyReading, Backend, Cgroup, CpuLatency, CpuTimes, LatencyBucket, LatencyHistogram,
        LoadAvg, MemoryStats, Missed, Preemption, Process, Reading, Sample, Status,
    };

    fn sample<R: Reading>(reading: R) -> (&'static str, AnySample) {
        let data: Arc<dyn AnyReading> = Arc::new(reading);
        let sample = Sample {
            metric: &R::METRIC,
            backend: Some(Backend::Ebpf),
            status: Status::Ok,
            taken_at: SystemTime::now(),
            monotonic_ns: 1,
            window: Duration::ZERO,
            sequence: 1,
            missed: Missed::NONE,
            data: Some(data),
        };
        (R::METRIC.name, sample)
    }

    fn all() -> BTreeMap<&'static str, AnySample> {
        let cpu = CpuTimes {
            cpu: Some(0),
            user_ns: Some(1),
            guest_ns: Some(1),
            busy_ns: Some(1),
            wakeups: Some(1),
            voluntary_switches: Some(1),
            ..CpuTimes::default()
        };
        let process = |pid| Process {
            pid,
            comm: "a \"b\"\n".into(),
            cpu_ns: Some(1),
            user_ns: Some(1),
            rss_bytes: Some(1),
            ..Process::default()
        };
        let runqueue_wait = LatencyHistogram {
            count: 1,
            sum_ns: 1100,
            buckets: vec![LatencyBucket {
                from_ns: 1024,
                to_ns: 1152,
                count: 1,
            }],
        };
        let total = CpuLatency {
            runqueue_wait: Some(runqueue_wait),
            ..CpuLatency::default()
        };
        BTreeMap::from([
            sample(CpuStats {
                cpus: vec![cpu],
                forks: Some(1),
                ..CpuStats::default()
            }),
            sample(ProcessStats {
                processes: [process(1), process(2)].into_iter().collect(),
                cgroups: vec![Arc::new(Cgroup {
                    path: Some("/a \"b\"".into()),
                    cpu_ns: Some(1),
                    ..Cgroup::default()
                })],
                ..ProcessStats::default()
            }),
            sample(SchedLatency {
                total,
                preemptions: Some(vec![Preemption {
                    count: 1,
                    ..Preemption::default()
                }]),
                ..SchedLatency::default()
            }),
            sample(LoadAvg::default()),
            sample(MemoryStats {
                huge_pages_total: Some(1),
                ..MemoryStats::default()
            }),
        ])
    }

    /// The rules of the format, and of names, that a scraper and a linter hold
    /// a text to.
    #[test]
    fn every_family_has_its_help_and_type_and_stands_in_one_place() {
        let text = Exporter::new(1).encode(&all());
        let mut seen = BTreeSet::new();
        let mut series = BTreeSet::new();
        let mut family = ("", "");
        let mut lines = text.lines();
        while let Some(line) = lines.next() {
            if let Some(help) = line.strip_prefix("# HELP ") {
                let (name, meaning) = help.split_once(' ').unwrap();
                assert!(!meaning.is_empty(), "{line}");
                let kind = lines.next().unwrap();
                let kind = kind.strip_prefix("# TYPE ").unwrap();
                let kind = kind.strip_prefix(name).unwrap().trim();
                assert!(seen.insert(name), "{name} stands twice");
                assert_eq!(name.ends_with("_total"), kind == "counter", "{name}");
                family = (name, kind);
                continue;
            }
            let name = line.split(['{', ' ']).next().unwrap();
            let suffix = name.strip_prefix(family.0).unwrap();
            match family.1 {
                "histogram" => assert!(["_bucket", "_sum", "_count"].contains(&suffix)),
                _ => assert_eq!(suffix, ""),
            }
            let (labelled, value) = line.rsplit_once(' ').unwrap();
            assert!(value.parse::<f64>().is_ok(), "{line}");
            assert!(series.insert(labelled), "{labelled} stands twice");
        }
        for name in [
            "host_cpu_seconds_total",
            "host_process_cpu_seconds_total",
            "host_cgroup_cpu_seconds_total",
            "host_cgroup_preemptions_total",
            "host_load_1m",
        ] {
            assert!(seen.contains(name), "{name}");
        }
    }

    #[test]
    fn iowait_that_decreases_is_no_counter_that_begins_anew() {
        let mut exporter = Exporter::new(1);
        for (ticks, shown) in [
            (548_282, "5482.82"),
            (548_281, "5482.82"),
            (548_290, "5482.9"),
        ] {
            let (name, sample) = sample(CpuStats {
                cpus: vec![CpuTimes {
                    cpu: Some(0),
                    iowait_ns: Some(ticks * 10_000_000),
                    ..CpuTimes::default()
                }],
                ..CpuStats::default()
            });
            let text = exporter.encode(&BTreeMap::from([(name, sample)]));
            let series = "host_cpu_seconds_total{cpu=\"0\",mode=\"iowait\"}";
            assert!(text.contains(&format!("{series} {shown}\n")), "{text}");
        }
    }

    #[test]
    fn a_metric_without_a_reading_is_down_and_has_no_series() {
        let (name, mut sample) = sample(LoadAvg::default());
        sample.data = None;
        sample.status = Status::Unavailable {
            reason: "none".into(),
            since: SystemTime::now() - Duration::from_secs(1),
        };
        let text = Exporter::new(1).encode(&BTreeMap::from([(name, sample)]));
        assert!(
            text.contains("collector_metric_up{metric=\"load_avg\""),
            "{text}"
        );
        assert!(!text.contains("host_"), "{text}");
        assert!(!text.contains("age_seconds"), "{text}");
    }
}
