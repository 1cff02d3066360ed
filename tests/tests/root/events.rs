use std::{
    collections::{BTreeMap, BTreeSet},
    process::Command,
    sync::atomic::{AtomicBool, Ordering},
    thread,
};

use collector::metric::ProcessEvent;
use collector_tests::{
    Child, Crowd, Identity, Recorded, Recording, cpu_clock_step_ns, here_or_emulated, wait_until,
};

use crate::{
    load,
    support::{load_and_record, processes},
};

fn shell(script: &str) -> Command {
    let mut command = Command::new("/bin/sh");
    command.args(["-c", script]);
    command
}

#[test]
fn a_thousand_short_lived_processes_give_a_thousand_exits_with_their_totals() {
    let accountant = load();
    let recorder = Recording::of(&accountant);
    let mut used = BTreeMap::new();
    for _ in 0..1_000 {
        let child = Child::spawn(&mut Command::new("/bin/true")).expect("it starts");
        let who = child.identity().expect("nobody has waited for it");
        let usage = child.wait().expect("it is a child");
        used.insert(who, usage.cpu.as_nanos() as u64);
    }
    let all: Vec<Identity> = used.keys().copied().collect();
    assert_eq!(all.len(), 1_000, "they can be told apart");
    let recorded = recorder.wait_for_exits(&all);
    assert_eq!(accountant.events_dropped(), 0);
    let has_fine_clock = cpu_clock_step_ns() < 1_000_000;
    let (mut charged, mut expected) = (0, 0);
    for (who, cpu_ns) in &used {
        let Recorded {
            forks,
            execs,
            exits,
        } = recorded.of(who);
        assert_eq!(exits.len(), 1, "exits of {who:?}");
        assert_eq!(exits[0].exit_code, Some(0));
        if has_fine_clock {
            assert!(exits[0].cpu_ns > Some(0), "{:?}", exits[0]);
        }
        assert_eq!(&*exits[0].comm, "true", "{:?}", exits[0]);
        charged += exits[0].cpu_ns.unwrap_or(0);
        expected += cpu_ns;
        assert_eq!((forks.len(), execs.len()), (1, 1), "of {who:?}");
    }
    let difference = charged.abs_diff(expected) as f64 / expected as f64;
    // What a process uses after its parent has been notified is not in its rusage, but in
    // the event. It takes longer on an emulated CPU.
    assert!(
        difference < here_or_emulated(0.05, 0.15),
        "{charged} ns charged, {expected} ns by rusage"
    );
}

#[test]
fn an_exec_has_the_file_name_and_the_arguments() {
    let accountant = load();
    let recorder = Recording::of(&accountant);
    let mut command = Command::new("/bin/echo");
    command.args(["one", "", "two words", "\u{fc}"]);
    let child = Child::spawn(&mut command).expect("it starts");
    let who = child.identity().expect("nobody has waited for it");
    child.wait().expect("it is a child");
    let told = recorder.wait_for_exits(&[who]).of(&who);
    let exec = told.execs.first().expect("it is told");
    assert_eq!(exec.filename.as_deref(), Some("/bin/echo"));
    assert_eq!(&*exec.comm, "echo");
    assert_eq!(exec.ppid, Some(std::process::id()));
    let argv: Vec<&str> = exec.argv.iter().flatten().map(|text| &**text).collect();
    assert_eq!(argv, ["/bin/echo", "one", "", "two words", "\u{fc}"]);
    assert!(!exec.argv_truncated);
}

#[test]
fn long_arguments_are_truncated_and_marked() {
    let accountant = load();
    let recorder = Recording::of(&accountant);
    let child = Child::spawn(Command::new("/bin/true").arg("x".repeat(20_000))).expect("it starts");
    let who = child.identity().expect("nobody has waited for it");
    child.wait().expect("it is a child");
    let told = recorder.wait_for_exits(&[who]).of(&who);
    let exec = told.execs.first().expect("it is told");
    assert!(exec.argv_truncated);
    let argv = exec.argv.as_ref().expect("the beginning is there");
    assert_eq!(argv.len(), 2);
    assert!(argv[1].len() > 4_000 && argv[1].bytes().all(|byte| byte == b'x'));
}

#[test]
fn an_exit_has_the_exit_code_or_the_signal() {
    let accountant = load();
    let recorder = Recording::of(&accountant);
    let returns = Child::spawn(&mut shell("exit 42")).expect("it starts");
    let killed = Child::spawn(&mut shell("kill -9 $$; sleep 10")).expect("it starts");
    let both = [&returns, &killed].map(|child| child.identity().expect("it is there"));
    returns.wait().expect("it is a child");
    killed.wait().expect("it is a child");
    let recorded = recorder.wait_for_exits(&both);
    let [returned, killed] = both.map(|who| {
        let exits = recorded.of(&who).exits;
        exits.into_iter().next().expect("it is told")
    });
    assert_eq!((returned.exit_code, returned.signal), (Some(42), None));
    assert_eq!((killed.exit_code, killed.signal), (None, Some(9)));
}

#[test]
fn events_are_delivered_in_order() {
    let accountant = load();
    let recorder = Recording::of(&accountant);
    let child = Child::spawn(&mut Command::new("/bin/true")).expect("it starts");
    let who = child.identity().expect("nobody has waited for it");
    child.wait().expect("it is a child");
    let told = recorder.wait_for_exits(&[who]).of(&who);
    let fork = told.forks.first().expect("its begin is told");
    let exec = told.execs.first().expect("its exec is told");
    let exit = told.exits.first().expect("its end is told");
    assert!(fork.time <= exec.time && exec.time <= exit.time);
    assert_eq!(fork.start_time_ns, exit.start_time_ns);
    assert_eq!(exec.start_time_ns, exit.start_time_ns);
}

#[test]
fn a_fork_comes_before_its_exit_with_concurrent_readers() {
    let (accountant, recorder) = load_and_record();
    let count = here_or_emulated(4_000, 500);
    let ends = AtomicBool::new(false);
    let crowd = thread::scope(|scope| {
        for _ in 0..2 {
            scope.spawn(|| {
                while !ends.load(Ordering::Relaxed) {
                    processes(&accountant);
                }
            });
        }
        let crowd = Crowd::of(count);
        ends.store(true, Ordering::Relaxed);
        crowd.expect("they start")
    });
    wait_until("all their ends are told", || {
        crowd.events_in(&recorder.recorded()).exits.len() >= count
    });
    let mut ended = BTreeSet::new();
    for event in recorder.events() {
        let (pid, start_time_ns) = match &event {
            ProcessEvent::Fork(fork) => (fork.pid, fork.start_time_ns),
            ProcessEvent::Exec(exec) => (exec.pid, exec.start_time_ns),
            ProcessEvent::Exit(exit) => {
                ended.insert((exit.pid, exit.start_time_ns));
                continue;
            }
        };
        assert!(
            !ended.contains(&(pid, start_time_ns)),
            "process {pid} was told to have ended before {event:?}"
        );
    }
}
