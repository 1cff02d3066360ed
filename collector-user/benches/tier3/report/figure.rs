use serde::{Deserialize, Serialize};

use super::Unit;

/// A measured number, mostly measured several times.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) struct Figure {
    pub(crate) name: String,
    pub(crate) unit: Unit,
    /// `None` if it was not measured.
    pub(crate) measured: Option<Spread>,
    pub(crate) aim: Option<Aim>,
    /// Why the aim was missed, or why nothing was measured.
    pub(crate) reason: Option<String>,
}

/// Several measurements of the same.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) struct Spread {
    pub(crate) median: f64,
    pub(crate) min: f64,
    pub(crate) max: f64,
    pub(crate) samples: usize,
}

/// The aim of a figure.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Aim {
    AtMost(f64),
    AtLeast(f64),
}

/// Whether an aim is met.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Verdict {
    Met,
    Missed,
    NotMeasured,
}

impl Spread {
    /// `None` if there are no samples, or one is not a number.
    pub(crate) fn of(samples: &[f64]) -> Option<Self> {
        let mut samples = samples.to_vec();
        samples.sort_by(f64::total_cmp);
        let (Some(&min), Some(&max)) = (samples.first(), samples.last()) else {
            return None;
        };
        let (low, high) = (
            samples.get((samples.len() - 1) / 2)?,
            samples.get(samples.len() / 2)?,
        );
        let spread = Self {
            median: f64::midpoint(*low, *high),
            min,
            max,
            samples: samples.len(),
        };
        (min.is_finite() && max.is_finite()).then_some(spread)
    }
}

impl Figure {
    /// The median of the samples, with the minimum and the maximum.
    pub(crate) fn of(name: impl Into<String>, unit: Unit, samples: &[f64]) -> Self {
        let measured = Spread::of(samples);
        Self {
            name: name.into(),
            unit,
            reason: measured
                .is_none()
                .then(|| "nothing was measured".to_owned()),
            measured,
            aim: None,
        }
    }

    /// A figure that was not measured, and why.
    pub(crate) fn not_measured(
        name: impl Into<String>,
        unit: Unit,
        reason: impl Into<String>,
    ) -> Self {
        Self {
            name: name.into(),
            unit,
            measured: None,
            aim: None,
            reason: Some(reason.into()),
        }
    }

    /// The aim, and why it is missed if it is. The reason was found when the aim was
    /// last missed; while it is met, the reason is not shown.
    #[must_use]
    pub(crate) fn aims(mut self, aim: Aim, reason_if_missed: &str) -> Self {
        self.aim = Some(aim);
        if self.verdict() == Some(Verdict::Missed) {
            self.reason = Some(reason_if_missed.to_owned());
        }
        self
    }

    /// Whether the median meets the aim, if there is one.
    pub(crate) fn verdict(&self) -> Option<Verdict> {
        let aim = self.aim?;
        Some(match self.measured {
            None => Verdict::NotMeasured,
            Some(spread) if aim.is_met_by(spread.median) => Verdict::Met,
            Some(_) => Verdict::Missed,
        })
    }
}

impl Aim {
    fn is_met_by(self, value: f64) -> bool {
        match self {
            Self::AtMost(most) => value <= most,
            Self::AtLeast(least) => value >= least,
        }
    }

    pub(crate) fn show(self, unit: Unit) -> String {
        let (word, value) = match self {
            Self::AtMost(value) => ("at most", value),
            Self::AtLeast(value) => ("at least", value),
        };
        let sign = unit.sign();
        let number = super::unit::with_separators(&value.to_string());
        format!("{word} {number} {sign}").trim_end().to_owned()
    }
}

impl Verdict {
    pub(crate) const fn word(self) -> &'static str {
        match self {
            Self::Met => "met",
            Self::Missed => "missed",
            Self::NotMeasured => "not measured",
        }
    }
}
