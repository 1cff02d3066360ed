//! Several checks, one after the other, and what came of each.

use std::time::{Duration, Instant};

use anyhow::{Result, bail};

use crate::tally::Tally;

/// How a step ended, if not by an error.
#[derive(Debug)]
pub(crate) enum Outcome {
    /// It ran, and these are its tests.
    Ran(Tally),
    /// Something that it needs is not here.
    NotRun(String),
}

/// The steps that were taken.
#[derive(Debug, Default)]
pub(crate) struct Steps {
    rows: Vec<Row>,
}

#[derive(Debug)]
struct Row {
    name: &'static str,
    outcome: Outcome,
    error: Option<String>,
    time: Duration,
}

impl Steps {
    /// Takes a step that passes or fails as a whole.
    pub(crate) fn check(&mut self, name: &'static str, check: impl FnOnce() -> Result<()>) {
        self.step(name, || check().map(|()| Outcome::Ran(Tally::PASSED)));
    }

    /// Takes a step that counts its tests.
    pub(crate) fn tests(&mut self, name: &'static str, tests: impl FnOnce() -> Result<Tally>) {
        self.step(name, || tests().map(Outcome::Ran));
    }

    /// Takes a step. One that fails does not keep the next from being taken.
    pub(crate) fn step(&mut self, name: &'static str, step: impl FnOnce() -> Result<Outcome>) {
        println!("\n== {name}");
        let start = Instant::now();
        let (outcome, error) = match step() {
            Ok(outcome) => (outcome, None),
            Err(error) => {
                let error = format!("{error:#}");
                println!("error: {error}");
                (Outcome::Ran(Tally::FAILED), Some(error))
            }
        };
        self.rows.push(Row {
            name,
            outcome,
            error,
            time: start.elapsed(),
        });
    }

    /// Prints what came of each step, and then how many tests passed and failed
    /// in all, a step without tests counting as one.
    ///
    /// # Errors
    /// When something failed.
    pub(crate) fn finish(self) -> Result<()> {
        let mut total = Tally::default();
        println!();
        for row in &self.rows {
            let (verdict, detail) = match &row.outcome {
                Outcome::NotRun(reason) => ("not run", reason.clone()),
                Outcome::Ran(tally) => {
                    total += *tally;
                    let verdict = if tally.failed > 0 { "FAILED" } else { "passed" };
                    let detail = match &row.error {
                        Some(error) => error.lines().next().unwrap_or_default().to_owned(),
                        None if *tally == Tally::PASSED => String::new(),
                        None => format!("{} passed, {} failed", tally.passed, tally.failed),
                    };
                    (verdict, detail)
                }
            };
            let line = format!(
                "{verdict:8}{:>5} s  {:26}{detail}",
                row.time.as_secs(),
                row.name
            );
            println!("{}", line.trim_end());
        }
        println!("\n{} passed, {} failed", total.passed, total.failed);
        if total.failed > 0 {
            let failed: Vec<&str> = self
                .rows
                .iter()
                .filter(|row| matches!(row.outcome, Outcome::Ran(tally) if tally.failed > 0))
                .map(|row| row.name)
                .collect();
            bail!("failed: {}", failed.join(", "));
        }
        Ok(())
    }
}
