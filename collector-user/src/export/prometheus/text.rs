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

/// A number in its unit.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) enum Value {
    /// Without a unit, or bytes.
    Count(u64),
    /// Nanoseconds, written as seconds without loss of precision.
    Nanos(u64),
    /// Any other number.
    Float(f64),
}

impl fmt::Display for Value {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Count(count) => count.fmt(f),
            Self::Nanos(ns) => {
                let (seconds, mut rest) = (ns / 1_000_000_000, ns % 1_000_000_000);
                seconds.fmt(f)?;
                if rest == 0 {
                    return Ok(());
                }
                let mut digits = 9;
                while rest.is_multiple_of(10) {
                    rest /= 10;
                    digits -= 1;
                }
                write!(f, ".{rest:0digits$}")
            }
            Self::Float(value) => value.fmt(f),
        }
    }
}

/// The text of a scrape.
#[derive(Debug, Default)]
pub(super) struct Text {
    text: String,
}

/// Encoded labels, for use in several series.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Written(String);

impl Written {
    pub(super) fn new<'l>(labels: impl IntoIterator<Item = (&'l str, &'l str)>) -> Self {
        let mut text = String::new();
        for (name, value) in labels {
            label(&mut text, name, value);
        }
        Self(text)
    }
}

/// Appends a label.
fn label(text: &mut String, name: &str, value: &str) {
    if !text.is_empty() && !text.ends_with('{') {
        text.push(',');
    }
    text.push_str(name);
    text.push_str("=\"");
    for c in value.chars() {
        match c {
            '\\' => text.push_str("\\\\"),
            '"' => text.push_str("\\\""),
            '\n' => text.push_str("\\n"),
            c => text.push(c),
        }
    }
    text.push('"');
}

/// The names and values of labels.
pub(super) type Labels<'l> = &'l [(&'l str, &'l str)];

impl Text {
    /// Writes a family and its series; nothing if no value is known.
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

    /// Writes a family with one series without labels.
    pub(super) fn single(&mut self, family: &Family, value: Option<Value>) {
        self.family(family, [([], value)]);
    }

    /// Writes HELP and TYPE of a family.
    pub(super) fn begin(&mut self, name: &str, kind: Kind, help: &str) {
        let kind = match kind {
            Kind::Counter => "counter",
            Kind::Gauge => "gauge",
            Kind::Histogram => "histogram",
        };
        let help = help.replace('\\', "\\\\").replace('\n', "\\n");
        let _ = write!(self.text, "# HELP {name} {help}\n# TYPE {name} {kind}\n");
    }

    /// Writes a series: its name is that of the family and a suffix.
    pub(super) fn sample(&mut self, name: &str, suffix: &str, labels: Labels<'_>, value: Value) {
        self.text.push_str(name);
        self.text.push_str(suffix);
        if !labels.is_empty() {
            self.text.push('{');
            for (name, value) in labels {
                label(&mut self.text, name, value);
            }
            self.text.push('}');
        }
        self.value(value);
    }

    /// Writes a series with encoded labels, and perhaps one more.
    pub(super) fn row(
        &mut self,
        name: &str,
        labels: &Written,
        more: Option<(&str, &str)>,
        value: Value,
    ) {
        self.text.push_str(name);
        if !labels.0.is_empty() || more.is_some() {
            self.text.push('{');
            self.text.push_str(&labels.0);
            if let Some((name, value)) = more {
                label(&mut self.text, name, value);
            }
            self.text.push('}');
        }
        self.value(value);
    }

    /// Appends a text that was encoded before.
    pub(super) fn append(&mut self, encoded: &str) {
        self.text.push_str(encoded);
    }

    fn value(&mut self, value: Value) {
        // Writing to a `String` does not fail.
        let _ = writeln!(self.text, " {value}");
    }

    /// Reuses the allocation of another text.
    pub(super) fn in_place_of(mut text: String) -> Self {
        text.clear();
        Self { text }
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
        assert_eq!(text(1_050_000_000), "1.05");
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
