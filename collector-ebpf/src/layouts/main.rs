//! Programs that charge CPU time to the task that is switched out, each with
//! another layout of the maps. `cargo xtask bench tier3 -- layouts` measures the
//! cost of each.
//!
//! All do the same: they read the clock, subtract the time of the last switch of
//! this CPU, which is in a per-CPU element, and add the difference to the counter
//! of the task, and 1 to its number of switches. They differ in where that
//! counter is.
#![no_std]
#![no_main]
#![expect(
    clippy::inline_always,
    reason = "a call between functions of a program costs more than most of these functions"
)]
#![expect(
    clippy::needless_pass_by_value,
    reason = "the macros of the programs give the context by value"
)]

mod maps;

use aya_ebpf::{
    EbpfContext as _,
    bindings::BPF_ANY,
    helpers::{bpf_get_smp_processor_id, bpf_ktime_get_ns},
    macros::btf_tracepoint,
    programs::BtfTracePointContext,
};
use maps::{
    BY_ADDRESS, BY_TID, Charge, DENSE, GENERATION, GENERATIONS, LRU_BY_TID, PER_CPU_TGID, PLACES,
    SINCE, TASK, recent, storage,
};

/// The lower bound: the cost of an empty program.
#[btf_tracepoint(function = "sched_switch")]
fn empty(_ctx: BtfTracePointContext) -> i32 {
    0
}

/// The unit: reading the clock, and storing it.
#[btf_tracepoint(function = "sched_switch")]
fn clock(_ctx: BtfTracePointContext) -> i32 {
    elapsed();
    0
}

/// An array with an element for each thread ID.
#[btf_tracepoint(function = "sched_switch")]
fn dense_array(ctx: BtfTracePointContext) -> i32 {
    let ns = elapsed();
    charge(DENSE.get_ptr_mut(ctx.pid() % PLACES), ns);
    0
}

/// A hash map keyed by thread.
#[btf_tracepoint(function = "sched_switch")]
fn hash_tid(ctx: BtfTracePointContext) -> i32 {
    let ns = elapsed();
    let tid = ctx.pid();
    if let Some(found) = BY_TID.get_ptr_mut(tid) {
        charge(Some(found), ns);
    } else {
        let _ = BY_TID.insert(tid, Charge::first(ns), u64::from(BPF_ANY));
    }
    0
}

/// An LRU hash map keyed by thread.
#[btf_tracepoint(function = "sched_switch")]
fn lru_hash_tid(ctx: BtfTracePointContext) -> i32 {
    let ns = elapsed();
    let tid = ctx.pid();
    if let Some(found) = LRU_BY_TID.get_ptr_mut(tid) {
        charge(Some(found), ns);
    } else {
        let _ = LRU_BY_TID.insert(tid, Charge::first(ns), u64::from(BPF_ANY));
    }
    0
}

/// A per-CPU hash map keyed by process.
#[btf_tracepoint(function = "sched_switch")]
fn percpu_hash(ctx: BtfTracePointContext) -> i32 {
    let ns = elapsed();
    let tgid = ctx.tgid();
    if let Some(found) = PER_CPU_TGID.get_ptr_mut(tgid) {
        charge(Some(found), ns);
    } else {
        let _ = PER_CPU_TGID.insert(tgid, Charge::first(ns), u64::from(BPF_ANY));
    }
    0
}

/// A hash map for each CPU and each of two generations, keyed by process: user
/// space reads one generation while the programs write the other.
#[btf_tracepoint(function = "sched_switch")]
fn generations(ctx: BtfTracePointContext) -> i32 {
    let ns = elapsed();
    let tgid = ctx.tgid();
    // SAFETY: the helper has no precondition.
    let cpu = unsafe { bpf_get_smp_processor_id() };
    // SAFETY: user space writes it as one word.
    let generation = unsafe { GENERATION.get().read_volatile() };
    let Some(inner) = GENERATIONS.get(cpu * 2 + (generation & 1)) else {
        return 0;
    };
    if let Some(found) = inner.get_ptr_mut(tgid) {
        charge(Some(found), ns);
    } else {
        let _ = inner.insert(tgid, Charge::first(ns), u64::from(BPF_ANY));
    }
    0
}

/// Task storage (`BPF_MAP_TYPE_TASK_STORAGE`).
#[btf_tracepoint(function = "sched_switch")]
fn task_storage(ctx: BtfTracePointContext) -> i32 {
    let ns = elapsed();
    charge(storage(&TASK, ctx.arg(1)), ns);
    0
}

/// A dense array of records, and a hash map from the address of a `task_struct` to
/// its record.
#[btf_tracepoint(function = "sched_switch")]
fn hash_record(ctx: BtfTracePointContext) -> i32 {
    let ns = elapsed();
    let task: *const u8 = ctx.arg(1);
    if let Some(index) = record(task as u64, ctx.pid()) {
        charge(DENSE.get_ptr_mut(index), ns);
    }
    0
}

/// As before, with a cache of the record by thread ID: the layout of the agent.
#[btf_tracepoint(function = "sched_switch")]
fn recent_record(ctx: BtfTracePointContext) -> i32 {
    let ns = elapsed();
    let task: *const u8 = ctx.arg(1);
    let tid = ctx.pid();
    let place = recent(tid);
    // SAFETY: the entry is within the table, and the value is verified.
    let index = unsafe { place.read_volatile() };
    if let Some(found) = DENSE.get_ptr_mut(index) {
        // SAFETY: the pointer is to an element.
        if unsafe { (*found).task } == task as u64 {
            charge(Some(found), ns);
            return 0;
        }
    }
    if let Some(index) = record(task as u64, tid) {
        // SAFETY: the entry is within the table.
        unsafe { place.write_volatile(index) };
        if let Some(found) = DENSE.get_ptr_mut(index) {
            // SAFETY: the pointer is to an element.
            unsafe { (*found).task = task as u64 };
            charge(Some(found), ns);
        }
    }
    0
}

/// The element of `DENSE` of a task, assigned if it has none.
#[inline(always)]
fn record(task: u64, tid: u32) -> Option<u32> {
    if let Some(index) = BY_ADDRESS.get_ptr(task) {
        // SAFETY: nothing is removed from this map.
        return Some(unsafe { *index });
    }
    let index = tid % PLACES;
    BY_ADDRESS.insert(task, index, u64::from(BPF_ANY)).ok()?;
    Some(index)
}

/// The time since the last switch of this CPU.
#[inline(always)]
fn elapsed() -> u64 {
    // SAFETY: the helper has no precondition.
    let now = unsafe { bpf_ktime_get_ns() };
    let Some(since) = SINCE.get_ptr_mut(0) else {
        return 0;
    };
    // SAFETY: the element is that of this CPU.
    unsafe {
        let ns = now.wrapping_sub(*since);
        *since = now;
        ns
    }
}

#[inline(always)]
fn charge(found: Option<*mut Charge>, ns: u64) {
    if let Some(found) = found {
        // SAFETY: the pointer is to a live element, and the task is on this
        // CPU only.
        unsafe {
            (*found).cpu_ns += ns;
            (*found).switches += 1;
        }
    }
}

/// Some helpers may be called by programs under a GPL-compatible license only.
#[unsafe(link_section = "license")]
#[unsafe(no_mangle)]
static LICENSE: [u8; 13] = *b"Dual MIT/GPL\0";

/// Unreachable.
#[panic_handler]
fn panic(_info: &core::panic::PanicInfo<'_>) -> ! {
    loop {}
}
