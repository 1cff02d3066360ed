//! What an agent opens and reads, seen from outside its process: `strace`
//! records the calls of an agent with both managers and ten subscribers on all
//! metrics for half a minute, once with each backend, while processes are moved
//! between cgroups.
//!
//! The kernel's own event for the call, `syscalls/sys_enter_openat`, shows the
//! address of the path and not the path, hence `strace`. A guest has none, so
//! `cargo xtask test-vm` leaves this out.

use std::{
    collections::{BTreeMap, BTreeSet},
    env,
    fs::{self, File},
    io,
    os::unix::process::CommandExt as _,
    path::Path,
    process::{Child, Command, Stdio},
    time::Duration,
};

use collector::{
    agent::{Agent, BackendChoice},
    bus::every,
    manager::{HardwareManager, MetricsManager},
};
use collector_tests::helper;
use rustix::time::{ClockId, clock_gettime};

use crate::support::{Moving, runtime};

/// The fastest interval: ticks are its multiples on the monotonic clock.
const TICK: f64 = 1.0;
/// How much earlier than it was a call may seem: the clocks of the agent and of
/// `strace` are compared once, and a stopped thread is looked at with delay.
const EARLY: f64 = 0.25;
const LOOKING: Duration = Duration::from_secs(30);
/// How long the first samples of every metric may take.
const SETTLING: Duration = Duration::from_secs(4);
/// Which backend [`agent_with_ten_subscribers`] takes.
const BACKEND: &str = "COLLECTOR_TEST_BACKEND";
/// Which metric it subscribes to, if not to all, and without managers.
const METRIC: &str = "COLLECTOR_TEST_METRIC";
/// Opened at begin and end: there are no such files, but the trace has them.
/// What follows is the time on the monotonic clock.
const BEGIN: &str = "/collector-test/begin/";
const END: &str = "/collector-test/end/";

#[test]
fn in_one_tick_no_file_is_opened_or_read_twice() {
    let folder = tempfile::tempdir().expect("a folder");
    let _moving = Moving::begin();
    let runs = [BackendChoice::Ebpf, BackendChoice::Procfs].map(|backend| {
        let path = folder.path().join(backend.as_str());
        (backend, traced_agent(backend, None, &path), path)
    });
    let mut twice = Vec::new();
    for (backend, child, path) in runs {
        let output = child.wait_with_output().expect("it is a child");
        assert!(
            output.status.success(),
            "{}: {}{}",
            backend.as_str(),
            String::from_utf8_lossy(&output.stdout),
            String::from_utf8_lossy(&output.stderr)
        );
        let text = fs::read_to_string(path).expect("strace has written it");
        let looks = looks_between_the_marks(&calls(&text));
        print_table(backend, &looks);
        let of_proc = |look: &&Look| look.path.starts_with("/proc/");
        assert!(
            looks.iter().filter(of_proc).count() > 30,
            "the trace has almost no reads of /proc: {looks:?}"
        );
        let found = more_than_once(&looks).into_iter();
        twice.extend(found.map(|line| format!("{}: {line}", backend.as_str())));
    }
    let first = &twice[..twice.len().min(20)];
    assert!(first.is_empty(), "{}:\n{}", twice.len(), first.join("\n"));
}

#[test]
fn cpu_stats_by_the_programs_opens_and_reads_no_file() {
    let folder = tempfile::tempdir().expect("a folder");
    let _moving = Moving::begin();
    let path = folder.path().join("cpu_stats");
    let child = traced_agent(BackendChoice::Ebpf, Some("cpu_stats"), &path);
    let output = child.wait_with_output().expect("it is a child");
    assert!(output.status.success(), "{output:?}");
    let text = fs::read_to_string(path).expect("strace has written it");
    let calls = calls(&text);
    let is_mark = |call: &Call<'_>, mark| quoted(call).starts_with(mark);
    let readings = calls
        .iter()
        .skip_while(|call| !is_mark(call, BEGIN))
        .take_while(|call| !is_mark(call, END))
        .filter(|call| call.name == "bpf")
        .count();
    assert!(
        readings as f64 >= LOOKING.as_secs_f64() / TICK,
        "the programs were asked {readings} times only"
    );
    let looks = looks_between_the_marks(&calls);
    assert!(looks.is_empty(), "{looks:?}");
}

/// Starts the agent under `strace`, which writes what it sees to `trace`.
fn traced_agent(backend: BackendChoice, metric: Option<&str>, trace: &Path) -> Child {
    let agent = helper("opens::agent_with_ten_subscribers").expect("the path is known");
    let mut strace = Command::new("strace");
    // Each call waits for strace: where others want the CPU too, a look would
    // last into the next tick.
    //
    // SAFETY: between fork and exec, only a system call is made, which takes
    // no pointer.
    unsafe {
        strace.pre_exec(|| match libc::setpriority(libc::PRIO_PROCESS, 0, -20) {
            0 => Ok(()),
            _ => Err(io::Error::last_os_error()),
        });
    }
    strace
        .envs(metric.map(|metric| (METRIC, metric)))
        .args([
            "--follow-forks",
            "--seccomp-bpf",
            "-ttt",
            "--decode-fds=path",
        ])
        .args([
            "--string-limit=0",
            "--trace=open,openat,openat2,pread64,bpf",
        ])
        .arg("--output")
        .arg(trace)
        .arg(agent.get_program())
        .args(agent.get_args())
        .env(BACKEND, backend.as_str())
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .expect("strace is on PATH: `cargo xtask setup --for test` brings it")
}

#[test]
#[ignore = "run by another test as a child process"]
fn agent_with_ten_subscribers() {
    let backend = env::var(BACKEND).expect("the backend is named");
    let runtime = runtime();
    runtime.block_on(async {
        let backend = backend.parse().expect("a backend");
        let agent = Agent::builder().backend(backend).start();
        let agent = agent.expect("it starts");
        let bus = agent.bus();
        tokio::time::sleep(until_between_two_ticks()).await;
        let only = env::var(METRIC).ok();
        let _managers = only.is_none().then(|| {
            (
                MetricsManager::start(bus, |_| Duration::from_secs(1)),
                HardwareManager::start(bus),
            )
        });
        let is_wanted = |name: &str| only.as_deref().is_none_or(|only| only == name);
        for number in 0..10 {
            let interval = Duration::from_secs([1, 2, 5][number % 3]);
            for metric in bus
                .metrics()
                .iter()
                .filter(|metric| is_wanted(metric.name()))
            {
                let subscription = bus.subscribe_any(metric.name(), every(interval));
                let mut subscription = subscription.expect("the interval is allowed");
                tokio::spawn(async move { while subscription.recv().await.is_ok() {} });
            }
        }
        tokio::time::sleep(SETTLING).await;
        mark(BEGIN);
        tokio::time::sleep(LOOKING).await;
        mark(END);
        agent.stop().await;
    });
}

/// What does not keep to the ticks, but to the time at which it was started,
/// shall be seen: so that is not near a tick.
fn until_between_two_ticks() -> Duration {
    let now = clock_gettime(ClockId::Monotonic);
    Duration::from_millis(1_500).saturating_sub(Duration::from_nanos(now.tv_nsec as u64))
}

fn mark(what: &str) {
    let now = clock_gettime(ClockId::Monotonic);
    let path = format!("{what}{}.{:09}", now.tv_sec, now.tv_nsec);
    assert!(File::open(path).is_err());
}

/// One call, as `strace` wrote it.
#[derive(Debug)]
struct Call<'a> {
    /// On the wall clock.
    seconds: f64,
    name: &'a str,
    arguments: String,
}

/// The system calls of a trace, ordered by their start. A line is
/// `PID SECONDS NAME(ARGUMENTS) = RESULT`, in two parts if a call of
/// another thread came between.
fn calls(trace: &str) -> Vec<Call<'_>> {
    let mut calls = Vec::new();
    let mut unfinished = BTreeMap::new();
    for line in trace.lines() {
        let mut words = line.splitn(2, ' ');
        let (Some(pid), Some(rest)) = (words.next(), words.next()) else {
            continue;
        };
        let Some((seconds, call)) = rest.trim_start().split_once(' ') else {
            continue;
        };
        if call.starts_with("<... ") {
            let (Some(index), Some((_, end))) = (unfinished.remove(pid), call.split_once('>'))
            else {
                continue;
            };
            let call: &mut Call<'_> = &mut calls[index];
            call.arguments.push_str(end);
        } else if let Some((name, arguments)) = call.split_once('(') {
            let seconds = seconds.parse().expect("the time of a call");
            let begin = arguments.strip_suffix("<unfinished ...>");
            if begin.is_some() {
                unfinished.insert(pid, calls.len());
            }
            calls.push(Call {
                seconds,
                name,
                arguments: begin.unwrap_or(arguments).to_owned(),
            });
        }
    }
    calls
}

/// A file that was opened, or read from its beginning.
#[derive(Clone, Debug)]
struct Look {
    tick: u64,
    seconds: f64,
    path: String,
    opened: bool,
}

fn looks_between_the_marks(calls: &[Call<'_>]) -> Vec<Look> {
    let mut began = None;
    let mut looks = Vec::new();
    for call in calls {
        let opened = call.name.starts_with("open");
        let path = if opened {
            quoted(call)
        } else if reads_the_beginning(call) {
            descriptor_path(call)
        } else {
            continue;
        };
        if let Some(now) = path.strip_prefix(BEGIN) {
            let now: f64 = now.parse().expect("the time of the mark");
            began = Some(call.seconds - now);
        } else if path.starts_with(END) {
            return looks;
        } else if let Some(offset) = began {
            let seconds = call.seconds - offset;
            looks.push(Look {
                tick: ((seconds + EARLY) / TICK) as u64,
                seconds,
                path: path.to_owned(),
                opened,
            });
        }
    }
    panic!("the trace has no end: {} calls", calls.len());
}

/// The path of a call that opens.
fn quoted<'a>(call: &'a Call<'_>) -> &'a str {
    call.arguments.split('"').nth(1).unwrap_or_default()
}

/// The path of the first argument, `3</proc/stat>`.
fn descriptor_path<'a>(call: &'a Call<'_>) -> &'a str {
    let path = call.arguments.split_once('<').map(|(_, rest)| rest);
    let path = path.and_then(|rest| rest.split_once(">,"));
    path.map_or("", |(path, _)| path)
}

/// Whether a `pread64` has the offset 0, which is its last argument.
fn reads_the_beginning(call: &Call<'_>) -> bool {
    let arguments = call.arguments.rsplit_once(')').map(|(before, _)| before);
    call.name == "pread64" && arguments.is_some_and(|before| before.ends_with(", 0"))
}

/// What was opened, or read from its beginning, more than once in a tick.
fn more_than_once(looks: &[Look]) -> Vec<String> {
    let mut times: BTreeMap<(u64, bool, &str), Vec<f64>> = BTreeMap::new();
    for look in looks {
        let key = (look.tick, look.opened, look.path.as_str());
        times.entry(key).or_default().push(look.seconds);
    }
    times.retain(|_, times| times.len() > 1);
    let lines = times.iter().map(|((_, opened, path), times)| {
        let what = if *opened { "opened" } else { "read" };
        format!("{path} was {what} at {times:.3?} s")
    });
    lines.collect()
}

fn print_table(backend: BackendChoice, looks: &[Look]) {
    let ticks: BTreeSet<u64> = looks.iter().map(|look| look.tick).collect();
    let mut classes: BTreeMap<String, [f64; 2]> = BTreeMap::new();
    for look in looks {
        let counts = classes.entry(class(&look.path)).or_default();
        counts[usize::from(!look.opened)] += 1.0 / ticks.len() as f64;
    }
    println!("{}: of {} ticks, in each", backend.as_str(), ticks.len());
    println!("{:>8} {:>8}", "opens", "reads");
    for (class, [opens, reads]) in classes {
        println!("{opens:8.2} {reads:8.2}  {class}");
    }
}

/// A path with each number in it as N, without what is below the fourth folder.
fn class(path: &str) -> String {
    let mut class = String::new();
    for part in path.split('/').skip(1).take(4) {
        class.push('/');
        let mut digits = false;
        for character in part.chars() {
            let is_digit = character.is_ascii_digit();
            match (is_digit, digits) {
                (true, false) => class.push('N'),
                (true, true) => {}
                (false, _) => class.push(character),
            }
            digits = is_digit;
        }
    }
    class
}

#[test]
fn a_trace_is_read_also_where_calls_are_interleaved() {
    let trace = "\
7 100.0 openat(AT_FDCWD</>, \"/collector-test/begin/50.0\", O_RDONLY) = -1 ENOENT (No such file)
7  101.0 openat(AT_FDCWD</>, \"/proc/stat\", O_RDONLY) = 3</proc/stat>
7  101.1 pread64(3</proc/stat>,  <unfinished ...>
8  101.2 openat(AT_FDCWD</>, \"/proc/stat\", O_RDONLY <unfinished ...>
7  101.3 <... pread64 resumed>\"\"..., 4096, 0) = 10
8  101.4 <... openat resumed>) = 4</proc/stat>
7  101.5 pread64(3</proc/stat>, \"\", 4096, 10) = 0
7  101.9 openat(AT_FDCWD</>, \"/proc/stat\", O_RDONLY) = 3</proc/stat>
7  102.0 openat(AT_FDCWD</>, \"/collector-test/end/52.0\", O_RDONLY) = -1 ENOENT (No such file)
";
    let looks = looks_between_the_marks(&calls(trace));
    let summary: Vec<_> = looks.iter().map(|look| (look.tick, look.opened)).collect();
    assert_eq!(summary, [(51, true), (51, false), (51, true), (52, true)]);
    assert_eq!(
        more_than_once(&looks),
        ["/proc/stat was opened at [51.000, 51.200] s"]
    );
    assert_eq!(
        class("/sys/devices/system/cpu/cpu10/x"),
        "/sys/devices/system/cpu"
    );
}
