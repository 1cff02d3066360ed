//! What `collector doctor` says of a guest, in a line.

use std::fmt;

/// What was read so far of the doctor's table.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Doctor {
    /// How the programs did.
    ebpf: Option<String>,
    /// What does not work.
    wrong: Vec<String>,
}

impl Doctor {
    /// Takes a line of the console, if it is one of the table:
    /// `ok        ebpf              5 of 5 programs attached`.
    pub(crate) fn read(&mut self, line: &str) {
        let Some((status, rest)) = line.split_once("  ") else {
            return;
        };
        let is_wrong = match status {
            "ok" => false,
            "FALLBACK" | "FAILED" => true,
            _ => return,
        };
        // Names may have single spaces in them.
        let (name, found) = rest.trim().split_once("  ").unwrap_or((rest.trim(), ""));
        match (name, is_wrong) {
            ("ebpf", _) => self.ebpf = Some(found.trim().to_owned()),
            (_, true) => self.wrong.push(name.to_owned()),
            (_, false) => {}
        }
    }
}

impl fmt::Display for Doctor {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.ebpf {
            Some(ebpf) => formatter.write_str(ebpf)?,
            None => formatter.write_str("the doctor said nothing")?,
        }
        if !self.wrong.is_empty() {
            write!(formatter, ", not {}", self.wrong.join(", "))?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::Doctor;

    #[test]
    fn the_programs_and_what_does_not_work_are_told() {
        let mut doctor = Doctor::default();
        assert_eq!(doctor.to_string(), "the doctor said nothing");
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
