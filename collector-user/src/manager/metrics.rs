use std::{
    collections::BTreeMap,
    sync::{
        Arc, PoisonError, RwLock, RwLockReadGuard,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use tokio::time::Instant;

use crate::{
    bus::{AnySubscription, Bus, Clock as _, Ended, SubscribeError, SystemClock, every},
    metric::{AnySample, Kind, Metric, Status, Tier},
};

/// Holds the latest sample of every metric whose kind is state, for exporters.
///
/// It is a stream subscriber: each metric comes at its own pace. It costs one
/// task a metric, and copies no reading.
#[derive(Clone, Debug)]
pub struct MetricsManager {
    bus: Bus,
    latest: Arc<Latest>,
    wanted: Arc<[Wanted]>,
    start: Instant,
}

#[derive(Debug, Default)]
struct Latest {
    samples: RwLock<BTreeMap<Metric, Held>>,
    version: AtomicU64,
}

/// A metric that is subscribed to.
#[derive(Clone, Debug)]
struct Wanted {
    metric: Metric,
    /// The interval in force.
    interval: Duration,
}

/// A sample, and when it was taken.
#[cfg_attr(
    not(any(feature = "prometheus", test)),
    expect(dead_code, reason = "for the Prometheus exporter")
)]
#[derive(Clone, Debug)]
pub(crate) struct Held {
    pub(crate) sample: AnySample,
    /// When its last source was read, on `CLOCK_BOOTTIME`.
    pub(crate) taken_boottime_ns: u64,
    /// When it came.
    pub(crate) came: Instant,
}

/// Why an agent is not doing its work.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Unhealthy {
    /// Nothing is collected any more.
    #[error("nothing is collected any more: {0}")]
    Ended(Ended),
    /// No metric had a sample for several of its intervals.
    #[error("no sample of any metric has come for {} s", .0.as_secs())]
    NothingComes(Duration),
}

impl MetricsManager {
    /// Subscribes to every metric on the bus at the pace that `pace` gives it,
    /// until the bus is shut down.
    ///
    /// # Errors
    ///
    /// When the bus has been shut down, or a pace is out of bounds.
    pub fn start(bus: &Bus, pace: impl Fn(&Metric) -> Duration) -> Result<Self, SubscribeError> {
        Self::start_with(bus, pace, |_sample| {})
    }

    /// As [`start`](Self::start), and calls `observe` with each sample before
    /// it becomes the latest: for a consumer that has to see all samples of a
    /// metric, in their order. It must not block.
    ///
    /// # Errors
    ///
    /// As [`start`](Self::start).
    pub fn start_with(
        bus: &Bus,
        pace: impl Fn(&Metric) -> Duration,
        observe: impl Fn(&AnySample) + Clone + Send + Sync + 'static,
    ) -> Result<Self, SubscribeError> {
        let latest = Arc::<Latest>::default();
        let mut wanted = Vec::new();
        for metric in bus.metrics() {
            if metric.kind() != Kind::State {
                continue;
            }
            let subscription = bus.subscribe_any(metric.name(), every(pace(&metric)))?;
            wanted.push(Wanted {
                metric,
                interval: subscription.interval(),
            });
            let keep = keep(subscription, Arc::clone(&latest), observe.clone());
            bus.runtime().spawn(keep);
        }
        Ok(Self {
            bus: bus.clone(),
            latest,
            wanted: wanted.into(),
            start: Instant::now(),
        })
    }

    /// The bus to which it subscribes.
    pub fn bus(&self) -> &Bus {
        &self.bus
    }

    /// The interval of each metric: the requested one, but not below the floor of
    /// its collector.
    pub fn intervals(&self) -> impl Iterator<Item = (&Metric, Duration)> {
        self.wanted.iter().map(|one| (&one.metric, one.interval))
    }

    /// The latest samples. The readings are shared, not copied.
    pub fn latest(&self) -> BTreeMap<Metric, AnySample> {
        let held = self.held().into_iter();
        held.map(|(name, held)| (name, held.sample)).collect()
    }

    /// The latest samples, with their times.
    pub(crate) fn held(&self) -> BTreeMap<Metric, Held> {
        self.latest.samples().clone()
    }

    /// A number that changes with each sample that comes.
    #[cfg(feature = "prometheus")]
    pub(crate) fn version(&self) -> u64 {
        self.latest.version.load(Ordering::Acquire)
    }

    /// The metrics of tiers 2 and 3 of which there is neither a reading nor a
    /// reason why there is none, be it that none came yet, or none for several
    /// intervals.
    pub fn awaited(&self) -> Vec<String> {
        let samples = self.latest.samples();
        let now = Instant::now();
        let awaited = self.wanted.iter().filter(|one| {
            one.metric.tier() != Tier::Hardware
                && samples.get(&one.metric).is_none_or(|held| {
                    held.sample.status == Status::Ok && one.is_overdue(held.came, now)
                })
        });
        awaited.map(|one| one.metric.name().to_owned()).collect()
    }

    /// Whether samples come: it is enough that those of one metric do, since
    /// one that hangs or fails is the matter of that metric only.
    ///
    /// # Errors
    ///
    /// When the bus has ended, or no metric had a sample for several of its
    /// intervals.
    pub fn health(&self) -> Result<(), Unhealthy> {
        if let Some(ended) = self.bus.ended() {
            return Err(Unhealthy::Ended(ended));
        }
        let samples = self.latest.samples();
        let now = Instant::now();
        let came = |one: &Wanted| {
            samples
                .get(&one.metric)
                .map_or(self.start, |held| held.came)
        };
        let mut comes = self.wanted.iter().map(|one| {
            let held = samples.get(&one.metric);
            // After failures the attempts become rare.
            let fails = held.is_some_and(|held| held.sample.status != Status::Ok);
            let quiet = if fails {
                LONGEST_BACKOFF
            } else {
                Duration::ZERO
            };
            !one.is_overdue(came(one) + quiet, now)
        });
        if self.wanted.is_empty() || comes.any(|comes| comes) {
            return Ok(());
        }
        let last = self.wanted.iter().map(came).max().unwrap_or(self.start);
        Err(Unhealthy::NothingComes(now.saturating_duration_since(last)))
    }
}

/// The longest time between two attempts to collect what fails.
const LONGEST_BACKOFF: Duration = Duration::from_mins(5);

impl Wanted {
    /// Whether the next sample should have come long ago, on a busy host too.
    fn is_overdue(&self, came: Instant, now: Instant) -> bool {
        const GRACE: Duration = Duration::from_secs(10);
        now.saturating_duration_since(came) > 3 * self.interval + GRACE
    }
}

impl Latest {
    fn samples(&self) -> RwLockReadGuard<'_, BTreeMap<Metric, Held>> {
        self.samples.read().unwrap_or_else(PoisonError::into_inner)
    }

    fn put(&self, sample: AnySample) {
        let taken = SystemClock.now().back_to(sample.monotonic_ns);
        let held = Held {
            sample,
            taken_boottime_ns: taken.boottime_ns,
            came: Instant::now(),
        };
        let samples = self.samples.write();
        let mut samples = samples.unwrap_or_else(PoisonError::into_inner);
        samples.insert(held.sample.metric.clone(), held);
        drop(samples);
        self.version.fetch_add(1, Ordering::Release);
    }
}

async fn keep(
    mut subscription: AnySubscription,
    latest: Arc<Latest>,
    observe: impl Fn(&AnySample),
) {
    while let Ok(sample) = subscription.recv().await {
        observe(&sample);
        latest.put(sample);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        collectors::{CollectError, Collector},
        metric::{CpuStats, LoadAvg, Reading},
        source::Tick,
    };

    struct Gives<R>(R);

    impl<R: Reading + Clone> Collector for Gives<R> {
        type Reading = R;

        fn sources(&self) -> &'static [&'static str] {
            &[]
        }

        fn collect(&mut self, _tick: &Tick) -> Result<R, CollectError> {
            Ok(self.0.clone())
        }
    }

    struct Fails;

    impl Collector for Fails {
        type Reading = LoadAvg;

        fn sources(&self) -> &'static [&'static str] {
            &[]
        }

        fn collect(&mut self, _tick: &Tick) -> Result<LoadAvg, CollectError> {
            Err(CollectError::failed("there is no load"))
        }
    }

    #[tokio::test]
    async fn it_is_complete_once_each_metric_has_a_reading_or_a_reason() {
        let bus = Bus::builder()
            .collector(Gives(CpuStats::default()))
            .collector(Fails)
            .build()
            .unwrap();
        let manager = MetricsManager::start(&bus, |_| Duration::from_secs(1)).unwrap();
        assert_eq!(manager.awaited(), ["load_avg", "cpu_stats"]);
        let complete = async {
            while !manager.awaited().is_empty() {
                tokio::task::yield_now().await;
            }
        };
        tokio::time::timeout(Duration::from_secs(20), complete)
            .await
            .unwrap();
        let latest = manager.latest();
        assert_eq!(latest["cpu_stats"].status, Status::Ok);
        assert!(matches!(
            latest["load_avg"].status,
            Status::Unavailable { .. }
        ));
        bus.shutdown().await;
    }

    /// A manager of two metrics at 1 s, to which samples are given by hand.
    fn by_hand(bus: &Bus) -> MetricsManager {
        let wanted = [&LoadAvg::METRIC, &CpuStats::METRIC].map(|metric| Wanted {
            metric: metric.into(),
            interval: Duration::from_secs(1),
        });
        MetricsManager {
            bus: bus.clone(),
            latest: Arc::default(),
            wanted: Arc::new(wanted),
            start: Instant::now(),
        }
    }

    fn sample<R: Reading>(status: Status) -> AnySample {
        AnySample {
            status,
            ..AnySample::empty(Metric::of::<R>(), std::time::SystemTime::now(), 1)
        }
    }

    #[tokio::test]
    async fn the_time_of_a_reading_does_not_follow_the_wall_clock() {
        let bus = Bus::builder().build().unwrap();
        let manager = by_hand(&bus);
        let taken = SystemClock.now();
        for off in [Duration::ZERO, Duration::from_hours(1)] {
            manager.latest.put(AnySample {
                taken_at: taken.wall - off,
                monotonic_ns: taken.monotonic_ns - 2_000_000_000,
                ..sample::<LoadAvg>(Status::Ok)
            });
            let held = manager.held()["load_avg"].taken_boottime_ns;
            let expected = taken.boottime_ns - 2_000_000_000;
            assert!(held.abs_diff(expected) < 1_000_000_000, "{held} {expected}");
        }
    }

    #[tokio::test(start_paused = true)]
    async fn it_is_unhealthy_when_no_sample_of_any_metric_comes() {
        let bus = Bus::builder().build().unwrap();
        let manager = by_hand(&bus);
        let later = |seconds| tokio::time::advance(Duration::from_secs(seconds));
        assert_eq!(manager.health(), Ok(()));
        later(14).await;
        assert!(matches!(
            manager.health(),
            Err(Unhealthy::NothingComes(quiet)) if quiet == Duration::from_secs(14)
        ));
        manager.latest.put(sample::<LoadAvg>(Status::Ok));
        manager.latest.put(sample::<CpuStats>(Status::Ok));
        assert_eq!(manager.health(), Ok(()));
        assert!(manager.awaited().is_empty());

        later(10).await;
        manager.latest.put(sample::<LoadAvg>(Status::Ok));
        later(4).await;
        assert_eq!(manager.health(), Ok(()));
        assert_eq!(manager.awaited(), ["cpu_stats"]);
        later(10).await;
        assert!(manager.health().is_err());
    }

    #[tokio::test(start_paused = true)]
    async fn metrics_that_fail_are_waited_for_as_long_as_their_attempts_are_rare() {
        let bus = Bus::builder().build().unwrap();
        let manager = by_hand(&bus);
        for make in [sample::<LoadAvg>, sample::<CpuStats>] {
            manager.latest.put(make(Status::Unavailable {
                reason: "there is none".into(),
                since: std::time::SystemTime::now(),
            }));
        }
        tokio::time::advance(Duration::from_mins(4)).await;
        assert_eq!(manager.health(), Ok(()));
        assert!(manager.awaited().is_empty());
        tokio::time::advance(Duration::from_mins(2)).await;
        assert!(manager.health().is_err());
    }

    #[tokio::test]
    async fn it_is_unhealthy_once_the_bus_has_ended() {
        let bus = Bus::builder().build().unwrap();
        let manager = by_hand(&bus);
        bus.shutdown().await;
        assert_eq!(manager.health(), Err(Unhealthy::Ended(Ended::ShutDown)));
    }
}
