use collector::{
    agent::BackendChoice,
    collectors::ebpf::Accountant,
    source::bpf::{LoadOptions, ProgramState},
};

use super::{Check, CheckStatus, Examined, passed};

/// Loads and attaches the programs, and reports the status of each.
pub(super) fn checks(examined: &Examined) -> Vec<Check> {
    if !examined.wants_ebpf() {
        let why = if examined.is_live() {
            "the procfs backend is configured"
        } else {
            "programs cannot be attached to a captured tree"
        };
        if examined.backend == BackendChoice::Ebpf {
            let fix = "leave out --root, or choose --backend procfs";
            return vec![Check::failed(
                "ebpf",
                CheckStatus::Failed,
                "not available",
                why,
                fix,
            )];
        }
        return vec![Check::new("ebpf", CheckStatus::Skipped, why)];
    }
    let accountant = match Accountant::load(&LoadOptions::default()) {
        Ok(accountant) => accountant,
        Err(error) => {
            let (status, means) = match examined.backend {
                BackendChoice::Ebpf => (CheckStatus::Failed, "the agent does not start"),
                _ => (
                    CheckStatus::Fallback,
                    "CPUs and processes are accounted from /proc, without sched_latency and \
                     without processes that live shorter than a tick",
                ),
            };
            let fix = "see the checks above and the error message";
            return vec![Check::failed("ebpf", status, error.to_string(), means, fix)];
        }
    };
    let report = accountant.report();
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
    let mut checks = vec![passed("ebpf", found)];
    for program in &report.programs {
        let name = format!("program {}", program.name);
        checks.push(match &program.state {
            ProgramState::Attached => passed(name, format!("{}: {}", program.hook, program.feeds)),
            ProgramState::Unneeded { reason } => {
                passed(name, format!("{}: not needed: {reason}", program.hook))
            }
            ProgramState::Off { reason, advice } => Check::failed(
                name,
                CheckStatus::Fallback,
                format!("{}: {reason}", program.hook),
                format!("not available: {}", program.feeds),
                advice.clone(),
            ),
        });
    }
    for missing in &report.missing_fields {
        checks.push(Check::failed(
            format!("field {}", missing.field),
            CheckStatus::Fallback,
            "this kernel does not have the field, or it has another type",
            format!("not available: {}", missing.feeds),
            "use a kernel with this field; everything else works",
        ));
    }
    for (name, value) in &report.facts {
        checks.push(passed(name.clone(), value.clone()));
    }
    checks
}
