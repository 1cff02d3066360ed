use std::fmt;

use super::{Config, DEFAULT_PATH, Origin, error::shown};

/// Shows the configuration in force as TOML, each value with its origin.
impl fmt::Display for Config {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.file {
            Some(file) => writeln!(f, "# from {}", shown(file))?,
            None => writeln!(f, "# {DEFAULT_PATH} does not exist")?,
        }
        row(
            f,
            "backend",
            &text(self.backend.value.as_str()),
            self.backend.origin,
        )?;

        writeln!(f, "\n[log]")?;
        let format = text(self.log.format.value.as_str());
        row(f, "format", &format, self.log.format.origin)?;
        let filter = self.log.filter.value.as_ref();
        optional(
            f,
            "filter",
            filter.map(|filter| text(&filter.to_string())),
            "by subcommand",
            self.log.filter.origin,
        )?;

        writeln!(f, "\n[prometheus]")?;
        let prometheus = &self.prometheus;
        row(
            f,
            "enabled",
            &prometheus.enabled.value,
            prometheus.enabled.origin,
        )?;
        let listen = text(&prometheus.listen.value.to_string());
        row(f, "listen", &listen, prometheus.listen.origin)?;
        let hosts = serde_json::Value::from(prometheus.hosts.value.clone());
        row(f, "hosts", &hosts, prometheus.hosts.origin)?;
        row(
            f,
            "processes",
            &prometheus.processes.value,
            prometheus.processes.origin,
        )?;

        writeln!(f, "\n[tiers]")?;
        for (name, pace) in [
            ("hardware", &self.tiers.hardware),
            ("system", &self.tiers.system),
            ("fast", &self.tiers.fast),
        ] {
            row(f, name, &text(&pace.value.to_string()), pace.origin)?;
        }

        for (name, metric) in &self.metrics {
            writeln!(f, "\n[metrics.{name}]")?;
            row(f, "enabled", &metric.enabled.value, metric.enabled.origin)?;
            let interval = metric.interval.value.map(|pace| text(&pace.to_string()));
            optional(
                f,
                "interval",
                interval,
                "that of its tier",
                metric.interval.origin,
            )?;
        }
        Ok(())
    }
}

/// A TOML string. TOML has the escapes of JSON.
fn text(text: &str) -> String {
    serde_json::Value::from(text).to_string()
}

fn row(
    f: &mut fmt::Formatter<'_>,
    key: &str,
    value: &dyn fmt::Display,
    origin: Origin,
) -> fmt::Result {
    let assignment = format!("{key} = {value}");
    writeln!(f, "{assignment:<32} # {origin}")
}

/// An optional key: without a value it is shown as a comment.
fn optional(
    f: &mut fmt::Formatter<'_>,
    key: &str,
    value: Option<String>,
    otherwise: &str,
    origin: Origin,
) -> fmt::Result {
    if let Some(value) = value {
        return row(f, key, &value, origin);
    }
    let comment = format!("# {key}: {otherwise}");
    writeln!(f, "{comment:<32} # {origin}")
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::*;
    use crate::config::file;

    #[test]
    fn the_output_can_be_parsed_and_gives_the_same_configuration() {
        let text = "backend = \"ebpf\"\nlog.filter = \"warn, collector=debug\"\nmetrics.cpu_stats.interval = \"2s\"";
        let config = file::parse(Path::new("f"), text.as_bytes()).unwrap();
        let again = file::parse(Path::new("f"), config.to_string().as_bytes()).unwrap();
        assert_eq!(again.backend.value, config.backend.value);
        assert!(config.log.filter.value.is_some());
        assert_eq!(again.log.filter.value, config.log.filter.value);
        assert_eq!(
            again.tiers.of(crate::metric::Tier::Fast).value,
            config.tiers.fast.value
        );
        let interval = |config: &Config| config.metrics["cpu_stats"].interval.value;
        assert_eq!(interval(&again), interval(&config));
    }

    #[test]
    fn each_value_has_its_origin() {
        let mut config = file::parse(Path::new("f"), b"\nbackend = \"ebpf\"").unwrap();
        config.log.format.origin = Origin::Option("--log-format");
        let text = config.to_string();
        assert!(
            text.contains("backend = \"ebpf\"                 # line 2"),
            "{text}"
        );
        assert!(text.contains("# option --log-format"), "{text}");
        assert!(text.contains("# default"), "{text}");
    }
}
