use std::{
    fs,
    io::{BufRead as _, BufReader, Read as _, Write as _},
    net::TcpStream,
    path::PathBuf,
    process::{Child, Command, ExitStatus, Stdio},
    time::{Duration, Instant},
};

pub(crate) use crate::tree::tree;
use rustix::process::{Pid, Signal, kill_process};
use tempfile::TempDir;

/// Timeout of operations that are immediate on an idle host.
pub(crate) const PATIENCE: Duration = Duration::from_mins(1);

pub(crate) fn collector(args: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_collector"));
    command
        .args(args)
        .env_remove("COLLECTOR_LOG")
        .stdin(Stdio::null());
    command
}

/// A process that is killed when its test ends.
pub(crate) struct Process(pub(crate) Child);

impl Process {
    pub(crate) fn signal(&self, signal: Signal) {
        kill_process(Pid::from_child(&self.0), signal).unwrap();
    }

    /// Waits for it to exit, with a timeout.
    pub(crate) fn ended(&mut self) -> ExitStatus {
        let start = Instant::now();
        loop {
            if let Some(status) = self.0.try_wait().unwrap() {
                return status;
            }
            assert!(start.elapsed() < PATIENCE, "it did not end");
            std::thread::sleep(Duration::from_millis(10));
        }
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// `collector run` over a small tree.
pub(crate) struct Agent {
    pub(crate) process: Process,
    pub(crate) address: String,
    _files: TempDir,
}

impl Agent {
    /// Starts the command that `command` returns for a configuration file and a tree, and
    /// waits until it serves.
    pub(crate) fn start(config: &str, command: impl FnOnce(&str, &str) -> Command) -> Self {
        let files = tree();
        let path: PathBuf = files.path().join("collector.toml");
        fs::write(
            &path,
            format!("prometheus.listen = \"127.0.0.1:0\"\n{config}"),
        )
        .unwrap();
        let root = files.path().to_str().unwrap();
        let mut command = command(path.to_str().unwrap(), root);
        let mut process = Process(command.stdout(Stdio::piped()).spawn().unwrap());
        let mut lines = BufReader::new(process.0.stdout.take().unwrap()).lines();
        let line = lines.find(|line| line.as_ref().unwrap().starts_with("Prometheus:"));
        let line = line.unwrap().unwrap();
        let address = line.split("http://").nth(1).unwrap();
        let address = address.strip_suffix("/metrics").unwrap().to_owned();
        Self {
            process,
            address,
            _files: files,
        }
    }

    /// With this standard error.
    pub(crate) fn with_stderr(stderr: impl Into<Stdio>) -> Self {
        Self::start("", |config, root| {
            let mut command = collector(&["run", "--config", config, "--root", root]);
            command.stderr(stderr);
            command
        })
    }

    pub(crate) fn get(&self, path: &str) -> String {
        get(&self.address, path)
    }

    /// Repeats a request until the response is as expected.
    pub(crate) fn get_until(&self, path: &str, is_right: impl Fn(&str) -> bool) -> String {
        let start = Instant::now();
        loop {
            let answer = self.get(path);
            if is_right(&answer) {
                return answer;
            }
            assert!(start.elapsed() < PATIENCE, "{path}: {answer}");
            std::thread::sleep(Duration::from_millis(20));
        }
    }

    /// Sends SIGTERM, and waits for it to exit.
    pub(crate) fn stop(&mut self) -> ExitStatus {
        self.process.signal(Signal::TERM);
        self.process.ended()
    }
}

/// The value of a series without labels.
pub(crate) fn value(metrics: &str, series: &str) -> Option<f64> {
    let line = metrics.lines().find_map(|line| line.strip_prefix(series));
    line?.trim().parse().ok()
}

pub(crate) fn get(address: &str, path: &str) -> String {
    let mut stream = TcpStream::connect(address).unwrap();
    stream.set_read_timeout(Some(PATIENCE)).unwrap();
    write!(
        stream,
        "GET {path} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n"
    )
    .unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).unwrap();
    answer
}
