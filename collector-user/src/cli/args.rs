#![expect(clippy::doc_markdown, reason = "these comments are the help texts")]

use std::path::PathBuf;

use clap::{Args, Parser, Subcommand, ValueEnum};
use collector::{
    agent::BackendChoice,
    config::{Interval, LogFormat},
};

/// An eBPF-assisted kernel-event collector for Linux hosts.
#[derive(Debug, Parser)]
#[command(name = "collector", version, disable_help_subcommand = true)]
pub(super) struct Cli {
    #[command(flatten)]
    pub(super) global: GlobalArgs,
    #[command(subcommand)]
    pub(super) command: Command,
}

/// Options of every subcommand.
#[derive(Debug, Args)]
pub(super) struct GlobalArgs {
    /// How CPUs and processes are accounted: auto, ebpf or procfs
    ///
    /// auto uses eBPF if it is available, else /proc.
    #[arg(long, global = true, value_name = "BACKEND")]
    pub(super) backend: Option<BackendChoice>,
    /// Read DIR/proc and DIR/sys instead of /proc and /sys
    #[arg(long, global = true, value_name = "DIR")]
    pub(super) root: Option<PathBuf>,
    /// The configuration file [default: /etc/collector/collector.toml, if it exists]
    #[arg(long, global = true, value_name = "FILE")]
    pub(super) config: Option<PathBuf>,
    /// Format of the log on standard error: text or json
    ///
    /// The environment variable COLLECTOR_LOG sets the filter, for example
    /// COLLECTOR_LOG=debug or COLLECTOR_LOG=error,collector::bus=trace.
    #[arg(long, global = true, value_name = "FORMAT")]
    pub(super) log_format: Option<LogFormat>,
}

#[derive(Debug, Subcommand)]
pub(super) enum Command {
    /// Run the agent: collect, log, and serve Prometheus
    Run,
    /// Show every metric once
    Snapshot(SnapshotArgs),
    /// Show metrics periodically
    Watch(WatchArgs),
    /// Show forks, execs and exits of processes
    Events(EventsArgs),
    /// Check what works on this host, what does not, and how to fix it
    ///
    /// Exit status: 0 everything works, 1 works with a fallback, 2 cannot work.
    Doctor(FormatArgs),
    /// Check or show the configuration
    Config {
        #[command(subcommand)]
        command: ConfigCommand,
    },
    /// Collect every metric once, and show the cost
    Status(StatusArgs),
}

#[derive(Debug, Args)]
pub(super) struct StatusArgs {
    #[command(flatten)]
    pub(super) format: FormatArgs,

    /// Measure what the bus saves on this host, with two managers and ten
    /// subscribers to all metrics: with the bus, with a shared cache only, and
    /// without sharing
    #[arg(long)]
    pub(super) modes: bool,

    /// Duration of the measurement of each mode
    #[arg(
        long = "for",
        value_name = "DURATION",
        default_value = "10s",
        requires = "modes"
    )]
    pub(super) duration: Interval,
}

#[derive(Debug, Subcommand)]
pub(super) enum ConfigCommand {
    /// Check the configuration
    Check,
    /// Show the configuration in force and the origin of each value
    Show,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(super) enum Format {
    /// Human-readable table
    Table,
    /// JSON
    Json,
}

#[derive(Debug, Args)]
pub(super) struct FormatArgs {
    /// Output format
    #[arg(long, value_enum, default_value_t = Format::Table)]
    pub(super) format: Format,
}

#[derive(Debug, Args)]
pub(super) struct SnapshotArgs {
    /// Show only these metrics
    #[arg(long, value_name = "METRIC", value_delimiter = ',')]
    pub(super) metrics: Option<Vec<String>>,
    #[command(flatten)]
    pub(super) output: FormatArgs,
}

#[derive(Debug, Args)]
pub(super) struct WatchArgs {
    /// The metrics: process_stats, cpu_stats, …
    #[arg(value_name = "METRIC", required = true)]
    pub(super) metrics: Vec<String>,
    /// Time between two samples, from 1ms to 1day
    #[arg(long, default_value = "1s", allow_hyphen_values = true)]
    pub(super) interval: Interval,
    /// Exit after N samples of each metric
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u64).range(1..))]
    pub(super) count: Option<u64>,
    #[command(flatten)]
    pub(super) output: FormatArgs,
}

#[derive(Debug, Args)]
pub(super) struct EventsArgs {
    /// Exit after this time, from 1ms to 1day
    #[arg(long, allow_hyphen_values = true)]
    pub(super) duration: Option<Interval>,
    #[command(flatten)]
    pub(super) output: FormatArgs,
}
