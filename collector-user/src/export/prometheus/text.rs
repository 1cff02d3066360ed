use std::fmt::{self, Write as _};

/// A family of series: one name, one meaning, one type.
#[derive(Clone, Copy, Debug)]
pub(super) struct Family {
    pub(super) name: &'static str,
    pub(super) kind: Kind,
    pub(super) help: &'static str,
}

/// The type of a family.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    Counter,
    Gauge,
    Histogram,
}

impl Family {
    pub(super) const fn counter(name: &'static str, help: &'static str) -> Self {
        let kind = Kind::Counter;
        Self { name, kind, help }
    }

    pub(super) const fn gauge(name: &'static str, help: &'static str) -> Self {
        let kind = Kind::Gauge;
        Self { name, kind, help }
    }

    pub(super) const fn histogram(name: &'static str, help: &'static str) -> Self {
        let kind = Kind::Histogram;
        Self { name, kind, help }
    }
}

/// A number as it is written.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) enum Value {
    /// As it is.
    Count(u64),
    /// Nanoseconds, written as seconds without loss.
    Nanos(u64),
    /// Any other number.
    Float(f64),
}

impl fmt::Display for Value {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Count(count) => count.fmt(f),
            Self::Nanos(ns) => {
                let (seconds, rest) = (ns / 1_000_000_000, ns % 1_000_000_000);
                if rest == 0 {
                    return seconds.fmt(f);
                }
                let rest = format!("{rest:09}");
                write!(f, "{seconds}.{}", rest.trim_end_matches('0'))
            }
            Self::Float(value) => value.fmt(f),
        }
    }
}

/// The text as it grows.
#[derive(Debug, Default)]
pub(super) struct Text {
    text: String,
}

/// The names and values of labels.
pub(super) type Labels<'l> = &'l [(&'l str, &'l str)];

impl Text {
    /// A family and its series. Without series there is no family.
    pub(super) fn family<L: AsRef<[(&'static str, String)]>>(
        &mut self,
        family: &Family,
        series: impl IntoIterator<Item = (L, Option<Value>)>,
    ) {
        let mut begun = false;
        for (labels, value) in series {
            let Some(value) = value else { continue };
            if !begun {
                self.begin(family.name, family.kind, family.help);
                begun = true;
            }
            let labels: Vec<(&str, &str)> = labels
                .as_ref()
                .iter()
                .map(|(name, value)| (*name, value.as_str()))
                .collect();
            self.sample(family.name, "", &labels, value);
        }
    }

    /// A family with one series that has no labels.
    pub(super) fn single(&mut self, family: &Family, value: Option<Value>) {
        self.family(family, [([], value)]);
    }

    /// What stands before the series of a family.
    pub(super) fn begin(&mut self, name: &str, kind: Kind, help: &str) {
        let kind = match kind {
            Kind::Counter => "counter",
            Kind::Gauge => "gauge",
            Kind::Histogram => "histogram",
        };
        let help = help.replace('\\', "\\\\").replace('\n', "\\n");
        let _ = write!(self.text, "# HELP {name} {help}\n# TYPE {name} {kind}\n");
    }

    /// One series: the name is that of its family and a suffix.
    pub(super) fn sample(&mut self, name: &str, suffix: &str, labels: Labels<'_>, value: Value) {
        self.text.push_str(name);
        self.text.push_str(suffix);
        for (index, (name, value)) in labels.iter().enumerate() {
            self.text.push(if index == 0 { '{' } else { ',' });
            self.text.push_str(name);
            self.text.push_str("=\"");
            self.escaped(value);
            self.text.push('"');
        }
        if !labels.is_empty() {
            self.text.push('}');
        }
        // Writing to a `String` does not fail.
        let _ = writeln!(self.text, " {value}");
    }

    fn escaped(&mut self, value: &str) {
        for c in value.chars() {
            match c {
                '\\' => self.text.push_str("\\\\"),
                '"' => self.text.push_str("\\\""),
                '\n' => self.text.push_str("\\n"),
                c => self.text.push(c),
            }
        }
    }

    pub(super) fn finish(self) -> String {
        self.text
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nanoseconds_are_written_as_seconds_without_loss() {
        let text = |ns| Value::Nanos(ns).to_string();
        assert_eq!(text(0), "0");
        assert_eq!(text(1_500_000_000), "1.5");
        assert_eq!(text(1), "0.000000001");
        assert_eq!(text(u64::MAX), "18446744073.709551615");
    }

    #[test]
    fn a_family_without_known_values_is_not_there() {
        let mut text = Text::default();
        text.single(&Family::gauge("a", "A."), None);
        assert_eq!(text.finish(), "");
    }

    #[test]
    fn labels_are_escaped() {
        let mut text = Text::default();
        let labels = [("comm", "a\"b\\c\nd".to_owned())];
        text.family(
            &Family::counter("x_total", "X."),
            [(labels, Some(Value::Count(1)))],
        );
        assert_eq!(
            text.finish(),
            "# HELP x_total X.\n# TYPE x_total counter\nx_total{comm=\"a\\\"b\\\\c\\nd\"} 1\n"
        );
    }
}
