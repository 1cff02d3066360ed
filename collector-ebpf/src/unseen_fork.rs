//! Records of tasks whose fork was not seen, assigned at a switch-out.

use collector_ebpf::{CpuCounters, NO_SLOT};

use crate::{
    field::{Kernel, field, pointer},
    record::{assign_record, slot_of},
    task::loaded_at,
};

/// For how long a CPU does not try again after there was no free record.
const RETRY_NS: u64 = 1 << 20;

/// Assigns a record to a switched-out task that has none because its fork was
/// not seen, so that all its CPU time is attributed.
///
/// Not to a task of a process that existed before the programs and has not been
/// visited by the iterator yet, which assigns the records of a whole process.
/// Nor to a task that was switched out before: there was no free record then,
/// its CPU time is in `unattributed_ns`, and the iterator reports how much that
/// was. If no record is free, the CPU tries again after [`RETRY_NS`], because
/// all CPUs share one queue of free records.
#[inline(never)]
pub(crate) fn assign_at_switch(cpu: &mut CpuCounters, task: *const Kernel, now: u64) -> u32 {
    if now.wrapping_sub(cpu.no_slot_at_ns) < RETRY_NS || !is_of_tracked_process(task) {
        return NO_SLOT;
    }
    let switches = field!(task, task_nvcsw: u64) + field!(task, task_nivcsw: u64);
    if switches > 1 && field!(task, task_start: u64) >= loaded_at() {
        return NO_SLOT;
    }
    let slot = assign_record(task, 0);
    if slot == NO_SLOT {
        cpu.no_slot_at_ns = now;
    } else if field!(task, task_pid: u32) == field!(task, task_tgid: u32) {
        cpu.forks_unseen += 1;
    }
    slot
}

/// Whether the process of a task started after the programs were loaded, or
/// its thread-group leader has a record.
#[inline(always)]
pub(crate) fn is_of_tracked_process(task: *const Kernel) -> bool {
    let leader = pointer!(task, task_group_leader);
    if leader.is_null() {
        return false;
    }
    field!(leader, task_start: u64) >= loaded_at()
        || slot_of(leader, field!(leader, task_pid: u32)) != NO_SLOT
}
