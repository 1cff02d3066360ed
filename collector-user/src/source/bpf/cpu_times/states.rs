//! The times of a CPU as `/proc/stat` shows them.

use collector_ebpf::{CpuReading, IDLE_IN_CPUSTAT, IDLE_IN_TICK_SCHED};

use crate::metric::CpuTimes;

// The order of `enum cpu_usage_stat` of `include/linux/kernel_stat.h`, which is
// not that of the columns of `/proc/stat`.
const USER: usize = 0;
const NICE: usize = 1;
const SYSTEM: usize = 2;
const SOFTIRQ: usize = 3;
const IRQ: usize = 4;
const IDLE: usize = 5;
const IOWAIT: usize = 6;
const STEAL: usize = 7;
const GUEST: usize = 8;
const GUEST_NICE: usize = 9;

/// The times of a CPU, as `show_stat` of [`fs/proc/stat.c`] computes them, but
/// not rounded to clock ticks.
///
/// [`fs/proc/stat.c`]: https://elixir.bootlin.com/linux/v6.12/source/fs/proc/stat.c#L80
pub(super) fn times(cpu: u32, reading: &CpuReading, idle_in: u32) -> CpuTimes {
    let state = |index: usize| reading.cpustat.get(index).copied();
    let (idle, iowait) = idle_times(reading, idle_in);
    CpuTimes {
        cpu: Some(cpu),
        user_ns: state(USER),
        nice_ns: state(NICE),
        system_ns: state(SYSTEM),
        idle_ns: Some(idle),
        iowait_ns: Some(iowait),
        irq_ns: state(IRQ),
        softirq_ns: state(SOFTIRQ),
        steal_ns: state(STEAL),
        guest_ns: state(GUEST),
        guest_nice_ns: state(GUEST_NICE),
        context_switches: Some(reading.switches),
        ..CpuTimes::default()
    }
}

/// The idle and the iowait time.
///
/// An idle CPU without a tick does not account its idle time before it wakes up;
/// readers add the time in flight. Whether that is idle or iowait time depends
/// on whether a task that went to sleep there is waiting for I/O *now*, so that
/// either may decrease when that changes; the kernel's values do too
/// (`get_cpu_idle_time_us` in `kernel/time/tick-sched.c`).
fn idle_times(reading: &CpuReading, idle_in: u32) -> (u64, u64) {
    let is_iowait = reading.nr_iowait > 0;
    let in_flight = if reading.is_idle == 0 {
        0
    } else {
        reading.at_ns.saturating_sub(reading.idle_entrytime_ns)
    };
    let (mut idle, mut iowait) = (reading.cpustat[IDLE], reading.cpustat[IOWAIT]);
    let mut stolen = 0;
    match idle_in {
        IDLE_IN_TICK_SCHED if reading.is_online != 0 && reading.is_nohz != 0 => {
            (idle, iowait) = (reading.idle_sleeptime_ns, reading.iowait_sleeptime_ns);
        }
        IDLE_IN_CPUSTAT => stolen = reading.idle_stealtime_ns[usize::from(is_iowait)],
        _ => return (idle, iowait),
    }
    let part = if is_iowait { &mut iowait } else { &mut idle };
    *part = part.saturating_add(in_flight.saturating_sub(stolen));
    (idle, iowait)
}

/// Adds the times of a CPU to the sum.
pub(super) fn add(total: &mut CpuTimes, cpu: &CpuTimes) {
    for (sum, value) in states_mut(total).into_iter().zip(states(cpu)) {
        *sum = Some(sum.unwrap_or(0).saturating_add(value.unwrap_or(0)));
    }
    total.context_switches = Some(
        total
            .context_switches
            .unwrap_or(0)
            .saturating_add(cpu.context_switches.unwrap_or(0)),
    );
}

/// The names of the states, in the order of the columns of `/proc/stat`.
pub(super) const STATES: [&str; 10] = [
    "user",
    "nice",
    "system",
    "idle",
    "iowait",
    "irq",
    "softirq",
    "steal",
    "guest",
    "guest_nice",
];

/// The states in the order of [`STATES`].
pub(super) const fn states(times: &CpuTimes) -> [Option<u64>; 10] {
    [
        times.user_ns,
        times.nice_ns,
        times.system_ns,
        times.idle_ns,
        times.iowait_ns,
        times.irq_ns,
        times.softirq_ns,
        times.steal_ns,
        times.guest_ns,
        times.guest_nice_ns,
    ]
}

const fn states_mut(times: &mut CpuTimes) -> [&mut Option<u64>; 10] {
    [
        &mut times.user_ns,
        &mut times.nice_ns,
        &mut times.system_ns,
        &mut times.idle_ns,
        &mut times.iowait_ns,
        &mut times.irq_ns,
        &mut times.softirq_ns,
        &mut times.steal_ns,
        &mut times.guest_ns,
        &mut times.guest_nice_ns,
    ]
}

#[cfg(test)]
mod tests {
    use collector_ebpf::IDLE_TICK_ACCOUNTED;

    use super::*;

    fn reading() -> CpuReading {
        CpuReading {
            at_ns: 1_000,
            cpustat: [0, 1, 2, 3, 4, 50, 60, 7, 8, 9],
            idle_entrytime_ns: 900,
            idle_sleeptime_ns: 500,
            iowait_sleeptime_ns: 600,
            idle_stealtime_ns: [30, 40],
            is_idle: 1,
            is_nohz: 1,
            is_online: 1,
            ..CpuReading::default()
        }
    }

    #[test]
    fn each_state_is_in_its_column() {
        let times = times(3, &reading(), IDLE_TICK_ACCOUNTED);
        let columns = states(&times).map(|value| value.expect("it is known"));
        assert_eq!(columns, [0, 1, 2, 50, 60, 4, 3, 7, 8, 9]);
        assert_eq!(times.cpu, Some(3));
    }

    #[test]
    fn idle_time_in_flight_is_counted() {
        let mut cpu = reading();
        assert_eq!(idle_times(&cpu, IDLE_IN_TICK_SCHED), (600, 600));
        assert_eq!(idle_times(&cpu, IDLE_IN_CPUSTAT), (120, 60));
        cpu.nr_iowait = 1;
        assert_eq!(idle_times(&cpu, IDLE_IN_TICK_SCHED), (500, 700));
        assert_eq!(idle_times(&cpu, IDLE_IN_CPUSTAT), (50, 120));
        cpu.is_idle = 0;
        assert_eq!(idle_times(&cpu, IDLE_IN_TICK_SCHED), (500, 600));
        assert_eq!(idle_times(&cpu, IDLE_IN_CPUSTAT), (50, 60));
    }

    #[test]
    fn where_the_tick_does_not_stop_it_accounts_idle_time() {
        let mut cpu = reading();
        assert_eq!(idle_times(&cpu, IDLE_TICK_ACCOUNTED), (50, 60));
        cpu.is_nohz = 0;
        assert_eq!(idle_times(&cpu, IDLE_IN_TICK_SCHED), (50, 60));
        cpu.is_nohz = 1;
        cpu.is_online = 0;
        assert_eq!(idle_times(&cpu, IDLE_IN_TICK_SCHED), (50, 60));
    }

    #[test]
    fn a_clock_that_is_behind_subtracts_nothing() {
        let mut cpu = reading();
        cpu.idle_entrytime_ns = 2_000;
        assert_eq!(idle_times(&cpu, IDLE_IN_TICK_SCHED), (500, 600));
        cpu.idle_entrytime_ns = 990;
        assert_eq!(idle_times(&cpu, IDLE_IN_CPUSTAT), (50, 60));
    }
}
