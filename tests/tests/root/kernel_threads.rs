//! Threads of the kernel.

use collector_tests::{ProcTask, emulation_slack_ns};
use procfs::process::all_processes;

use crate::support::{load, processes};

#[test]
fn kernel_threads_have_the_time_of_schedstat() {
    let accountant = load();
    let read = |pid| {
        ProcTask::read(pid)
            .ok()
            .filter(|task| task.is_kernel_thread)
    };
    let before: Vec<(u32, ProcTask)> = all_processes()
        .expect("they can be listed")
        .filter_map(Result::ok)
        .filter_map(|process| Some((process.pid as u32, read(process.pid as u32)?)))
        .collect();
    let reading = processes(&accountant);
    let mut compared = 0;
    for (pid, before) in before {
        // Those that end meanwhile tell nothing.
        let Some(after) = read(pid) else {
            continue;
        };
        let shown = reading.processes.get(pid);
        let shown = shown.unwrap_or_else(|| panic!("kernel thread {pid} is not shown"));
        assert_eq!(shown.kernel_thread, Some(true), "{shown:?}");
        assert_eq!(
            shown.cmdline.as_deref().unwrap_or_default(),
            "",
            "{shown:?}"
        );
        let cpu_ns = shown.cpu_ns.expect("it is known");
        // One that has a CPU is charged at the next timer tick in schedstat,
        // and at once here.
        let in_flight = 20_000_000 + emulation_slack_ns();
        let highest = if before.voluntary_switches == after.voluntary_switches
            && before.state != 'R'
            && after.state != 'R'
        {
            after.cpu_ns
        } else {
            after.cpu_ns + in_flight
        };
        assert!(
            (before.cpu_ns..=highest).contains(&cpu_ns),
            "{shown:?}: not from {} to {highest}",
            before.cpu_ns
        );
        compared += 1;
    }
    assert!(compared > 10, "only {compared} kernel threads");
}
