//! The counters of this CPU, and atomic additions.

use core::{
    arch::asm,
    intrinsics::{AtomicOrdering, atomic_xadd},
};

use aya_ebpf::helpers::bpf_get_smp_processor_id;
use collector_ebpf::Cpu;

use crate::maps::CPUS;

/// The element of `CPUS` of this CPU.
#[inline(always)]
pub(crate) fn this_cpu() -> Option<*mut Cpu> {
    // SAFETY: the helper has no precondition.
    CPUS.get_ptr_mut(unsafe { bpf_get_smp_processor_id() })
}

/// Adds one to a counter in one instruction.
///
/// # Safety
///
/// `counter` points to an element of a map.
#[inline(always)]
pub(crate) unsafe fn add_one(counter: *mut u64) {
    // SAFETY: the caller's promise.
    unsafe { atomic_xadd::<u64, u64, { AtomicOrdering::Relaxed }>(counter, 1) };
}

/// Adds one to a counter of this CPU in one instruction, because the program
/// may be preempted by one that writes the same counter.
macro_rules! count {
    ($counter:ident) => {
        if let Some(cpu) = $crate::counter::this_cpu() {
            // SAFETY: the pointer is to this CPU's element.
            unsafe { $crate::counter::add_one(&raw mut (*cpu).counters.$counter) };
        }
    };
}

pub(crate) use count;

/// A compiler barrier: no write to memory is moved past it.
#[inline(always)]
pub(crate) fn compiler_barrier() {
    // SAFETY: it emits no instruction.
    unsafe { asm!("", options(nostack, preserves_flags)) };
}
