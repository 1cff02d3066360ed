use std::time::{Duration, Instant};

use collector_ebpf::TaskEntry;

use crate::accounting::Accounts;

/// The interval of the passes over all tasks, which update what the switch
/// program does not read: memory, I/O, owners, command names.
const PASS_INTERVAL: Duration = Duration::from_secs(10);

/// The number of freed accounts and rows from which trimming the heap is worth
/// its cost, which is that of visiting some thousand tasks.
const TRIM_THRESHOLD: u64 = 2_000;

/// When to visit all tasks.
#[derive(Debug)]
pub(super) struct TaskPasses {
    /// When the programs were loaded, by `CLOCK_BOOTTIME`.
    loaded_at_ns: u64,
    last_regular: Option<Instant>,
    /// Whether the last pass found a task that was missing.
    has_found: bool,
    /// Switch-outs of tasks without a record at the last pass.
    untracked_tasks: u64,
    /// Freed accounts and rows at the last regular pass.
    freed_objects: u64,
}

/// One pass.
#[derive(Clone, Copy, Debug)]
pub(super) struct Pass {
    pub(super) is_first: bool,
    /// Whether it came at the interval.
    pub(super) is_regular: bool,
    loaded_at_ns: u64,
}

impl Pass {
    /// Whether the counters of the exited threads of a visited process are in no
    /// record: on the first pass, if the process existed before the programs.
    pub(super) const fn adds_exited_threads(&self, entry: &TaskEntry) -> bool {
        self.is_first && entry.process_start_ns < self.loaded_at_ns
    }
}

impl TaskPasses {
    pub(super) const fn new(loaded_at_ns: u64) -> Self {
        Self {
            loaded_at_ns,
            last_regular: None,
            has_found: true,
            untracked_tasks: 0,
            freed_objects: 0,
        }
    }

    /// Whether a pass is due: at the interval, or because the command name of a
    /// process is unknown or a task without a record was switched out.
    pub(super) fn is_due(&mut self, is_process_unidentified: bool, untracked_tasks: u64) -> bool {
        let is_task_missing = is_process_unidentified || untracked_tasks != self.untracked_tasks;
        // A task may be hidden from a pass, or find no free record: then the
        // next regular pass is soon enough.
        let is_due = self.is_regular_due() || (is_task_missing && self.has_found);
        if is_due {
            self.untracked_tasks = untracked_tasks;
        }
        is_due
    }

    fn is_regular_due(&self) -> bool {
        self.last_regular
            .is_none_or(|last| last.elapsed() >= PASS_INTERVAL)
    }

    pub(super) fn begin(&mut self) -> Pass {
        let pass = Pass {
            is_first: self.last_regular.is_none(),
            is_regular: self.is_regular_due(),
            loaded_at_ns: self.loaded_at_ns,
        };
        if pass.is_regular {
            self.last_regular = Some(Instant::now());
        }
        pass
    }

    pub(super) const fn end(&mut self, has_found: bool) {
        self.has_found = has_found;
    }

    /// Whether enough memory was freed since the last regular pass for the heap
    /// to be trimmed.
    pub(super) const fn is_memory_worth_trimming(&mut self, accounts: &Accounts) -> bool {
        let freed = accounts.freed_objects();
        let before = std::mem::replace(&mut self.freed_objects, freed);
        freed >= before + TRIM_THRESHOLD
    }
}
