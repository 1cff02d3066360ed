//! The collection bus: one owner of every collector, many subscribers.
//!
//! A [`Bus`] is the only one that calls a [`Collector`](crate::collectors::Collector).
//! A metric without a subscription is not collected; else the fastest live
//! subscription sets its pace. Due times are multiples of the interval on the
//! monotonic clock, so metrics that are due together are collected through one
//! [`Tick`](crate::source::Tick), which opens each file once. Each subscriber
//! gets samples at its own interval, and delivery never waits for a subscriber.
//!
//! ```no_run
//! use std::time::Duration;
//! use collector::{bus::{Bus, every}, metric::CpuStats, source::Sources};
//!
//! # async fn example(collector: impl collector::collectors::Collector<Reading = CpuStats>)
//! # -> Result<(), Box<dyn std::error::Error>> {
//! let bus = Bus::builder()
//!     .sources(Sources::live())
//!     .collector(collector)
//!     .build()?;
//! let mut cpus = bus.subscribe::<CpuStats>(every(Duration::from_secs(1)))?;
//! while let Ok(sample) = cpus.recv().await {
//!     println!("{:?}", sample.data);
//! }
//! # Ok(())
//! # }
//! ```

mod alternatives;
mod batch;
mod budget;
mod builder;
mod collection;
mod core;
mod counters;
mod end;
mod flight;
mod handle;
mod health;
mod mode;
mod publisher;
mod schedule;
mod scheduler;
mod snapshot;
mod state;
mod status;
mod subscribe;
mod subscribers;
mod taken;
pub mod testing;
mod timeline;
mod topic;
mod topic_info;
mod workers;

#[cfg(test)]
mod tests;

use crate::feed::sync;
pub use crate::feed::{
    AnySubscription, Delivery, Ended, RecvError, Snapshot, SnapshotRequest, SubscribeError,
    SubscribeOptions, Subscription, every,
};
pub use crate::source::{Clock, SystemClock, Timestamp};
pub use builder::{BuildError, BusBuilder};
pub use counters::Counters;
pub use handle::Bus;
pub use health::{Health, Provider};
pub use mode::Mode;
pub use publisher::{AnyPublisher, Publisher, WeakPublisher, WrongMetric};
pub use status::{BusStatus, MetricStatus};
