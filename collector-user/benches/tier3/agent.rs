//! The agent as users run it: a separate process with both managers, of which the
//! metrics manager subscribes to each metric of tier 3 at 1 s.

use std::{
    io::{BufRead as _, BufReader, Write as _},
    path::Path,
    process::{Child, Command, Stdio},
    thread,
    time::{Duration, Instant},
};

use tempfile::NamedTempFile;

use crate::{run::Failure, scrape::get};

/// The longest time until each metric has a reading.
const PATIENCE: Duration = Duration::from_secs(30);

/// A running agent, which is stopped when this is dropped.
pub(crate) struct Agent {
    child: Child,
    /// The address of its Prometheus endpoint.
    pub(crate) address: String,
    _config: NamedTempFile,
}

impl Agent {
    /// Starts an agent and waits until each metric has a reading.
    pub(crate) fn start(backend: &str, settings: &str) -> Result<Self, Failure> {
        let mut config = NamedTempFile::new()?;
        write!(config, "prometheus.listen = \"127.0.0.1:0\"\n{settings}\n")?;
        let mut child = Command::new(Path::new(env!("CARGO_BIN_EXE_collector")))
            .args(["run", "--backend", backend, "--config"])
            .arg(config.path())
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()?;
        let output = child.stdout.take().ok_or("it is a pipe")?;
        let mut agent = Self {
            child,
            address: String::new(),
            _config: config,
        };
        for line in BufReader::new(output).lines() {
            let line = line?;
            if let Some((_, address)) = line.split_once("Prometheus:      http://") {
                address
                    .trim_end_matches("/metrics")
                    .clone_into(&mut agent.address);
                break;
            }
        }
        if agent.address.is_empty() {
            return Err("the agent ended: try `collector doctor`".into());
        }
        let start = Instant::now();
        while !get(&agent.address, "/readyz").is_ok_and(|text| text.starts_with("HTTP/1.1 200")) {
            if start.elapsed() > PATIENCE {
                return Err("the agent did not become ready".into());
            }
            thread::sleep(Duration::from_millis(50));
        }
        Ok(agent)
    }

    pub(crate) fn pid(&self) -> u32 {
        self.child.id()
    }
}

impl Drop for Agent {
    fn drop(&mut self) {
        let pid = rustix::process::Pid::from_child(&self.child);
        let _gone = rustix::process::kill_process(pid, rustix::process::Signal::TERM);
        let _status = self.child.wait();
    }
}
