use crate::metric::{Asleep, OtherProcesses, Process, ProcessCounters};

/// The number of counters of a process.
const COUNTERS: usize = ProcessCounters::COUNT;

/// The number of gauges of a process.
pub(super) const GAUGES: usize = 3;

const ALL: usize = COUNTERS + GAUGES;

/// Resident memory, virtual memory, threads; `None` is unknown.
pub(super) fn gauges_of(p: &Process) -> [Option<u64>; GAUGES] {
    [p.rss_bytes, p.vm_bytes, p.threads.map(u64::from)]
}

pub(super) fn gauges_of_others(o: &OtherProcesses) -> [Option<u64>; GAUGES] {
    [o.rss_bytes, o.vm_bytes, o.threads]
}

/// The sums over a set of processes that can be added and removed.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Sums {
    /// Wide enough for any number of any values, so that a removal subtracts
    /// exactly what was added.
    values: [u128; ALL],
    /// The number of processes with a known value.
    known: [usize; ALL],
    /// Sleeping threads by kind: their number, and the sum of the times at
    /// which their sleep began. It is not part of the values.
    asleep: [(u64, u128); 2],
}

impl Sums {
    pub(super) fn add(&mut self, process: &Process) {
        for (index, value) in values(process).enumerate() {
            if let Some(value) = value {
                self.values[index] += u128::from(value);
                self.known[index] += 1;
            }
        }
        for (sum, one) in self.asleep.iter_mut().zip(asleep(process)) {
            *sum = (sum.0 + one.0, sum.1 + one.1);
        }
    }

    /// Removes a process that was added.
    pub(super) fn remove(&mut self, process: &Process) {
        for (index, value) in values(process).enumerate() {
            if let Some(value) = value {
                self.values[index] = self.values[index].saturating_sub(u128::from(value));
                self.known[index] = self.known[index].saturating_sub(1);
            }
        }
        for (sum, one) in self.asleep.iter_mut().zip(asleep(process)) {
            *sum = (sum.0.saturating_sub(one.0), sum.1.saturating_sub(one.1));
        }
    }

    /// The counters, with the sleep of threads up to a time.
    pub(super) fn counters(&self, at_ns: u64) -> ProcessCounters {
        let values = std::array::from_fn(|index| self.value(index));
        let mut counters = ProcessCounters::from_values(values);
        let [interruptible, uninterruptible] = self.asleep.map(|(threads, since_ns)| {
            let slept = (u128::from(threads) * u128::from(at_ns)).saturating_sub(since_ns);
            u64::try_from(slept).unwrap_or(u64::MAX)
        });
        let grow = |counter: &mut Option<u64>, ns: u64| {
            *counter = counter.map(|value| value.saturating_add(ns));
        };
        grow(&mut counters.interruptible_sleep_ns, interruptible);
        grow(&mut counters.uninterruptible_sleep_ns, uninterruptible);
        grow(&mut counters.blocked_ns, interruptible);
        grow(&mut counters.blocked_ns, uninterruptible);
        counters
    }

    pub(super) fn gauges(&self) -> [Option<u64>; GAUGES] {
        std::array::from_fn(|index| self.value(COUNTERS + index))
    }

    fn value(&self, index: usize) -> Option<u64> {
        let value = u64::try_from(self.values[index]).unwrap_or(u64::MAX);
        (self.known[index] > 0).then_some(value)
    }
}

fn asleep(process: &Process) -> [(u64, u128); 2] {
    let Asleep {
        interruptible,
        uninterruptible,
    } = &process.asleep;
    [interruptible, uninterruptible].map(|of| (of.threads().into(), of.since_ns()))
}

fn values(process: &Process) -> impl Iterator<Item = Option<u64>> {
    let counters = process.counters_at(0).values();
    counters.into_iter().chain(gauges_of(process))
}
