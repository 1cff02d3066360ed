use std::{
    collections::BTreeSet,
    thread,
    time::{Duration, Instant},
};

use collector::source::{
    Sources,
    ebpf::{LoadOptions, ProgramState, Scheduler},
};

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
    assert_eq!(scheduler.report().programs.len(), 7);
}

#[test]
fn a_program_that_is_missing_turns_off_only_what_it_feeds() {
    for missing in [
        "sched_wakeup",
        "sched_wakeup_new",
        "sched_process_fork",
        "sched_process_exec",
        "sched_process_exit",
    ] {
        // The wakeups are watched only where the kernel does not count waits.
        let waits = "task_struct.sched_info.run_delay".to_owned();
        let options = LoadOptions {
            pretend_missing: vec![missing.to_owned(), waits],
            ..LoadOptions::default()
        };
        let scheduler =
            Scheduler::load(&options).unwrap_or_else(|error| panic!("without {missing}: {error}"));
        for program in &scheduler.report().programs {
            let is_off = matches!(program.state, ProgramState::Off { .. });
            assert_eq!(
                is_off,
                program.name == missing,
                "{} without {missing}",
                program.name
            );
        }
        let reading = scheduler
            .process_stats(&Sources::live().tick())
            .unwrap_or_else(|error| panic!("without {missing}: {error}"));
        let this = std::process::id();
        let process = reading.processes.iter().find(|process| process.pid == this);
        let process =
            process.unwrap_or_else(|| panic!("without {missing} this process is not shown"));
        assert!(process.cpu_ns > Some(0), "without {missing}: {process:?}");
        let knows_sleep = !missing.starts_with("sched_wakeup");
        assert_eq!(
            process.blocked_ns.is_some(),
            knows_sleep,
            "blocked_ns without {missing}"
        );
    }
}

#[test]
fn without_the_program_that_all_need_loading_fails_and_says_which() {
    let options = LoadOptions {
        pretend_missing: vec!["sched_switch".to_owned()],
        ..LoadOptions::default()
    };
    let error = Scheduler::load(&options).expect_err("it cannot work");
    assert!(error.to_string().contains("sched_switch"), "{error}");
}

#[test]
fn a_field_that_is_missing_leaves_its_counters_empty() {
    let options = LoadOptions {
        pretend_missing: vec![
            "task_struct.utime".to_owned(),
            "task_struct.min_flt".to_owned(),
        ],
        ..LoadOptions::default()
    };
    let scheduler = Scheduler::load(&options).unwrap_or_else(|error| panic!("{error}"));
    let missing: Vec<&str> = scheduler
        .report()
        .missing_fields
        .iter()
        .map(|missing| missing.field.as_str())
        .filter(|field| options.pretend_missing.iter().any(|name| name == field))
        .collect();
    assert_eq!(missing, ["task_struct.utime", "task_struct.min_flt"]);
    let reading = scheduler
        .process_stats(&Sources::live().tick())
        .expect("it works without them");
    for process in &reading.processes {
        assert_eq!(
            (process.user_ns, process.system_ns, process.minor_faults),
            (None, None, None)
        );
    }
    assert!(
        reading
            .processes
            .iter()
            .any(|process| process.cpu_ns > Some(0))
    );
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

#[test]
fn detached_programs_leave_nothing_in_the_kernel() {
    let loaded = || -> BTreeSet<u32> {
        aya::programs::loaded_programs()
            .filter_map(Result::ok)
            .map(|program| program.id())
            .collect()
    };
    let before = loaded();
    let scheduler = load();
    let ours: BTreeSet<u32> = loaded().difference(&before).copied().collect();
    assert_eq!(ours.len(), 5, "all but those that watch wakeups");
    drop(scheduler);
    // The kernel frees a program some time after its last user is gone.
    let deadline = Instant::now() + Duration::from_secs(30);
    while !loaded().is_disjoint(&ours) {
        assert!(Instant::now() < deadline, "programs are left: {ours:?}");
        thread::sleep(Duration::from_millis(20));
    }
}
