//! The programs, loaded and attached, and what came of each.

use aya::{
    Btf as AyaBtf, Ebpf,
    programs::{BtfTracePoint, Iter, Program, ProgramError},
};
use collector_ebpf::CpuOffsets;

use super::{
    super::{LoadError, LoadOptions, ProgramReport, ProgramState, read_cpus},
    programs::{FORKS, ITERATOR, READER, TRACEPOINTS, WAKEUPS},
    refusal::refused,
};

/// Loads and attaches each program on its own, so that one that the kernel
/// refuses turns off only what it feeds.
pub(super) struct Attacher<'a> {
    pub(super) ebpf: &'a mut Ebpf,
    pub(super) btf: &'a AyaBtf,
    pub(super) options: &'a LoadOptions,
    /// A row a program, in the order in which they were tried.
    pub(super) reports: Vec<ProgramReport>,
}

/// A program of the object, of the type that it has there.
pub(in crate::source::ebpf) fn program_of<'e, P>(
    ebpf: &'e mut Ebpf,
    name: &str,
) -> Result<P, String>
where
    P: TryFrom<&'e mut Program, Error = ProgramError>,
{
    let program = ebpf.program_mut(name).ok_or("it is not in the object")?;
    program
        .try_into()
        .map_err(|error: ProgramError| error.to_string())
}

impl Attacher<'_> {
    /// The programs on tracepoints. Where the kernel counts the waits of each
    /// task, there is no need to watch the wakeups.
    pub(super) fn tracepoints(&mut self, counts_waits: bool) {
        for (name, feeds) in TRACEPOINTS {
            if counts_waits && WAKEUPS.contains(&name) {
                let reason = "this kernel counts the waits of each task itself";
                self.unneeded(name, hook(name), feeds, reason);
                continue;
            }
            let result = self.attach(name);
            self.report(name, hook(name), feeds, result);
        }
    }

    /// The iterator, which is attached for each pass.
    pub(super) fn iterator(&mut self) {
        let (name, feeds) = ITERATOR;
        let result = self.load_iterator(name);
        self.report(name, "iter/task".to_owned(), feeds, result);
    }

    fn load_iterator(&mut self, name: &str) -> Result<(), String> {
        pretend(name, self.options)?;
        let program: &mut Iter = program_of(self.ebpf, name)?;
        program
            .load("task", self.btf)
            .map_err(|error| refused(&error))
    }

    /// Whether those run without which nothing works.
    pub(super) fn check_needed(&self) -> Result<(), LoadError> {
        for needed in [TRACEPOINTS[0].0, ITERATOR.0] {
            for program in &self.reports {
                if program.name == needed
                    && let ProgramState::Off { reason, .. } = &program.state
                {
                    return Err(LoadError::Program {
                        name: needed,
                        reason: reason.clone(),
                    });
                }
            }
        }
        Ok(())
    }

    /// Loads the program that reads the CPUs, and the one that counts tasks for
    /// it. Returns where the idle time is, if the first can be run, and whether
    /// the second is.
    pub(super) fn reader(&mut self, offsets: Result<CpuOffsets, String>) -> Option<(u32, bool)> {
        let loaded = offsets.and_then(|offsets| {
            read_cpus::load(self.ebpf)?;
            Ok(offsets.idle_in)
        });
        let idle_in = loaded.as_ref().ok().copied();
        let (name, feeds) = READER;
        let result = loaded.map(|_idle_in| ());
        self.report(name, format!("raw_tp/{name}"), feeds, result);
        let (name, feeds) = FORKS;
        let Some(idle_in) = idle_in else {
            let reason = "/proc/stat tells how many tasks were made";
            self.unneeded(name, hook(name), feeds, reason);
            return None;
        };
        let result = self.attach(name);
        let counts_forks = result.is_ok();
        self.report(name, hook(name), feeds, result);
        Some((idle_in, counts_forks))
    }

    /// Loads a program and attaches it to the tracepoint of the same name.
    fn attach(&mut self, name: &str) -> Result<(), String> {
        pretend(name, self.options)?;
        let program: &mut BtfTracePoint = program_of(self.ebpf, name)?;
        program
            .load(name, self.btf)
            .map_err(|error| refused(&error))?;
        program.attach().map_err(|error| refused(&error))?;
        Ok(())
    }

    fn unneeded(
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

    fn report(
        &mut self,
        name: &'static str,
        hook: String,
        feeds: &'static str,
        result: Result<(), String>,
    ) {
        let state = match result {
            Ok(()) => ProgramState::Attached,
            Err(reason) => ProgramState::Off {
                reason,
                advice: "use a kernel that has this hook; the rest works".to_owned(),
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

/// Treats a program as if the kernel did not take it, if that was asked for.
pub(super) fn pretend(name: &str, options: &LoadOptions) -> Result<(), String> {
    if options
        .pretend_missing
        .iter()
        .any(|missing| missing == name)
    {
        return Err("it was asked for to be left out".to_owned());
    }
    Ok(())
}
