use aya::{
    Btf as AyaBtf, Ebpf,
    maps::{HashMap, MapData, Queue, RingBuf},
};
use collector_ebpf::{Cpu, CpuOffsets, TOUCHED_PAGE, Thread};
use rustix::time::{ClockId, clock_gettime};

use super::{
    LoadError, LoadOptions, LoadReport, ProgramState, cpu_reader::CpuReader, debug_log::DebugLog,
    known::Known, mapped::MappedArray, missed_runs::MissedRuns, offsets::KernelOffsets,
    preemptions::Preemptions, read_cpus,
};

mod attach;
mod fields;
mod kernel;
mod maps;
mod object;
mod programs;
mod refusal;
mod sizes;

pub(super) use attach::program_of;
use attach::{Attacher, pretend};
pub(super) use programs::{RUN_DELAY, WAKEUPS};
pub(super) use refusal::{refused, with_causes};
pub(super) use sizes::{Sizes, pid_max};

/// Loaded and attached, with the maps ready to be read.
pub(super) struct Loaded {
    pub(super) ebpf: Ebpf,
    pub(super) cpus: MappedArray<Cpu>,
    pub(super) threads: MappedArray<Thread>,
    pub(super) touched: MappedArray<[u8; TOUCHED_PAGE]>,
    pub(super) thread_of: HashMap<MapData, u64, u32>,
    pub(super) free: Queue<MapData, u32>,
    pub(super) events: RingBuf<MapData>,
    pub(super) preemptions: Preemptions,
    pub(super) cpu_reader: Option<CpuReader>,
    pub(super) known: Known,
    /// When that was, in nanoseconds since boot: as the programs know it.
    pub(super) loaded_at_ns: u64,
    pub(super) report: LoadReport,
    pub(super) debug_log: Option<DebugLog>,
}

/// Loads and attaches all that this kernel takes.
pub(super) fn load(options: &LoadOptions) -> Result<Loaded, LoadError> {
    kernel::check_rights()?;
    let btf = kernel::btf()?;
    let offsets = KernelOffsets::resolve(&btf, &options.pretend_missing)?;
    kernel::check_sched_switch(&btf)?;
    let sizes = Sizes::of_this_host()?.or_as_asked(options);
    let cpu_offsets = pretend(programs::READER.0, options).and_then(|()| read_cpus::prepare(&btf));
    drop(btf);

    let now = clock_gettime(ClockId::Boottime);
    let loaded_at_ns = now.tv_sec as u64 * 1_000_000_000 + now.tv_nsec as u64;
    let mut ebpf = object::load(
        options,
        sizes,
        &offsets,
        cpu_offsets.as_ref().unwrap_or(&CpuOffsets::UNKNOWN),
        loaded_at_ns,
    )?;
    maps::check_sizes(&ebpf)?;
    let debug_log = DebugLog::of(&mut ebpf);
    // The programs take records from there as soon as they are attached.
    let free = maps::free(&mut ebpf, sizes.threads)?;
    let kernel_btf =
        AyaBtf::from_sys_fs().map_err(|error| LoadError::Other(with_causes(&error)))?;
    let mut attacher = Attacher {
        ebpf: &mut ebpf,
        btf: &kernel_btf,
        options,
        reports: Vec::new(),
    };
    attacher.tracepoints(offsets.has(RUN_DELAY));
    attacher.iterator();
    attacher.check_needed()?;
    let reader = attacher.reader(cpu_offsets);
    let reports = attacher.reports;
    drop(kernel_btf);

    let is_attached = |name: &str| {
        reports
            .iter()
            .any(|program| program.name == name && program.state == ProgramState::Attached)
    };
    let known = Known::of(&offsets, is_attached);
    let readings = maps::array(&mut ebpf, "CPU_TIMES")?;
    let cpu_reader = match reader {
        Some((idle_in, counts_forks)) => {
            let readings = maps::mapped(readings, sizes.cpus)?;
            let missed_runs = MissedRuns::of(&ebpf, programs::FORKS.0);
            Some(CpuReader::new(readings, idle_in, counts_forks, missed_runs))
        }
        None => None,
    };
    Ok(Loaded {
        cpu_reader,
        cpus: maps::mapped(maps::array(&mut ebpf, "CPUS")?, sizes.cpus)?,
        threads: maps::mapped(maps::array(&mut ebpf, "THREADS")?, sizes.threads)?,
        touched: maps::mapped(maps::array(&mut ebpf, "TOUCHED")?, sizes.touched_pages())?,
        thread_of: maps::take(&mut ebpf, "THREAD_OF")?,
        events: maps::take(&mut ebpf, "EVENTS")?,
        preemptions: Preemptions::new(
            maps::take(&mut ebpf, "PREEMPTIONS")?,
            maps::take(&mut ebpf, "OTHER_PREEMPTIONS")?,
        ),
        free,
        debug_log,
        known,
        loaded_at_ns,
        report: LoadReport {
            programs: reports,
            missing_fields: offsets.missing,
            facts: sizes.facts(),
        },
        ebpf,
    })
}
