//! What changed: events, and records of threads.

use std::time::SystemTime;

use rustix::{
    io::Errno,
    process::{Pid, PidfdFlags, pidfd_open},
    time::{ClockId, clock_gettime},
};

use super::{
    super::{
        accounts::{Clock, Running},
        event_record::EventRecord,
    },
    State,
    slices::Holder,
};
use crate::metric::ProcessEvent;

/// How many zombies are looked at in one drain, so that they do not pile up
/// while nobody asks for the processes.
const ZOMBIES_A_DRAIN: usize = 16;

/// Of how many threads all that is needed stays in the cache.
const BATCH: usize = 64;

impl State {
    /// Reads what changed since the last time.
    pub(in crate::source::ebpf) fn drain(
        &mut self,
        now_ns: u64,
        wall: SystemTime,
    ) -> Vec<ProcessEvent> {
        if let Some(log) = &mut self.debug_log {
            log.flush();
        }
        // The events first: a thread that is told to have ended has its final
        // counters in its record by then.
        let mut records = Vec::new();
        self.to_read.clear();
        while let Some(item) = self.events.next() {
            if let Some(record) = EventRecord::decode(&item) {
                if let EventRecord::ThreadEnd(end) = &record {
                    self.to_read.push(end.thread);
                }
                records.push(record);
            } else {
                let bytes = item.len();
                tracing::warn!(bytes, "a record of the ring buffer has an unknown form");
            }
        }
        self.to_read.append(&mut self.recent);
        // A thread is marked once from one drain to the next. So the drain is
        // counted when the marks are taken: what is marked for the next one
        // was marked after that. And what was found is read once more by the
        // next one: a CPU may not have seen yet, some nanoseconds ago, that
        // there was another one.
        self.touched.drain_into(&mut self.recent);
        self.drains = self.drains.wrapping_add(1);
        self.cpus.count_drain(self.drains);
        self.to_read.extend_from_slice(&self.recent);
        self.accounts.take_waiting(&mut self.to_read);
        self.to_read.sort_unstable();
        self.to_read.dedup();
        for batch in self.to_read.chunks(BATCH) {
            for &index in batch {
                self.threads.fetch(index);
            }
            self.accounts.fetch(batch);
            for &index in batch {
                if let Some(thread) = self.threads.read(index) {
                    self.accounts.update(index, &thread);
                }
            }
        }
        if records
            .iter()
            .any(|record| matches!(record, EventRecord::CgroupMove(_)))
        {
            // What an offline CPU noted last may be among these: its stopper
            // thread, which is bound to the CPU and so cannot be moved
            // (`cgroup_procs_write_start` of `kernel/cgroup/cgroup.c`).
            let running = (0..self.cpus.len()).filter_map(|index| {
                let Holder::Thread(thread) = self.slice(index)?.holder else {
                    return None;
                };
                Some(Running {
                    thread: thread.index,
                    since_ns: thread.since_ns?,
                    cpu_ns: thread.record.cpu_ns,
                })
            });
            let running = running.collect();
            self.accounts.note_running(running);
        }
        let ends_dropped = self.sum(|cpu| cpu.ends_dropped);
        let events = self.accounts.settle(
            records,
            ends_dropped,
            &Clock {
                monotonic_ns: now_ns,
                wall,
                suspended_ns: suspended_ns(),
            },
            &mut self.freed,
        );
        self.give_back();
        self.accounts.reap(ZOMBIES_A_DRAIN, is_in_process_table);
        events
    }

    /// Makes the records of threads that ended free again.
    pub(super) fn give_back(&mut self) {
        for index in self.freed.drain(..) {
            self.threads.mark_free(index);
            if let Err(error) = self.free.push(index, 0) {
                tracing::error!(%error, "a thread record cannot be given back, and is lost until the restart");
            }
        }
    }
}

/// Whether a process of this number is in the process table: it is there until
/// it is reaped.
///
/// No tracepoint tells that it is: `sched_process_free` comes when the memory of
/// the task is freed, some milliseconds or, where that is put off
/// (`CONFIG_RCU_LAZY`), seconds later. A descriptor is had of a zombie too, and
/// asks for no right.
pub(super) fn is_in_process_table(pid: u32) -> bool {
    let Some(pid) = Pid::from_raw(pid.cast_signed()) else {
        return false;
    };
    // Another thread may have the number by now: that is EINVAL, or since 6.14
    // ENOENT.
    !matches!(
        pidfd_open(pid, PidfdFlags::empty()),
        Err(Errno::SRCH | Errno::INVAL | Errno::NOENT)
    )
}

/// How long the machine was suspended since it booted.
fn suspended_ns() -> u64 {
    let now = |clock| {
        let now = clock_gettime(clock);
        now.tv_sec as u64 * 1_000_000_000 + now.tv_nsec as u64
    };
    // In this order it is never too much, which would be an end in the future.
    let boottime = now(ClockId::Boottime);
    boottime.saturating_sub(now(ClockId::Monotonic))
}
