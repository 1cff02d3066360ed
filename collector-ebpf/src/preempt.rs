use aya_ebpf::bindings::BPF_NOEXIST;
use collector_ebpf::{ABSENT, Preemption};

use crate::{
    cgroup,
    counter::add_one,
    field::{Kernel, field, offset},
    maps::{OTHER_PREEMPTIONS, PREEMPTIONS},
};

/// Counts the preemption of a task by a task of another cgroup.
///
/// To be called if `prev` is still runnable. If both tasks are in the same
/// cgroup, as for most switches, this costs four loads.
#[inline(always)]
pub(crate) fn preempted(prev: *const Kernel, next: *const Kernel) {
    if offset!(kernfs_node_id) == ABSENT {
        return;
    }
    let (victim, preemptor) = (cgroup::of(prev), cgroup::of(next));
    // Not a preemption if the idle task is next: the cgroup of `prev` is
    // throttled (CPU quota), or `prev` is no longer allowed on this CPU.
    if victim == preemptor || field!(next, task_pid: u32) == 0 {
        return;
    }
    count_pair(cgroup::id(victim), cgroup::id(preemptor));
}

/// Counts the preemption for a pair of cgroup IDs.
#[inline(never)]
fn count_pair(victim: u64, preemptor: u64) {
    let pair = Preemption { victim, preemptor };
    let count = PREEMPTIONS.get_ptr_mut(pair).or_else(|| {
        // If another CPU inserts the pair at the same time, it is found below.
        let _ = PREEMPTIONS.insert(pair, 0, u64::from(BPF_NOEXIST));
        PREEMPTIONS.get_ptr_mut(pair)
    });
    if let Some(count) = count.or_else(|| OTHER_PREEMPTIONS.get_ptr_mut(0)) {
        // SAFETY: the pointer is to an element. CPUs share it, so the addition
        // is atomic. The elements of the map are preallocated and never freed:
        // if user space removes the pair at the same time, which it does some
        // time after one of its cgroups was removed, this counts for another
        // pair.
        unsafe { add_one(count) };
    }
}
