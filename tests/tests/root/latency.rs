//! The histograms beside a thread of which it is known how long it runs and
//! sleeps, and beside the other counters.

use std::{thread, time::Duration};

use collector::{
    collectors::ebpf::Accountant,
    metric::{CpuLatency, CpuTimes, LatencyHistogram},
};
use collector_tests::{burn_cpu_ms, emulation_slack_ns};

use crate::{load, support::cpu_times};

/// How often the thread runs and sleeps.
const TIMES: u64 = 40;
const RUN_MS: u64 = 20;
const SLEEP_MS: u64 = 50;

fn total(accountant: &Accountant) -> CpuLatency {
    accountant.sched_latency().total
}

/// How many durations from `from` to `to` came in between two readings.
fn grown(
    before: Option<&LatencyHistogram>,
    after: Option<&LatencyHistogram>,
    from: Duration,
    to: Duration,
) -> u64 {
    let count = |histogram: Option<&LatencyHistogram>| -> u64 {
        let buckets = &histogram.expect("it is known").buckets;
        buckets
            .iter()
            .filter(|bucket| {
                u128::from(bucket.from_ns) < to.as_nanos()
                    && u128::from(bucket.to_ns) > from.as_nanos()
            })
            .map(|bucket| bucket.count)
            .sum()
    };
    count(after) - count(before)
}

/// Makes this thread one that only gives up its CPU by itself.
fn be_preferred() {
    let parameters = libc::sched_param { sched_priority: 1 };
    // SAFETY: the pointer is to a value of this function; 0 is this thread.
    let result = unsafe { libc::sched_setscheduler(0, libc::SCHED_FIFO, &raw const parameters) };
    assert_eq!(result, 0, "{}", std::io::Error::last_os_error());
}

#[test]
fn slices_and_sleeps_of_known_length_are_in_their_buckets() {
    let accountant = load();
    let before = total(&accountant);
    thread::spawn(|| {
        be_preferred();
        for _ in 0..TIMES {
            burn_cpu_ms(RUN_MS);
            thread::sleep(Duration::from_millis(SLEEP_MS));
        }
    })
    .join()
    .expect("it does not panic");
    let after = total(&accountant);

    // Interrupts and the host of a guest make a slice longer than the time that
    // the thread is charged for, and timers come late.
    let late = Duration::from_millis(10) + Duration::from_nanos(emulation_slack_ns());
    let run = Duration::from_millis(RUN_MS - 1);
    let slices = grown(
        before.on_cpu.as_ref(),
        after.on_cpu.as_ref(),
        run,
        run + late,
    );
    let sleep = Duration::from_millis(SLEEP_MS);
    let sleeps = grown(
        before.off_cpu.as_ref(),
        after.off_cpu.as_ref(),
        sleep,
        sleep + late,
    );
    println!("{slices} slices of {RUN_MS} ms, {sleeps} sleeps of {SLEEP_MS} ms");
    // What else runs here adds to both; a few may be cut in two or come late.
    assert!(slices >= TIMES * 9 / 10, "{slices} slices of {RUN_MS} ms");
    assert!(sleeps >= TIMES * 9 / 10, "{sleeps} sleeps of {SLEEP_MS} ms");
}

#[test]
fn the_slices_are_as_many_as_the_switches_and_sum_up_to_the_busy_time() {
    let accountant = load();
    let look = || {
        let cpus = cpu_times(&accountant);
        let sum = |field: fn(&CpuTimes) -> Option<u64>| cpus.iter().filter_map(field).sum::<u64>();
        let switches = sum(|cpu| cpu.voluntary_switches) + sum(|cpu| cpu.involuntary_switches);
        let on_cpu = total(&accountant).on_cpu.expect("it is known");
        (switches, sum(|cpu| cpu.busy_ns), on_cpu)
    };
    let before = look();
    let threads = [1, 2, 4].map(|ms| {
        thread::spawn(move || {
            for _ in 0..300 {
                burn_cpu_ms(ms);
                thread::sleep(Duration::from_millis(1));
            }
        })
    });
    for thread in threads {
        thread.join().expect("it does not panic");
    }
    let after = look();
    let switches = after.0 - before.0;
    let slices = after.2.count - before.2.count;
    let busy = after.1 - before.1;
    let ran = after.2.sum_ns - before.2.sum_ns;
    println!("{slices} slices, {switches} switches; {ran} ns in slices, {busy} ns busy");
    // The two are not read in the same moment.
    assert!(
        slices.abs_diff(switches) <= 50 + switches / 50,
        "{slices} slices, {switches} switches"
    );
    // A slice lasts by the clock; busy is what the scheduler charged, without
    // the time that the host of a guest took.
    let margin = busy / 20 + 20_000_000 + 4 * emulation_slack_ns();
    assert!(
        ran.abs_diff(busy) <= margin,
        "{ran} ns in slices, {busy} ns busy"
    );
}
