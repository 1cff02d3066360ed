//! Reads a guest's console, and returns the result of its tests.

use std::collections::VecDeque;
use std::fmt;
use std::io::Read;
use std::process::{Child, ExitStatus};
use std::sync::mpsc::{self, Receiver, RecvTimeoutError};
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, bail};

use super::doctor::Doctor;
use crate::tally::Tally;

/// The first line that the guest's init prints.
const BEGUN: &str = "init: begun";
/// The line that init prints once if the tests passed.
const SUCCESS: &str = "init: success";
/// The line that init prints once if they did not.
const FAILURE: &str = "init: failure";
/// How many lines of the console are shown after a failure.
const TAIL: usize = 60;

/// Time limits of a guest.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Limits {
    /// From start to init.
    pub(crate) boot: Duration,
    /// From start to power-off.
    pub(crate) total: Duration,
    /// Without output on the console.
    pub(crate) silence: Duration,
}

/// The result of a guest.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Report {
    /// How many tests passed and failed.
    pub(crate) tally: Tally,
    /// The result of `collector doctor`.
    pub(crate) doctor: Doctor,
}

/// The kernel did not reach init, so that no test has run.
#[derive(Debug)]
pub(crate) struct NotBooted;

impl fmt::Display for NotBooted {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("the kernel did not reach init")
    }
}

/// Follows the console of `machine` until it powers off. With a `label`, prints each
/// line after it.
///
/// # Errors
/// When the verdict is not printed exactly once or contradicts the test results, when
/// the kernel panics, or when a limit is reached; with the last lines of the console,
/// and with [`NotBooted`] as context if the kernel did not reach init. The machine has
/// ended in each case.
pub(crate) fn follow(machine: &mut Child, limits: Limits, label: Option<&str>) -> Result<Report> {
    let output = machine
        .stdout
        .take()
        .context("the machine has no console")?;
    let (sender, receiver) = mpsc::channel();
    let reader = thread::spawn(move || read(output, &sender));
    let mut console = Console::new(label);
    let result = console.drain(&receiver, limits);
    if result.is_err() {
        // It may have exited already.
        let _ = machine.kill();
    }
    let status = machine.wait().context("cannot wait for the machine")?;
    // The pipe is closed now, so that the thread ends.
    let _ = reader.join();
    let has_begun = console.has_begun;
    result
        .and_then(|()| console.verdict(status))
        .with_context(|| format!("the console ended with:\n{}", console.tail()))
        .map_err(|error| {
            if has_begun {
                error
            } else {
                error.context(NotBooted)
            }
        })
        .map(|()| console.report)
}

fn read(mut output: impl Read, sender: &mpsc::Sender<Vec<u8>>) {
    let mut buffer = [0; 4096];
    while let Ok(length) = output.read(&mut buffer) {
        if length == 0 || sender.send(buffer[..length].to_vec()).is_err() {
            return;
        }
    }
}

#[derive(Debug)]
struct Console {
    label: Option<String>,
    /// The current line, without its end.
    line: Vec<u8>,
    tail: VecDeque<String>,
    verdicts: Vec<bool>,
    panic: Option<String>,
    has_begun: bool,
    report: Report,
}

impl Console {
    fn new(label: Option<&str>) -> Self {
        Self {
            label: label.map(str::to_owned),
            line: Vec::new(),
            tail: VecDeque::new(),
            verdicts: Vec::new(),
            panic: None,
            has_begun: false,
            report: Report::default(),
        }
    }

    fn drain(&mut self, receiver: &Receiver<Vec<u8>>, limits: Limits) -> Result<()> {
        let start = Instant::now();
        loop {
            let (what, limit) = if self.has_begun {
                ("done", limits.total)
            } else {
                ("booted", limits.boot)
            };
            let left = limit.saturating_sub(start.elapsed());
            match receiver.recv_timeout(left.min(limits.silence)) {
                Ok(bytes) => bytes.into_iter().for_each(|byte| self.byte(byte)),
                Err(RecvTimeoutError::Disconnected) => {
                    self.end_line();
                    return Ok(());
                }
                Err(RecvTimeoutError::Timeout) => {
                    self.end_line();
                    let last = self.tail.back().map_or("nothing", |line| line.trim());
                    if start.elapsed() >= limit {
                        bail!(
                            "not {what} after {} s; the last line is: {last}",
                            limit.as_secs()
                        );
                    }
                    bail!(
                        "no output for {} s; it hangs at: {last}",
                        limits.silence.as_secs()
                    );
                }
            }
        }
    }

    fn byte(&mut self, byte: u8) {
        match byte {
            b'\n' => self.end_line(),
            b'\r' => {}
            _ => self.line.push(byte),
        }
    }

    fn end_line(&mut self) {
        if self.line.is_empty() {
            return;
        }
        let line = String::from_utf8_lossy(&self.line).into_owned();
        self.line.clear();
        match line.as_str() {
            SUCCESS => self.verdicts.push(true),
            FAILURE => self.verdicts.push(false),
            BEGUN => self.has_begun = true,
            _ => {}
        }
        if line.contains("Kernel panic - not syncing") {
            self.panic.get_or_insert_with(|| line.clone());
        }
        self.report.tally.read(&line);
        self.report.doctor.read(&line);
        if let Some(label) = &self.label {
            println!("{label:>12} | {line}");
        }
        if self.tail.len() == TAIL {
            self.tail.pop_front();
        }
        self.tail.push_back(line);
    }

    fn verdict(&self, status: ExitStatus) -> Result<()> {
        let failed = self.report.tally.failed > 0;
        if let Some(line) = &self.panic {
            bail!("the kernel panicked: {line}");
        }
        match self.verdicts[..] {
            [true] if failed => bail!("tests failed, but the verdict is success"),
            [true] if status.success() => Ok(()),
            [true] => bail!("the tests passed, but QEMU failed: {status}"),
            [false] if failed => Ok(()),
            [false] => bail!("the verdict is failure, but no test failed"),
            [] => bail!("the machine ended without a verdict ({status})"),
            _ => bail!("more than one verdict: {:?}", self.verdicts),
        }
    }

    fn tail(&self) -> String {
        let lines: Vec<String> = self.tail.iter().map(|line| format!("  | {line}")).collect();
        lines.join("\n")
    }
}

#[cfg(test)]
mod tests {
    use std::process::{Command, Stdio};
    use std::time::Duration;

    use super::{Limits, NotBooted, Report, Tally, follow};

    fn judge(script: &str) -> Result<Report, String> {
        run(&format!("echo init: begun; {script}")).map_err(|error| format!("{error:#}"))
    }

    fn run(script: &str) -> anyhow::Result<Report> {
        let mut machine = Command::new("sh")
            .args(["-c", script])
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let limits = Limits {
            boot: Duration::from_secs(2),
            total: Duration::from_secs(20),
            silence: Duration::from_secs(1),
        };
        follow(&mut machine, limits, None)
    }

    #[test]
    fn the_verdict_is_one_line() {
        assert_eq!(
            judge("printf 'boot\\r\\ninit: success\\r\\n'"),
            Ok(Report::default())
        );
        assert!(
            judge("echo init: failure")
                .unwrap_err()
                .contains("no test failed")
        );
    }

    #[test]
    fn failed_tests_are_counted_and_contradict_a_success() {
        let result = "test result: FAILED. 2 passed; 1 failed; 0 ignored";
        let report = judge(&format!("echo '{result}'; echo init: failure")).unwrap();
        assert_eq!(
            report.tally,
            Tally {
                passed: 2,
                failed: 1
            }
        );
        assert!(judge(&format!("echo '{result}'; echo init: success")).is_err());
    }

    #[test]
    fn a_missing_and_a_repeated_verdict_are_failures() {
        assert!(
            judge("echo hello")
                .unwrap_err()
                .contains("without a verdict")
        );
        assert!(
            judge("echo init: success; echo init: success")
                .unwrap_err()
                .contains("more than one verdict")
        );
        assert!(
            judge("echo 'not init: success'")
                .unwrap_err()
                .contains("without a verdict")
        );
    }

    #[test]
    fn a_success_with_a_failing_exit_status_of_qemu_is_a_failure() {
        assert!(
            judge("echo init: success; exit 3")
                .unwrap_err()
                .contains("QEMU failed")
        );
    }

    #[test]
    fn a_kernel_panic_is_a_failure_and_the_console_is_shown() {
        let error = judge("echo last words; echo 'Kernel panic - not syncing: Oops'").unwrap_err();
        assert!(error.contains("panicked"), "{error}");
        assert!(error.contains("| last words"), "{error}");
    }

    #[test]
    fn silence_is_a_hang_and_the_error_has_the_last_line() {
        let error = judge("printf 'test a::b ... '; exec sleep 60").unwrap_err();
        assert!(error.contains("it hangs at: test a::b ..."), "{error}");
    }

    #[test]
    fn a_guest_that_does_not_reach_init_is_an_error_of_its_own() {
        let is_not_booted = |script: &str| {
            let error = run(script).unwrap_err();
            error.downcast_ref::<NotBooted>().is_some()
        };
        assert!(is_not_booted("echo 'Kernel panic - not syncing: VFS'"));
        assert!(is_not_booted("while :; do echo booting; sleep 0.2; done"));
        assert!(!is_not_booted("echo init: begun; echo last words"));
    }
}
