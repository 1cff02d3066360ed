//! An eBPF-assisted kernel-event collector for Linux hosts.
//!
//! A [`bus::Bus`] owns every collector, reads each kernel source once per tick,
//! and publishes [`metric::Sample`]s to many subscribers, each at the interval
//! that it asked for. Fast-changing data (CPUs, processes) is accounted in the
//! kernel by eBPF programs; slow-changing data is read from `/proc` and `/sys`.
//! Subscriptions come from a [`feed::Feed`]: the bus, or what offers the samples
//! of another process, another host or a recording.
//!
//! # An agent in your program
//!
//! An [`agent::Agent`] is a bus with every collector that this host allows:
//!
//! ```no_run
//! use std::time::Duration;
//! use collector::{agent::Agent, bus::every, metric::ProcessStats};
//!
//! # #[tokio::main(flavor = "current_thread")]
//! # async fn main() -> Result<(), Box<dyn std::error::Error>> {
//! let agent = Agent::builder().disable("disk_info").start()?;
//! if let Some(reason) = &agent.report().fallback {
//!     eprintln!("without eBPF: {reason}");
//! }
//! let mut processes = agent.bus().subscribe::<ProcessStats>(every(Duration::from_secs(1)))?;
//! for _ in 0..3 {
//!     let sample = processes.recv().await?;
//!     match &sample.data {
//!         Some(reading) => println!("{} processes", reading.processes.len()),
//!         None => println!("no reading: {:?}", sample.status.reason()),
//!     }
//! }
//! agent.stop().await;
//! # Ok(())
//! # }
//! ```
//!
//! # A bus with a metric of your own
//!
//! ```
//! use std::time::Duration;
//! use collector::{
//!     bus::{Bus, every},
//!     collectors::{CollectError, Collector},
//!     metric::Reading,
//!     source::Tick,
//! };
//! use serde::{Deserialize, Serialize};
//!
//! /// The entropy that the kernel estimates.
//! #[derive(Debug, Serialize, Deserialize, Reading)]
//! #[metric(
//!     name = "entropy",
//!     tier = "system",
//!     sources("/proc/sys/kernel/random/entropy_avail"),
//! )]
//! struct Entropy {
//!     /// Available entropy, in bits.
//!     #[field(1)]
//!     available: u64,
//! }
//!
//! struct EntropyCollector;
//!
//! impl Collector for EntropyCollector {
//!     type Reading = Entropy;
//!
//!     fn collect(&mut self, tick: &Tick) -> Result<Entropy, CollectError> {
//!         let content = tick.read("/proc/sys/kernel/random/entropy_avail")?;
//!         let text = String::from_utf8_lossy(&content);
//!         let available = text.trim().parse::<u64>().map_err(CollectError::failed)?;
//!         Ok(Entropy { available })
//!     }
//! }
//!
//! # #[tokio::main(flavor = "current_thread")]
//! # async fn main() -> Result<(), Box<dyn std::error::Error>> {
//! let bus = Bus::builder().collector(EntropyCollector).build()?;
//! let mut entropy = bus.subscribe::<Entropy>(every(Duration::from_secs(10)))?;
//! let sample = entropy.recv().await?;
//! assert!(sample.data.is_some_and(|reading| reading.available > 0));
//! bus.shutdown().await;
//! # Ok(())
//! # }
//! ```
//!
//! # What it needs
//!
//! - Linux 5.10 or later with BTF for the eBPF backend, and root or `CAP_BPF` and
//!   `CAP_PERFMON`; `/proc` and `/sys` for the rest.
//! - A tokio runtime with its timer enabled ([`enable_time`]), of either flavor,
//!   on which [`BusBuilder::build`] and [`AgentBuilder::start`] are called. Where
//!   it is missing they return [`BuildError::NoRuntime`] or
//!   [`BuildError::NoTimer`].
//! - Threads: collections run on threads of the bus, which are made when needed
//!   and end after 30 s without work; at most one a metric. They do not use the
//!   blocking pool of the runtime.
//! - Memory: the readings that a bus keeps are held to 32 MiB unless
//!   [`BusBuilder::cache_budget`] says otherwise.
//!
//! # Features
//!
//! Without any feature the library has the bus, the feed, all collectors and the
//! agent. `config` adds the configuration file, `prometheus` the exporter and its
//! HTTP endpoint, and `cli`, the default, the program `collector`.
//!
//! # Modules
//!
//! They depend on each other one way: `cli` → [`agent`], [`manager`], `export` →
//! [`bus`] → [`collectors`] → [`source`] → `accounting`; [`metric`], the data, and
//! [`feed`], the subscriptions, depend on none of them.
//!
//! [`enable_time`]: tokio::runtime::Builder::enable_time
//! [`BusBuilder::build`]: bus::BusBuilder::build
//! [`BusBuilder::cache_budget`]: bus::BusBuilder::cache_budget
//! [`AgentBuilder::start`]: agent::AgentBuilder::start
//! [`BuildError::NoRuntime`]: bus::BuildError::NoRuntime
//! [`BuildError::NoTimer`]: bus::BuildError::NoTimer

// They panic when the text cannot be written.
#![deny(clippy::print_stdout, clippy::print_stderr)]

// So that the derive macros name this crate alike inside and outside of it.
extern crate self as collector;

mod accounting;
pub mod agent;
pub mod allocator;
pub mod bus;
pub mod collectors;
#[cfg(feature = "config")]
pub mod config;
#[cfg(feature = "prometheus")]
pub mod export;
pub mod feed;
pub mod manager;
pub mod metric;
pub mod source;
pub mod text;
