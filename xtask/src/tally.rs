//! Counts of passed and failed tests.

use std::fmt;
use std::ops::AddAssign;

/// The number of passed and failed tests.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Tally {
    pub(crate) passed: u64,
    pub(crate) failed: u64,
}

impl Tally {
    /// One check that passed.
    pub(crate) const PASSED: Self = Self {
        passed: 1,
        failed: 0,
    };

    /// One check that failed.
    pub(crate) const FAILED: Self = Self {
        passed: 0,
        failed: 1,
    };

    /// Adds the counts of `line`, if it is the last line of a test harness:
    /// `test result: ok. 12 passed; 0 failed; 0 ignored; …`.
    pub(crate) fn read(&mut self, line: &str) {
        let Some((_, counts)) = line.split_once("test result: ") else {
            return;
        };
        let count = |what: &str| {
            counts
                .split(';')
                .find_map(|part| part.trim_end().strip_suffix(what))
                .and_then(|part| part.split_whitespace().last()?.parse().ok())
                .unwrap_or(0)
        };
        self.passed += count("passed");
        self.failed += count("failed");
    }
}

impl fmt::Display for Tally {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{} passed, {} failed", self.passed, self.failed)
    }
}

impl AddAssign for Tally {
    fn add_assign(&mut self, other: Self) {
        self.passed += other.passed;
        self.failed += other.failed;
    }
}

#[cfg(test)]
mod tests {
    use super::Tally;

    #[test]
    fn the_last_line_of_a_harness_is_counted() {
        let mut tally = Tally::default();
        tally.read(
            "test result: FAILED. 12 passed; 3 failed; 1 ignored; 0 measured; 4 filtered out",
        );
        tally.read("test one ... ok");
        tally.read("test result: ok. 1 passed; 0 failed; 0 ignored; finished in 0.10s");
        assert_eq!(
            tally,
            Tally {
                passed: 13,
                failed: 3
            }
        );
    }
}
