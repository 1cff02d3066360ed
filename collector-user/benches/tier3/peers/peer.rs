use std::{
    io::Write as _,
    process::{Child, Command, Stdio},
};

use tempfile::{NamedTempFile, TempDir};

use crate::{agent::Agent, run::Failure, tool};

/// A program that monitors processes.
pub(super) struct Peer {
    pub(super) name: &'static str,
    /// `None` for our own.
    pub(super) program: Option<&'static str>,
    pub(super) what: &'static str,
    pub(super) start: fn() -> Result<Started, Failure>,
}

/// A running one, which is stopped when this is dropped.
pub(super) struct Started {
    process: Process,
    /// Address and path of its metrics.
    pub(super) scraped: Option<(String, String)>,
}

enum Process {
    Agent(Agent),
    Other(Child, Files),
}

/// What it needs while it runs.
#[derive(Default)]
struct Files {
    _file: Option<NamedTempFile>,
    _folder: Option<TempDir>,
}

impl Started {
    pub(super) fn pid(&self) -> u32 {
        match &self.process {
            Process::Agent(agent) => agent.pid(),
            Process::Other(child, _files) => child.id(),
        }
    }

    fn other(child: Child, files: Files, scraped: Option<&str>) -> Self {
        Self {
            process: Process::Other(child, files),
            scraped: scraped.map(|address| (address.to_owned(), "/metrics".to_owned())),
        }
    }
}

impl Drop for Started {
    fn drop(&mut self) {
        if let Process::Other(child, _files) = &mut self.process {
            let _gone = child.kill();
            let _status = child.wait();
        }
    }
}

pub(super) fn peers() -> [Peer; 6] {
    [
        Peer {
            name: "collector run",
            program: None,
            what: "all, exact; tiers 1 to 3, series for 50",
            start: || agent("ebpf"),
        },
        Peer {
            name: "collector run --backend procfs",
            program: None,
            what: "all, from /proc; tiers 1 to 3, series for 50",
            start: || agent("procfs"),
        },
        Peer {
            name: "prometheus-process-exporter",
            program: Some("prometheus-process-exporter"),
            what: "groups by name; no threads, no smaps",
            start: process_exporter,
        },
        Peer {
            name: "prometheus-node-exporter",
            program: Some("prometheus-node-exporter"),
            what: "number by state; the host",
            start: node_exporter,
        },
        Peer {
            name: "pidstat -p ALL -u -r -d -w 1",
            program: Some("pidstat"),
            what: "all",
            start: pidstat,
        },
        Peer {
            name: "atop -w FILE 1",
            program: Some("atop"),
            what: "all that changed; the host",
            start: atop,
        },
    ]
}

fn agent(backend: &str) -> Result<Started, Failure> {
    let agent = Agent::start(backend, "")?;
    let scraped = Some((agent.address.clone(), "/metrics".to_owned()));
    Ok(Started {
        process: Process::Agent(agent),
        scraped,
    })
}

fn process_exporter() -> Result<Started, Failure> {
    const ADDRESS: &str = "127.0.0.1:19256";
    let mut config = NamedTempFile::new()?;
    write!(
        config,
        "process_names:\n  - name: \"{{{{.Comm}}}}\"\n    comm: []\n    cmdline: ['.*']\n"
    )?;
    let child = command("prometheus-process-exporter")?
        .arg("-config.path")
        .arg(config.path())
        .args(["-web.listen-address", ADDRESS])
        .args(["-threads=false", "-gather-smaps=false"])
        .spawn()?;
    let files = Files {
        _file: Some(config),
        ..Files::default()
    };
    Ok(Started::other(child, files, Some(ADDRESS)))
}

fn node_exporter() -> Result<Started, Failure> {
    const ADDRESS: &str = "127.0.0.1:19100";
    let child = command("prometheus-node-exporter")?
        .args(["--collector.processes", "--web.listen-address", ADDRESS])
        .spawn()?;
    Ok(Started::other(child, Files::default(), Some(ADDRESS)))
}

fn pidstat() -> Result<Started, Failure> {
    let child = command("pidstat")?
        .args(["-p", "ALL", "-u", "-r", "-d", "-w", "1"])
        .spawn()?;
    Ok(Started::other(child, Files::default(), None))
}

fn atop() -> Result<Started, Failure> {
    let folder = tempfile::tempdir()?;
    let child = command("atop")?
        // Empty, so that it does not turn on process accounting.
        .env("ATOPACCT", "")
        .arg("-w")
        .arg(folder.path().join("raw"))
        .arg("1")
        .spawn()?;
    let files = Files {
        _folder: Some(folder),
        ..Files::default()
    };
    Ok(Started::other(child, files, None))
}

fn command(program: &str) -> Result<Command, Failure> {
    let mut command = Command::new(tool::find(program).ok_or_else(|| tool::absent(program))?);
    command
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::null());
    Ok(command)
}
