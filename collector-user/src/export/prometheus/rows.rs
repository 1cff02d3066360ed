use crate::metric::{Cgroup, ExitedTotals, OtherProcesses, Process, sum};

/// How many counters a process has.
pub(super) const COUNTERS: usize = 13;

/// Which of them is all sleep, and which are its kinds.
pub(super) const SLEEP: usize = 4;
pub(super) const SLEEP_KINDS: [usize; 2] = [11, 12];

/// The counters of a process, or sums of them; `None` is unknown.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Counters(pub(super) [Option<u64>; COUNTERS]);

impl Counters {
    /// Of a process, with the sleep of its threads up to a time; 0 leaves out
    /// what is in flight.
    pub(super) fn of_process(p: &Process, at_ns: u64) -> Self {
        let [interruptible, uninterruptible] = p.slept_ns(at_ns);
        Self([
            p.user_ns,
            p.system_ns,
            p.cpu_ns,
            p.runqueue_ns,
            sum(interruptible, uninterruptible),
            p.voluntary_switches,
            p.involuntary_switches,
            p.minor_faults,
            p.major_faults,
            p.read_bytes,
            p.write_bytes,
            interruptible,
            uninterruptible,
        ])
    }

    pub(super) fn of_exited(e: &ExitedTotals) -> Self {
        Self([
            e.user_ns,
            e.system_ns,
            e.cpu_ns,
            e.runqueue_ns,
            e.blocked_ns,
            e.voluntary_switches,
            e.involuntary_switches,
            e.minor_faults,
            e.major_faults,
            None,
            None,
            e.interruptible_sleep_ns,
            e.uninterruptible_sleep_ns,
        ])
    }

    pub(super) fn of_cgroup(c: &Cgroup) -> Self {
        Self([
            c.user_ns,
            c.system_ns,
            c.cpu_ns,
            c.runqueue_ns,
            c.blocked_ns,
            c.voluntary_switches,
            c.involuntary_switches,
            c.minor_faults,
            c.major_faults,
            None,
            None,
            c.interruptible_sleep_ns,
            c.uninterruptible_sleep_ns,
        ])
    }

    /// Of the processes that the reading has no row of.
    pub(super) fn of_others(o: &OtherProcesses) -> Self {
        Self([
            o.user_ns,
            o.system_ns,
            o.cpu_ns,
            o.runqueue_ns,
            o.blocked_ns,
            o.voluntary_switches,
            o.involuntary_switches,
            o.minor_faults,
            o.major_faults,
            o.read_bytes,
            o.write_bytes,
            o.interruptible_sleep_ns,
            o.uninterruptible_sleep_ns,
        ])
    }

    /// The sum; what one side does not know counts as nothing.
    pub(super) fn plus(self, other: Self) -> Self {
        self.zip(other, |a, b| match (a, b) {
            (None, None) => None,
            (a, b) => Some(a.unwrap_or(0).saturating_add(b.unwrap_or(0))),
        })
    }

    /// The difference; what is to be taken off and is not known is nothing.
    pub(super) fn minus(self, other: Self) -> Self {
        self.zip(other, |a, b| Some(a?.saturating_sub(b.unwrap_or(0))))
    }

    /// The greater of each.
    pub(super) fn at_least(self, other: Self) -> Self {
        self.zip(other, Option::max)
    }

    /// These where the other does not know its own.
    pub(super) fn where_unknown(self, other: Self) -> Self {
        self.zip(other, |a, b| if b.is_none() { a } else { None })
    }

    fn zip(self, other: Self, f: impl Fn(Option<u64>, Option<u64>) -> Option<u64>) -> Self {
        Self(std::array::from_fn(|i| f(self.0[i], other.0[i])))
    }
}

/// What tells a process from every other.
pub(super) type Key = (u32, u64);

pub(super) fn key(process: &Process) -> Key {
    (process.pid, process.start_time_ns)
}
