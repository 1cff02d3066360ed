use serde::{Deserialize, Serialize};

use super::Unit;

/// A table of figures.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) struct Table {
    pub(crate) title: String,
    pub(crate) columns: Vec<Column>,
    pub(crate) rows: Vec<Vec<Cell>>,
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) struct Column {
    pub(crate) name: String,
    pub(crate) unit: Unit,
}

/// A number in the unit of its column, or a text instead. Unknown is `null`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(untagged)]
pub(crate) enum Cell {
    Number(f64),
    Text(String),
    Unknown,
}

impl Table {
    pub(crate) fn new<const N: usize>(title: &str, columns: [(&str, Unit); N]) -> Self {
        Self {
            title: title.to_owned(),
            columns: columns
                .into_iter()
                .map(|(name, unit)| Column {
                    name: name.to_owned(),
                    unit,
                })
                .collect(),
            rows: Vec::new(),
        }
    }

    pub(crate) fn row<const N: usize>(&mut self, cells: [Cell; N]) {
        self.rows.push(cells.into());
    }
}

impl Column {
    /// The name, with the unit if that is not obvious.
    pub(crate) fn heading(&self) -> String {
        match self.unit.sign() {
            "" => self.name.clone(),
            sign => format!("{} ({sign})", self.name),
        }
    }
}

impl Cell {
    pub(crate) fn show(&self, unit: Unit) -> String {
        match self {
            Self::Number(value) => unit.number(*value),
            Self::Text(text) => text.clone(),
            Self::Unknown => "–".to_owned(),
        }
    }
}

impl From<f64> for Cell {
    fn from(value: f64) -> Self {
        if value.is_finite() {
            Self::Number(value)
        } else {
            Self::Unknown
        }
    }
}

impl From<u64> for Cell {
    fn from(value: u64) -> Self {
        Self::Number(value as f64)
    }
}

impl From<usize> for Cell {
    fn from(value: usize) -> Self {
        Self::Number(value as f64)
    }
}

impl From<&str> for Cell {
    fn from(text: &str) -> Self {
        Self::Text(text.to_owned())
    }
}

impl From<String> for Cell {
    fn from(text: String) -> Self {
        Self::Text(text)
    }
}

impl<T: Into<Self>> From<Option<T>> for Cell {
    fn from(value: Option<T>) -> Self {
        value.map_or(Self::Unknown, Into::into)
    }
}
