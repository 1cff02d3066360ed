//! The result of `collector doctor` in a guest, as one line.

use std::fmt;

/// What has been read of the doctor's table.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Doctor {
    /// The status of the programs.
    ebpf: Option<String>,
    /// The checks that did not pass.
    not_ok: Vec<String>,
}

impl Doctor {
    /// Reads a line of the console, if it belongs to the table:
    /// `ok        ebpf              5 of 5 programs attached`.
    pub(crate) fn read(&mut self, line: &str) {
        let Some((status, rest)) = line.split_once("  ") else {
            return;
        };
        let is_not_ok = match status {
            "ok" => false,
            "FALLBACK" | "FAILED" => true,
            _ => return,
        };
        // Names may contain single spaces.
        let (name, found) = rest.trim().split_once("  ").unwrap_or((rest.trim(), ""));
        match (name, is_not_ok) {
            ("ebpf", _) => self.ebpf = Some(found.trim().to_owned()),
            (_, true) => self.not_ok.push(name.to_owned()),
            (_, false) => {}
        }
    }
}

impl fmt::Display for Doctor {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.ebpf {
            Some(ebpf) => formatter.write_str(ebpf)?,
            None => formatter.write_str("no output of the doctor")?,
        }
        if !self.not_ok.is_empty() {
            write!(formatter, ", not {}", self.not_ok.join(", "))?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::Doctor;

    #[test]
    fn the_line_has_the_programs_and_the_checks_that_did_not_pass() {
        let mut doctor = Doctor::default();
        assert_eq!(doctor.to_string(), "no output of the doctor");
        for line in [
            "ok        kernel              Linux 5.10.0 on x86_64",
            "ok        ebpf                6 of 7 programs attached",
            "FALLBACK  program sched_fork  tp_btf/sched_fork: the kernel refused it",
            "                       means  there is no fork",
            "skipped   port                prometheus.enabled is false",
            "test a::b ... ok",
        ] {
            doctor.read(line);
        }
        assert_eq!(
            doctor.to_string(),
            "6 of 7 programs attached, not program sched_fork"
        );
    }
}
