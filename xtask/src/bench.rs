//! The benchmarks of the workspace.

use std::ffi::OsString;
use std::path::{self, PathBuf};

use anyhow::{Context as _, Result, bail};
use serde_json::Value;

use crate::{command, setup};

/// Runs benchmarks, with the release profile.
///
/// Without a name, runs all. `tier3` needs root and takes up to 20 minutes, or 3 with
/// --quick; `bus` takes 2 minutes. The first build takes about 2 minutes.
/// `cargo xtask setup --for bench` installs the programs that `tier3` compares with;
/// those that are missing are left out.
#[derive(Debug, clap::Args)]
#[command(verbatim_doc_comment)]
pub(crate) struct Bench {
    /// The benchmark to run: bus or tier3
    name: Option<String>,
    /// Run only these parts of the benchmark
    #[arg(value_name = "PART")]
    parts: Vec<OsString>,
    #[command(flatten)]
    tier3: Tier3,
    /// Further arguments of the benchmark
    #[arg(last = true, value_name = "ARGS")]
    arguments: Vec<OsString>,
}

/// Options of `tier3`.
#[derive(Debug, clap::Args)]
struct Tier3 {
    /// With tier3: fewer rounds and smaller populations
    #[arg(long, requires = "name")]
    quick: bool,
    /// With tier3: write the figures to FILE, and a page generated from them beside it
    #[arg(long, value_name = "FILE", requires = "name")]
    json: Option<PathBuf>,
    /// With tier3: measure nothing, generate docs/performance.md from docs/performance.json
    #[arg(long, requires = "name", conflicts_with = "json")]
    report: bool,
}

impl Tier3 {
    /// The arguments for the benchmark, which runs in another directory.
    fn arguments(&self) -> Result<Vec<OsString>> {
        let mut arguments = Vec::new();
        if self.quick {
            arguments.push("--quick".into());
        }
        if self.report {
            arguments.push("--report".into());
        }
        if let Some(path) = &self.json {
            let path = path::absolute(path).with_context(|| path.display().to_string())?;
            arguments.extend(["--json".into(), path.into()]);
        }
        Ok(arguments)
    }
}

/// A target of kind `bench`.
#[derive(Debug, PartialEq, Eq)]
struct Benchmark {
    package: String,
    name: String,
}

impl Bench {
    /// Runs one benchmark or all.
    ///
    /// # Errors
    /// When there is no benchmark of that name, or one fails.
    pub(crate) fn run(self) -> Result<()> {
        let metadata = command::output(command::cargo().args([
            "metadata",
            "--locked",
            "--no-deps",
            "--format-version",
            "1",
        ]))?;
        let mut benchmarks = benchmarks(&metadata)?;
        if let Some(name) = &self.name {
            let known: Vec<String> = benchmarks.iter().map(|each| each.name.clone()).collect();
            benchmarks.retain(|each| each.name == *name);
            if benchmarks.is_empty() {
                bail!(
                    "no benchmark `{name}`; the benchmarks are: {}",
                    known.join(", ")
                );
            }
        }
        if benchmarks.is_empty() {
            bail!("the workspace has no benchmarks");
        }
        let tier3 = self.tier3.arguments()?;
        if !tier3.is_empty() && self.name.as_deref() != Some("tier3") {
            bail!("only the benchmark `tier3` takes --quick, --json and --report");
        }
        for Benchmark { package, name } in benchmarks {
            command::run(
                command::cargo()
                    .env("COLLECTOR_BENCH_TOOLS", setup::bench::unpacked_programs())
                    .args([
                        "bench",
                        "--locked",
                        "--package",
                        &package,
                        "--bench",
                        &name,
                        "--",
                    ])
                    .args(&self.parts)
                    .args(&tier3)
                    .args(&self.arguments),
            )?;
        }
        Ok(())
    }
}

/// The benchmarks in the output of `cargo metadata`.
fn benchmarks(metadata: &str) -> Result<Vec<Benchmark>> {
    let metadata: Value = serde_json::from_str(metadata).context("cargo did not print JSON")?;
    let list = |value: &Value| value.as_array().cloned().unwrap_or_default();
    let mut found = Vec::new();
    for package in list(&metadata["packages"]) {
        for target in list(&package["targets"]) {
            if let (Some("bench"), Some(package), Some(name)) = (
                target["kind"][0].as_str(),
                package["name"].as_str(),
                target["name"].as_str(),
            ) {
                found.push(Benchmark {
                    package: package.to_owned(),
                    name: name.to_owned(),
                });
            }
        }
    }
    Ok(found)
}

#[cfg(test)]
mod tests {
    use super::{Benchmark, benchmarks};

    #[test]
    fn only_targets_of_kind_bench_are_benchmarks() {
        let metadata = r#"{"packages": [{"name": "p", "targets": [
            {"kind": ["lib"], "name": "p"}, {"kind": ["bench"], "name": "bus"}]}]}"#;
        let expected = Benchmark {
            package: "p".to_owned(),
            name: "bus".to_owned(),
        };
        assert_eq!(benchmarks(metadata).unwrap(), [expected]);
    }
}
