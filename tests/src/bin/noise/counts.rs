use std::{fmt, time::Duration};

/// What is done.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    /// A process began and ended.
    Fork,
    /// The same, and it executed another program.
    Exec,
    /// A thread began and ended.
    Thread,
    /// A thread woke another.
    Wakeup,
    /// A process was moved to another cgroup.
    Move,
    /// A file was written and removed.
    Write,
    /// The files of all processes in `/proc` were read.
    Scrape,
}

impl Kind {
    const ALL: [Self; 7] = [
        Self::Fork,
        Self::Exec,
        Self::Thread,
        Self::Wakeup,
        Self::Move,
        Self::Write,
        Self::Scrape,
    ];

    pub(crate) const fn name(self) -> &'static str {
        match self {
            Self::Fork => "forks",
            Self::Exec => "execs",
            Self::Thread => "threads",
            Self::Wakeup => "wakeups",
            Self::Move => "moves between cgroups",
            Self::Write => "files written",
            Self::Scrape => "scrapes of /proc",
        }
    }
}

/// How often each was done.
#[derive(Clone, Debug, Default)]
pub(crate) struct Counts([u64; Kind::ALL.len()]);

impl Counts {
    pub(crate) fn add(&mut self, kind: Kind, count: u64) {
        self.0[kind as usize] += count;
    }

    /// Something that was done less than once in half a minute: then this was no
    /// noise. Each is meant to be done ten times a second at least, but the host
    /// may be as busy with other things.
    pub(crate) fn too_few(&self, elapsed: Duration, exempt: Option<Kind>) -> Option<Kind> {
        let least = 1 + elapsed.as_secs() / 30;
        Kind::ALL
            .into_iter()
            .filter(|kind| Some(*kind) != exempt)
            .find(|kind| self.0[*kind as usize] < least)
    }
}

impl fmt::Display for Counts {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (number, kind) in Kind::ALL.into_iter().enumerate() {
            let separator = if number == 0 { "" } else { ", " };
            write!(f, "{separator}{} {}", self.0[kind as usize], kind.name())?;
        }
        Ok(())
    }
}
