//! What the benchmark found, as it is kept in `docs/performance.json`.
//!
//! A part makes a [`Part`]: figures, which may have an aim, and tables. Only
//! the text of an aim and of a reason stands in the code; whether an aim was
//! met is always told from the figure.

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
    /// When it began, in UTC.
    pub(crate) date: String,
    /// Whether it was asked to be quick: fewer rounds, smaller populations.
    pub(crate) quick: bool,
    pub(crate) machine: Machine,
    pub(crate) parts: Vec<Part>,
}

/// What the figures were measured on. What cannot be told is empty.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub(crate) struct Machine {
    pub(crate) cpu_model: Option<String>,
    pub(crate) cpus: Option<u64>,
    pub(crate) memory_bytes: Option<u64>,
    pub(crate) kernel: Option<String>,
    /// Timer interrupts a second: `CONFIG_HZ`.
    pub(crate) hz: Option<u64>,
    pub(crate) clock_source: Option<String>,
    pub(crate) virtualised: Option<bool>,
    /// How many tasks ran or waited for a CPU in the minute before: on a quiet
    /// machine next to none.
    pub(crate) load_before: Option<f64>,
}

/// What one part of the benchmark found.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) struct Part {
    /// What it is asked for by on the command line.
    pub(crate) name: String,
    pub(crate) title: String,
    /// What was done, in a sentence or two.
    pub(crate) about: String,
    pub(crate) figures: Vec<Figure>,
    pub(crate) tables: Vec<Table>,
    pub(crate) notes: Vec<String>,
    /// How long it took.
    pub(crate) seconds: f64,
}

impl Part {
    /// A part without figures. Its name and time are filled in by who runs it.
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

    /// A sentence that is needed to read the figures rightly.
    pub(crate) fn note(&mut self, note: impl Into<String>) {
        self.notes.push(note.into());
    }
}
