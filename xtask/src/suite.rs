//! The tests of the workspace, built once, for the host and for the guests.

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use anyhow::{Context as _, Result, bail};
use serde_json::Value;

use crate::architecture::Architecture;
use crate::command;
use crate::tally::Tally;

/// The packages under test. Cargo resolves features for the selection, so that one
/// selection for all tasks avoids rebuilds.
const SELECTION: [&str; 3] = ["--workspace", "--exclude", "xtask"];

/// The profile of the tests: see `Cargo.toml`.
const PROFILE: &str = "--profile=checked";

/// The test programs, and the programs that they need.
#[derive(Debug)]
pub(crate) struct Suite {
    /// The architecture that it is built for.
    pub(crate) architecture: Architecture,
    /// The agent.
    pub(crate) collector: PathBuf,
    /// The tests that need root, and test against the running kernel.
    pub(crate) root_tests: PathBuf,
    /// The init process of a guest.
    pub(crate) init: PathBuf,
    /// The load generator that tests run beside.
    pub(crate) noise: PathBuf,
    /// All other tests.
    others: Vec<TestProgram>,
}

#[derive(Debug)]
struct TestProgram {
    path: PathBuf,
    /// The directory of its package, its working directory.
    package: PathBuf,
}

impl Suite {
    /// Builds everything, for this machine and for guests like it.
    ///
    /// # Errors
    /// When the build fails, or does not produce one of the programs.
    pub(crate) fn build() -> Result<Self> {
        let architecture = Architecture::of_this_machine()?;
        Self::build_with(architecture, &["--tests", "--bins", PROFILE])
    }

    /// Builds what a guest needs, without the other tests.
    ///
    /// # Errors
    /// As [`build`](Self::build), and when the cross toolchain is missing.
    pub(crate) fn build_root_tests(architecture: Architecture) -> Result<Self> {
        Self::build_with(architecture, &["--test", "root", "--bins", PROFILE])
    }

    /// As [`build_root_tests`](Self::build_root_tests), with the release profile.
    ///
    /// # Errors
    /// As [`build_root_tests`](Self::build_root_tests).
    pub(crate) fn build_root_tests_optimised(architecture: Architecture) -> Result<Self> {
        Self::build_with(architecture, &["--test", "root", "--bins", "--release"])
    }

    fn build_with(architecture: Architecture, what: &[&str]) -> Result<Self> {
        architecture.check_tools()?;
        let mut cargo = cargo("build", architecture);
        cargo
            .args(what)
            .args(["--message-format", "json-render-diagnostics"]);
        let output = cargo
            .stdin(Stdio::null())
            .stderr(Stdio::inherit())
            .output()
            .with_context(|| format!("cannot start `{}`", command::show(&cargo)))?;
        if !output.status.success() {
            bail!("`{}` failed: {}", command::show(&cargo), output.status);
        }
        Self::from_messages(architecture, &String::from_utf8_lossy(&output.stdout))
    }

    /// Reads cargo's messages, one JSON object a line:
    /// <https://doc.rust-lang.org/cargo/reference/external-tools.html>.
    fn from_messages(architecture: Architecture, messages: &str) -> Result<Self> {
        let (mut collector, mut root_tests, mut init, mut noise) = (None, None, None, None);
        let mut others = Vec::new();
        for line in messages.lines() {
            let message: Value = serde_json::from_str(line).context("cargo did not print JSON")?;
            let Some(path) = message["executable"].as_str().map(PathBuf::from) else {
                continue;
            };
            let name = message["target"]["name"].as_str().unwrap_or_default();
            let kind = message["target"]["kind"][0].as_str().unwrap_or_default();
            let is_test = message["profile"]["test"] == true;
            match (is_test, kind, name) {
                (true, "test", "root") => root_tests = Some(path),
                (false, "bin", "collector") => collector = Some(path),
                (false, "bin", "init") => init = Some(path),
                (false, "bin", "noise") => noise = Some(path),
                (true, _, _) => {
                    let manifest = message["manifest_path"].as_str().unwrap_or_default();
                    let package = Path::new(manifest).parent().unwrap_or(Path::new("."));
                    others.push(TestProgram {
                        path,
                        package: package.to_path_buf(),
                    });
                }
                (false, _, _) => {}
            }
        }
        Ok(Self {
            architecture,
            collector: collector.context("the build did not produce `collector`")?,
            root_tests: root_tests.context("the build did not produce the test `root`")?,
            init: init.context("the build did not produce `init`")?,
            noise: noise.context("the build did not produce `noise`")?,
            others,
        })
    }

    /// Runs the tests that need no privileges, and the documentation tests.
    ///
    /// # Errors
    /// When one cannot be started.
    pub(crate) fn run_unit(&self) -> Result<Tally> {
        let mut tally = Tally::default();
        for program in &self.others {
            tally += command::run_tests(
                Command::new(&program.path)
                    .current_dir(&program.package)
                    .env("CARGO_MANIFEST_DIR", &program.package)
                    .env("COLLECTOR_BIN", &self.collector),
            )?;
        }
        tally += command::run_tests(cargo("test", self.architecture).args(["--doc", PROFILE]))?;
        Ok(tally)
    }

    /// Runs the root tests on this host's kernel, one at a time, since they share it.
    ///
    /// # Errors
    /// When they cannot be started, or this is not root.
    pub(crate) fn run_root(&self) -> Result<Tally> {
        if !command::is_root() {
            bail!("the root tests need root: run `sudo -E cargo xtask test`");
        }
        command::run_tests(
            Command::new(&self.root_tests)
                .env("COLLECTOR_BIN", &self.collector)
                .arg("--test-threads=1"),
        )
    }
}

/// `cargo test` for one integration test, in this workspace or in a copy of it. It
/// is built as all tests are, so that what they were built with is used again.
///
/// # Errors
/// When the architecture of this machine is not supported.
pub(crate) fn test_in(workspace: &Path, test: &str) -> Result<Command> {
    let mut cargo = cargo("test", Architecture::of_this_machine()?);
    cargo
        .current_dir(workspace)
        .env_remove("CARGO_TARGET_DIR")
        .args([PROFILE, "--quiet", "--test", test]);
    Ok(cargo)
}

/// `cargo VERB` for all packages under test, linked statically, so that the same
/// programs run on the host and in guests, which have no libraries.
fn cargo(verb: &str, architecture: Architecture) -> Command {
    let target = architecture.target();
    let setting = |name: &str| {
        let target = target.to_uppercase().replace('-', "_");
        format!("CARGO_TARGET_{target}_{name}")
    };
    let mut cargo = command::cargo();
    cargo
        // RUSTFLAGS would override the flags of the target, and would apply to build
        // scripts and procedural macros, which cannot be static.
        .env_remove("RUSTFLAGS")
        .env(setting("RUSTFLAGS"), "-Ctarget-feature=+crt-static")
        .args([verb, "--locked", "--target", &target])
        .args(SELECTION);
    if !architecture.is_of_this_machine() {
        // The standard library is built from rust-src, which the eBPF programs need
        // anyway: rustup may not have it for the other target.
        let linker = architecture.tool("gcc");
        cargo
            .env("RUSTC_BOOTSTRAP", "1")
            .env(format!("CC_{}", target.replace('-', "_")), &linker)
            .env(setting("LINKER"), linker)
            .args(["-Z", "build-std=std,panic_unwind,test"]);
    }
    cargo
}

#[cfg(test)]
mod tests {
    use super::Suite;
    use crate::architecture::Architecture;

    fn message(test: bool, kind: &str, name: &str) -> String {
        format!(
            r#"{{"reason":"compiler-artifact","manifest_path":"/w/p/Cargo.toml","profile":{{"test":{test}}},"target":{{"kind":["{kind}"],"name":"{name}"}},"executable":"/w/{kind}-{name}-{test}"}}"#
        )
    }

    #[test]
    fn programs_are_identified_by_kind_and_name() {
        let messages = [
            message(false, "bin", "collector"),
            message(true, "bin", "collector"),
            message(false, "bin", "init"),
            message(false, "bin", "noise"),
            message(true, "test", "root"),
            message(true, "lib", "collector"),
            r#"{"reason":"build-finished","success":true}"#.to_owned(),
        ]
        .join("\n");
        let suite = Suite::from_messages(Architecture::Arm, &messages).unwrap();
        assert_eq!(suite.collector.to_str(), Some("/w/bin-collector-false"));
        assert_eq!(suite.root_tests.to_str(), Some("/w/test-root-true"));
        assert_eq!(suite.others.len(), 2);
        assert_eq!(suite.others[0].package.to_str(), Some("/w/p"));
    }

    #[test]
    fn a_missing_program_is_named() {
        let error = Suite::from_messages(Architecture::Arm, "").unwrap_err();
        assert!(error.to_string().contains("`collector`"));
    }
}
