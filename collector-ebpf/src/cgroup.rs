use core::ptr;

use aya_ebpf::{helpers::bpf_ktime_get_ns, macros::btf_tracepoint, programs::BtfTracePointContext};
use collector_ebpf::{CgroupMoveEvent, EVENT_CGROUP_MOVE};

use crate::{
    counter::count,
    field::{Kernel, field, pointer},
    maps::EVENTS,
    record::thread_of,
    task::process_start,
};

/// The cgroup of a task in the hierarchy of version 2: every task has one
/// there, on a host that uses version 1 mostly the root.
#[inline(always)]
pub(crate) fn of(task: *const Kernel) -> *const Kernel {
    let css_set = pointer!(task, task_cgroups);
    if css_set.is_null() {
        // Not the pointer itself, of which the verifier does not learn here
        // that it is null: it would take it for a cgroup.
        ptr::null()
    } else {
        pointer!(css_set, css_set_cgroup)
    }
}

/// The number of a cgroup; 0 where it is not known.
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

/// A process, or one thread, was moved to another cgroup of any hierarchy.
///
/// Called when it is there already: `cgroup_attach_task` of
/// `kernel/cgroup/cgroup.c`.
#[btf_tracepoint(function = "cgroup_attach_task")]
pub(crate) fn cgroup_attach_task(ctx: BtfTracePointContext) -> i32 {
    let task: *const Kernel = ctx.arg(2);
    let tgid = field!(task, task_tgid: u32);
    // A process counts where its leading thread is.
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
        (*event).thread = thread_of(task, tgid);
        (*event).reserved = 0;
    }
    entry.submit(0);
    0
}
