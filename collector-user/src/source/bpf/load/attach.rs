//! Loading and attaching each program, with a report of the result.

use aya::{
    Btf as AyaBtf, Ebpf,
    programs::{BtfTracePoint, Iter, Program, ProgramError},
};
use collector_ebpf::CpuOffsets;

use super::{
    super::cpu_times::{self, CpuTimesError},
    LoadError, LoadOptions, ProgramReport, ProgramState, Refusal,
    programs::{ALL_TASKS, READ_CPUS, TASK_NEWTASK, TRACEPOINTS, WAKEUPS},
};

/// Loads and attaches each program on its own, so that a program that the kernel
/// refuses turns off only what it feeds.
pub(super) struct Attacher<'a> {
    pub(super) ebpf: &'a mut Ebpf,
    pub(super) btf: &'a AyaBtf,
    pub(super) options: &'a LoadOptions,
    /// One row per program, in the order of loading.
    pub(super) reports: Vec<ProgramReport>,
}

/// The loaded program `read_cpus`.
pub(super) struct AttachedReadCpus {
    /// [`CpuOffsets::idle_in`].
    pub(super) idle_in: u32,
    /// Whether the program that counts forks for it is attached.
    pub(super) counts_forks: bool,
}

/// A program of the object, as a program of its type.
pub(in crate::source::bpf) fn program_of<'e, P>(
    ebpf: &'e mut Ebpf,
    name: &str,
) -> Result<P, Refusal>
where
    P: TryFrom<&'e mut Program, Error = ProgramError>,
{
    let program = ebpf.program_mut(name).ok_or(Refusal::NotInObject)?;
    Ok(program.try_into()?)
}

impl Attacher<'_> {
    /// The programs on tracepoints. `has_run_delay` if the kernel counts the
    /// run-queue wait of each task, so that the wakeup tracepoints are not
    /// needed.
    pub(super) fn tracepoints(&mut self, has_run_delay: bool) {
        for (name, feeds) in TRACEPOINTS {
            if has_run_delay && WAKEUPS.contains(&name) {
                let reason = "this kernel counts the run-queue wait of each task";
                self.not_needed(name, hook(name), feeds, reason);
                continue;
            }
            let result = self.attach(name);
            self.report(name, hook(name), feeds, result);
        }
    }

    /// The iterator, which is attached for each pass.
    pub(super) fn iterator(&mut self) {
        let (name, feeds) = ALL_TASKS;
        let result = self.load_iterator(name);
        self.report(name, "iter/task".to_owned(), feeds, result);
    }

    fn load_iterator(&mut self, name: &str) -> Result<(), Refusal> {
        check_not_excluded(name, self.options)?;
        let program: &mut Iter = program_of(self.ebpf, name)?;
        Ok(program.load("task", self.btf)?)
    }

    /// Whether the required programs are attached.
    pub(super) fn check_required(&self) -> Result<(), LoadError> {
        for required in [TRACEPOINTS[0].0, ALL_TASKS.0] {
            for program in &self.reports {
                if program.name == required
                    && let ProgramState::Off { reason, .. } = &program.state
                {
                    return Err(LoadError::Program {
                        name: required,
                        reason: reason.clone(),
                    });
                }
            }
        }
        Ok(())
    }

    /// Loads the program `read_cpus`, and attaches the one that counts forks for
    /// it. `None` if the first one cannot be run.
    pub(super) fn read_cpus(
        &mut self,
        offsets: Result<CpuOffsets, CpuTimesError>,
    ) -> Option<AttachedReadCpus> {
        let loaded = offsets.and_then(|offsets| {
            cpu_times::load(self.ebpf)?;
            Ok(offsets.idle_in)
        });
        let idle_in = loaded.as_ref().ok().copied();
        let (name, feeds) = READ_CPUS;
        let result = loaded.map(|_idle_in| ());
        self.report(name, format!("raw_tp/{name}"), feeds, result);
        let (name, feeds) = TASK_NEWTASK;
        let Some(idle_in) = idle_in else {
            let reason = "the number of forks is read from /proc/stat";
            self.not_needed(name, hook(name), feeds, reason);
            return None;
        };
        let result = self.attach(name);
        let counts_forks = result.is_ok();
        self.report(name, hook(name), feeds, result);
        Some(AttachedReadCpus {
            idle_in,
            counts_forks,
        })
    }

    /// Loads a program and attaches it to the tracepoint of the same name.
    fn attach(&mut self, name: &str) -> Result<(), Refusal> {
        check_not_excluded(name, self.options)?;
        let program: &mut BtfTracePoint = program_of(self.ebpf, name)?;
        program.load(name, self.btf)?;
        program.attach()?;
        Ok(())
    }

    fn not_needed(
        &mut self,
        name: &'static str,
        hook: String,
        feeds: &'static str,
        reason: &'static str,
    ) {
        self.reports.push(ProgramReport {
            name,
            hook,
            state: ProgramState::Unneeded { reason },
            feeds,
        });
    }

    fn report<E: std::error::Error>(
        &mut self,
        name: &'static str,
        hook: String,
        feeds: &'static str,
        result: Result<(), E>,
    ) {
        let state = match result {
            Ok(()) => ProgramState::Attached,
            Err(error) => ProgramState::Off {
                reason: error.to_string(),
                advice: "use a kernel that has this hook; the other programs work".to_owned(),
            },
        };
        self.reports.push(ProgramReport {
            name,
            hook,
            state,
            feeds,
        });
    }
}

/// The hook of a program on a tracepoint, as `doctor` shows it.
fn hook(name: &str) -> String {
    format!("tp_btf/{name}")
}

/// Whether a program is to be loaded, and not treated as missing.
pub(super) fn check_not_excluded(name: &str, options: &LoadOptions) -> Result<(), Refusal> {
    let mut excluded = options.pretend_missing.iter();
    if excluded.any(|excluded| excluded == name) {
        return Err(Refusal::Excluded);
    }
    Ok(())
}
