//! Adds a metric by the recipe, and checks every place where it must appear.

use std::fs;
use std::io::{Read as _, Write as _};
use std::net::{Ipv4Addr, TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, bail, ensure};

use crate::architecture::Architecture;
use crate::{command, generate, suite, workspace};

const RECIPE: &str = "docs/recipes/add-a-metric.md";

/// Adds a metric to a copy of the workspace, by docs/recipes/add-a-metric.md.
///
/// Then builds the copy, and checks that the metric is in the catalogue, in JSON, in
/// a table, among the Prometheus series, in the protobuf messages, in the reference
/// and among the decoders. Takes two minutes.
#[derive(Debug, clap::Args)]
#[command(verbatim_doc_comment)]
pub(crate) struct Recipe {}

impl Recipe {
    /// # Errors
    /// When the recipe does not produce a working metric.
    pub(crate) fn run() -> Result<()> {
        let copy = copy_of_the_workspace()?;
        let text = fs::read_to_string(workspace::root().join(RECIPE)).context(RECIPE)?;
        for block in blocks(&text)? {
            block
                .apply(&copy)
                .with_context(|| format!("{RECIPE}: the block for {}", block.file))?;
        }
        seed_target(&copy)?;
        generate::generate(&copy)?;
        check_generated(&copy)?;
        check_decoders(&copy)?;
        // Built for the tests that `generate` ran.
        let target = Architecture::of_this_machine()?.target();
        let agent = copy.join(format!("target/{target}/checked/collector"));
        check_cli(&agent)?;
        check_prometheus(&agent)
    }
}

/// A block of code with the file that it belongs to.
#[derive(Debug, PartialEq)]
struct Block {
    file: String,
    /// The line before which it is inserted; else it is the whole file.
    before: Option<String>,
    code: String,
}

impl Block {
    fn apply(&self, workspace: &Path) -> Result<()> {
        let path = workspace.join(&self.file);
        let content = match &self.before {
            None => {
                ensure!(!path.exists(), "the file exists");
                self.code.clone()
            }
            Some(line) => {
                let content = fs::read_to_string(&path)?;
                let place = content
                    .find(&format!("\n{line}\n"))
                    .with_context(|| format!("there is no line {line:?}"))?;
                let (head, tail) = content.split_at(place + 1);
                format!("{head}{}{tail}", self.code)
            }
        };
        fs::write(path, content)?;
        Ok(())
    }
}

/// The blocks of a recipe: fenced code whose info string has `file=PATH`, and
/// perhaps `before="LINE"`.
fn blocks(text: &str) -> Result<Vec<Block>> {
    let mut found = Vec::new();
    let mut lines = text.lines();
    while let Some(line) = lines.next() {
        let Some(info) = line.strip_prefix("```rust file=") else {
            continue;
        };
        let (file, before) = match info.split_once(" before=") {
            None => (info, None),
            Some((file, quoted)) => {
                let line = quoted.trim_matches('"');
                (file, Some(line.to_owned()))
            }
        };
        let code: Vec<&str> = lines.by_ref().take_while(|line| *line != "```").collect();
        found.push(Block {
            file: file.to_owned(),
            before,
            code: code.join("\n") + "\n",
        });
    }
    ensure!(!found.is_empty(), "{RECIPE} has no block with a file");
    Ok(found)
}

/// Copies the files of the workspace, without build outputs.
fn copy_of_the_workspace() -> Result<PathBuf> {
    let root = workspace::root();
    let copy = root.join("target/recipe");
    if copy.exists() {
        fs::remove_dir_all(&copy)?;
    }
    let files = command::output(Command::new("git").current_dir(root).args([
        "ls-files",
        "-z",
        "--cached",
        "--others",
        "--exclude-standard",
    ]))?;
    for file in files.split('\0').filter(|file| !file.is_empty()) {
        let (from, to) = (root.join(file), copy.join(file));
        // A file that was removed and not yet committed, or a link to a folder.
        let Ok(kind) = fs::symlink_metadata(&from) else {
            continue;
        };
        if let Some(parent) = to.parent() {
            fs::create_dir_all(parent)?;
        }
        if kind.is_symlink() {
            std::os::unix::fs::symlink(fs::read_link(&from)?, &to)?;
        } else {
            fs::copy(&from, &to).with_context(|| format!("cannot copy {file}"))?;
        }
    }
    Ok(copy)
}

fn check_generated(copy: &Path) -> Result<()> {
    for (file, wanted) in [
        ("docs/metrics.md", "## entropy\n"),
        (
            "collector-user/proto/collector/v1/metrics.proto",
            "message Entropy {\n  // Available entropy in bits.\n  uint64 available_bits = 1;\n",
        ),
    ] {
        let content = fs::read_to_string(copy.join(file))?;
        ensure!(content.contains(wanted), "{file} does not have {wanted:?}");
    }
    Ok(())
}

/// Gives the copy the dependencies that the tests of the workspace were built
/// with, so that only the packages of the workspace are built anew.
fn seed_target(copy: &Path) -> Result<()> {
    let target = Architecture::of_this_machine()?.target();
    // Procedural macros and build scripts are built for this machine without a target.
    for folder in ["checked".to_owned(), format!("{target}/checked")] {
        let from = workspace::target().join(&folder);
        let to = copy.join("target").join(&folder);
        if !from.is_dir() {
            continue;
        }
        fs::create_dir_all(&to)?;
        // Cargo writes into the small files again, but never into a library.
        for (folder, how) in [(".fingerprint", "-a"), ("build", "-a"), ("deps", "-al")] {
            if from.join(folder).is_dir() {
                command::run(Command::new("cp").arg(how).arg(from.join(folder)).arg(&to))?;
            }
        }
    }
    Ok(())
}

/// Samples of each metric, this one included, are decoded by its name.
fn check_decoders(copy: &Path) -> Result<()> {
    command::run(&mut suite::test_in(copy, "round_trip")?)
}

fn check_cli(agent: &Path) -> Result<()> {
    let json = command::output(Command::new(agent).args([
        "snapshot",
        "--metrics",
        "entropy",
        "--format",
        "json",
    ]))?;
    let json: serde_json::Value = serde_json::from_str(&json)?;
    let sample = &json["metrics"]["entropy"];
    ensure!(sample["tier"] == 2 && sample["status"] == "ok", "{sample}");
    ensure!(sample["data"]["available_bits"].is_u64(), "{sample}");
    let table = command::output(Command::new(agent).args([
        "snapshot",
        "--metrics",
        "entropy",
        "--format",
        "table",
    ]))?;
    ensure!(table.contains("available_bits"), "{table}");
    // A misspelt name is answered from the catalogue.
    let error = Command::new(agent)
        .args(["snapshot", "--metrics", "entrpy"])
        .output()?;
    let error = String::from_utf8_lossy(&error.stderr).into_owned();
    ensure!(error.contains("did you mean entropy?"), "{error}");
    Ok(())
}

/// A process that is killed when this is dropped.
struct Running(Child);

impl Drop for Running {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

fn check_prometheus(agent: &Path) -> Result<()> {
    let port = TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?
        .local_addr()?
        .port();
    let config = workspace::root().join("target/recipe.toml");
    fs::write(
        &config,
        format!("prometheus.listen = \"127.0.0.1:{port}\"\n"),
    )?;
    let running = Command::new(agent)
        .args(["run", "--backend", "procfs", "--config"])
        .arg(&config)
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()?;
    let _running = Running(running);
    let wanted = [
        "# HELP host_entropy_available_bits Available entropy in bits.\n",
        "# TYPE host_entropy_available_bits gauge\n",
        "\nhost_entropy_available_bits ",
    ];
    let began = Instant::now();
    let mut last = String::new();
    while began.elapsed() < Duration::from_mins(1) {
        last = get(port).unwrap_or_default();
        if wanted.iter().all(|wanted| last.contains(wanted)) {
            return Ok(());
        }
        thread::sleep(Duration::from_millis(200));
    }
    bail!("the series are not there: {last}")
}

fn get(port: u16) -> Result<String> {
    let mut stream = TcpStream::connect((Ipv4Addr::LOCALHOST, port))?;
    stream.set_read_timeout(Some(Duration::from_secs(5)))?;
    stream.write_all(b"GET /metrics HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n")?;
    let mut answer = String::new();
    stream.read_to_string(&mut answer)?;
    Ok(answer)
}

#[cfg(test)]
mod tests {
    use super::{Block, blocks};

    #[test]
    fn blocks_say_their_file_and_their_place() {
        let text = "```rust file=a.rs\nx\ny\n```\n```rust\nno\n```\n```rust file=b.rs before=\"mod c;\"\nz\n```\n";
        let block = |file: &str, before: Option<&str>, code: &str| Block {
            file: file.to_owned(),
            before: before.map(str::to_owned),
            code: code.to_owned(),
        };
        assert_eq!(
            blocks(text).unwrap(),
            [
                block("a.rs", None, "x\ny\n"),
                block("b.rs", Some("mod c;"), "z\n")
            ]
        );
    }
}
