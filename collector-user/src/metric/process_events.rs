use std::{sync::Arc, time::SystemTime};

use serde::{Deserialize, Deserializer, Serialize, Serializer};

use super::{Reading, Record, process_counters, rfc3339};

/// Processes that fork, execute a program, or exit.
///
/// Threads are not shown: a process exits with its last thread.
///
/// In JSON an event is an object with its fields and `kind`: `fork`, `exec` or
/// `exit`.
#[derive(Clone, Debug, PartialEq, Reading)]
#[metric(
    name = "process_events",
    tier = "fast",
    kind = "event",
    sources("/proc/*")
)]
pub enum ProcessEvent {
    /// A process was created.
    #[variant(1)]
    Fork(ForkEvent),
    /// A process executed a program.
    #[variant(2)]
    Exec(ExecEvent),
    /// A process exited.
    #[variant(3)]
    Exit(ExitEvent),
}

/// A process was created.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, Record)]
pub struct ForkEvent {
    /// Time of the event.
    #[serde(with = "rfc3339")]
    #[field(1)]
    pub time: SystemTime,
    /// PID of the new process.
    #[field(2)]
    pub pid: u32,
    /// PID of its parent.
    #[field(3)]
    pub ppid: Option<u32>,
    /// Start time of the new process: nanoseconds since boot, suspend included.
    #[field(4)]
    pub start_time_ns: u64,
    /// Its name, inherited from its parent.
    #[field(5)]
    pub comm: Arc<str>,
}

/// A process executed a program.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, Record)]
pub struct ExecEvent {
    /// Time of the event.
    #[serde(with = "rfc3339")]
    #[field(1)]
    pub time: SystemTime,
    /// PID.
    #[field(2)]
    pub pid: u32,
    /// PID of the parent.
    #[field(3)]
    pub ppid: Option<u32>,
    /// Start time of the process: nanoseconds since boot, suspend included.
    #[field(4)]
    pub start_time_ns: u64,
    /// Its new name.
    #[field(5)]
    pub comm: Arc<str>,
    /// The executed file, as passed to `execve(2)`.
    #[field(6)]
    pub filename: Option<Arc<str>>,
    /// Arguments; `None` where they could not be read.
    #[field(7)]
    pub argv: Option<Vec<Arc<str>>>,
    /// Whether arguments were cut or left out.
    #[field(8)]
    pub argv_truncated: bool,
}

/// A process exited: its last thread is gone. The counters are its final totals.
#[process_counters]
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, Record)]
pub struct ExitEvent {
    /// Time of the event.
    #[serde(with = "rfc3339")]
    #[field(14)]
    pub time: SystemTime,
    /// PID.
    #[field(15)]
    pub pid: u32,
    /// PID of the parent.
    #[field(16)]
    pub ppid: Option<u32>,
    /// Start time: nanoseconds since boot, suspend included.
    #[field(17)]
    pub start_time_ns: u64,
    /// When its last thread left its CPU, on the same clock. eBPF only; `None` if its exit was not
    /// seen.
    #[field(18)]
    pub end_time_ns: Option<u64>,
    /// Lifetime: `end_time_ns` less `start_time_ns`.
    #[field(19)]
    pub lifetime_ns: Option<u64>,
    /// Its name.
    #[field(20)]
    pub comm: Arc<str>,
    /// Exit code; `None` if a signal terminated it, or where it is unknown.
    #[field(21)]
    pub exit_code: Option<u8>,
    /// The signal that terminated it; `None` if it exited by itself, or where it is unknown.
    #[field(22)]
    pub signal: Option<u8>,
    /// Whether it dumped core.
    #[field(23)]
    pub core_dumped: Option<bool>,
}

/// An event in formats that describe themselves: its kind stands among its
/// fields.
#[derive(Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "lowercase")]
enum Tagged<F, X, E> {
    Fork(F),
    Exec(X),
    Exit(E),
}

/// An event in formats that do not: its kind stands before it.
#[derive(Serialize, Deserialize)]
enum Numbered<F, X, E> {
    Fork(F),
    Exec(X),
    Exit(E),
}

impl Serialize for ProcessEvent {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        if serializer.is_human_readable() {
            let tagged = match self {
                Self::Fork(event) => Tagged::Fork(event),
                Self::Exec(event) => Tagged::Exec(event),
                Self::Exit(event) => Tagged::Exit(event),
            };
            return tagged.serialize(serializer);
        }
        let numbered = match self {
            Self::Fork(event) => Numbered::Fork(event),
            Self::Exec(event) => Numbered::Exec(event),
            Self::Exit(event) => Numbered::Exit(event),
        };
        numbered.serialize(serializer)
    }
}

impl<'de> Deserialize<'de> for ProcessEvent {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        if deserializer.is_human_readable() {
            return Ok(match Tagged::deserialize(deserializer)? {
                Tagged::Fork(event) => Self::Fork(event),
                Tagged::Exec(event) => Self::Exec(event),
                Tagged::Exit(event) => Self::Exit(event),
            });
        }
        Ok(match Numbered::deserialize(deserializer)? {
            Numbered::Fork(event) => Self::Fork(event),
            Numbered::Exec(event) => Self::Exec(event),
            Numbered::Exit(event) => Self::Exit(event),
        })
    }
}
