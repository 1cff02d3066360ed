use std::fmt::Write as _;

use collector::text::harmless;
use serde::Serialize;

/// The result of one check.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub(super) struct Check {
    /// The name of the check, which is stable across versions.
    pub(super) name: String,
    /// Whether it passed.
    pub(super) status: CheckStatus,
    /// What was found.
    pub(super) found: String,
    /// The consequence; `None` if the check passed.
    pub(super) means: Option<String>,
    /// How to fix it; `None` if the check passed.
    pub(super) fix: Option<String>,
}

/// The status of a check.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "lowercase")]
pub(super) enum CheckStatus {
    /// Not checked.
    Skipped,
    /// Passed.
    Ok,
    /// Failed, and a fallback is used.
    Fallback,
    /// Failed, without a fallback.
    Failed,
}

/// The worst status of all checks.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub(super) enum Verdict {
    /// All checks passed.
    Ok,
    /// The agent works with a fallback.
    Fallback,
    /// The agent cannot work.
    Failed,
}

impl Check {
    pub(super) fn new(
        name: impl Into<String>,
        status: CheckStatus,
        found: impl Into<String>,
    ) -> Self {
        Self {
            name: name.into(),
            status,
            found: found.into(),
            means: None,
            fix: None,
        }
    }

    pub(super) fn failed(
        name: impl Into<String>,
        status: CheckStatus,
        found: impl Into<String>,
        means: impl Into<String>,
        fix: impl Into<String>,
    ) -> Self {
        Self {
            means: Some(means.into()),
            fix: Some(fix.into()),
            ..Self::new(name, status, found)
        }
    }

    /// The check as text: one line, and two more if it did not pass.
    pub(super) fn lines(&self, width: usize) -> String {
        let status = match self.status {
            CheckStatus::Skipped => "skipped",
            CheckStatus::Ok => "ok",
            CheckStatus::Fallback => "FALLBACK",
            CheckStatus::Failed => "FAILED",
        };
        let (name, found) = (harmless(&self.name), harmless(&self.found));
        let mut text = format!("{status:<8}  {name:<width$}  {found}\n");
        let notes = [("means", &self.means), ("fix", &self.fix)];
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
            Some(CheckStatus::Failed) => Self::Failed,
            Some(CheckStatus::Fallback) => Self::Fallback,
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
            Self::Ok => "Everything works.",
            Self::Fallback => "The agent works, with a fallback for each check marked FALLBACK.",
            Self::Failed => "The agent cannot work until the checks marked FAILED are fixed.",
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_worst_check_is_the_verdict() {
        let check = |state| Check::new("x", state, "y");
        let verdict = |states: &[CheckStatus]| {
            let checks: Vec<Check> = states.iter().map(|state| check(*state)).collect();
            Verdict::of(&checks).exit_status()
        };
        assert_eq!(verdict(&[CheckStatus::Ok, CheckStatus::Skipped]), 0);
        assert_eq!(verdict(&[CheckStatus::Ok, CheckStatus::Fallback]), 1);
        assert_eq!(verdict(&[CheckStatus::Failed, CheckStatus::Fallback]), 2);
    }

    #[test]
    fn a_check_is_shown_without_control_characters() {
        let hostile = "a\nb\x1b[2J";
        let check = Check::failed(hostile, CheckStatus::Failed, hostile, hostile, hostile);
        let text = check.lines(5);
        assert_eq!(text.lines().count(), 3, "{text:?}");
        assert_eq!(text.matches("a\\nb\\x1b[2J").count(), 4, "{text:?}");
    }

    #[test]
    fn a_failed_check_is_shown_with_consequence_and_fix() {
        let check = Check::failed(
            "btf",
            CheckStatus::Fallback,
            "none",
            "no eBPF",
            "another kernel",
        );
        assert_eq!(
            check.lines(5),
            "FALLBACK  btf    none\n          means  no eBPF\n            fix  another kernel\n"
        );
    }
}
