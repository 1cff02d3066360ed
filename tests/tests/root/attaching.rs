use std::{
    collections::BTreeSet,
    fs,
    process::Command,
    time::{Duration, Instant},
};

use collector::{
    bus::{Bus, Publisher, SubscribeOptions},
    collectors::ebpf::{EventSink, ProcessStatsCollector},
    metric::{Backend, ProcessEvent},
    source::bpf::ProgramState,
};

use collector_tests::{Child, helper, wait_until};

use crate::load;

#[test]
fn all_programs_load_and_attach() {
    let accountant = load();
    for program in &accountant.report().programs {
        if program.name.starts_with("sched_wakeup") {
            assert!(
                matches!(program.state, ProgramState::Unneeded { .. }),
                "{program:?}"
            );
        } else {
            assert_eq!(program.state, ProgramState::Attached, "{}", program.name);
        }
    }
    assert_eq!(accountant.report().programs.len(), 10);
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
        // The descriptor of the directory itself is closed.
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
    let accountant = load();
    let ours = programs_of_this_process();
    assert_eq!(ours.len(), 8, "all but those that watch wakeups");
    drop(accountant);
    // The kernel frees a program asynchronously after its last reference is dropped.
    wait_until("no program is left", || loaded().is_disjoint(&ours));
}

/// The maps, programs and links of BPF that this process has open.
fn bpf_descriptors() -> usize {
    let files = fs::read_dir("/proc/self/fd").expect("it can be listed");
    files
        .filter_map(|file| fs::read_link(file.ok()?.path()).ok())
        .filter(|target| target.to_string_lossy().contains("bpf"))
        .count()
}

/// Hands the events of the programs to a bus, as a user of the library would.
struct ToBus(Publisher<ProcessEvent>);

impl EventSink for ToBus {
    fn is_wanted(&self) -> bool {
        self.0.is_wanted()
    }

    fn publish(&self, event: ProcessEvent) {
        self.0.publish(event);
    }

    fn lost(&self, count: u64) {
        self.0.lost(count);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 1)]
async fn a_bus_built_from_public_parts_leaves_no_descriptor_open() {
    let before = bpf_descriptors();
    let accountant = load();
    let bus = Bus::builder()
        .collector(ProcessStatsCollector::new(accountant.clone()))
        .producer::<ProcessEvent>(Backend::Ebpf)
        .build()
        .expect("it is complete");
    let publisher = bus.publisher().expect("there is such a metric");
    let stream = accountant.send_events_to(ToBus(publisher));
    assert!(bpf_descriptors() > before);
    let mut events = bus
        .subscribe::<ProcessEvent>(SubscribeOptions::default())
        .expect("there is such a metric");
    let child = Child::spawn(&mut Command::new("/bin/true")).expect("it starts");
    child.wait().expect("it is a child");
    assert!(events.recv().await.is_ok(), "the stream is there");
    // The order in which a user drops them is the user's own.
    drop(accountant);
    drop(events);
    drop(bus);
    drop(stream);
    let deadline = Instant::now() + Duration::from_mins(2);
    while bpf_descriptors() > before {
        let open = bpf_descriptors() - before;
        assert!(Instant::now() < deadline, "{open} descriptors are left");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}
