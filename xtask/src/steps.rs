//! Runs several steps and prints a summary.

use std::collections::VecDeque;
use std::sync::{Mutex, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Result, bail};

use crate::tally::Tally;

/// The outcome of a step that did not return an error.
#[derive(Debug)]
pub(crate) enum Outcome {
    /// It ran: its tests, and a note for the summary.
    Ran(Tally, String),
    /// It was skipped, with the reason.
    NotRun(String),
}

/// A step that can run concurrently with others.
pub(crate) struct Step<'a> {
    pub(crate) name: String,
    pub(crate) run: Box<dyn FnOnce() -> Result<Outcome> + Send + 'a>,
}

/// The steps that have run.
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

impl Row {
    /// Runs a step.
    fn of(name: String, step: impl FnOnce() -> Result<Outcome>) -> Self {
        println!("\n== {name}");
        let start = Instant::now();
        let (outcome, error) = match step() {
            Ok(outcome) => (outcome, None),
            Err(error) => {
                let error = format!("{error:#}");
                println!("error: {name}: {error}");
                (Outcome::Ran(Tally::FAILED, String::new()), Some(error))
            }
        };
        Self {
            name,
            outcome,
            error,
            time: start.elapsed(),
        }
    }
}

impl Steps {
    /// Runs a step that passes or fails as a whole.
    pub(crate) fn check(&mut self, name: impl Into<String>, check: impl FnOnce() -> Result<()>) {
        self.step(name, || {
            check().map(|()| Outcome::Ran(Tally::PASSED, String::new()))
        });
    }

    /// Runs a step that counts its tests.
    pub(crate) fn tests(&mut self, name: impl Into<String>, tests: impl FnOnce() -> Result<Tally>) {
        self.step(name, || Ok(Outcome::Ran(tests()?, String::new())));
    }

    /// Runs a step. A failure does not keep the next step from running.
    pub(crate) fn step(&mut self, name: impl Into<String>, step: impl FnOnce() -> Result<Outcome>) {
        self.rows.push(Row::of(name.into(), step));
    }

    /// Runs steps, `at_once` of them concurrently. Their output is interleaved by line.
    pub(crate) fn together(&mut self, at_once: usize, steps: Vec<Step<'_>>) {
        let mut rows: Vec<Option<Row>> = steps.iter().map(|_| None).collect();
        let waiting: VecDeque<_> = rows.iter_mut().zip(steps).collect();
        let waiting = Mutex::new(waiting);
        let next = || {
            let mut waiting = waiting.lock().unwrap_or_else(PoisonError::into_inner);
            waiting.pop_front()
        };
        thread::scope(|scope| {
            for _ in 0..at_once.max(1) {
                scope.spawn(|| {
                    while let Some((row, step)) = next() {
                        *row = Some(Row::of(step.name, step.run));
                    }
                });
            }
        });
        self.rows.extend(rows.into_iter().flatten());
    }

    /// Prints the outcome of each step, and the total of passed and failed tests. A step
    /// without tests counts as one.
    ///
    /// # Errors
    /// When a step failed.
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

#[cfg(test)]
mod tests {
    use std::sync::Barrier;

    use super::{Outcome, Step, Steps, Tally};

    #[test]
    fn concurrent_steps_are_reported_in_their_order() {
        let barrier = Barrier::new(2);
        let two_began = &barrier;
        let step = |name: &str, tally: Tally| Step {
            name: name.to_owned(),
            run: Box::new(move || {
                two_began.wait();
                Ok(Outcome::Ran(tally, String::new()))
            }),
        };
        let mut steps = Steps::default();
        let failed = Tally {
            passed: 2,
            failed: 3,
        };
        let all = ["one", "two", "three", "four"];
        let all = all.map(|name| step(name, if name == "two" { failed } else { Tally::PASSED }));
        steps.together(2, all.into());
        let names: Vec<&str> = steps.rows.iter().map(|row| row.name.as_str()).collect();
        assert_eq!(names, ["one", "two", "three", "four"]);
        assert_eq!(steps.finish().unwrap_err().to_string(), "failed: two");
    }
}
