use std::fmt::Write as _;

use collector::text::harmless;
use serde::Serialize;

/// One thing that was looked at.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub(super) struct Check {
    /// What was looked at; does not change from version to version.
    pub(super) name: String,
    /// How it is.
    pub(super) status: State,
    /// What was found.
    pub(super) found: String,
    /// What that means; `None` if nothing is wrong.
    pub(super) means: Option<String>,
    /// What would mend it; `None` if nothing is wrong.
    pub(super) mend: Option<String>,
}

/// How something is that was looked at.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "lowercase")]
pub(super) enum State {
    /// It was not asked for.
    Skipped,
    /// It works.
    Ok,
    /// It does not, and something else takes its place.
    Fallback,
    /// It does not, and nothing takes its place.
    Failed,
}

/// What all checks come to.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub(super) enum Verdict {
    /// All works.
    Ok,
    /// It works with a fallback.
    Fallback,
    /// It cannot work.
    Failed,
}

impl Check {
    pub(super) fn new(name: impl Into<String>, status: State, found: impl Into<String>) -> Self {
        Self {
            name: name.into(),
            status,
            found: found.into(),
            means: None,
            mend: None,
        }
    }

    pub(super) fn wrong(
        name: impl Into<String>,
        status: State,
        found: impl Into<String>,
        means: impl Into<String>,
        mend: impl Into<String>,
    ) -> Self {
        Self {
            means: Some(means.into()),
            mend: Some(mend.into()),
            ..Self::new(name, status, found)
        }
    }

    /// As a person reads it: a line, and two more where something is wrong.
    pub(super) fn lines(&self, width: usize) -> String {
        let status = match self.status {
            State::Skipped => "skipped",
            State::Ok => "ok",
            State::Fallback => "FALLBACK",
            State::Failed => "FAILED",
        };
        let (name, found) = (harmless(&self.name), harmless(&self.found));
        let mut text = format!("{status:<8}  {name:<width$}  {found}\n");
        let notes = [("means", &self.means), ("mend", &self.mend)];
        for (title, note) in notes {
            if let Some(note) = note {
                let note = harmless(note);
                let _ = writeln!(text, "{:<8}  {title:>width$}  {note}", "");
            }
        }
        text
    }
}

impl Verdict {
    pub(super) fn of(checks: &[Check]) -> Self {
        match checks.iter().map(|check| check.status).max() {
            Some(State::Failed) => Self::Failed,
            Some(State::Fallback) => Self::Fallback,
            _ => Self::Ok,
        }
    }

    pub(super) const fn exit_status(self) -> u8 {
        match self {
            Self::Ok => 0,
            Self::Fallback => 1,
            Self::Failed => 2,
        }
    }

    pub(super) const fn sentence(self) -> &'static str {
        match self {
            Self::Ok => "All works.",
            Self::Fallback => "It works, with a fallback where FALLBACK stands.",
            Self::Failed => "It cannot work before what FAILED is mended.",
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_worst_check_is_the_verdict() {
        let check = |state| Check::new("x", state, "y");
        let verdict = |states: &[State]| {
            let checks: Vec<Check> = states.iter().map(|state| check(*state)).collect();
            Verdict::of(&checks).exit_status()
        };
        assert_eq!(verdict(&[State::Ok, State::Skipped]), 0);
        assert_eq!(verdict(&[State::Ok, State::Fallback]), 1);
        assert_eq!(verdict(&[State::Failed, State::Fallback]), 2);
    }

    #[test]
    fn what_is_wrong_is_shown_with_its_meaning_and_its_remedy() {
        let check = Check::wrong("btf", State::Fallback, "none", "no eBPF", "another kernel");
        assert_eq!(
            check.lines(5),
            "FALLBACK  btf    none\n          means  no eBPF\n           mend  another kernel\n"
        );
    }
}
