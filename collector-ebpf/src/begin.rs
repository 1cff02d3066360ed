//! Records of tasks whose fork was not seen, given when they leave a CPU.

use collector_ebpf::{CpuCounters, NO_THREAD};

use crate::{
    field::{Kernel, field, pointer},
    record::{give_record, thread_of},
    task::loaded_at,
};

/// For how long a CPU does not ask for a record after it got none.
const RETRY_NS: u64 = 1 << 20;

/// Gives a record to a task that has none since its fork was not seen: so
/// nothing of what it does is missed.
///
/// Not to one of a process that was there before the programs and has not been
/// found by the iterator, which shows it as a whole. Nor to one that has left a
/// CPU before since it was made: there was no record for it then, so that what
/// it used is unattributed, and the iterator tells how much that was. Where no
/// record is free, the next try is a while later: there is one queue of them for
/// all CPUs.
#[inline(never)]
pub(crate) fn begin(cpu: &mut CpuCounters, task: *const Kernel, now: u64) -> u32 {
    if now.wrapping_sub(cpu.refused_ns) < RETRY_NS || !is_of_known_process(task) {
        return NO_THREAD;
    }
    let switches = field!(task, task_nvcsw: u64) + field!(task, task_nivcsw: u64);
    if switches > 1 && field!(task, task_start: u64) >= loaded_at() {
        return NO_THREAD;
    }
    let index = give_record(task, 0);
    if index == NO_THREAD {
        cpu.refused_ns = now;
    } else if field!(task, task_pid: u32) == field!(task, task_tgid: u32) {
        cpu.begun_unseen += 1;
    }
    index
}

/// Whether the process of a task began after the programs were loaded, or its
/// leading thread has a record.
#[inline(always)]
pub(crate) fn is_of_known_process(task: *const Kernel) -> bool {
    let leader = pointer!(task, task_group_leader);
    if leader.is_null() {
        return false;
    }
    field!(leader, task_start: u64) >= loaded_at()
        || thread_of(leader, field!(leader, task_pid: u32)) != NO_THREAD
}
