//! When a reading was taken.

use std::fs;

use super::support::{Quick, Steady, builder, secs};
use crate::{
    bus::{Bus, every},
    collectors::{CollectError, Collector},
    source::{ReadWindow, Sources, Tick},
};

/// Notes a read that was made at this time after the tick began.
struct ReadsAt {
    began_ns: u64,
    ended_ns: u64,
}

impl Collector for ReadsAt {
    type Reading = Quick;

    fn sources(&self) -> &'static [&'static str] {
        &[]
    }

    fn collect(&mut self, tick: &Tick) -> Result<Quick, CollectError> {
        std::thread::sleep(std::time::Duration::from_nanos(self.ended_ns));
        let began = tick.monotonic_ns();
        tick.note_read(ReadWindow {
            began_ns: began + self.began_ns,
            ended_ns: began + self.ended_ns,
        });
        Ok(Quick(began))
    }
}

#[tokio::test]
async fn a_sample_has_the_time_at_which_its_sources_were_read() {
    let bus = Bus::builder()
        .collector(ReadsAt {
            began_ns: 1_000,
            ended_ns: 3_000_000,
        })
        .build()
        .unwrap();
    let mut quick = bus.subscribe::<Quick>(every(secs(1))).unwrap();
    let sample = quick.recv().await.unwrap();
    let tick_began = sample.data.as_ref().unwrap().0;
    assert_eq!(sample.monotonic_ns, tick_began + 3_000_000);
    assert_eq!(sample.window.as_nanos(), 2_999_000);
    let second = quick.recv().await.unwrap();
    let ticks = second.data.as_ref().unwrap().0 - tick_began;
    assert_eq!(second.since(&sample).unwrap().as_nanos() as u64, ticks);
    assert_eq!(sample.since(&second), None);
    bus.shutdown().await;
}

/// Reads a file that another collection of the tick may have read before.
struct Reads<R>(fn(u64) -> R);

impl<R: crate::metric::Reading> Collector for Reads<R> {
    type Reading = R;

    fn sources(&self) -> &'static [&'static str] {
        &["/proc/stat"]
    }

    fn collect(&mut self, tick: &Tick) -> Result<R, CollectError> {
        tick.read("/proc/stat")?;
        assert!(tick.collects("quick") && tick.collects("steady"));
        assert!(!tick.collects("hardware"));
        Ok(self.0(1))
    }
}

#[tokio::test]
async fn metrics_that_share_a_read_have_the_same_window() {
    let root = tempfile::tempdir().unwrap();
    fs::create_dir(root.path().join("proc")).unwrap();
    fs::write(root.path().join("proc/stat"), "1\n").unwrap();
    let bus = Bus::builder()
        .sources(Sources::rooted(root.path().to_owned()))
        .collector(Reads(Quick))
        .collector(Reads(Steady))
        .build()
        .unwrap();
    let snapshot = bus.snapshot(crate::bus::SnapshotRequest::default());
    let snapshot = snapshot.await.unwrap();
    let (quick, steady) = (&snapshot.metrics["quick"], &snapshot.metrics["steady"]);
    assert!(quick.data.is_some(), "{quick:?}");
    assert_eq!(quick.monotonic_ns, steady.monotonic_ns);
    assert_eq!(quick.window, steady.window);
    assert!(quick.window.as_nanos() > 0);
    bus.shutdown().await;
}

#[tokio::test(start_paused = true)]
async fn a_reading_without_reads_was_taken_during_the_call() {
    let bus = builder()
        .collector(super::support::quick())
        .build()
        .unwrap();
    let mut quick = bus.subscribe::<Quick>(every(secs(1))).unwrap();
    let sample = quick.recv().await.unwrap();
    assert_eq!(super::support::time_of(&sample), secs(0));
    assert_eq!(sample.window, secs(0));
    bus.shutdown().await;
}
