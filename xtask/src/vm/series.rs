//! Kernel series: `6.12`, `6.18+` or `newest`.

use std::fmt;
use std::str::FromStr;

use anyhow::{Error, Result, bail};

/// A kernel series: major and minor number of the release.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Series {
    major: u32,
    minor: u32,
}

impl Series {
    /// The series of a release, or of a package that is named after one:
    /// `6.12.38+deb12-cloud-amd64`.
    pub(crate) fn of_release(release: &str) -> Option<Self> {
        let mut numbers = release.split(|letter: char| !letter.is_ascii_digit());
        let mut number = || numbers.next()?.parse().ok();
        Some(Self {
            major: number()?,
            minor: number()?,
        })
    }
}

impl FromStr for Series {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self> {
        let is_number = |part: &str| part.bytes().all(|byte| byte.is_ascii_digit());
        let parts = text
            .split_once('.')
            .filter(|(major, minor)| is_number(major) && is_number(minor));
        match parts.map(|(major, minor)| (major.parse(), minor.parse())) {
            Some((Ok(major), Ok(minor))) => Ok(Self { major, minor }),
            _ => bail!("a kernel series is two numbers, such as 6.12"),
        }
    }
}

impl fmt::Display for Series {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{}.{}", self.major, self.minor)
    }
}

/// The kernel that a test asks for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Wanted {
    /// The latest kernel of this series.
    Series(Series),
    /// The latest kernel of the first available series from this one on:
    /// distributions drop a series when its support ends.
    OrNext(Series),
    /// The latest kernel of all series.
    Newest,
}

impl Wanted {
    /// The kernel among `offers` that is wanted; `release` returns the release of each.
    pub(crate) fn pick<T>(self, offers: Vec<T>, release: impl Fn(&T) -> &str) -> Option<T> {
        let series = |offer: &T| Series::of_release(release(offer));
        let wanted = match self {
            Self::Series(wanted) => Some(wanted),
            Self::OrNext(first) => {
                let known = offers.iter().filter_map(series);
                known.filter(|series| *series >= first).min()
            }
            Self::Newest => offers.iter().filter_map(series).max(),
        }?;
        offers
            .into_iter()
            .filter(|offer| series(offer) == Some(wanted))
            .max_by_key(|offer| version_key(release(offer)))
    }
}

impl FromStr for Wanted {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self> {
        match text.strip_suffix('+') {
            _ if text == "newest" => Ok(Self::Newest),
            Some(series) => Ok(Self::OrNext(series.parse()?)),
            None => Ok(Self::Series(text.parse()?)),
        }
    }
}

impl fmt::Display for Wanted {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Series(series) => write!(formatter, "{series}"),
            Self::OrNext(series) => write!(formatter, "{series}+"),
            Self::Newest => write!(formatter, "newest"),
        }
    }
}

/// The numbers in a name, so that 6.12.9 sorts before 6.12.38.
pub(crate) fn version_key(name: &str) -> Vec<u64> {
    name.split(|letter: char| !letter.is_ascii_digit())
        .filter_map(|number| number.parse().ok())
        .collect()
}

#[cfg(test)]
mod tests {
    use super::{Wanted, version_key};

    const OFFERS: [&str; 7] = [
        "5.10.0-9-cloud-amd64",
        "5.10.0-36-cloud-amd64",
        "6.1.0-37-cloud-amd64",
        "6.12.9+deb12-cloud-amd64",
        "6.12.38+deb12-cloud-amd64",
        "6.19.6+deb13-cloud-amd64",
        "7.3.4+deb13-cloud-amd64",
    ];

    fn pick(wanted: &str) -> Option<&'static str> {
        let wanted: Wanted = wanted.parse().unwrap();
        wanted.pick(OFFERS.to_vec(), |offer| offer)
    }

    #[test]
    fn the_latest_of_a_series_is_picked_by_number() {
        assert_eq!(pick("5.10"), Some("5.10.0-36-cloud-amd64"));
        assert_eq!(pick("6.12"), Some("6.12.38+deb12-cloud-amd64"));
        assert!(version_key(OFFERS[3]) < version_key(OFFERS[4]));
    }

    #[test]
    fn a_series_is_not_confused_with_a_longer_one() {
        assert_eq!(pick("6.1"), Some("6.1.0-37-cloud-amd64"));
        assert_eq!(pick("5.1"), None);
    }

    #[test]
    fn the_next_series_is_picked_only_if_asked_for() {
        assert_eq!(pick("6.18"), None);
        assert_eq!(pick("6.18+"), Some("6.19.6+deb13-cloud-amd64"));
        assert_eq!(pick("6.12+"), Some("6.12.38+deb12-cloud-amd64"));
        assert_eq!(pick("8.0+"), None);
    }

    #[test]
    fn newest_is_the_latest_of_all_series() {
        assert_eq!(pick("newest"), Some("7.3.4+deb13-cloud-amd64"));
    }

    #[test]
    fn text_that_is_not_a_series_is_refused() {
        for text in [
            "", "6", "6.", ".1", "6.1.2", "six.one", "+", "6.1++", "-6.1",
        ] {
            assert!(text.parse::<Wanted>().is_err(), "{text:?}");
        }
        for text in ["5.10", "6.18+", "newest"] {
            assert_eq!(text.parse::<Wanted>().unwrap().to_string(), text);
        }
    }
}
