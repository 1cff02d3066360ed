use aya_ebpf::bindings::BPF_NOEXIST;
use collector_ebpf::{ABSENT, Preemption};

use crate::{
    cgroup,
    counter::add_one,
    field::{Kernel, field, offset},
    maps::{OTHER_PREEMPTIONS, PREEMPTIONS},
};

/// Counts that a task lost its CPU to another, if their cgroups differ.
///
/// To be called where `prev` could have gone on. If both are of one cgroup,
/// which is so for most switches, this costs four loads.
#[inline(always)]
pub(crate) fn preempted(prev: *const Kernel, next: *const Kernel) {
    if offset!(kernfs_node_id) == ABSENT {
        return;
    }
    let (victim, preemptor) = (cgroup::of(prev), cgroup::of(next));
    // Nobody took the CPU if the idle task got it: the cgroup of `prev` has
    // used up its quota, or `prev` may not run here any more.
    if victim == preemptor || field!(next, task_pid: u32) == 0 {
        return;
    }
    count_pair(cgroup::id(victim), cgroup::id(preemptor));
}

/// Counts it for the two cgroups of these numbers.
#[inline(never)]
fn count_pair(victim: u64, preemptor: u64) {
    let pair = Preemption { victim, preemptor };
    let count = PREEMPTIONS.get_ptr_mut(pair).or_else(|| {
        // If another CPU adds the pair just now, it is found below.
        let _ = PREEMPTIONS.insert(pair, 0, u64::from(BPF_NOEXIST));
        PREEMPTIONS.get_ptr_mut(pair)
    });
    if let Some(count) = count.or_else(|| OTHER_PREEMPTIONS.get_ptr_mut(0)) {
        // SAFETY: the pointer is to an element. CPUs share it, so the write is
        // atomic. The elements of the map are made beforehand and never freed:
        // should user space remove the pair just now, which it does when one of
        // its cgroups has been gone for a while, this counts for another pair.
        unsafe { add_one(count) };
    }
}
