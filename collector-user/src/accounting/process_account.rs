use std::sync::Arc;

use collector_ebpf::KERNEL_THREAD;

use super::{
    AvailableFields, Counters, CpuTimeSplit, ProcessKey,
    cgroup::{CgroupMembership, Usage},
    clock::RowTimes,
    in_flight::ProcessInFlight,
    process_key::ProcessHandle,
    thread_account::ThreadChange,
};
use crate::metric::{
    Asleep, HasProcessCounters as _, Process, ProcessCounters, ProcessState, Sleepers,
};

/// The account of one process: its identity, and the sums of its threads.
///
/// There is one per process, so nothing is stored twice: what the row has is
/// stored in the row.
#[derive(Debug)]
#[expect(
    clippy::struct_excessive_bools,
    reason = "each is a property of a process that does not depend on the others"
)]
pub(super) struct ProcessAccount {
    /// Where it is in the process table, which maintains this.
    pub(super) handle: ProcessHandle,
    /// The row as last built, except for the fields below. Shared with the
    /// readings that have it.
    pub(super) row: Arc<Process>,
    pub(super) counters: Counters,
    /// The sleeping threads, according to their records.
    pub(super) asleep: Asleep,
    /// The time as of which the row was built.
    row_built_ns: u64,
    pub(super) cgroup: CgroupMembership,
    /// `self_exec_id`, of which 32 bits are enough to detect an `execve`.
    pub(super) exec_id: Option<u32>,
    /// The number of its threads that have a record.
    pub(super) threads: u32,
    /// The wait status, once all its threads have started to exit.
    pub(super) wait_status: Option<u32>,
    /// The last regular task pass that visited a live thread of it, or during
    /// which it was first seen.
    pub(super) last_pass: u32,
    pub(super) state: Option<ProcessState>,
    pub(super) kernel_thread: Option<bool>,
    /// Whether its command name and parent are known.
    pub(super) is_identified: bool,
    /// Whether the counters of threads that exited before the programs were
    /// attached are in `counters`, or there are none.
    pub(super) has_exited_threads: bool,
    /// Whether its row differs from that in the last reading.
    pub(super) is_changed: bool,
    /// Whether it has exited and is not reaped yet.
    pub(super) is_zombie: bool,
}

impl ProcessAccount {
    /// A process that no task pass has visited yet.
    pub(super) fn new(key: ProcessKey, pass: u32) -> Self {
        Self {
            handle: ProcessHandle::unresolved(key),
            row: Arc::new(Process {
                pid: key.pid,
                start_time_ns: key.start_ns,
                ..Process::default()
            }),
            counters: Counters::default(),
            asleep: Asleep::default(),
            row_built_ns: 0,
            cgroup: CgroupMembership::default(),
            exec_id: None,
            threads: 0,
            wait_status: None,
            last_pass: pass,
            state: None,
            kernel_thread: None,
            is_identified: false,
            has_exited_threads: false,
            is_changed: false,
            is_zombie: false,
        }
    }

    pub(super) const fn key(&self) -> ProcessKey {
        self.handle.key()
    }

    /// The row, to change fields that [`build_row`](Self::build_row) does not
    /// set.
    pub(super) fn edit_row(&mut self) -> &mut Process {
        Arc::make_mut(&mut self.row)
    }

    /// Sets the properties that are in the flags of a thread record.
    pub(super) fn set_flags(&mut self, flags: u32) {
        self.kernel_thread = Some(flags & u32::from(KERNEL_THREAD) != 0);
    }

    /// Adds the change of one of its threads. Returns whether the row changes.
    pub(super) fn apply(&mut self, change: &ThreadChange) -> bool {
        if change.is_new {
            self.threads += 1;
            self.set_flags(u32::from(change.flags));
        }
        self.counters.add(&change.growth);
        if let Some([before, after]) = &change.sleep {
            self.asleep = self.asleep.without(before).with(after);
        }
        let state_before = self.state;
        if change.leader_state.is_some() {
            self.state = change.leader_state;
        }
        if change.wait_status.is_some() {
            self.wait_status = change.wait_status;
        }
        // A task pass reads every record, and most of them are unchanged.
        change.is_new
            || change.growth != Counters::default()
            || change.sleep.is_some()
            || self.state != state_before
    }

    /// The usage up to now, as charged or already published.
    pub(super) fn usage(&mut self, available: &AvailableFields, times: RowTimes) -> Usage {
        Usage::of(self.build_row(ProcessInFlight::default(), available, times))
    }

    /// The usage of its whole life, after it has exited: without published time
    /// in flight that turned out to be too high.
    pub(super) fn final_usage(&self, available: &AvailableFields) -> Usage {
        Usage::of_counters(&available.counters(&self.counters, self.split()))
    }

    /// The split of its CPU time in the row.
    pub(super) fn split(&self) -> CpuTimeSplit {
        CpuTimeSplit {
            user_ns: self.row.user_ns.unwrap_or(0),
            system_ns: self.row.system_ns.unwrap_or(0),
        }
    }

    /// Builds the row.
    ///
    /// Time in flight is an estimate that may have been too high, but totals
    /// never decrease: so no counter is lower than in the row before.
    pub(super) fn build_row(
        &mut self,
        in_flight: ProcessInFlight,
        available: &AvailableFields,
        times: RowTimes,
    ) -> &Arc<Process> {
        let counters = &self.counters;
        let asleep = self.asleep.without(&in_flight.switched_in);
        // The row may have been built again since it was published.
        let published_sleep = self.row.slept_ns(self.row_built_ns.max(times.published_ns));
        self.row_built_ns = times.now_ns;
        // A woken thread that waits for a CPU counts as asleep until it is
        // switched in.
        let slept = |ended_ns: u64, sleepers: &Sleepers, published_ns: Option<u64>| {
            let now_ns = ended_ns.saturating_add(sleepers.slept_ns(times.now_ns));
            let too_high_by_ns = published_ns.unwrap_or(0).saturating_sub(now_ns);
            ended_ns.saturating_add(too_high_by_ns)
        };
        let interruptible_ns = slept(
            counters.interruptible_ns,
            &asleep.interruptible,
            published_sleep[0],
        );
        let uninterruptible_ns = slept(
            counters.uninterruptible_ns,
            &asleep.uninterruptible,
            published_sleep[1],
        );
        let at_least = |value: u64, published: Option<u64>| value.max(published.unwrap_or(0));
        let cpu_ns = at_least(counters.cpu_ns + in_flight.cpu_ns, self.row.cpu_ns);
        let runqueue_ns = at_least(
            counters.runqueue_ns + in_flight.runqueue_ns,
            self.row.runqueue_ns,
        );
        let mut split = self.split();
        split.advance(cpu_ns, counters.user_ns, counters.system_ns);
        let row = Arc::make_mut(&mut self.row);
        row.state = if in_flight.is_leader_running {
            Some(ProcessState::Running)
        } else {
            self.state
        };
        row.kernel_thread = self.kernel_thread;
        if row.cgroup != self.cgroup.path {
            row.cgroup.clone_from(&self.cgroup.path);
        }
        if row.container != self.cgroup.container {
            row.container.clone_from(&self.cgroup.container);
        }
        // The thread-group leader counts until the other threads have exited.
        row.threads = Some(self.threads + u32::from(self.state == Some(ProcessState::Zombie)));
        let counters = Counters {
            cpu_ns,
            runqueue_ns,
            interruptible_ns,
            uninterruptible_ns,
            ..*counters
        };
        row.set_process_counters(&ProcessCounters {
            read_bytes: row.read_bytes,
            write_bytes: row.write_bytes,
            ..available.counters(&counters, split)
        });
        row.asleep = if available.sleep {
            asleep
        } else {
            Asleep::default()
        };
        if self.kernel_thread == Some(true) || self.is_zombie {
            row.rss_bytes = available.rss.then_some(0);
            row.vm_bytes = available.vm.then_some(0);
        }
        &self.row
    }
}
