use std::os::fd::{AsFd as _, AsRawFd as _, OwnedFd};

use aya::Ebpf;
use aya_obj::generated::{bpf_attr, bpf_cmd, bpf_prog_info};

/// The number of times that the kernel skipped a program (`recursion_misses`).
///
/// Since Linux 7.0 a tracepoint program may be preempted
/// ([`a46023d5616e`](https://git.kernel.org/torvalds/c/a46023d5616e)). If the
/// tracepoint fires again on the same CPU meanwhile, the kernel does not run the
/// program recursively, but skips it and counts that (`__bpf_trace_run` of
/// `kernel/trace/bpf_trace.c`).
///
/// The program on `sched_switch` is never skipped: there interrupts are
/// disabled.
///
/// # Minimum kernel version
///
/// 5.12: <https://git.kernel.org/torvalds/c/9ed9e9ba2337>
#[derive(Debug)]
pub(crate) struct MissedRuns {
    program: OwnedFd,
    count: u64,
}

impl MissedRuns {
    /// Those of a loaded program; `None` if it is not loaded, or if the kernel
    /// does not report the number.
    pub(in crate::source::bpf) fn of(ebpf: &Ebpf, name: &str) -> Option<Self> {
        let program = ebpf.program(name)?.fd().ok()?;
        let program = program.as_fd().try_clone_to_owned().ok()?;
        let count = count(&program)?;
        Some(Self { program, count })
    }

    /// The number up to now. One system call, no file.
    pub(crate) fn count(&mut self) -> u64 {
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
    // SAFETY: the kernel sets the length of the part of the structure that it
    // has filled in.
    let known = unsafe { attributes.info.info_len } as usize;
    let needed = std::mem::offset_of!(bpf_prog_info, recursion_misses) + size_of::<u64>();
    (result == 0 && known >= needed).then_some(info.recursion_misses)
}
