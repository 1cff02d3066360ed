use core::ffi::c_void;

use aya_ebpf::helpers::generated;
use collector_ebpf::{NO_SLOT, TaskEntry};

use crate::{
    cgroup,
    field::{Kernel, field, load_by_helper, offset, pointer},
    maps::{CPUS, ENTRY_SCRATCH, THREADS},
    record::{assign_or_count, slot_of},
    task::{effective_user, flags, group_dead, parent, process_start, read_comm},
};

/// `struct bpf_iter__task` of `kernel/bpf/task_iter.c`: the interface of
/// `iter/task` programs.
#[repr(C)]
struct IterTask {
    meta: *mut IterMeta,
    task: *const Kernel,
}

/// `struct bpf_iter_meta` of `include/linux/bpf.h`.
#[repr(C)]
struct IterMeta {
    seq: *mut c_void,
    session_id: u64,
    seq_num: u64,
}

/// Visits every thread of the host: assigns a record to those that have none,
/// and reports the fields that the switch program does not read.
#[unsafe(no_mangle)]
#[unsafe(link_section = "iter/task")]
extern "C" fn all_tasks(ctx: *mut c_void) -> i32 {
    let ctx: *const IterTask = ctx.cast();
    // SAFETY: the kernel passes this structure; after the last task the
    // pointer to the task is null.
    let (meta, task) = unsafe { ((*ctx).meta, (*ctx).task) };
    if task.is_null() {
        return 0;
    }
    let Some(entry) = ENTRY_SCRATCH.get_ptr_mut(0) else {
        return 0;
    };
    // SAFETY: the scratch memory is per CPU, the program does not migrate, and
    // user space, which owns the maps, reads one iterator at a time.
    unsafe {
        fill(&mut *entry, task);
        generated::bpf_seq_write(
            (*meta).seq.cast(),
            entry.cast(),
            size_of::<TaskEntry>() as u32,
        );
    }
    0
}

#[inline(always)]
fn fill(entry: &mut TaskEntry, task: *const Kernel) {
    entry.tid = field!(task, task_pid: u32);
    entry.tgid = field!(task, task_tgid: u32);
    entry.ppid = parent(task);
    entry.uid = effective_user(task);
    entry.process_start_ns = process_start(task);
    entry.flags = u32::from(flags(task));
    entry.task_state = field!(task, task_state: u32);
    entry.exit_state = field!(task, task_exit_state: u32);
    entry.cpu = field!(task, task_cpu: u32);
    entry.on_cpu = u32::from(field!(task, task_on_cpu: u8));
    read_comm(task, &raw mut entry.comm);
    fill_memory(entry, task);
    entry.read_bytes = field!(task, task_read_bytes: u64);
    entry.write_bytes = field!(task, task_write_bytes: u64);
    fill_ended(entry, task);
    entry.cgroup_id = cgroup::id(cgroup::of(task));
    entry.exec_id = field!(task, task_exec_id: u64);

    entry.is_new = 0;
    entry.cpu_ns_when_found = 0;
    entry.is_group_dead = u32::from(group_dead(task) != 0);
    entry.slot = slot_of(task, entry.tid);
    // A task in an exit state will not run again, or is at its last switch-out:
    // there is nothing left to be measured. Read again, because it may have
    // exited meanwhile.
    if entry.slot == NO_SLOT && field!(task, task_exit_state: u32) == 0 {
        entry.slot = assign_or_count(task, off_cpu_since(task));
        if entry.slot != NO_SLOT {
            entry.is_new = 1;
            if let Some(thread) = THREADS.get_ptr(entry.slot) {
                // SAFETY: the pointer is to an element.
                entry.cpu_ns_when_found = unsafe { (&raw const (*thread).cpu_ns).read_volatile() };
            }
            store_current_task(entry, task);
        }
    }
}

/// The time that is taken for the last switch-out of a task that is not on a CPU:
/// now, because the actual time is unknown; 0 if it has not run yet.
#[inline(always)]
fn off_cpu_since(task: *const Kernel) -> u64 {
    /// `TASK_NEW` of `include/linux/sched.h`.
    const TASK_NEW: u32 = 0x800;
    if field!(task, task_state: u32) & TASK_NEW != 0 {
        return 0;
    }
    // SAFETY: the helper has no precondition.
    unsafe { aya_ebpf::helpers::bpf_ktime_get_ns() }
}

/// The memory of the process.
#[inline(always)]
fn fill_memory(entry: &mut TaskEntry, task: *const Kernel) {
    entry.rss_pages = 0;
    entry.vm_pages = 0;
    let mm = pointer!(task, task_mm);
    if mm.is_null() {
        return;
    }
    entry.vm_pages = field!(mm, mm_total_vm: u64);
    // A counter that is decremented on many CPUs may be negative for a while;
    // the kernel shows it as zero too.
    let file = load_by_helper::<i64>(mm, offset!(mm_rss_file));
    let anon = load_by_helper::<i64>(mm, offset!(mm_rss_anon));
    let shmem = load_by_helper::<i64>(mm, offset!(mm_rss_shmem));
    entry.rss_pages = at_least_zero(file) + at_least_zero(anon) + at_least_zero(shmem);
}

#[inline(always)]
fn at_least_zero(count: i64) -> u64 {
    if count < 0 { 0 } else { count as u64 }
}

/// The counters of the exited threads of the process.
#[inline(always)]
fn fill_ended(entry: &mut TaskEntry, task: *const Kernel) {
    // Not null before the task is freed: `__put_task_struct` of `kernel/fork.c`.
    let signal = pointer!(task, task_signal);
    if signal.is_null() {
        return;
    }
    entry.ended_read_bytes = field!(signal, signal_read_bytes: u64);
    entry.ended_write_bytes = field!(signal, signal_write_bytes: u64);
    entry.ended_cpu_ns = field!(signal, signal_cpu_ns: u64);
    entry.ended_user_ns = field!(signal, signal_utime: u64);
    entry.ended_system_ns = field!(signal, signal_stime: u64);
    entry.ended_voluntary_switches = field!(signal, signal_nvcsw: u64);
    entry.ended_involuntary_switches = field!(signal, signal_nivcsw: u64);
    entry.ended_minor_faults = field!(signal, signal_min_flt: u64);
    entry.ended_major_faults = field!(signal, signal_maj_flt: u64);
    fill_ended_leader(entry, task);
}

/// Adds the counters of the thread-group leader, if that has exited and has no
/// record. They are not in the sums of `signal_struct`, to which the kernel adds
/// a thread when it is released: the thread-group leader is not released before
/// all other threads have exited.
#[inline(always)]
fn fill_ended_leader(entry: &mut TaskEntry, task: *const Kernel) {
    let leader = pointer!(task, task_group_leader);
    if leader.is_null() || field!(leader, task_exit_state: u32) == 0 {
        return;
    }
    if slot_of(leader, field!(leader, task_pid: u32)) != NO_SLOT {
        return;
    }
    entry.ended_cpu_ns += field!(leader, task_cpu_ns: u64);
    entry.ended_user_ns += field!(leader, task_utime: u64);
    entry.ended_system_ns += field!(leader, task_stime: u64);
    entry.ended_voluntary_switches += field!(leader, task_nvcsw: u64);
    entry.ended_involuntary_switches += field!(leader, task_nivcsw: u64);
    entry.ended_minor_faults += field!(leader, task_min_flt: u64);
    entry.ended_major_faults += field!(leader, task_maj_flt: u64);
}

/// Stores a task that has been running since before the programs were attached
/// as the current task of its CPU.
///
/// Without this, its CPU time would not be reported before its switch-out. If
/// the CPU switches at the same time, the switch overwrites this; or the next
/// switch finds that the stored task is not the one it switches out.
#[inline(always)]
fn store_current_task(entry: &TaskEntry, task: *const Kernel) {
    if entry.on_cpu == 0 {
        return;
    }
    if let Some(cpu) = CPUS.get_ptr_mut(entry.cpu) {
        // SAFETY: the pointer is to an element. It may be another CPU's, whose
        // first switch writes the same fields: whole words, through a raw
        // pointer here (see `Cpu`).
        unsafe {
            let cpu = &raw mut (*cpu).counters;
            if (*cpu).since_ns == 0 {
                (*cpu).task = task as u64;
                (*cpu).tid = entry.tid;
                (*cpu).since_ns = aya_ebpf::helpers::bpf_ktime_get_ns();
            }
        }
    }
}
