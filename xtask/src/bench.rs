//! The benchmarks of the workspace.

use std::ffi::OsString;

use anyhow::{Context as _, Result, bail};
use serde_json::Value;

use crate::command;

/// Runs benchmarks, optimised as the agent is.
///
/// Without a name, all of them. How long one takes is in its own output; to
/// build the first takes about 2 minutes. Those that load eBPF programs need
/// root.
#[derive(Debug, clap::Args)]
#[command(verbatim_doc_comment)]
pub(crate) struct Bench {
    /// The benchmark to run
    name: Option<String>,
    /// What to pass to the benchmark
    #[arg(last = true, value_name = "ARGS")]
    arguments: Vec<OsString>,
}

/// A target of kind `bench`.
#[derive(Debug, PartialEq, Eq)]
struct Benchmark {
    package: String,
    name: String,
}

impl Bench {
    /// Runs one or all.
    ///
    /// # Errors
    /// When there is none of that name, or one fails.
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
                    "no benchmark is named `{name}`; there are: {}",
                    known.join(", ")
                );
            }
        }
        if benchmarks.is_empty() {
            bail!("there are no benchmarks yet");
        }
        for Benchmark { package, name } in benchmarks {
            command::run(
                command::cargo()
                    .args([
                        "bench",
                        "--locked",
                        "--package",
                        &package,
                        "--bench",
                        &name,
                        "--",
                    ])
                    .args(&self.arguments),
            )?;
        }
        Ok(())
    }
}

/// The benchmarks that cargo's description of the workspace names.
fn benchmarks(metadata: &str) -> Result<Vec<Benchmark>> {
    let metadata: Value = serde_json::from_str(metadata).context("cargo wrote no JSON")?;
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
