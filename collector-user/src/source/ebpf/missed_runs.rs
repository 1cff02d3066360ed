use std::os::fd::{AsFd as _, AsRawFd as _, OwnedFd};

use aya::Ebpf;
use aya_obj::generated::{bpf_attr, bpf_cmd, bpf_prog_info};

/// How often the kernel left out a run of a program.
///
/// Since Linux 7.0 a task may be preempted in the midst of a program on a
/// tracepoint ([`a46023d5616e`](https://git.kernel.org/torvalds/c/a46023d5616e)).
/// If what runs then on the same CPU comes by the same tracepoint, the program
/// is not run once more within itself: the kernel counts that, and goes on
/// (`__bpf_trace_run` of `kernel/trace/bpf_trace.c`).
///
/// The program on `sched_switch` is never left out: there interrupts are off.
///
/// # Minimum kernel version
///
/// 5.12: <https://git.kernel.org/torvalds/c/9ed9e9ba2337>
#[derive(Debug)]
pub(super) struct MissedRuns {
    program: OwnedFd,
    count: u64,
}

impl MissedRuns {
    /// Of a program that is loaded; `None` if it is not, or if the kernel
    /// does not tell.
    pub(super) fn of(ebpf: &Ebpf, name: &str) -> Option<Self> {
        let program = ebpf.program(name)?.fd().ok()?;
        let program = program.as_fd().try_clone_to_owned().ok()?;
        let count = count(&program)?;
        Some(Self { program, count })
    }

    /// How many by now. One system call, no file.
    pub(super) fn count(&mut self) -> u64 {
        if let Some(count) = count(&self.program) {
            self.count = count;
        }
        self.count
    }
}

fn count(program: &OwnedFd) -> Option<u64> {
    // SAFETY: all zeros is a value of this structure of integers.
    let mut info: bpf_prog_info = unsafe { std::mem::zeroed() };
    // SAFETY: all zeros is a value of this union of integers.
    let mut attributes: bpf_attr = unsafe { std::mem::zeroed() };
    attributes.info.bpf_fd = program.as_raw_fd() as u32;
    attributes.info.info_len = size_of::<bpf_prog_info>() as u32;
    attributes.info.info = (&raw mut info).addr() as u64;
    // SAFETY: the kernel writes no more than `info_len` bytes to `info`, and as
    // many to `attributes` as it has.
    let result = unsafe {
        libc::syscall(
            libc::SYS_bpf,
            bpf_cmd::BPF_OBJ_GET_INFO_BY_FD,
            &raw mut attributes,
            size_of::<bpf_attr>(),
        )
    };
    // SAFETY: the kernel leaves the length of what it knows of the structure.
    let known = unsafe { attributes.info.info_len } as usize;
    let needed = std::mem::offset_of!(bpf_prog_info, recursion_misses) + size_of::<u64>();
    (result == 0 && known >= needed).then_some(info.recursion_misses)
}
