use serde::Serialize;

/// What was attached, and what was not and why.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct LoadReport {
    /// One row a program.
    pub programs: Vec<ProgramReport>,
    /// Kernel fields that were not found, with what each would have fed.
    pub missing_fields: Vec<MissingField>,
    /// Other facts that a reader of `doctor` wants: sizes of maps, choices.
    pub facts: Vec<(String, String)>,
}

/// One program.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct ProgramReport {
    /// The name of the program: that of its hook.
    pub name: &'static str,
    /// Its type and hook: `tp_btf/sched_switch`.
    pub hook: String,
    /// Whether it runs.
    pub state: ProgramState,
    /// The metrics and fields that it feeds.
    pub feeds: &'static str,
}

/// Whether a program runs.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(tag = "state", rename_all = "lowercase")]
pub enum ProgramState {
    /// It is loaded and attached.
    Attached,
    /// It is not, and nothing is the worse for it.
    Unneeded {
        /// What serves in its place.
        reason: &'static str,
    },
    /// It is not.
    Off {
        /// Why.
        reason: String,
        /// What would help.
        advice: String,
    },
}

/// A field of a kernel structure that this kernel does not have.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct MissingField {
    /// `task_struct.sched_info.run_delay`.
    pub field: String,
    /// The metrics and fields that it would have fed.
    pub feeds: &'static str,
}
