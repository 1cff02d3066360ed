//! The results of the benchmark, as stored in `docs/performance.json`.
//!
//! A part returns a [`Part`]: figures, which may have an aim, and tables. Only the
//! text of an aim and of a reason is in the code; whether an aim is met is always
//! computed from the figure.

mod figure;
mod page;
mod table;
mod unit;

use serde::{Deserialize, Serialize};

pub(crate) use figure::{Aim, Figure, Spread, Verdict};
pub(crate) use page::page;
pub(crate) use table::{Cell, Column, Table};
pub(crate) use unit::{Unit, with_separators};

/// One run of the benchmark.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) struct Report {
    /// When it started, in UTC.
    pub(crate) date: String,
    /// Whether it was a quick run: fewer rounds, smaller populations.
    pub(crate) quick: bool,
    pub(crate) machine: Machine,
    pub(crate) parts: Vec<Part>,
}

/// The machine of the figures. Unknown fields are `None`.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub(crate) struct Machine {
    pub(crate) cpu_model: Option<String>,
    pub(crate) cpus: Option<u64>,
    pub(crate) memory_bytes: Option<u64>,
    pub(crate) kernel: Option<String>,
    /// Timer interrupts per second: `CONFIG_HZ`.
    pub(crate) hz: Option<u64>,
    pub(crate) clock_source: Option<String>,
    pub(crate) virtualised: Option<bool>,
    /// The load average of the minute before: almost zero on an idle machine.
    pub(crate) load_before: Option<f64>,
}

/// The results of one part of the benchmark.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) struct Part {
    /// Its name on the command line.
    pub(crate) name: String,
    pub(crate) title: String,
    /// What was measured, in a sentence or two.
    pub(crate) about: String,
    pub(crate) figures: Vec<Figure>,
    pub(crate) tables: Vec<Table>,
    pub(crate) notes: Vec<String>,
    /// Its duration.
    pub(crate) seconds: f64,
}

impl Part {
    /// A part without figures. The caller sets its name and duration.
    pub(crate) fn new(title: &str, about: &str) -> Self {
        Self {
            name: String::new(),
            title: title.to_owned(),
            about: about.to_owned(),
            figures: Vec::new(),
            tables: Vec::new(),
            notes: Vec::new(),
            seconds: 0.0,
        }
    }

    pub(crate) fn figure(&mut self, figure: Figure) {
        self.figures.push(figure);
    }

    pub(crate) fn table(&mut self, table: Table) {
        self.tables.push(table);
    }

    /// A sentence that is needed to interpret the figures.
    pub(crate) fn note(&mut self, note: impl Into<String>) {
        self.notes.push(note.into());
    }
}
