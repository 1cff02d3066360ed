/// The unit of a number.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Unit {
    /// A count, a ratio or an identifier: no unit.
    None,
    /// Nanoseconds.
    Nanoseconds,
    /// Seconds.
    Seconds,
    /// Bytes.
    Bytes,
    /// Hertz.
    Hertz,
    /// Bits per second.
    BitsPerSecond,
    /// Degrees Celsius.
    Celsius,
    /// A part of 1.
    Ratio,
}

/// The suffixes of names, and the units that they stand for.
const SUFFIXES: [(&str, Unit); 7] = [
    ("_ns", Unit::Nanoseconds),
    ("_bits_per_second", Unit::BitsPerSecond),
    ("_s", Unit::Seconds),
    ("_bytes", Unit::Bytes),
    ("_hz", Unit::Hertz),
    ("_celsius", Unit::Celsius),
    ("_ratio", Unit::Ratio),
];

impl Unit {
    /// The unit that the suffix of a name stands for.
    pub const fn of_name(name: &str) -> Self {
        let mut index = 0;
        while index < SUFFIXES.len() {
            let (suffix, unit) = SUFFIXES[index];
            if ends_with(name, suffix) {
                return unit;
            }
            index += 1;
        }
        Self::None
    }

    /// The unit of this name in a declaration; `None` for another text.
    pub const fn parse(text: &str) -> Option<Self> {
        let mut index = 0;
        while index < SUFFIXES.len() {
            let (suffix, unit) = SUFFIXES[index];
            if suffix.len() == text.len() + 1 && ends_with(suffix, text) {
                return Some(unit);
            }
            index += 1;
        }
        None
    }

    /// Its symbol in the reference; empty for none.
    pub const fn symbol(self) -> &'static str {
        match self {
            Self::None => "",
            Self::Nanoseconds => "ns",
            Self::Seconds => "s",
            Self::Bytes => "bytes",
            Self::Hertz => "Hz",
            Self::BitsPerSecond => "bit/s",
            Self::Celsius => "°C",
            Self::Ratio => "ratio",
        }
    }
}

const fn ends_with(text: &str, suffix: &str) -> bool {
    let (text, suffix) = (text.as_bytes(), suffix.as_bytes());
    if text.len() < suffix.len() {
        return false;
    }
    let offset = text.len() - suffix.len();
    let mut index = 0;
    while index < suffix.len() {
        if text[offset + index] != suffix[index] {
            return false;
        }
        index += 1;
    }
    true
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_suffix_of_a_name_is_its_unit() {
        for (name, unit) in [
            ("cpu_ns", Unit::Nanoseconds),
            ("speed_bits_per_second", Unit::BitsPerSecond),
            ("boot_time_s", Unit::Seconds),
            ("rss_bytes", Unit::Bytes),
            ("threads", Unit::None),
            ("ns", Unit::None),
        ] {
            assert_eq!(Unit::of_name(name), unit, "{name}");
        }
        assert_eq!(Unit::parse("bytes"), Some(Unit::Bytes));
        assert_eq!(Unit::parse("bits_per_second"), Some(Unit::BitsPerSecond));
        assert_eq!(Unit::parse("second"), None);
    }
}
