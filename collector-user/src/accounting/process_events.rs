//! Lifecycle events as they are published.

use std::sync::Arc;

use collector_ebpf::ForkEvent as ForkRecord;

use super::{
    AvailableFields,
    clock::{ClockReading, ExitTime},
    lifecycle_event::Exec,
    process_account::ProcessAccount,
};
use crate::metric::{ExecEvent, ExitEvent, ForkEvent};

pub(super) fn fork_event(fork: &ForkRecord, comm: Arc<str>, clock: &ClockReading) -> ForkEvent {
    ForkEvent {
        time: clock.wall_at(fork.header.time_ns),
        pid: fork.header.pid,
        ppid: Some(fork.ppid),
        start_time_ns: fork.header.process_start_ns,
        comm,
    }
}

pub(super) fn exec_event(
    exec: Exec,
    comm: Arc<str>,
    available: &AvailableFields,
    clock: &ClockReading,
) -> ExecEvent {
    ExecEvent {
        time: clock.wall_at(exec.header.time_ns),
        pid: exec.header.pid,
        ppid: available.parents.then_some(exec.ppid),
        start_time_ns: exec.header.process_start_ns,
        comm,
        filename: exec.filename.map(Into::into),
        argv: exec
            .argv
            .map(|argv| argv.into_iter().map(Into::into).collect()),
        argv_truncated: exec.argv_truncated,
    }
}

/// The exit of a process, whose row is up to date.
pub(super) fn exit_event(
    account: &ProcessAccount,
    available: &AvailableFields,
    exit: ExitTime,
) -> ExitEvent {
    let key = account.key();
    let status = account.wait_status.filter(|_| available.exit_status);
    // The encoding of a wait status: wait(2).
    let signal = status.map(|status| (status & 0x7f) as u8);
    let row = &*account.row;
    let exact = available.counters(&account.counters, account.split());
    ExitEvent {
        time: exit.wall,
        pid: key.pid,
        ppid: row.ppid,
        start_time_ns: key.start_ns,
        end_time_ns: exit.boottime_ns,
        lifetime_ns: exit
            .boottime_ns
            .map(|end_ns| end_ns.saturating_sub(key.start_ns)),
        comm: Arc::clone(&row.comm),
        exit_code: status
            .filter(|_| signal == Some(0))
            .map(|status| (status >> 8) as u8),
        signal: signal.filter(|&signal| signal != 0),
        core_dumped: status.map(|status| status & 0x80 != 0),
        // Without time in flight that was published and turned out too high.
        cpu_ns: exact.cpu_ns,
        blocked_ns: exact.blocked_ns,
        interruptible_sleep_ns: exact.interruptible_sleep_ns,
        uninterruptible_sleep_ns: exact.uninterruptible_sleep_ns,
        user_ns: row.user_ns,
        system_ns: row.system_ns,
        runqueue_ns: row.runqueue_ns,
        voluntary_switches: row.voluntary_switches,
        involuntary_switches: row.involuntary_switches,
        minor_faults: row.minor_faults,
        major_faults: row.major_faults,
    }
}
