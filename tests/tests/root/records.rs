//! More threads than records.

use std::{
    thread,
    time::{Duration, Instant},
};

use collector::source::bpf::LoadOptions;
use collector_tests::{
    Identity, ProcTask, Recording, burn_cpu_ms, cpu_clock_ns, emulation_slack_ns, fork, raw_thread,
    threads_of_the_host, wait_until,
};

use crate::support::{
    assert_charged_as_by_wait4, assert_close, cpu_times, end_of, is_off_cpu, load_with, look,
    process, processes,
};

#[test]
fn without_free_records_time_is_unattributed_until_there_are_some() {
    // The minimum, but enough for the existing threads.
    let records = threads_of_the_host().expect("it is told") + 2_048;
    let accountant = load_with(&LoadOptions {
        thread_records: Some(records),
        ..LoadOptions::default()
    });
    let recorder = Recording::of(&accountant);
    let unattributed = || -> u64 {
        let cpus = cpu_times(&accountant);
        cpus.iter().filter_map(|cpu| cpu.unattributed_ns).sum()
    };
    assert_eq!(accountant.threads_dropped(), 0);
    let (at_first, _cpus) = look(&accountant);

    // SAFETY: it makes system calls only.
    let horde = unsafe { fork(0, None, || be_many(records + 4_096)) }.expect("it starts");
    wait_until("there are more threads than records", || {
        ProcTask::state(horde.pid()) == Some('T')
    });
    assert!(accountant.threads_dropped() > 0);

    // A process of the host that ends meanwhile gives its record to one of
    // these, which keeps it.
    let mut shown = Vec::new();
    let one = loop {
        let before = unattributed();
        // SAFETY: it makes system calls only.
        let one = unsafe { fork(0, None, burn_and_sleep) }.expect("it starts");
        wait_until("it has used its time", || {
            cpu_clock_ns(one.pid()).is_ok_and(|used| used >= 50_000_000) && is_off_cpu(one.pid())
        });
        let grown = unattributed() - before;
        if processes(&accountant).processes.get(one.pid()).is_none() {
            assert!(grown >= 45_000_000, "only {grown} ns without a record");
            break one;
        }
        shown.push(one);
        assert!(shown.len() < 20, "there are records all the time");
    };

    let threads = horde.identity().expect("nobody has waited for it");
    horde.signal(libc::SIGKILL);
    // If its last thread has no record, two passes of the task iterator find that it has
    // exited, with an unknown exit status.
    let is_told = (0..60).any(|_second| {
        let _reading = processes(&accountant);
        let until = Instant::now() + Duration::from_secs(1);
        let recorded = recorder.wait_for_exits_until(&[threads], until);
        !recorded.of(&threads).exits.is_empty()
    });
    assert!(is_told, "the end of {threads:?} is not told");
    let (exit, _usage) = end_of(&recorder, horde);
    assert!(matches!(exit.signal, Some(9) | None), "{exit:?}");
    // The next pass of the task iterator finds it. Its CPU time is unattributed, and is not
    // counted twice.
    wait_until("the one without a record is shown", || {
        processes(&accountant).processes.get(one.pid()).is_some()
    });
    assert_eq!(process(&accountant, one.pid()).cpu_ns, Some(0));
    let used = cpu_clock_ns(one.pid()).expect("it is there");
    one.signal(libc::SIGKILL);
    let (exit, usage) = end_of(&recorder, one);
    let rest = usage.cpu.as_nanos() as u64 - used;
    let cpu_ns = exit.cpu_ns.expect("it is known");
    assert!(
        cpu_ns.abs_diff(rest) < 2_000,
        "{cpu_ns} ns, {rest} by wait4"
    );
    let (found, _cpus) = look(&accountant);
    at_first.assert_each_counted_once(&found);

    // The next pass finds the other tasks that started on this host without a free record.
    let pass = Instant::now() + Duration::from_secs(11);
    while Instant::now() < pass {
        processes(&accountant);
        thread::sleep(Duration::from_millis(500));
    }
    // From now on, all have records again.
    let dropped = accountant.threads_dropped();
    let (before, _cpus) = look(&accountant);
    // SAFETY: it makes system calls only.
    let another = unsafe { fork(0, None, || burn_cpu_ms(50)) }.expect("it starts");
    let (exit, usage) = end_of(&recorder, another);
    assert_charged_as_by_wait4(&exit, &usage);
    let (after, _cpus) = look(&accountant);
    assert_eq!(accountant.threads_dropped(), dropped);
    assert_close(
        "charged",
        after.charged_ns - before.charged_ns,
        after.busy_ns - before.busy_ns,
        0.001,
        // A look takes a while, and an emulated CPU is held up in its midst.
        200_000 + emulation_slack_ns(),
    );
    let reading = processes(&accountant);
    let mut shown = reading.processes.iter();
    assert!(shown.all(|row| Identity::new(row.pid, row.start_time_ns) != threads));
}

/// Makes so many threads, which sleep, and stops.
fn be_many(count: u32) {
    for _ in 0..count {
        // SAFETY: it makes system calls only.
        if unsafe { raw_thread(sleep_for_ever) }.is_err() {
            return;
        }
    }
    // SAFETY: the call takes no pointer.
    unsafe { libc::raise(libc::SIGSTOP) };
}

extern "C" fn sleep_for_ever(_: *mut std::ffi::c_void) -> i32 {
    loop {
        // SAFETY: the call has no precondition.
        unsafe { libc::pause() };
    }
}

fn burn_and_sleep() {
    burn_cpu_ms(50);
    sleep_for_ever(std::ptr::null_mut());
}
