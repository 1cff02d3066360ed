use super::{
    derived::AllFamilies,
    text::{Family, Text, Value},
};
use crate::metric::CpuStats;

/// `/proc/stat` has it of all CPUs together only.
const SWITCHES: Family = Family::counter(
    "host_context_switches_total",
    "Context switches since boot.",
);

pub(super) fn encode(text: &mut Text, families: &mut AllFamilies, stats: &CpuStats) {
    families.encode(text, stats);
    let switches = stats.total.context_switches;
    text.single(&SWITCHES, switches.map(Value::Count));
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::metric::CpuTimes;

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
        let mut families = AllFamilies::default();
        encode(&mut text, &mut families, &stats);
        assert_eq!(
            text.finish(),
            "\
# HELP host_forks_total Processes and threads created since boot.
# TYPE host_forks_total counter
host_forks_total 9
# HELP host_cpu_seconds_total CPU time by mode since boot. Guest time is part of user and nice.
# TYPE host_cpu_seconds_total counter
host_cpu_seconds_total{cpu=\"3\",mode=\"user\"} 1.25
host_cpu_seconds_total{cpu=\"3\",mode=\"idle\"} 0
# HELP host_cpu_wakeups_total Wakeups by code that ran on this CPU since the programs were attached.
# TYPE host_cpu_wakeups_total counter
host_cpu_wakeups_total{cpu=\"3\"} 7
"
        );
    }
}
