//! Several checks, one after the other, and what came of each.

use std::time::{Duration, Instant};

use anyhow::{Result, bail};

use crate::tally::Tally;

/// How a step ended, if not by an error.
#[derive(Debug)]
pub(crate) enum Outcome {
    /// It ran: its tests, and what else is to be told at the end.
    Ran(Tally, String),
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
    name: String,
    outcome: Outcome,
    error: Option<String>,
    time: Duration,
}

impl Steps {
    /// Takes a step that passes or fails as a whole.
    pub(crate) fn check(&mut self, name: impl Into<String>, check: impl FnOnce() -> Result<()>) {
        self.step(name, || {
            check().map(|()| Outcome::Ran(Tally::PASSED, String::new()))
        });
    }

    /// Takes a step that counts its tests.
    pub(crate) fn tests(&mut self, name: impl Into<String>, tests: impl FnOnce() -> Result<Tally>) {
        self.step(name, || Ok(Outcome::Ran(tests()?, String::new())));
    }

    /// Takes a step. One that fails does not keep the next from being taken.
    pub(crate) fn step(&mut self, name: impl Into<String>, step: impl FnOnce() -> Result<Outcome>) {
        let name = name.into();
        println!("\n== {name}");
        let start = Instant::now();
        let (outcome, error) = match step() {
            Ok(outcome) => (outcome, None),
            Err(error) => {
                let error = format!("{error:#}");
                println!("error: {error}");
                (Outcome::Ran(Tally::FAILED, String::new()), Some(error))
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
                Outcome::Ran(tally, note) => {
                    total += *tally;
                    let verdict = if tally.failed > 0 { "FAILED" } else { "passed" };
                    let detail = match &row.error {
                        Some(error) => error.lines().next().unwrap_or_default().to_owned(),
                        None if *tally == Tally::PASSED => note.clone(),
                        None if note.is_empty() => tally.to_string(),
                        None => format!("{tally}; {note}"),
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
        println!("\n{total}");
        if total.failed > 0 {
            let failed: Vec<&str> = self
                .rows
                .iter()
                .filter(|row| matches!(row.outcome, Outcome::Ran(tally, _) if tally.failed > 0))
                .map(|row| row.name.as_str())
                .collect();
            bail!("failed: {}", failed.join(", "));
        }
        Ok(())
    }
}
