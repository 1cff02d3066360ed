//! Properties of a task.

use core::ptr;

use aya_ebpf::helpers::generated;
use collector_ebpf::{ABSENT, COMM_LEN, GROUP_DEAD, KERNEL_THREAD};

use crate::field::{Kernel, field, offset, pointer};

/// When the programs were loaded, by the clock of `start_boottime`
/// (`CLOCK_BOOTTIME`). Set and frozen by the loader.
#[unsafe(no_mangle)]
static LOADED_AT_NS: u64 = u64::MAX;

/// [`LOADED_AT_NS`], as set by the loader.
#[inline(always)]
pub(crate) fn loaded_at() -> u64 {
    // SAFETY: a static is valid for reads. The read is volatile because the
    // compiler must not use the value in this object.
    unsafe { ptr::read_volatile(&raw const LOADED_AT_NS) }
}

/// `PF_KTHREAD` of `include/linux/sched.h`; the same since 2.6.27.
const PF_KTHREAD: u32 = 0x0020_0000;
/// `SIGNAL_GROUP_EXIT` of `include/linux/sched/signal.h`.
const SIGNAL_GROUP_EXIT: u32 = 0x4;

/// The start time of the process of a task.
#[inline(always)]
pub(crate) fn process_start(task: *const Kernel) -> u64 {
    let leader = pointer!(task, task_group_leader);
    if leader.is_null() {
        0
    } else {
        field!(leader, task_start: u64)
    }
}

/// The parent process of a task.
#[inline(always)]
pub(crate) fn parent(task: *const Kernel) -> u32 {
    let parent = pointer!(task, task_real_parent);
    if parent.is_null() {
        0
    } else {
        field!(parent, task_tgid: u32)
    }
}

/// The effective user ID of a task; `u32::MAX` if unknown.
#[inline(always)]
pub(crate) fn effective_user(task: *const Kernel) -> u32 {
    let cred = pointer!(task, task_cred);
    if cred.is_null() || offset!(cred_euid) == ABSENT {
        u32::MAX
    } else {
        field!(cred, cred_euid: u32)
    }
}

/// The flags of the record of a task.
#[inline(always)]
pub(crate) fn flags(task: *const Kernel) -> u16 {
    if field!(task, task_flags: u32) & PF_KTHREAD == 0 {
        0
    } else {
        KERNEL_THREAD
    }
}

/// Copies the command name of a task to `comm`.
#[inline(always)]
pub(crate) fn read_comm(task: *const Kernel, comm: *mut [u8; COMM_LEN]) {
    let offset = offset!(task_comm);
    if offset != ABSENT {
        // SAFETY: the destination has `COMM_LEN` bytes; the helper checks the
        // source.
        unsafe {
            generated::bpf_probe_read_kernel(
                comm.cast(),
                COMM_LEN as u32,
                task.byte_add(offset as usize).cast(),
            );
        }
    }
}

/// The wait status of the process of a task whose last thread exits, as
/// `wait_task_zombie` of `kernel/exit.c` computes it.
#[inline(always)]
pub(crate) fn wait_status(task: *const Kernel) -> u32 {
    if group_exits(task) {
        return field!(pointer!(task, task_signal), signal_group_exit_code: u32);
    }
    let leader = pointer!(task, task_group_leader);
    if leader.is_null() {
        0
    } else {
        field!(leader, task_exit_code: u32)
    }
}

/// Whether all threads of a task's process exit together: by `exit_group`, or a
/// fatal signal.
#[inline(always)]
pub(crate) fn group_exits(task: *const Kernel) -> bool {
    let signal = pointer!(task, task_signal);
    !signal.is_null() && field!(signal, signal_flags: u32) & SIGNAL_GROUP_EXIT != 0
}

/// [`GROUP_DEAD`] if all threads of the process of a task have started to exit.
#[inline(always)]
pub(crate) fn group_dead(task: *const Kernel) -> u16 {
    let signal = pointer!(task, task_signal);
    if !signal.is_null() && field!(signal, signal_live: u32) == 0 {
        GROUP_DEAD
    } else {
        0
    }
}
