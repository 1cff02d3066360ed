use core::ptr;

use aya_ebpf::{
    helpers::{bpf_get_smp_processor_id, bpf_ktime_get_ns, generated},
    macros::btf_tracepoint,
    programs::BtfTracePointContext,
};
use collector_ebpf::{
    CPU_STATES, CPUS_A_RUN, CPUS_PASSED_OVER, CpuCounters, CpuOffsets, CpuReading, IDLE_IN_CPUSTAT,
    IDLE_IN_TICK_SCHED, NO_THREAD,
};

use crate::{
    field::{FIELD_OFFSETS, Kernel, frozen, load_by_helper},
    maps::{CPU_TIMES, CPUS},
    record::thread_of,
};

/// Where the fields are of the structures that only this program reads.
#[unsafe(no_mangle)]
static CPU_OFFSETS: CpuOffsets = CpuOffsets::UNKNOWN;

/// The value of a field at an address; the default of its type where the
/// kernel has no such field.
macro_rules! read {
    ($base:expr, $offsets:ident.$name:ident: $type:ty) => {
        load_by_helper::<$type>($base, frozen(&$offsets.$name))
    };
}

/// Copies what the kernel knows of each CPU to `CPU_TIMES`, from the one
/// whose number is the first argument. Returns the number of the one from
/// which the next run is to go on.
///
/// Is attached to nothing: user space runs it by `BPF_PROG_TEST_RUN`, which
/// raw tracepoint programs take since 5.10:
/// <https://git.kernel.org/torvalds/c/1b4d60ec162f>
#[unsafe(no_mangle)]
#[unsafe(link_section = "raw_tp/read_cpus")]
extern "C" fn read_cpus(ctx: *const u64) -> i32 {
    // SAFETY: user space passes the arguments of a tracepoint.
    let first = unsafe { *ctx } as u32;
    note_this_cpu();
    let mut cpu = first_that_was_there(first);
    for _ in 0..CPUS_A_RUN {
        let Some(reading) = CPU_TIMES.get_ptr_mut(cpu) else {
            break;
        };
        let Some(noted) = CPUS.get_ptr_mut(cpu) else {
            break;
        };
        // SAFETY: the pointers are to elements. User space runs this program
        // once at a time, and `task_newtask` writes another field. The CPU may
        // write to what it has noted meanwhile: `Version` tells if it did.
        let (reading, noted) = unsafe { (&mut *reading, &(*noted).counters) };
        if reading.queue == 0 && noted.task != 0 {
            reading.queue = queue_of(noted.task as *const Kernel, cpu);
        }
        // Else it has not run anything yet.
        if reading.queue != 0 {
            read_cpu(reading, noted);
        }
        cpu = cpu.wrapping_add(1);
    }
    cpu.cast_signed()
}

/// The first CPU from this one on that was ever there, or one as far on as a
/// run may pass over.
#[inline(always)]
fn first_that_was_there(first: u32) -> u32 {
    for step in 0..CPUS_PASSED_OVER {
        let cpu = first.wrapping_add(step);
        let (Some(reading), Some(noted)) = (CPU_TIMES.get_ptr(cpu), CPUS.get_ptr(cpu)) else {
            return cpu;
        };
        // SAFETY: the pointers are to elements.
        if unsafe { (*reading).queue != 0 || (*noted).counters.task != 0 } {
            return cpu;
        }
    }
    first.wrapping_add(CPUS_PASSED_OVER)
}

/// A task was made: counted where `copy_process` of `kernel/fork.c` counts it
/// in `total_forks`, just before this tracepoint.
#[btf_tracepoint(function = "task_newtask")]
pub(crate) fn task_newtask(_ctx: BtfTracePointContext) -> i32 {
    // SAFETY: the helper has no precondition.
    if let Some(reading) = CPU_TIMES.get_ptr_mut(unsafe { bpf_get_smp_processor_id() }) {
        // SAFETY: the pointer is to this CPU's element, and only this program
        // writes the field; the kernel does not run it within itself.
        unsafe { (*reading).forks += 1 };
    }
    0
}

/// Notes where the run queue is of the CPU that this runs on.
#[inline(always)]
fn note_this_cpu() {
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
        if reading.queue == 0 {
            reading.queue = queue_of(task, cpu);
        }
    }
}

/// The run queue of the CPU that a task has; 0 if it has another by now.
///
/// No helper tells where the variables of a CPU are if the kernel has no
/// symbols for data (`CONFIG_KALLSYMS_ALL`). But each task knows its queue
/// among those of its group, and that one the CPU's.
#[inline(always)]
fn queue_of(task: *const Kernel, cpu: u32) -> u64 {
    let group_queue = read!(task, CPU_OFFSETS.task_cfs_queue: u64) as *const Kernel;
    let queue = read!(group_queue, CPU_OFFSETS.cfs_queue: u64);
    if queue != 0 && read!(queue as *const Kernel, CPU_OFFSETS.rq_cpu: u32) == cpu {
        queue
    } else {
        0
    }
}

/// Another variable of the CPU whose run queue this is.
#[inline(always)]
fn beside(queue: u64, distance: u32) -> *const Kernel {
    queue.wrapping_add_signed(i64::from(distance.cast_signed())) as *const Kernel
}

/// What tells that a CPU changed: its current task or how far that was
/// charged, its clock, or whether it idles.
#[derive(Clone, Copy)]
struct Version {
    current: u64,
    since_ns: u64,
    charged_until_ns: u64,
    clock_ns: u64,
    idle_since_ns: u64,
    idle_sequence: u32,
    is_idle: u32,
}

impl Version {
    #[inline(always)]
    fn of(noted: &CpuCounters, queue: *const Kernel, idle: *const Kernel) -> Self {
        let current = read!(queue, CPU_OFFSETS.rq_current: u64);
        let mut version = Self {
            current,
            // SAFETY: a reference is valid for reads; this one changes while
            // the program runs.
            since_ns: unsafe { ptr::read_volatile(&raw const noted.since_ns) },
            charged_until_ns: read!(
                current as *const Kernel,
                CPU_OFFSETS.task_charged_until: u64
            ),
            clock_ns: read!(queue, CPU_OFFSETS.rq_clock: u64),
            idle_since_ns: 0,
            idle_sequence: 0,
            is_idle: 0,
        };
        if !idle.is_null() {
            version.idle_since_ns = read!(idle, CPU_OFFSETS.idle_entry: u64);
            version.idle_sequence = read!(idle, CPU_OFFSETS.idle_sequence: u32);
            version.is_idle = u32::from(read!(idle, CPU_OFFSETS.idle_active: u8))
                & frozen(&CPU_OFFSETS.idle_active_mask);
        }
        version
    }

    /// 1 if nothing has changed, and nothing was being changed.
    #[inline(always)]
    fn is_still(&self, later: &Self) -> u32 {
        let changed = (self.current ^ later.current)
            | (self.since_ns ^ later.since_ns)
            | (self.charged_until_ns ^ later.charged_until_ns)
            | (self.clock_ns ^ later.clock_ns)
            | (self.idle_since_ns ^ later.idle_since_ns)
            | u64::from(self.idle_sequence ^ later.idle_sequence)
            | u64::from(self.is_idle ^ later.is_idle)
            // A sequence is odd while its writer is at work.
            | u64::from(self.idle_sequence & 1);
        u32::from(changed == 0)
    }
}

/// Reads one CPU.
#[inline(always)]
fn read_cpu(reading: &mut CpuReading, noted: &CpuCounters) {
    let queue = reading.queue as *const Kernel;
    let cpustat = beside(reading.queue, frozen(&CPU_OFFSETS.cpustat_from_queue));
    let idle = match frozen(&CPU_OFFSETS.idle_in) {
        IDLE_IN_TICK_SCHED => beside(reading.queue, frozen(&CPU_OFFSETS.tick_from_queue)),
        IDLE_IN_CPUSTAT => cpustat,
        _ => ptr::null(),
    };
    let version = Version::of(noted, queue, idle);
    // SAFETY: the destination has the size of the states; the helper checks
    // the source.
    unsafe {
        generated::bpf_probe_read_kernel(
            (&raw mut reading.states).cast(),
            (CPU_STATES * size_of::<u64>()) as u32,
            cpustat
                .byte_add(frozen(&CPU_OFFSETS.states) as usize)
                .cast(),
        );
    }
    reading.running = read!(queue, CPU_OFFSETS.rq_running: u32);
    reading.waiting_for_io = read!(queue, CPU_OFFSETS.rq_waiting_for_io: u32);
    reading.switches = read!(queue, CPU_OFFSETS.rq_switches: u64);
    reading.is_online = read!(queue, CPU_OFFSETS.rq_online: u32);
    reading.clock_ns = version.clock_ns;
    reading.clock_task_ns = read!(queue, CPU_OFFSETS.rq_clock_task: u64);
    reading.idle_since_ns = version.idle_since_ns;
    reading.is_idle = version.is_idle;
    if !idle.is_null() {
        reading.is_tickless =
            u32::from(read!(idle, CPU_OFFSETS.tickless: u8)) & frozen(&CPU_OFFSETS.tickless_mask);
        reading.idle_slept_ns = read!(idle, CPU_OFFSETS.idle_slept: u64);
        reading.iowait_slept_ns = read!(idle, CPU_OFFSETS.iowait_slept: u64);
        reading.idle_stolen_ns = read!(idle, CPU_OFFSETS.idle_stolen: [u64; 2]);
    }
    read_current(reading, noted, &version);
    // SAFETY: the helper has no precondition. It also orders the reads above
    // before those below.
    reading.at_ns = unsafe { bpf_ktime_get_ns() };
    reading.is_whole = version.is_still(&Version::of(noted, queue, idle));
}

/// Reads the task that has the CPU, which may be another than the switch path
/// has noted.
#[inline(always)]
fn read_current(reading: &mut CpuReading, noted: &CpuCounters, version: &Version) {
    let task = version.current as *const Kernel;
    reading.noted_ns = version.since_ns;
    reading.noted_task = noted.task;
    reading.task = version.current;
    reading.tid = read!(task, FIELD_OFFSETS.task_pid: u32);
    reading.thread = NO_THREAD;
    if reading.tid == 0 {
        return;
    }
    reading.charged_until_ns = version.charged_until_ns;
    reading.cpu_ns = read!(task, FIELD_OFFSETS.task_cpu_ns: u64);
    reading.user_ns = read!(task, FIELD_OFFSETS.task_utime: u64);
    reading.system_ns = read!(task, FIELD_OFFSETS.task_stime: u64);
    reading.runqueue_ns = read!(task, FIELD_OFFSETS.task_run_delay: u64);
    reading.minor_faults = read!(task, FIELD_OFFSETS.task_min_flt: u64);
    reading.major_faults = read!(task, FIELD_OFFSETS.task_maj_flt: u64);
    reading.thread = thread_of(task, reading.tid);
}
