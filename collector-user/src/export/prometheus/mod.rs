//! Readings as Prometheus text.
//!
//! The families follow from the declaration of a metric (`derived.rs`). Three
//! metrics have code of their own: rows of processes and cgroups are bounded,
//! so that the number of series does not grow with the host, and the histograms
//! of `sched_latency` are cumulative. Base units are seconds and bytes, counters
//! end in `_total`, and an unknown value has no series.
//!
//! The format: <https://prometheus.io/docs/instrumenting/exposition_formats/>

mod agent;
mod cgroups;
mod cpu_stats;
mod derived;
mod exporter;
mod held;
mod process_stats;
mod rows;
mod sched_latency;
mod sticky;
mod sums;
mod text;

use std::collections::BTreeMap;

use super::OwnCounters;
use crate::{
    bus::BusStatus,
    manager::Held,
    metric::{AnySample, CpuStats, Metric, ProcessStats, Reading as _, SchedLatency},
};

use cgroups::CgroupFamilies;
use derived::AllFamilies;
pub use exporter::{Exporter, ExporterEnded};
use held::HeldCpus;
use process_stats::ProcessFamilies;
use text::Text;

/// The content type of the format.
pub const CONTENT_TYPE: &str = "text/plain; version=0.0.4; charset=utf-8";

/// State across samples: which processes and cgroups have series of their own,
/// and the sums of removed ones.
///
/// Only a sample changes it, never a scrape: all scrapers get the same, and no
/// counter decreases.
#[derive(Debug)]
struct Families {
    processes: ProcessFamilies,
    cgroups: CgroupFamilies,
    cpus: HeldCpus,
    derived: AllFamilies,
}

/// The input of a text.
struct Scrape<'s> {
    samples: &'s BTreeMap<Metric, Held>,
    /// The time on `CLOCK_BOOTTIME`.
    boottime_ns: u64,
    status: &'s BusStatus,
    own: &'s OwnCounters,
}

/// Whether every sample of a metric has to be observed, in order.
fn is_observed(metric: &Metric) -> bool {
    let observed = [CpuStats::METRIC, ProcessStats::METRIC, SchedLatency::METRIC];
    observed.iter().any(|one| one.name == metric.name())
}

impl Families {
    /// With series for at most this many processes, as many cgroups, and as
    /// many pairs of cgroups.
    fn new(processes: usize) -> Self {
        Self {
            processes: ProcessFamilies::new(processes),
            cgroups: CgroupFamilies::new(processes),
            cpus: HeldCpus::default(),
            derived: AllFamilies::default(),
        }
    }

    /// Observes a sample, in order.
    fn observe(&mut self, sample: &AnySample) {
        if let Some(data) = sample.downcast::<CpuStats>().and_then(|s| s.data) {
            self.cpus.observe(&data, sample.monotonic_ns);
        } else if let Some(data) = sample.downcast::<ProcessStats>().and_then(|s| s.data) {
            self.processes.observe(&data, sample.monotonic_ns);
            self.cgroups.observe(&data.cgroups);
        } else if let Some(data) = sample.downcast::<SchedLatency>().and_then(|s| s.data) {
            let preemptions = data.preemptions.as_deref();
            self.cgroups.observe_preemptions(preemptions);
        }
    }

    /// Writes the text of the samples, after those that have to be were
    /// observed.
    fn encode(&mut self, text: &mut Text, scrape: &Scrape<'_>) {
        agent::encode(text, scrape);
        for Held { sample, .. } in scrape.samples.values() {
            if let Some(data) = sample.downcast::<CpuStats>().and_then(|s| s.data) {
                let held = self.cpus.stats().unwrap_or(&data);
                cpu_stats::encode(text, &mut self.derived, held);
            } else if sample.metric == Metric::of::<ProcessStats>() {
                if sample.data.is_some() {
                    self.processes.encode(text);
                    self.cgroups.encode(text);
                }
            } else if let Some(data) = sample.downcast::<SchedLatency>().and_then(|s| s.data) {
                sched_latency::encode(text, &data);
                self.cgroups.encode_preemptions(text);
            } else if let Some(data) = &sample.data {
                self.derived.encode_once(text, data);
            }
        }
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
        Backend, Cgroup, CpuLatency, CpuTimes, LatencyBucket, LatencyHistogram, LoadAvg,
        MemoryStats, Preemption, Process, Reading, Sample, Status,
    };

    /// The text that an agent with only these samples would serve.
    fn encoded(samples: &BTreeMap<Metric, AnySample>) -> String {
        encoded_by(&mut Families::new(1), samples)
    }

    fn encoded_by(families: &mut Families, samples: &BTreeMap<Metric, AnySample>) -> String {
        for sample in samples.values() {
            families.observe(sample);
        }
        scraped(families, samples, 5_500_000_000)
    }

    /// The text for a scrape at this time on `CLOCK_BOOTTIME`.
    fn scraped(
        families: &mut Families,
        samples: &BTreeMap<Metric, AnySample>,
        boottime_ns: u64,
    ) -> String {
        let held = |(metric, sample): (&Metric, &AnySample)| {
            let held = Held {
                sample: sample.clone(),
                taken_boottime_ns: 3_000_000_000,
                came: tokio::time::Instant::now(),
            };
            (metric.clone(), held)
        };
        let runtime = tokio::runtime::Builder::new_current_thread();
        let runtime = { runtime }.enable_time().build().unwrap();
        let _on_it = runtime.enter();
        let bus = crate::bus::Bus::builder().producer::<LoadAvg>(Backend::Procfs);
        let scrape = Scrape {
            samples: &samples.iter().map(held).collect(),
            boottime_ns,
            status: &bus.build().unwrap().status(),
            own: &OwnCounters::default(),
        };
        let mut text = Text::default();
        families.encode(&mut text, &scrape);
        text.finish()
    }

    #[test]
    fn the_age_of_a_reading_does_not_follow_the_wall_clock() {
        let (name, mut sample) = sample(LoadAvg::default());
        sample.taken_at = SystemTime::now() + Duration::from_hours(1);
        let text = encoded(&BTreeMap::from([(name, sample)]));
        let series = "collector_metric_age_seconds{metric=\"load_avg\",backend=\"ebpf\"} 2.5\n";
        assert!(text.contains(series), "{text}");
        assert!(
            text.contains("collector_metric_lateness_seconds{metric=\"load_avg\""),
            "{text}"
        );
    }

    #[test]
    fn a_scrape_changes_nothing_that_another_scraper_sees() {
        const MINUTE_NS: u64 = 60_000_000_000;
        let reading = |first_ns, second_ns| {
            let process = |pid, cpu_ns| Process {
                pid,
                cpu_ns: Some(cpu_ns),
                ..Process::default()
            };
            let cpu = CpuTimes {
                cpu: Some(0),
                iowait_ns: Some(second_ns),
                ..CpuTimes::default()
            };
            BTreeMap::from([
                sample(CpuStats {
                    cpus: vec![cpu],
                    ..CpuStats::default()
                }),
                sample(ProcessStats {
                    processes: [process(1, first_ns), process(2, second_ns)]
                        .into_iter()
                        .collect(),
                    ..ProcessStats::default()
                }),
            ])
        };
        // One process has a row, and only a new reading decides which one.
        let readings = [reading(9, 1), reading(9, 50), reading(10, 60)];
        let (mut rarely, mut often) = (Families::new(1), Families::new(1));
        for (minute, samples) in (1..).zip(&readings) {
            for sample in samples.values() {
                rarely.observe(sample);
                often.observe(sample);
            }
            for scrape in 0..3 {
                scraped(&mut often, samples, (10 * minute + scrape) * MINUTE_NS);
            }
        }
        let at_ns = 60 * MINUTE_NS;
        assert_eq!(
            scraped(&mut often, &readings[2], at_ns),
            scraped(&mut rarely, &readings[2], at_ns)
        );
    }

    fn sample<R: Reading>(reading: R) -> (Metric, AnySample) {
        let sample = Sample {
            backend: Some(Backend::Ebpf),
            ..Sample::new(reading, SystemTime::now(), 1)
        };
        (Metric::of::<R>(), sample.into_any())
    }

    fn all() -> BTreeMap<Metric, AnySample> {
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

    /// The rules of the format and of names that scrapers and linters apply.
    #[test]
    fn every_family_has_its_help_and_type_and_stands_in_one_place() {
        let text = encoded(&all());
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
        let mut families = Families::new(1);
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
            let text = encoded_by(&mut families, &BTreeMap::from([(name, sample)]));
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
        let text = encoded(&BTreeMap::from([(name, sample)]));
        assert!(
            text.contains("collector_metric_up{metric=\"load_avg\""),
            "{text}"
        );
        assert!(!text.contains("host_"), "{text}");
        assert!(!text.contains("age_seconds"), "{text}");
    }
}
