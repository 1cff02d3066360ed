//! The command line: output, standard error and exit status, with a small tree instead of
//! the live `/proc`.

#![expect(
    clippy::unwrap_used,
    clippy::panic,
    reason = "a test fails by panicking, and helpers outside of a test function are tests too"
)]

#[path = "common/tree.rs"]
mod tree;

use std::{
    fs,
    io::{BufRead as _, BufReader, Read as _, Write as _},
    net::{TcpListener, TcpStream},
    path::Path,
    process::{Command, Output, Stdio},
    time::{Duration, Instant},
};

use serde_json::Value;
use tempfile::TempDir;
use tree::tree;

fn collector(args: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_collector"));
    command.args(args).env_remove("COLLECTOR_LOG");
    command
}

fn output(args: &[&str]) -> Output {
    collector(args).output().unwrap()
}

fn over(tree: &Path, args: &[&str]) -> Output {
    let mut command = collector(args);
    command.arg("--root").arg(tree).output().unwrap()
}

fn stdout(output: &Output) -> String {
    String::from_utf8(output.stdout.clone()).unwrap()
}

/// The single line on standard error of a command that fails with this status.
fn complaint(output: &Output, status: i32) -> String {
    let stderr = String::from_utf8(output.stderr.clone()).unwrap();
    assert_eq!(output.status.code(), Some(status), "{stderr}");
    assert_eq!(stderr.lines().count(), 1, "{stderr}");
    assert!(stderr.starts_with("collector: "), "{stderr}");
    assert!(output.stdout.is_empty());
    stderr
}

/// Waits for a process to exit, with a timeout.
fn ended(child: &mut std::process::Child) -> Option<i32> {
    let patience = Instant::now() + Duration::from_secs(20);
    loop {
        if let Some(status) = child.try_wait().unwrap() {
            return status.code();
        }
        if Instant::now() > patience {
            child.kill().unwrap();
            panic!("it did not end");
        }
        std::thread::sleep(Duration::from_millis(10));
    }
}

#[test]
fn a_snapshot_has_the_host_and_a_sample_of_each_metric() {
    let tree = tree();
    let output = over(tree.path(), &["snapshot", "--format", "json"]);
    assert_eq!(output.status.code(), Some(0));
    let snapshot: Value = serde_json::from_str(&stdout(&output)).unwrap();
    assert_eq!(snapshot["host"], "small");
    let metrics = &snapshot["metrics"];
    assert_eq!(metrics["load_avg"]["data"]["load_1m"], 0.5);
    assert_eq!(metrics["load_avg"]["status"], "ok");
    assert_eq!(metrics["cpu_stats"]["backend"], "procfs");
    assert_eq!(
        metrics["process_stats"]["data"]["processes"][0]["comm"],
        "init"
    );
    assert_eq!(metrics["sched_latency"]["status"], "unavailable");
    assert_eq!(metrics["sched_latency"]["data"], Value::Null);
    let reason = metrics["sched_latency"]["reason"].as_str().unwrap();
    assert!(reason.contains("captured tree"), "{reason}");
    assert!(metrics.get("process_events").is_none());
}

#[test]
fn a_snapshot_can_be_of_some_metrics_only() {
    let tree = tree();
    let args = [
        "snapshot",
        "--format",
        "json",
        "--metrics",
        "load_avg,cpu_stats",
    ];
    let snapshot: Value = serde_json::from_str(&stdout(&over(tree.path(), &args))).unwrap();
    let names: Vec<&String> = snapshot["metrics"].as_object().unwrap().keys().collect();
    assert_eq!(names, ["cpu_stats", "load_avg"]);
}

#[test]
fn a_table_shows_comm_and_escapes_control_characters() {
    let tree = tree();
    let output = over(tree.path(), &["watch", "process_stats", "--count", "1"]);
    let text = stdout(&output);
    assert!(text.contains("COMMAND"), "{text}");
    assert!(text.contains(r"init --a\x1b[2J"), "{text}");
    assert!(!text.contains('\x1b'), "{text}");
}

#[test]
fn watch_prints_count_samples() {
    let tree = tree();
    let args = [
        "watch",
        "load_avg",
        "--count",
        "3",
        "--interval",
        "100ms",
        "--format",
        "json",
    ];
    let output = over(tree.path(), &args);
    assert_eq!(output.status.code(), Some(0));
    let samples: Vec<Value> = stdout(&output)
        .lines()
        .map(|line| serde_json::from_str(line).unwrap())
        .collect();
    assert_eq!(samples.len(), 3);
    let numbers: Vec<u64> = samples
        .iter()
        .map(|s| s["sequence"].as_u64().unwrap())
        .collect();
    assert!(numbers.is_sorted_by(|a, b| a < b), "{numbers:?}");
    for field in [
        "metric",
        "tier",
        "backend",
        "status",
        "taken_at",
        "monotonic_ns",
        "missed",
    ] {
        assert!(!samples[0][field].is_null(), "{field}");
    }
}

#[test]
fn an_interval_below_the_floor_is_reported() {
    let tree = tree();
    let args = ["watch", "load_avg", "--count", "1", "--interval", "1ms"];
    let output = over(tree.path(), &args);
    assert_eq!(output.status.code(), Some(0));
    let stderr = String::from_utf8(output.stderr).unwrap();
    assert!(stderr.contains("load_avg is shown every 100ms"), "{stderr}");
}

#[test]
fn a_closed_standard_output_is_not_an_error() {
    let tree = tree();
    let mut child = collector(&[
        "watch",
        "load_avg",
        "--interval",
        "100ms",
        "--format",
        "json",
    ])
    .arg("--root")
    .arg(tree.path())
    .stdout(Stdio::piped())
    .stderr(Stdio::piped())
    .spawn()
    .unwrap();
    let mut line = String::new();
    BufReader::new(child.stdout.take().unwrap())
        .read_line(&mut line)
        .unwrap();
    assert!(line.starts_with('{'));
    assert_eq!(ended(&mut child), Some(0));
    let mut stderr = String::new();
    child.stderr.unwrap().read_to_string(&mut stderr).unwrap();
    assert_eq!(stderr, "");
}

#[test]
fn wrong_usage_is_one_sentence_with_the_fix() {
    let cases: &[(&[&str], &str)] = &[
        (&["watch", "proces_stats"], "did you mean process_stats?"),
        (&["watch", "x"], "the metrics are cpu_info,"),
        (
            &["snapshot", "--metrics", "cpu_stats,x"],
            "there is no metric \"x\"",
        ),
        (
            &["watch", "cpu_stats", "--interval", "0s"],
            "the shortest is 1ms",
        ),
        (
            &["watch", "cpu_stats", "--interval", "-1"],
            "write a number and a unit",
        ),
        (
            &["watch", "cpu_stats", "--interval", "1y"],
            "the longest is 1day",
        ),
        (
            &["watch", "cpu_stats", "--interval", "abc"],
            "write a number and a unit",
        ),
        (&["watch", "cpu_stats", "--count", "0"], "--count"),
        (&["events", "--duration", "0s"], "the shortest is 1ms"),
        (&["watch"], "<METRIC>"),
        (&["wach"], "'watch'"),
        (&["snapshot", "--bogus"], "collector snapshot --help"),
        (
            &["snapshot", "--backend", "bpf"],
            "choose auto, ebpf or procfs",
        ),
        (
            &["snapshot", "--root", "/no/such/tree"],
            "--root takes the directory",
        ),
        (&["snapshot", "--config", "/no/such/file"], "/no/such/file"),
    ];
    for (args, part) in cases {
        let text = complaint(&output(args), 2);
        assert!(text.contains(part), "{args:?}: {text}");
    }
}

#[test]
fn the_ebpf_backend_does_not_support_a_captured_tree() {
    let tree = tree();
    let output = over(tree.path(), &["snapshot", "--backend", "ebpf"]);
    assert!(complaint(&output, 2).contains("leave out --root"));
}

#[test]
fn an_invalid_log_filter_names_its_variable() {
    let output = collector(&["snapshot"])
        .env("COLLECTOR_LOG", "collector=loud")
        .output()
        .unwrap();
    assert!(complaint(&output, 2).contains("COLLECTOR_LOG"));
}

#[test]
fn an_error_is_one_line_whatever_it_is_about() {
    let args = ["config", "check", "--config", "/nowhere/a\n\x1b[2J"];
    let text = complaint(&output(&args), 2);
    assert!(text.contains("/nowhere/a\\n\\x1b[2J"), "{text:?}");
}

fn configuration(text: &str) -> (TempDir, String) {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("collector.toml");
    fs::write(&path, text).unwrap();
    let path = path.to_str().unwrap().to_owned();
    (folder, path)
}

#[test]
fn an_invalid_configuration_is_reported_with_file_key_and_line() {
    let (_folder, path) = configuration("backend = \"auto\"\n[tiers]\nfasst = \"1s\"\n");
    for command in [
        &["config", "check"][..],
        &["config", "show"],
        &["run"],
        &["snapshot"],
    ] {
        let mut args = command.to_vec();
        args.extend(["--config", &path]);
        let text = complaint(&output(&args), 2);
        let expected = format!("{path}, line 3: tiers.fasst: unknown key");
        assert!(text.contains(&expected), "{text}");
    }
}

#[test]
fn a_log_filter_is_checked_in_file_and_environment() {
    let (_folder, path) = configuration("[log]\nfilter = \"debgu\"\n");
    let (_other_folder, good) = configuration("");
    for command in [&["config", "check"][..], &["run"], &["snapshot"]] {
        let mut args = command.to_vec();
        args.extend(["--config", &path]);
        let text = complaint(&output(&args), 2);
        let expected =
            format!("{path}, line 2: log.filter: \"debgu\" is neither a level nor a target");
        assert!(text.contains(&expected), "{text}");
        let mut args = command.to_vec();
        args.extend(["--config", &good]);
        let output = collector(&args)
            .env("COLLECTOR_LOG", "debgu")
            .output()
            .unwrap();
        let text = complaint(&output, 2);
        assert!(
            text.contains("COLLECTOR_LOG: \"debgu\" is neither a level"),
            "{text}"
        );
        assert!(text.contains("did you mean debug?"), "{text}");
    }
}

#[test]
fn an_unknown_log_target_is_a_warning() {
    let (_folder, path) = configuration("[log]\nfilter = \"warn,collector::buss=debug\"\n");
    let checked = output(&["config", "check", "--config", &path]);
    assert_eq!(checked.status.code(), Some(0));
    let stderr = String::from_utf8(checked.stderr).unwrap();
    assert!(stderr.contains("did you mean collector::bus?"), "{stderr}");
    let tree = tree();
    let run = over(tree.path(), &["snapshot", "--config", &path]);
    let stderr = String::from_utf8(run.stderr).unwrap();
    assert!(stderr.contains("did you mean collector::bus?"), "{stderr}");
}

#[test]
fn config_show_has_the_origin_of_each_value() {
    let (_folder, path) = configuration("prometheus.processes = 7\n");
    let output = output(&["config", "show", "--config", &path, "--backend", "procfs"]);
    let text = stdout(&output);
    assert!(
        text.contains("processes = 7                    # line 1"),
        "{text}"
    );
    assert!(text.contains("# option --backend"), "{text}");
    assert!(
        text.contains("listen = \"127.0.0.1:9464\"        # default"),
        "{text}"
    );
}

#[test]
fn the_documented_configuration_is_the_default() {
    let page = concat!(env!("CARGO_MANIFEST_DIR"), "/../docs/operations.md");
    let page = fs::read_to_string(page).unwrap();
    let toml = page.split("```toml\n").nth(1).unwrap();
    let (_folder, path) = configuration(toml.split("```").next().unwrap());
    let values = |args: &[&str]| -> Vec<String> {
        let output = output(args);
        assert_eq!(output.status.code(), Some(0));
        let text = stdout(&output);
        let lines = text.lines().filter(|line| !line.starts_with('#'));
        lines
            .map(|line| line.split(" #").next().unwrap().trim().to_owned())
            .collect()
    };
    let documented = values(&["config", "show", "--config", &path]);
    let (_folder, empty) = configuration("");
    for line in values(&["config", "show", "--config", &empty]) {
        assert!(documented.contains(&line), "{line}");
    }
}

#[test]
fn a_disabled_metric_is_an_error() {
    let tree = tree();
    let (_folder, path) = configuration("metrics.load_avg.enabled = false\n");
    let output = over(
        tree.path(),
        &["snapshot", "--config", &path, "--format", "json"],
    );
    let snapshot: Value = serde_json::from_str(&stdout(&output)).unwrap();
    assert!(snapshot["metrics"].get("load_avg").is_none());
    let output = over(tree.path(), &["watch", "load_avg", "--config", &path]);
    assert!(complaint(&output, 2).contains("metrics.load_avg.enabled"));
}

#[test]
fn doctor_distinguishes_readable_and_unreadable_trees() {
    let whole = Path::new(env!("CARGO_MANIFEST_DIR")).join("../tests/fixtures/vm");
    let (_folder, path) = configuration("prometheus.enabled = false\n");
    let args = ["doctor", "--format", "json", "--config", &path];
    let output = over(&whole, &args);
    assert_eq!(output.status.code(), Some(0), "{}", stdout(&output));
    let report: Value = serde_json::from_str(&stdout(&output)).unwrap();
    assert_eq!(report["verdict"], "ok");

    // In a tree without /sys the missing files are named.
    let small = tree();
    let output = over(small.path(), &args);
    assert_eq!(output.status.code(), Some(1), "{}", stdout(&output));
    let text = stdout(&output);
    for metric in ["cpu_info", "disk_info", "network_info"] {
        assert!(text.contains(&format!("metric {metric}")), "{text}");
    }
    assert!(!text.contains("metric cpu_stats"), "{text}");

    let empty = tempfile::tempdir().unwrap();
    let output = over(empty.path(), &args);
    assert_eq!(output.status.code(), Some(2));
    let report: Value = serde_json::from_str(&stdout(&output)).unwrap();
    let checks = report["checks"].as_array().unwrap();
    let failed = checks
        .iter()
        .find(|check| check["status"] == "failed")
        .unwrap();
    assert_eq!(failed["name"], "procfs");
    assert!(failed["fix"].as_str().unwrap().contains("--root"));
}

/// A tree of empty files.
fn emptied(tree: &Path) {
    for path in [
        "proc/stat",
        "proc/loadavg",
        "proc/uptime",
        "proc/meminfo",
        "proc/1/stat",
        "proc/sys/kernel/osrelease",
    ] {
        fs::write(tree.join(path), "").unwrap();
    }
}

#[test]
fn doctor_fails_for_a_tree_of_empty_files() {
    let tree = tree();
    emptied(tree.path());
    let (_folder, path) = configuration("prometheus.enabled = false\n");
    let output = over(tree.path(), &["doctor", "--config", &path]);
    let text = stdout(&output);
    assert_eq!(output.status.code(), Some(2), "{text}");
    assert!(!text.contains("Everything works."), "{text}");
    assert!(text.contains("FAILED    procfs"), "{text}");
    assert!(text.contains("proc/stat: "), "{text}");
    assert!(text.contains("osrelease is \"\", not a release"), "{text}");
}

/// A hostile tree: links that lead outside, FIFOs, a device, a huge file, and names and text
/// with control characters.
fn hostile_tree() -> (TempDir, TempDir) {
    use std::os::unix::fs::symlink;
    let outside = tempfile::tempdir().unwrap();
    let secret = outside.path().join("secret");
    fs::write(&secret, "the-secret\n").unwrap();
    let tree = tree();
    let at = |path: &str| tree.path().join(path);
    fs::remove_file(at("proc/sys/kernel/hostname")).unwrap();
    symlink(&secret, at("proc/sys/kernel/hostname")).unwrap();
    fs::remove_file(at("proc/sys/kernel/osrelease")).unwrap();
    let fifo = |path: &str| {
        let (kind, mode) = (rustix::fs::FileType::Fifo, rustix::fs::Mode::RUSR);
        rustix::fs::mknodat(rustix::fs::CWD, at(path), kind, mode, 0).unwrap();
    };
    fifo("proc/sys/kernel/osrelease");
    fs::remove_file(at("proc/loadavg")).unwrap();
    fifo("proc/loadavg");
    fs::remove_file(at("proc/meminfo")).unwrap();
    symlink("/dev/zero", at("proc/meminfo")).unwrap();
    fs::File::create(at("proc/1/status"))
        .unwrap()
        .set_len(2 << 30)
        .unwrap();
    fs::write(at("proc/1/cgroup"), "0::/a\x1b[31m\u{202e}b\n").unwrap();
    let stat = fs::read_to_string(at("proc/1/stat")).unwrap();
    fs::write(
        at("proc/1/stat"),
        stat.replace("(init)", "(i\x1b]0;x\x07\n9)"),
    )
    .unwrap();
    fs::write(
        at("proc/1/cmdline"),
        format!("\x1b[2J\n{}", "x".repeat(4 << 20)),
    )
    .unwrap();
    fs::create_dir_all(at("sys/class/net/a\x1b[2J\nb\u{9b}31m")).unwrap();
    (tree, outside)
}

#[test]
fn a_hostile_tree_neither_hangs_nor_escapes_nor_controls_the_terminal() {
    let (tree, _outside) = hostile_tree();
    let (_folder, path) = configuration("prometheus.enabled = false\n");
    for args in [
        &["doctor"][..],
        &["snapshot", "--format", "table"],
        &["snapshot", "--format", "json"],
        &["watch", "process_stats", "--count", "1"],
        &["status"],
    ] {
        let mut command = collector(args);
        command
            .arg("--root")
            .arg(tree.path())
            .args(["--config", &path]);
        let mut child = command
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        let read = |mut pipe: Box<dyn std::io::Read>| {
            let mut text = String::new();
            pipe.read_to_string(&mut text).unwrap();
            text
        };
        let text = read(Box::new(child.stdout.take().unwrap()));
        let text = text + &read(Box::new(child.stderr.take().unwrap()));
        assert!(matches!(ended(&mut child), Some(0..=2)), "{args:?}: {text}");
        assert!(!text.contains("the-secret"), "{args:?}: {text}");
        let steers = |c: char| c != '\n' && collector::text::is_harmful(c);
        assert!(!text.chars().any(steers), "{args:?}: {text:?}");
        assert!(text.len() < 100_000, "{args:?}: {} bytes", text.len());
        // No text of the tree starts a line.
        let forged = |line: &str| line.starts_with("b\u{9b}") || line.starts_with("9)");
        assert!(!text.lines().any(forged), "{args:?}: {text}");
    }
}

#[test]
fn doctor_reports_an_invalid_configuration() {
    let tree = tree();
    let (_folder, path) = configuration("x = 1\n");
    let output = over(tree.path(), &["doctor", "--config", &path]);
    assert_eq!(output.status.code(), Some(2));
    assert!(stdout(&output).contains("line 1: x: unknown key"));
}

#[test]
fn a_port_in_use_is_one_sentence_with_the_key() {
    let tree = tree();
    let other = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = other.local_addr().unwrap();
    let (_folder, path) = configuration(&format!("prometheus.listen = \"{address}\"\n"));
    let output = over(tree.path(), &["run", "--config", &path]);
    assert!(complaint(&output, 1).contains("set prometheus.listen"));
}

fn get(address: &str, path: &str) -> String {
    let mut stream = TcpStream::connect(address).unwrap();
    write!(
        stream,
        "GET {path} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n"
    )
    .unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).unwrap();
    answer
}

#[test]
fn the_agent_prints_its_address_serves_and_stops_on_sigterm() {
    let tree = tree();
    let (_folder, path) = configuration("prometheus.listen = \"127.0.0.1:0\"\n");
    let mut child = collector(&["run", "--config", &path, "--log-format", "json"])
        .arg("--root")
        .arg(tree.path())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
    let line = lines.find(|line| line.as_ref().unwrap().starts_with("Prometheus:"));
    let line = line.unwrap().unwrap();
    let address = line.split("http://").nth(1).unwrap();
    let address = address.strip_suffix("/metrics").unwrap();

    assert!(get(address, "/healthz").starts_with("HTTP/1.1 200"));
    let patience = Instant::now() + Duration::from_secs(20);
    while !get(address, "/readyz").starts_with("HTTP/1.1 200") {
        assert!(Instant::now() < patience, "{}", get(address, "/readyz"));
        std::thread::sleep(Duration::from_millis(20));
    }
    let metrics = get(address, "/metrics");
    assert!(metrics.contains("text/plain; version=0.0.4"), "{metrics}");
    assert!(
        metrics.contains("\nhost_cpu_seconds_total{cpu=\"0\",mode=\"user\"} 1\n"),
        "{metrics}"
    );
    assert!(
        metrics.contains("\nhost_process_cpu_seconds_total{pid=\"1\",comm=\"init\"}"),
        "{metrics}"
    );
    assert!(
        metrics.contains("\nhost_memory_free_bytes 524288\n"),
        "{metrics}"
    );
    assert!(!metrics.contains("host_sched"), "{metrics}");
    assert!(get(address, "/nothing").starts_with("HTTP/1.1 404"));

    let pid = rustix::process::Pid::from_raw(child.id() as i32).unwrap();
    rustix::process::kill_process(pid, rustix::process::Signal::TERM).unwrap();
    assert_eq!(ended(&mut child), Some(0));
    let mut log = String::new();
    child.stderr.unwrap().read_to_string(&mut log).unwrap();
    for line in log.lines() {
        let record: Value = serde_json::from_str(line).unwrap();
        assert!(record["level"].is_string(), "{line}");
    }
    assert!(log.contains("stopped"), "{log}");
}

#[test]
fn help_goes_to_standard_output() {
    let output = output(&["--help"]);
    assert_eq!(output.status.code(), Some(0));
    assert!(stdout(&output).contains("doctor"));
}

#[test]
fn status_measures_all_modes() {
    let tree = tree();
    let args = ["status", "--modes", "--for", "2s", "--format", "json"];
    let measured: Value = serde_json::from_str(&stdout(&over(tree.path(), &args))).unwrap();
    let modes: Vec<(&str, f64)> = measured["a_minute"]
        .as_array()
        .unwrap()
        .iter()
        .map(|cost| {
            (
                cost["mode"].as_str().unwrap(),
                cost["reads"].as_f64().unwrap(),
            )
        })
        .collect();
    let names: Vec<&str> = modes.iter().map(|(name, _)| *name).collect();
    assert_eq!(names, ["bus", "cache", "independent"]);
    assert!(
        modes[2].1 > 2.0 * modes[0].1,
        "each for itself reads more: {modes:?}"
    );
}

#[test]
fn a_duration_without_modes_is_wrong_usage() {
    let tree = tree();
    let complaint = complaint(&over(tree.path(), &["status", "--for", "2s"]), 2);
    assert!(complaint.contains("--modes"), "{complaint}");
}
