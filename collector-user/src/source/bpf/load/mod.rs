//! Loading and attaching the programs.
//!
//! The rights are checked first; then the offsets of the fields are found in the
//! kernel's [BTF](btf) and written into the [object](object), whose maps get
//! their [sizes]; then each program is loaded and [attached](attach) on its own.

mod attach;
mod available;
mod btf;
mod error;
mod fields;
mod kernel;
mod maps;
mod object;
mod offsets;
mod options;
mod programs;
mod refusal;
mod report;
mod rights;
mod sizes;

use aya::Btf as AyaBtf;
use collector_ebpf::CpuOffsets;
use rustix::time::{ClockId, clock_gettime};

pub(super) use attach::program_of;
use attach::{Attacher, check_not_excluded};
pub(super) use btf::Btf;
pub use btf::BtfError;
pub use error::LoadError;
pub use fields::{InstructionError, PlaceholderError};
use offsets::KernelOffsets;
pub use options::LoadOptions;
pub(super) use refusal::{Refusal, with_causes};
pub use report::{LoadReport, MissingField, ProgramReport, ProgramState};
pub use rights::Rights;
use sizes::Sizes;
pub(crate) use sizes::pid_max;
pub use sizes::{PossibleCpusError, map_bytes};

use super::{
    CpuRecords, CpuTimesReader, EventRing, MissedRuns, PreemptionCounts, Programs, ThreadRecords,
    cpu_times::{self, CpuTimesError},
    events::DebugLog,
    maps::DirtyBytes,
};
use crate::accounting::AvailableFields;

/// The loaded and attached programs, and what they provide.
pub(crate) struct Loaded {
    pub(crate) programs: Programs,
    pub(crate) available: AvailableFields,
    /// When they were loaded, by `CLOCK_BOOTTIME`.
    pub(crate) loaded_at_ns: u64,
    pub(crate) report: LoadReport,
}

/// Loads and attaches the programs that this kernel supports.
pub(crate) fn load(options: &LoadOptions) -> Result<Loaded, LoadError> {
    kernel::check_rights()?;
    let btf = kernel::btf()?;
    let offsets = KernelOffsets::resolve(&btf, &options.pretend_missing)?;
    kernel::check_sched_switch(&btf)?;
    let sizes = Sizes::of_this_host()?.with_options(options);
    let cpu_offsets = check_not_excluded(programs::READ_CPUS.0, options)
        .map_err(CpuTimesError::from)
        .and_then(|()| cpu_times::prepare(&btf));
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
    // The programs take free slots as soon as they are attached.
    let free_slots = maps::free_slots(&mut ebpf, sizes.threads)?;
    let kernel_btf = AyaBtf::from_sys_fs().map_err(LoadError::AyaBtf)?;
    let mut attacher = Attacher {
        ebpf: &mut ebpf,
        btf: &kernel_btf,
        options,
        reports: Vec::new(),
    };
    attacher.tracepoints(offsets.has(programs::RUN_DELAY));
    attacher.iterator();
    attacher.check_required()?;
    let read_cpus = attacher.read_cpus(cpu_offsets);
    let reports = attacher.reports;
    drop(kernel_btf);

    let readings = maps::array(&mut ebpf, "CPU_TIMES")?;
    let cpu_times = match read_cpus {
        Some(attached) => Some(CpuTimesReader::new(
            maps::mapped(readings, sizes.cpus)?,
            attached.idle_in,
            attached.counts_forks,
            MissedRuns::of(&ebpf, programs::TASK_NEWTASK.0),
        )),
        None => None,
    };
    let threads = ThreadRecords {
        records: maps::mapped(maps::array(&mut ebpf, "THREADS")?, sizes.threads)?,
        dirty: DirtyBytes::new(maps::mapped(
            maps::array(&mut ebpf, "DIRTY")?,
            sizes.dirty_pages(),
        )?),
        task_to_slot: maps::take(&mut ebpf, "TASK_TO_SLOT")?,
        free_slots,
    };
    let programs = Programs {
        cpus: CpuRecords::new(maps::mapped(maps::array(&mut ebpf, "CPUS")?, sizes.cpus)?),
        threads,
        events: EventRing {
            ring: maps::take(&mut ebpf, "EVENTS")?,
        },
        preemptions: PreemptionCounts {
            pairs: maps::take(&mut ebpf, "PREEMPTIONS")?,
            others: maps::take(&mut ebpf, "OTHER_PREEMPTIONS")?,
        },
        missed_execs: MissedRuns::of(&ebpf, "sched_process_exec"),
        missed_moves: MissedRuns::of(&ebpf, "cgroup_attach_task"),
        cpu_times,
        debug_log,
        ebpf,
    };
    Ok(Loaded {
        programs,
        available: available::fields(&offsets, &reports),
        loaded_at_ns,
        report: LoadReport {
            programs: reports,
            missing_fields: offsets.missing,
            facts: sizes.facts(),
        },
    })
}
