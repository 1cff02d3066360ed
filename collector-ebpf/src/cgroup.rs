use core::ptr;

use aya_ebpf::{helpers::bpf_ktime_get_ns, macros::btf_tracepoint, programs::BtfTracePointContext};
use collector_ebpf::{CgroupMoveEvent, EVENT_CGROUP_MOVE};

use crate::{
    counter::count,
    field::{Kernel, field, pointer},
    maps::EVENTS,
    record::slot_of,
    task::process_start,
};

/// The cgroup of a task in the v2 hierarchy, in which every task has one; on a
/// host with cgroup v1 it is mostly the root.
#[inline(always)]
pub(crate) fn of(task: *const Kernel) -> *const Kernel {
    let css_set = pointer!(task, task_cgroups);
    if css_set.is_null() {
        // Not `css_set`: the verifier does not learn here that it is null, and
        // would take it for a cgroup.
        ptr::null()
    } else {
        pointer!(css_set, css_set_cgroup)
    }
}

/// The ID of a cgroup; 0 if unknown.
#[inline(always)]
pub(crate) fn id(cgroup: *const Kernel) -> u64 {
    if cgroup.is_null() {
        return 0;
    }
    let node = pointer!(cgroup, cgroup_kn);
    if node.is_null() {
        0
    } else {
        field!(node, kernfs_node_id: u64)
    }
}

/// A process, or a single thread, was moved to another cgroup, in any hierarchy.
///
/// The tracepoint fires after the move: `cgroup_attach_task` of
/// `kernel/cgroup/cgroup.c`.
#[btf_tracepoint(function = "cgroup_attach_task")]
pub(crate) fn cgroup_attach_task(ctx: BtfTracePointContext) -> i32 {
    let task: *const Kernel = ctx.arg(2);
    let tgid = field!(task, task_tgid: u32);
    // A process is accounted in the cgroup of its thread-group leader.
    if field!(task, task_pid: u32) != tgid {
        return 0;
    }
    let Some(mut entry) = EVENTS.reserve_untyped::<CgroupMoveEvent>(0) else {
        count!(events_dropped);
        return 0;
    };
    let event = entry.as_mut_ptr();
    // SAFETY: the entry has room for the event; each field is written.
    unsafe {
        (*event).header.kind = EVENT_CGROUP_MOVE;
        (*event).header.pid = tgid;
        (*event).header.time_ns = bpf_ktime_get_ns();
        (*event).header.process_start_ns = process_start(task);
        (*event).cgroup_id = id(of(task));
        (*event).cpu_ns = field!(task, task_cpu_ns: u64);
        (*event).slot = slot_of(task, tgid);
        (*event).reserved = 0;
    }
    entry.submit(0);
    0
}
