use serde::Serialize;

/// Which programs were attached, and which were not and why.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct LoadReport {
    /// One row per program.
    pub programs: Vec<ProgramReport>,
    /// Kernel fields that were not found, with what each would feed.
    pub missing_fields: Vec<MissingField>,
    /// Other facts for `doctor`: sizes of maps.
    pub facts: Vec<(String, String)>,
}

/// The result for one program.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct ProgramReport {
    /// The name of the program, which is that of its hook.
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
    /// It is not attached, and not needed.
    Unneeded {
        /// What is used instead.
        reason: &'static str,
    },
    /// It is not attached.
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
    /// The metrics and fields that it would feed.
    pub feeds: &'static str,
}
