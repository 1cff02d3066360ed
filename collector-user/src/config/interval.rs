use std::{fmt, str::FromStr, time::Duration};

/// The time between two samples: from 1 ms to 1 day.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Interval(Duration);

/// A text is not an interval.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum IntervalError {
    /// It is not a number with a unit.
    #[error("{0:?} is not a duration: write a number and a unit, like 10ms, 1s or 5m")]
    NotADuration(String),
    /// It is shorter than 1 ms.
    #[error("{0:?} is too short: the shortest is 1ms")]
    TooShort(String),
    /// It is longer than 1 day.
    #[error("{0:?} is too long: the longest is 1day")]
    TooLong(String),
}

impl Interval {
    const SHORTEST: Duration = Duration::from_millis(1);
    const LONGEST: Duration = Duration::from_hours(24);

    /// The duration.
    pub const fn duration(self) -> Duration {
        self.0
    }

    /// A constant interval, which is not checked.
    pub(super) const fn fixed(duration: Duration) -> Self {
        Self(duration)
    }
}

impl FromStr for Interval {
    type Err = IntervalError;

    fn from_str(text: &str) -> Result<Self, IntervalError> {
        let duration = match humantime::parse_duration(text.trim()) {
            Ok(duration) => duration,
            Err(humantime::DurationError::NumberOverflow) => {
                return Err(IntervalError::TooLong(text.to_owned()));
            }
            Err(_) => return Err(IntervalError::NotADuration(text.to_owned())),
        };
        if duration < Self::SHORTEST {
            Err(IntervalError::TooShort(text.to_owned()))
        } else if duration > Self::LONGEST {
            Err(IntervalError::TooLong(text.to_owned()))
        } else {
            Ok(Self(duration))
        }
    }
}

impl fmt::Display for Interval {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        humantime::format_duration(self.0).fmt(f)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_number_with_a_unit_is_an_interval() {
        for (text, millis) in [("1ms", 1), ("10ms", 10), ("1s", 1000), ("5m", 300_000)] {
            let interval: Interval = text.parse().unwrap();
            assert_eq!(interval.duration(), Duration::from_millis(millis));
        }
        assert!("1day".parse::<Interval>().is_ok());
    }

    #[test]
    fn an_interval_out_of_range_has_the_bound_in_its_error() {
        let short = |text: &str| IntervalError::TooShort(text.to_owned());
        let long = |text: &str| IntervalError::TooLong(text.to_owned());
        assert_eq!("0s".parse::<Interval>(), Err(short("0s")));
        assert_eq!("0".parse::<Interval>(), Err(short("0")));
        assert_eq!("999us".parse::<Interval>(), Err(short("999us")));
        assert_eq!("1y".parse::<Interval>(), Err(long("1y")));
        assert_eq!("25h".parse::<Interval>(), Err(long("25h")));
        let huge = "99999999999999999999s";
        assert_eq!(huge.parse::<Interval>(), Err(long(huge)));
    }

    #[test]
    fn text_that_is_not_a_duration_says_how_to_write_one() {
        for text in ["", "abc", "-1", "-1s", "1", "1.s.s", "s"] {
            let error = text.parse::<Interval>().unwrap_err();
            assert_eq!(error, IntervalError::NotADuration(text.to_owned()));
        }
    }
}
