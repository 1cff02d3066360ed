use core::ptr;

use aya_ebpf::{
    helpers::{bpf_get_smp_processor_id, bpf_ktime_get_ns, generated},
    macros::btf_tracepoint,
    programs::BtfTracePointContext,
};
use collector_ebpf::{
    CPU_STATES, CPUS_PER_RUN, CPUS_SKIPPED_PER_RUN, CpuCounters, CpuOffsets, CpuReading,
    IDLE_IN_CPUSTAT, IDLE_IN_TICK_SCHED, NO_SLOT,
};

use crate::{
    field::{FIELD_OFFSETS, Kernel, frozen, load_by_helper},
    maps::{CPU_TIMES, CPUS},
    record::slot_of,
};

/// The offsets of fields that only this program reads.
#[unsafe(no_mangle)]
static CPU_OFFSETS: CpuOffsets = CpuOffsets::UNKNOWN;

/// The value of a field; the default of its type if the kernel has no such
/// field.
macro_rules! read {
    ($base:expr, $offsets:ident.$name:ident: $type:ty) => {
        load_by_helper::<$type>($base, frozen(&$offsets.$name))
    };
}

/// Copies the kernel's accounting of the CPUs to `CPU_TIMES`, starting at the
/// CPU number in the first argument. Returns the CPU at which the next run is to
/// continue.
///
/// It is not attached: user space runs it by `BPF_PROG_TEST_RUN`, which raw
/// tracepoint programs support since 5.10:
/// <https://git.kernel.org/torvalds/c/1b4d60ec162f>
#[unsafe(no_mangle)]
#[unsafe(link_section = "raw_tp/read_cpus")]
extern "C" fn read_cpus(ctx: *const u64) -> i32 {
    // SAFETY: user space passes the arguments of a tracepoint.
    let first = unsafe { *ctx } as u32;
    store_rq_of_this_cpu();
    let mut cpu = first_known_cpu(first);
    for _ in 0..CPUS_PER_RUN {
        let Some(reading) = CPU_TIMES.get_ptr_mut(cpu) else {
            break;
        };
        let Some(counters) = CPUS.get_ptr_mut(cpu) else {
            break;
        };
        // SAFETY: the pointers are to elements. User space runs one instance of
        // this program at a time, and `task_newtask` writes another field. The
        // CPU may write its counters meanwhile: `Version` detects that.
        let (reading, counters) = unsafe { (&mut *reading, &(*counters).counters) };
        if reading.rq == 0 && counters.task != 0 {
            reading.rq = rq_of(counters.task as *const Kernel, cpu);
        }
        // If it is 0, the CPU has not run a task yet.
        if reading.rq != 0 {
            read_cpu(reading, counters);
        }
        cpu = cpu.wrapping_add(1);
    }
    cpu.cast_signed()
}

/// The first CPU from this one on that was ever online, or the one after
/// [`CPUS_SKIPPED_PER_RUN`].
#[inline(always)]
fn first_known_cpu(first: u32) -> u32 {
    for step in 0..CPUS_SKIPPED_PER_RUN {
        let cpu = first.wrapping_add(step);
        let (Some(reading), Some(counters)) = (CPU_TIMES.get_ptr(cpu), CPUS.get_ptr(cpu)) else {
            return cpu;
        };
        // SAFETY: the pointers are to elements.
        if unsafe { (*reading).rq != 0 || (*counters).counters.task != 0 } {
            return cpu;
        }
    }
    first.wrapping_add(CPUS_SKIPPED_PER_RUN)
}

/// A task was created. `copy_process` of `kernel/fork.c` increments
/// `total_forks` just before this tracepoint.
#[btf_tracepoint(function = "task_newtask")]
pub(crate) fn task_newtask(_ctx: BtfTracePointContext) -> i32 {
    // SAFETY: the helper has no precondition.
    if let Some(reading) = CPU_TIMES.get_ptr_mut(unsafe { bpf_get_smp_processor_id() }) {
        // SAFETY: the pointer is to this CPU's element, and only this program
        // writes the field; the kernel does not re-enter it.
        unsafe { (*reading).forks += 1 };
    }
    0
}

/// Stores the address of the run queue of the CPU that this runs on.
#[inline(always)]
fn store_rq_of_this_cpu() {
    // SAFETY: the helpers have no precondition.
    let (cpu, task) = unsafe {
        (
            bpf_get_smp_processor_id(),
            generated::bpf_get_current_task() as *const Kernel,
        )
    };
    if let Some(reading) = CPU_TIMES.get_ptr_mut(cpu) {
        // SAFETY: the pointer is to an element.
        let reading = unsafe { &mut *reading };
        if reading.rq == 0 {
            reading.rq = rq_of(task, cpu);
        }
    }
}

/// The address of the run queue of the CPU that a task is on; 0 if the task is
/// on another CPU by now.
///
/// Without `CONFIG_KALLSYMS_ALL`, no helper gives the address of a per-CPU
/// variable. But each task has a pointer to its `cfs_rq`, and that one to the
/// `rq`.
#[inline(always)]
fn rq_of(task: *const Kernel, cpu: u32) -> u64 {
    let cfs_rq = read!(task, CPU_OFFSETS.task_cfs_rq: u64) as *const Kernel;
    let rq = read!(cfs_rq, CPU_OFFSETS.cfs_rq_rq: u64);
    if rq != 0 && read!(rq as *const Kernel, CPU_OFFSETS.rq_cpu: u32) == cpu {
        rq
    } else {
        0
    }
}

/// Another per-CPU variable of the CPU whose run queue this is.
#[inline(always)]
fn per_cpu_variable(rq: u64, distance: u32) -> *const Kernel {
    rq.wrapping_add_signed(i64::from(distance.cast_signed())) as *const Kernel
}

/// Fields that change when the accounting of a CPU changes: its current task and
/// the time up to which that was charged, its clock, and whether it is idle.
#[derive(Clone, Copy)]
struct Version {
    current: u64,
    since_ns: u64,
    exec_start_ns: u64,
    clock_ns: u64,
    idle_entrytime_ns: u64,
    idle_sequence: u32,
    is_idle: u32,
}

impl Version {
    #[inline(always)]
    fn of(counters: &CpuCounters, rq: *const Kernel, idle: *const Kernel) -> Self {
        let current = read!(rq, CPU_OFFSETS.rq_curr: u64);
        let mut version = Self {
            current,
            // SAFETY: a reference is valid for reads; the field changes while
            // the program runs.
            since_ns: unsafe { ptr::read_volatile(&raw const counters.since_ns) },
            exec_start_ns: read!(
                current as *const Kernel,
                CPU_OFFSETS.task_exec_start: u64
            ),
            clock_ns: read!(rq, CPU_OFFSETS.rq_clock: u64),
            idle_entrytime_ns: 0,
            idle_sequence: 0,
            is_idle: 0,
        };
        if !idle.is_null() {
            version.idle_entrytime_ns = read!(idle, CPU_OFFSETS.idle_entrytime: u64);
            version.idle_sequence = read!(idle, CPU_OFFSETS.idle_sequence: u32);
            version.is_idle = u32::from(read!(idle, CPU_OFFSETS.idle_active: u8))
                & frozen(&CPU_OFFSETS.idle_active_mask);
        }
        version
    }

    /// 1 if nothing has changed, and nothing was being changed.
    #[inline(always)]
    fn is_same_as(&self, later: &Self) -> u32 {
        let changed = (self.current ^ later.current)
            | (self.since_ns ^ later.since_ns)
            | (self.exec_start_ns ^ later.exec_start_ns)
            | (self.clock_ns ^ later.clock_ns)
            | (self.idle_entrytime_ns ^ later.idle_entrytime_ns)
            | u64::from(self.idle_sequence ^ later.idle_sequence)
            | u64::from(self.is_idle ^ later.is_idle)
            // A sequence counter is odd while it is being written.
            | u64::from(self.idle_sequence & 1);
        u32::from(changed == 0)
    }
}

/// Reads one CPU.
#[inline(always)]
fn read_cpu(reading: &mut CpuReading, counters: &CpuCounters) {
    let rq = reading.rq as *const Kernel;
    let cpustat = per_cpu_variable(reading.rq, frozen(&CPU_OFFSETS.cpustat_from_rq));
    let idle = match frozen(&CPU_OFFSETS.idle_in) {
        IDLE_IN_TICK_SCHED => per_cpu_variable(reading.rq, frozen(&CPU_OFFSETS.tick_sched_from_rq)),
        IDLE_IN_CPUSTAT => cpustat,
        _ => ptr::null(),
    };
    let version = Version::of(counters, rq, idle);
    // SAFETY: the destination has the size of the states; the helper checks
    // the source.
    unsafe {
        generated::bpf_probe_read_kernel(
            (&raw mut reading.cpustat).cast(),
            (CPU_STATES * size_of::<u64>()) as u32,
            cpustat
                .byte_add(frozen(&CPU_OFFSETS.cpustat) as usize)
                .cast(),
        );
    }
    reading.nr_running = read!(rq, CPU_OFFSETS.rq_nr_running: u32);
    reading.nr_iowait = read!(rq, CPU_OFFSETS.rq_nr_iowait: u32);
    reading.switches = read!(rq, CPU_OFFSETS.rq_nr_switches: u64);
    reading.is_online = read!(rq, CPU_OFFSETS.rq_online: u32);
    reading.clock_ns = version.clock_ns;
    reading.clock_task_ns = read!(rq, CPU_OFFSETS.rq_clock_task: u64);
    reading.idle_entrytime_ns = version.idle_entrytime_ns;
    reading.is_idle = version.is_idle;
    if !idle.is_null() {
        reading.is_nohz =
            u32::from(read!(idle, CPU_OFFSETS.nohz: u8)) & frozen(&CPU_OFFSETS.nohz_mask);
        reading.idle_sleeptime_ns = read!(idle, CPU_OFFSETS.idle_sleeptime: u64);
        reading.iowait_sleeptime_ns = read!(idle, CPU_OFFSETS.iowait_sleeptime: u64);
        reading.idle_stealtime_ns = read!(idle, CPU_OFFSETS.idle_stealtime: [u64; 2]);
    }
    read_current_task(reading, counters, &version);
    // SAFETY: the helper has no precondition. It also orders the reads above
    // before those below.
    reading.at_ns = unsafe { bpf_ktime_get_ns() };
    reading.is_consistent = version.is_same_as(&Version::of(counters, rq, idle));
}

/// Reads the current task of the CPU, which may be another than the switch
/// program has stored.
#[inline(always)]
fn read_current_task(reading: &mut CpuReading, counters: &CpuCounters, version: &Version) {
    let task = version.current as *const Kernel;
    reading.switched_in_ns = version.since_ns;
    reading.switched_in_task = counters.task;
    reading.task = version.current;
    reading.tid = read!(task, FIELD_OFFSETS.task_pid: u32);
    reading.slot = NO_SLOT;
    if reading.tid == 0 {
        return;
    }
    reading.exec_start_ns = version.exec_start_ns;
    reading.cpu_ns = read!(task, FIELD_OFFSETS.task_cpu_ns: u64);
    reading.user_ns = read!(task, FIELD_OFFSETS.task_utime: u64);
    reading.system_ns = read!(task, FIELD_OFFSETS.task_stime: u64);
    reading.runqueue_ns = read!(task, FIELD_OFFSETS.task_run_delay: u64);
    reading.minor_faults = read!(task, FIELD_OFFSETS.task_min_flt: u64);
    reading.major_faults = read!(task, FIELD_OFFSETS.task_maj_flt: u64);
    reading.slot = slot_of(task, reading.tid);
}
