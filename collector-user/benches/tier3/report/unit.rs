use serde::{Deserialize, Serialize};

/// The unit of a number.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Unit {
    /// A count.
    Count,
    /// A ratio.
    Ratio,
    Percent,
    Nanoseconds,
    Microseconds,
    Milliseconds,
    Seconds,
    Bytes,
    Mebibytes,
    /// Not a number.
    Text,
}

impl Unit {
    /// The symbol after the number.
    pub(crate) const fn sign(self) -> &'static str {
        match self {
            Self::Count | Self::Text => "",
            Self::Ratio => "×",
            Self::Percent => "%",
            Self::Nanoseconds => "ns",
            Self::Microseconds => "µs",
            Self::Milliseconds => "ms",
            Self::Seconds => "s",
            Self::Bytes => "bytes",
            Self::Mebibytes => "MiB",
        }
    }

    /// The number alone, with about three digits.
    pub(crate) fn number(self, value: f64) -> String {
        let digits = match self {
            Self::Count | Self::Bytes => 0,
            _ if value.abs() >= 100.0 => 0,
            _ if value.abs() >= 10.0 => 1,
            Self::Ratio => 3,
            _ => 2,
        };
        with_separators(&format!("{value:.digits$}"))
    }

    /// The number with its symbol.
    pub(crate) fn show(self, value: f64) -> String {
        let number = self.number(value);
        match self.sign() {
            "" => number,
            sign => format!("{number} {sign}"),
        }
    }
}

/// A number with a comma after each three digits before the point.
pub(crate) fn with_separators(number: &str) -> String {
    let (whole, rest) = number.split_at(number.find('.').unwrap_or(number.len()));
    let (sign, digits) = whole.split_at(whole.len() - whole.trim_start_matches('-').len());
    let mut text = sign.to_owned();
    for (at, digit) in digits.char_indices() {
        if at > 0 && (digits.len() - at).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text + rest
}
