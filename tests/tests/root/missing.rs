//! Kernels that lack a program or a field: the loader pretends that each is missing, in
//! turn.

use std::{
    collections::BTreeSet,
    process::Command,
    thread,
    time::{Duration, Instant},
};

use collector::{
    collectors::ebpf::Accountant,
    source::{
        Sources,
        bpf::{LoadError, LoadOptions, LoadReport, ProgramState},
    },
};
use collector_ebpf::OFFSETS;
use collector_tests::{Child, Recording, emulation_slack_ns};
use serde::Serialize;
use serde_json::Value;

use crate::support::{Moving, cpu_times};

/// The count of waits that the kernel keeps: without it, wakeups are watched.
const RUN_DELAY: &str = "task_struct.sched_info.run_delay";

/// What was known: the names of the fields that were not empty, after the name
/// of what they are part of (`process.cpu_ns`, `exit.signal`), and of the events
/// that came (`exit`).
type Known = BTreeSet<String>;

fn load(missing: &[&str]) -> Result<Accountant, LoadError> {
    Accountant::load(&LoadOptions {
        pretend_missing: missing.iter().map(|&name| name.to_owned()).collect(),
        ..LoadOptions::default()
    })
}

/// Loads without the missing program or field, causes some events, and returns which
/// fields are known.
fn look(missing: &[&str]) -> Result<(Known, LoadReport), LoadError> {
    let accountant = load(missing)?;
    let recorder = Recording::of(&accountant);
    let children = ["exit 3", "kill -9 $$"].map(|script| {
        let child = Child::spawn(Command::new("/bin/sh").args(["-c", script])).expect("it starts");
        let who = child.identity().expect("nobody has waited for it");
        child.wait().expect("it is a child");
        who
    });
    let reading = accountant
        .process_stats(&Sources::live().tick())
        .expect("a reading is had");
    let this = reading.processes.get(std::process::id());
    let mut known = Known::new();
    add(
        &mut known,
        "process",
        &*this.expect("this process is shown"),
    );
    add(&mut known, "exited", &reading.exited);
    for cpu in cpu_times(&accountant) {
        add(&mut known, "cpu", &cpu);
    }
    for cgroup in &reading.cgroups {
        add(&mut known, "cgroup", &**cgroup);
    }
    let latency = accountant.sched_latency();
    add(&mut known, "latency", &latency);
    add(&mut known, "latency", &latency.total);

    // Without some programs there is no exit event.
    let patience = if missing.is_empty() {
        Duration::from_mins(1)
    } else {
        Duration::from_secs(2).max(10 * Duration::from_nanos(emulation_slack_ns()))
    };
    let recorded = recorder.wait_for_exits_until(&children, Instant::now() + patience);
    for told in children.map(|child| recorded.of(&child)) {
        for event in &told.forks {
            add(&mut known, "fork", event);
        }
        for event in &told.execs {
            add(&mut known, "exec", event);
        }
        for event in &told.exits {
            add(&mut known, "exit", event);
        }
    }
    let events = ["fork", "exec", "exit"];
    assert!(
        !missing.is_empty() || events.iter().all(|&event| known.contains(event)),
        "with all of it, all events are told: {known:?}"
    );
    Ok((known, accountant.report().clone()))
}

fn add(known: &mut Known, part: &str, value: &impl Serialize) {
    let value = serde_json::to_value(value).expect("it has a form in JSON");
    let fields = value.as_object().expect("it is a structure");
    known.insert(part.to_owned());
    for (name, value) in fields {
        if !matches!(value, Value::Null) && value.as_str() != Some("") {
            known.insert(format!("{part}.{name}"));
        }
    }
}

/// The last part of a name: `signal` of `exit.signal`.
fn leaf(name: &str) -> &str {
    name.rsplit('.').next().unwrap_or(name)
}

/// The words of a sentence on what something feeds.
fn words(feeds: &str) -> BTreeSet<&str> {
    feeds
        .split(|letter: char| !letter.is_ascii_alphanumeric() && letter != '_')
        .collect()
}

/// Asserts that without the program or field only the fields that it feeds are unknown.
#[track_caller]
fn assert_lost_only(missing: &str, feeds: &BTreeSet<&str>, with: &Known, without: &Known) {
    let lost: Vec<&String> = with.difference(without).collect();
    println!("without {missing}: {lost:?}");
    for name in lost {
        // With an event all of its fields are lost.
        let is_told =
            feeds.contains(leaf(name)) || name.split('.').any(|part| feeds.contains(part));
        assert!(
            is_told,
            "without {missing}, {name} is lost; it feeds {feeds:?}"
        );
    }
}

/// Asserts that without the program or field all fields that it feeds are unknown.
#[track_caller]
fn assert_lost_all(missing: &str, feeds: &BTreeSet<&str>, with: &Known, without: &Known) {
    let lost: BTreeSet<&str> = with.difference(without).map(|name| leaf(name)).collect();
    let known: BTreeSet<&str> = with.iter().map(|name| leaf(name)).collect();
    for word in feeds.intersection(&known) {
        assert!(
            lost.contains(word),
            "without {missing}, {word} is known all the same; lost is {lost:?}"
        );
    }
}

#[test]
fn a_missing_program_disables_only_what_it_feeds() {
    let (all, report) = look(&[]).unwrap_or_else(|error| panic!("{error}"));
    let (without_count, _) = look(&[RUN_DELAY]).unwrap_or_else(|error| panic!("{error}"));
    let mut needed = Vec::new();
    for program in &report.programs {
        // A program that takes the place of what the kernel has is tried where
        // the kernel has it not.
        let (with, missing) = match program.state {
            ProgramState::Unneeded { .. } => (&without_count, vec![program.name, RUN_DELAY]),
            _ => (&all, vec![program.name]),
        };
        let (without, report) = match look(&missing) {
            Ok(found) => found,
            Err(LoadError::Program { name, .. }) if name == program.name => {
                needed.push(name);
                continue;
            }
            Err(error) => panic!("without {}: {error}", program.name),
        };
        for other in &report.programs {
            let is_off = matches!(other.state, ProgramState::Off { .. });
            let should = other.name == program.name;
            assert_eq!(is_off, should, "{} without {}", other.name, program.name);
        }
        let feeds = words(program.feeds);
        assert_lost_only(program.name, &feeds, with, &without);
        assert_lost_all(program.name, &feeds, with, &without);
    }
    assert_eq!(needed, ["sched_switch", "all_tasks"]);
}

#[test]
fn a_missing_field_disables_only_what_it_feeds() {
    let (with, report) = look(&[]).unwrap_or_else(|error| panic!("{error}"));
    let missing_here: BTreeSet<&str> = report
        .missing_fields
        .iter()
        .map(|missing| missing.field.as_str())
        .collect();
    let optional: Vec<_> = OFFSETS
        .iter()
        .filter_map(|field| Some((field, field.feeds?)))
        .filter(|(field, _)| !missing_here.contains(field.paths.join(" or ").as_str()))
        .collect();
    // Loading takes seconds in an emulated guest.
    let at_once = match std::env::var("COLLECTOR_TEST_VM").as_deref() {
        Ok("tcg") => 10,
        _ => 1,
    };
    for fields in optional.chunks(at_once) {
        let paths: Vec<&str> = fields
            .iter()
            .flat_map(|(field, _)| field.paths)
            .copied()
            .collect();
        let missing = paths.join(", ");
        let (without, report) =
            look(&paths).unwrap_or_else(|error| panic!("without {missing}: {error}"));
        for (field, feeds) in fields {
            let name = field.paths.join(" or ");
            let reported = report.missing_fields.iter().find(|row| row.field == name);
            assert_eq!(reported.map(|row| row.feeds), Some(*feeds), "{name}");
        }
        let feeds = fields.iter().flat_map(|(_, feeds)| words(feeds)).collect();
        assert_lost_only(&missing, &feeds, &with, &without);
        // A field of some processes or events only is known for the others.
        let whole = fields.iter().filter(|(_, feeds)| !feeds.contains(" of "));
        let feeds = whole.flat_map(|(_, feeds)| words(feeds)).collect();
        assert_lost_all(&missing, &feeds, &with, &without);
    }
}

/// Then the online CPUs are read once a tick, whoever needs them and whatever happens.
#[test]
fn without_the_program_read_cpus_the_online_cpus_are_read_once_a_tick() {
    const PATH: &str = "/sys/devices/system/cpu/online";
    let accountant = load(&["read_cpus"]).unwrap_or_else(|error| panic!("{error}"));
    assert!(!accountant.has_cpu_stats(), "{:?}", accountant.report());
    let _moving = Moving::begin();
    let sources = Sources::live();
    for tick in 1..=3 {
        let tick_of_all = sources.tick();
        for _ in 0..2 {
            accountant
                .processes_and_cpus(&tick_of_all)
                .expect("a reading is had");
            accountant.cpu_stats(&tick_of_all);
        }
        let stats = sources.file_stats();
        let online = stats.iter().find(|file| &*file.path == PATH);
        assert_eq!(online.map(|file| file.cost.reads), Some(tick), "{stats:?}");
        thread::sleep(Duration::from_millis(100));
    }
}

#[test]
fn without_a_mandatory_field_loading_fails_with_its_name() {
    for field in OFFSETS.iter().filter(|field| field.feeds.is_none()) {
        let error = load(field.paths).expect_err("it cannot work");
        let name = field.paths.join(" or ");
        assert!(
            matches!(&error, LoadError::MissingField(missing) if *missing == name),
            "without {name}: {error}"
        );
    }
}

#[test]
fn the_reasons_name_what_is_missing() {
    let error = load(&["sched_switch"])
        .expect_err("it cannot work")
        .to_string();
    assert!(error.contains("sched_switch"), "{error}");
    let error = load(&["task_struct.pid"])
        .expect_err("it cannot work")
        .to_string();
    assert!(error.contains("task_struct.pid"), "{error}");
}
