use collector::{
    agent::BackendChoice,
    source::ebpf::{LoadOptions, ProgramState, Scheduler},
};

use super::{Check, Patient, State, fine};

/// Loads and attaches the programs, and says how each did.
pub(super) fn checks(patient: &Patient) -> Vec<Check> {
    if !patient.wants_ebpf() {
        let why = if patient.is_live() {
            "the procfs backend was chosen"
        } else {
            "programs cannot be attached to a captured tree"
        };
        if patient.backend == BackendChoice::Ebpf {
            let mend = "leave out --root, or choose --backend procfs";
            return vec![Check::wrong(
                "ebpf",
                State::Failed,
                "not to be had",
                why,
                mend,
            )];
        }
        return vec![Check::new("ebpf", State::Skipped, why)];
    }
    let scheduler = match Scheduler::load(&LoadOptions::default()) {
        Ok(scheduler) => scheduler,
        Err(error) => {
            let (state, means) = match patient.backend {
                BackendChoice::Ebpf => (State::Failed, "the agent does not start"),
                _ => (
                    State::Fallback,
                    "CPUs and processes are accounted from /proc: without sched_latency, \
                     and without what lives shorter than a tick",
                ),
            };
            let mend = "see the checks above, and what the error says";
            return vec![Check::wrong("ebpf", state, error.to_string(), means, mend)];
        }
    };
    let report = scheduler.report();
    let attached = |state: &ProgramState| *state == ProgramState::Attached;
    let count = report
        .programs
        .iter()
        .filter(|p| attached(&p.state))
        .count();
    let needed = report
        .programs
        .iter()
        .filter(|p| !matches!(p.state, ProgramState::Unneeded { .. }))
        .count();
    let found = format!("{count} of {needed} programs attached");
    let mut checks = vec![fine("ebpf", found)];
    for program in &report.programs {
        let name = format!("program {}", program.name);
        checks.push(match &program.state {
            ProgramState::Attached => fine(name, format!("{}: {}", program.hook, program.feeds)),
            ProgramState::Unneeded { reason } => {
                fine(name, format!("{}: not needed: {reason}", program.hook))
            }
            ProgramState::Off { reason, advice } => Check::wrong(
                name,
                State::Fallback,
                format!("{}: {reason}", program.hook),
                format!("there is no {}", program.feeds),
                advice.clone(),
            ),
        });
    }
    for missing in &report.missing_fields {
        checks.push(Check::wrong(
            format!("field {}", missing.field),
            State::Fallback,
            "this kernel does not have it, or not in a form that is known",
            format!("there is no {}", missing.feeds),
            "use a kernel that has this field; the rest works",
        ));
    }
    for (name, value) in &report.facts {
        checks.push(fine(name.clone(), value.clone()));
    }
    checks
}
