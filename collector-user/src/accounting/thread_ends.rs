use std::collections::BTreeSet;

/// The longest wait for the event of an exited thread: longer than the kernel
/// preempts a program, unless a CPU is taken away from the guest.
const MAX_WAIT_NS: u64 = 2_000_000_000;

/// A thread whose record is dead.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct DeadThread {
    /// When it was switched out for the last time.
    pub(super) at_ns: u64,
    pub(super) slot: u32,
}

/// Orders the exits of threads after the other events of their processes.
///
/// A thread may exit after the events were read and before the records are, and
/// since 7.0 a program that is preempted while it writes its event holds up all
/// later events of the ring buffer. So an exit that is found in a record waits
/// for its event, unless that was dropped.
#[derive(Debug, Default)]
pub(super) struct ThreadEnds {
    /// Found dead since the last call of [`resolve`](Self::resolve).
    dead: Vec<DeadThread>,
    /// Found dead earlier, and when; the event has not been read yet.
    overdue: Vec<(DeadThread, u64)>,
    /// Threads whose exit was found without an event.
    without_event: u64,
}

impl ThreadEnds {
    pub(super) fn add(&mut self, dead: DeadThread) {
        self.dead.push(dead);
    }

    /// The threads whose exit is to be processed now, in the order in which they
    /// exited, so that the last thread of a process is the last one.
    ///
    /// `with_event` are the slots of the events that were read, and
    /// `ends_dropped` is the number of dropped events since the start.
    pub(super) fn resolve(
        &mut self,
        mut with_event: BTreeSet<u32>,
        ends_dropped: u64,
        now_ns: u64,
    ) -> Vec<DeadThread> {
        let mut resolved = Vec::new();
        for (dead, found_ns) in std::mem::take(&mut self.overdue) {
            if !with_event.remove(&dead.slot) {
                let waited_ns = now_ns.saturating_sub(found_ns);
                if self.without_event >= ends_dropped && waited_ns < MAX_WAIT_NS {
                    self.overdue.push((dead, found_ns));
                    continue;
                }
                self.without_event += 1;
            }
            resolved.push(dead);
        }
        for dead in std::mem::take(&mut self.dead) {
            if with_event.remove(&dead.slot) {
                resolved.push(dead);
            } else {
                self.overdue.push((dead, now_ns));
            }
        }
        // Events of exits that were taken for dropped before.
        self.without_event = self.without_event.saturating_sub(with_event.len() as u64);
        resolved.sort_unstable();
        resolved
    }

    /// Threads whose exit was found without an event, since the start.
    pub(super) const fn without_event(&self) -> u64 {
        self.without_event
    }
}
