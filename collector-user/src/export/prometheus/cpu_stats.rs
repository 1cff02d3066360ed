use super::text::{Family, Text, Value};
use crate::metric::{CpuStats, CpuTimes};

/// A series of a family: the value of its label, and where its value is.
type Part = (&'static str, fn(&CpuTimes) -> Option<u64>);

const TIME: Family = Family::counter(
    "host_cpu_seconds_total",
    "Time of each CPU in each state since the machine started. Guest time is in user and nice.",
);
const MODES: &[Part] = &[
    ("user", |cpu| cpu.user_ns),
    ("nice", |cpu| cpu.nice_ns),
    ("system", |cpu| cpu.system_ns),
    ("idle", |cpu| cpu.idle_ns),
    ("iowait", |cpu| cpu.iowait_ns),
    ("irq", |cpu| cpu.irq_ns),
    ("softirq", |cpu| cpu.softirq_ns),
    ("steal", |cpu| cpu.steal_ns),
];

const GUEST: Family = Family::counter(
    "host_cpu_guest_seconds_total",
    "Time of each CPU that ran a guest: part of user, or of nice.",
);
const GUEST_MODES: &[Part] = &[
    ("user", |cpu| cpu.guest_ns),
    ("nice", |cpu| cpu.guest_nice_ns),
];

const SWITCHES: Family = Family::counter(
    "host_cpu_switches_total",
    "Switches of each CPU away from a task, by why, since the programs were attached.",
);
const REASONS: &[Part] = &[
    ("voluntary", |cpu| cpu.voluntary_switches),
    ("involuntary", |cpu| cpu.involuntary_switches),
    ("idle", |cpu| cpu.idle_switches),
];

/// A family with one series a CPU.
type PerCpu = (Family, fn(&CpuTimes) -> Option<Value>);
const PER_CPU: &[PerCpu] = &[
    (
        Family::counter(
            "host_cpu_busy_seconds_total",
            "Time that the scheduler charged to tasks on each CPU since the programs were attached.",
        ),
        |cpu| cpu.busy_ns.map(Value::Nanos),
    ),
    (
        Family::counter(
            "host_cpu_idle_task_seconds_total",
            "Time in which the idle task had each CPU since the programs were attached.",
        ),
        |cpu| cpu.idle_task_ns.map(Value::Nanos),
    ),
    (
        Family::counter(
            "host_cpu_unattributed_seconds_total",
            "The part of the busy time that could be charged to no process.",
        ),
        |cpu| cpu.unattributed_ns.map(Value::Nanos),
    ),
    (
        Family::counter(
            "host_cpu_wakeups_total",
            "Tasks woken by code on each CPU since the programs were attached.",
        ),
        |cpu| cpu.wakeups.map(Value::Count),
    ),
];

/// A family with one series.
type Single = (Family, fn(&CpuStats) -> Option<u64>);
const SINGLES: &[Single] = &[
    (
        Family::counter(
            "host_context_switches_total",
            "Context switches since the machine started.",
        ),
        |stats| stats.total.context_switches,
    ),
    (
        Family::counter(
            "host_forks_total",
            "Processes and threads made since the machine started.",
        ),
        |stats| stats.forks,
    ),
    (
        Family::gauge("host_tasks_running", "Tasks that run or wait for a CPU."),
        |stats| stats.procs_running,
    ),
    (
        Family::gauge("host_tasks_blocked", "Tasks in uninterruptible sleep."),
        |stats| stats.procs_blocked,
    ),
    (
        Family::counter(
            "collector_events_dropped_total",
            "Lifecycle events that the ring buffer had no room for.",
        ),
        |stats| stats.events_dropped,
    ),
    (
        Family::counter(
            "collector_threads_dropped_total",
            "Threads for which the eBPF programs had no free record.",
        ),
        |stats| stats.threads_dropped,
    ),
];

pub(super) fn encode(text: &mut Text, stats: &CpuStats) {
    by(text, &TIME, stats, "mode", MODES, Value::Nanos);
    by(text, &GUEST, stats, "mode", GUEST_MODES, Value::Nanos);
    by(text, &SWITCHES, stats, "reason", REASONS, Value::Count);
    for (family, value) in PER_CPU {
        let series = numbered(stats).map(|(number, cpu)| ([("cpu", number)], value(cpu)));
        text.family(family, series);
    }
    for (family, value) in SINGLES {
        text.single(family, value(stats).map(Value::Count));
    }
}

/// A family with a series for each CPU and each value of a label.
fn by(
    text: &mut Text,
    family: &Family,
    stats: &CpuStats,
    label: &'static str,
    values: &[Part],
    unit: fn(u64) -> Value,
) {
    let series = numbered(stats).flat_map(|(number, cpu)| {
        values.iter().map(move |(name, value)| {
            let labels = [("cpu", number.clone()), (label, (*name).to_owned())];
            (labels, value(cpu).map(unit))
        })
    });
    text.family(family, series);
}

fn numbered(stats: &CpuStats) -> impl Iterator<Item = (String, &CpuTimes)> {
    stats
        .cpus
        .iter()
        .filter_map(|cpu| Some((cpu.cpu?.to_string(), cpu)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn known_values_are_series_and_unknown_ones_are_not() {
        let stats = CpuStats {
            cpus: vec![CpuTimes {
                cpu: Some(3),
                user_ns: Some(1_250_000_000),
                idle_ns: Some(0),
                wakeups: Some(7),
                ..CpuTimes::default()
            }],
            forks: Some(9),
            ..CpuStats::default()
        };
        let mut text = Text::default();
        encode(&mut text, &stats);
        assert_eq!(
            text.finish(),
            "\
# HELP host_cpu_seconds_total Time of each CPU in each state since the machine started. Guest time is in user and nice.
# TYPE host_cpu_seconds_total counter
host_cpu_seconds_total{cpu=\"3\",mode=\"user\"} 1.25
host_cpu_seconds_total{cpu=\"3\",mode=\"idle\"} 0
# HELP host_cpu_wakeups_total Tasks woken by code on each CPU since the programs were attached.
# TYPE host_cpu_wakeups_total counter
host_cpu_wakeups_total{cpu=\"3\"} 7
# HELP host_forks_total Processes and threads made since the machine started.
# TYPE host_forks_total counter
host_forks_total 9
"
        );
    }
}
