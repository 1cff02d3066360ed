use std::{fmt, time::Duration};

/// A kind of event.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    /// A process was forked and has exited.
    Fork,
    /// A process was forked, called execve(2) and has exited.
    Exec,
    /// A thread was created and has exited.
    Thread,
    /// A thread woke another one.
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

/// The number of events of each kind.
#[derive(Clone, Debug, Default)]
pub(crate) struct Counts([u64; Kind::ALL.len()]);

impl Counts {
    pub(crate) fn add(&mut self, kind: Kind, count: u64) {
        self.0[kind as usize] += count;
    }

    /// A kind with less than one event in half a minute, which is too little load. Each kind
    /// is meant to happen at least ten times a second, but the host may be busy.
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
