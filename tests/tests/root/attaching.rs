use std::{
    collections::BTreeSet,
    fs, thread,
    time::{Duration, Instant},
};

use collector::source::ebpf::ProgramState;

use collector_tests::{Child, helper};

use crate::load;

#[test]
fn all_programs_load_and_attach() {
    let scheduler = load();
    for program in &scheduler.report().programs {
        if program.name.starts_with("sched_wakeup") {
            assert!(
                matches!(program.state, ProgramState::Unneeded { .. }),
                "{program:?}"
            );
        } else {
            assert_eq!(program.state, ProgramState::Attached, "{}", program.name);
        }
    }
    assert_eq!(scheduler.report().programs.len(), 10);
}

#[test]
fn in_a_pid_namespace_of_its_own_loading_fails_and_says_why() {
    let child = Child::spawn(
        &mut helper("helpers::load_in_a_pid_namespace").expect("this binary is known"),
    )
    .expect("it starts");
    let usage = child.wait().expect("it is a child");
    assert!(usage.status.success(), "{:?}", usage.status);
}

/// The programs that this process has open: `bpf_prog_show_fdinfo` of
/// `kernel/bpf/syscall.c`.
fn programs_of_this_process() -> BTreeSet<u32> {
    let files = fs::read_dir("/proc/self/fdinfo").expect("it can be listed");
    files
        // The one that lists them is gone.
        .filter_map(|file| fs::read_to_string(file.ok()?.path()).ok())
        .filter_map(|text| {
            let id = text
                .lines()
                .find_map(|line| line.strip_prefix("prog_id:"))?;
            id.trim().parse().ok()
        })
        .collect()
}

#[test]
fn detached_programs_leave_nothing_in_the_kernel() {
    let loaded = || -> BTreeSet<u32> {
        aya::programs::loaded_programs()
            .filter_map(Result::ok)
            .map(|program| program.id())
            .collect()
    };
    let scheduler = load();
    let ours = programs_of_this_process();
    assert_eq!(ours.len(), 8, "all but those that watch wakeups");
    drop(scheduler);
    // The kernel frees a program some time after its last user is gone.
    let deadline = Instant::now() + Duration::from_secs(30);
    while !loaded().is_disjoint(&ours) {
        assert!(Instant::now() < deadline, "programs are left: {ours:?}");
        thread::sleep(Duration::from_millis(20));
    }
}
