//! Reads a guest's console, and tells how it ended.

use std::collections::VecDeque;
use std::io::Read;
use std::process::{Child, ExitStatus};
use std::sync::mpsc::{self, Receiver, RecvTimeoutError};
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, bail};

use crate::tally::Tally;

/// What the guest's first process prints, once, when the tests have passed.
const SUCCESS: &str = "init: success";
/// What it prints, once, when they have not.
const FAILURE: &str = "init: failure";
/// How many lines of the console are shown after a failure.
const TAIL: usize = 60;

/// How long a guest may take.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Limits {
    /// From start to power-off.
    pub(crate) total: Duration,
    /// Without a byte on the console.
    pub(crate) silence: Duration,
}

/// Follows the console of `machine` until it powers off, showing each line if
/// `echo` says so.
///
/// # Errors
/// When a test failed without being counted, when there was not exactly one verdict, when the
/// kernel panicked, or when a limit was reached; with the end of the console,
/// unless it was shown already. The machine is gone in each case.
pub(crate) fn follow(machine: &mut Child, limits: Limits, echo: bool) -> Result<Tally> {
    let output = machine
        .stdout
        .take()
        .context("the machine has no console")?;
    let (sender, receiver) = mpsc::channel();
    let reader = thread::spawn(move || read(output, &sender));
    let mut console = Console::new(echo);
    let result = console.drain(&receiver, limits);
    if result.is_err() {
        // It may be gone already.
        let _ = machine.kill();
    }
    let status = machine.wait().context("cannot wait for the machine")?;
    // Its pipe is closed now, so that the thread ends.
    let _ = reader.join();
    result
        .and_then(|()| console.verdict(status))
        .with_context(|| {
            if echo {
                "see the console above".to_owned()
            } else {
                format!("the console ended with:\n{}", console.tail())
            }
        })
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
    echo: bool,
    /// The line that has not ended yet.
    line: Vec<u8>,
    tail: VecDeque<String>,
    verdicts: Vec<bool>,
    panic: Option<String>,
    tally: Tally,
}

impl Console {
    fn new(echo: bool) -> Self {
        Self {
            echo,
            line: Vec::new(),
            tail: VecDeque::new(),
            verdicts: Vec::new(),
            panic: None,
            tally: Tally::default(),
        }
    }

    fn drain(&mut self, receiver: &Receiver<Vec<u8>>, limits: Limits) -> Result<()> {
        let end = Instant::now() + limits.total;
        loop {
            let left = end.saturating_duration_since(Instant::now());
            match receiver.recv_timeout(left.min(limits.silence)) {
                Ok(bytes) => bytes.into_iter().for_each(|byte| self.byte(byte)),
                Err(RecvTimeoutError::Disconnected) => {
                    self.end_line();
                    return Ok(());
                }
                Err(RecvTimeoutError::Timeout) => {
                    self.end_line();
                    if Instant::now() >= end {
                        bail!("not done after {} s", limits.total.as_secs());
                    }
                    bail!("no output for {} s: it hangs", limits.silence.as_secs());
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
            _ => {}
        }
        if line.contains("Kernel panic - not syncing") {
            self.panic.get_or_insert_with(|| line.clone());
        }
        self.tally.read(&line);
        if self.echo {
            println!("  | {line}");
        }
        if self.tail.len() == TAIL {
            self.tail.pop_front();
        }
        self.tail.push_back(line);
    }

    fn verdict(&self, status: ExitStatus) -> Result<Tally> {
        if let Some(line) = &self.panic {
            bail!("the kernel panicked: {line}");
        }
        match self.verdicts[..] {
            [true] if self.tally.failed > 0 => bail!("tests failed, but it says they passed"),
            [true] if status.success() => Ok(self.tally),
            [true] => bail!("the tests passed, but the machine ended badly: {status}"),
            [false] if self.tally.failed > 0 => Ok(self.tally),
            [false] => bail!("the tests did not end as they should"),
            [] => bail!("it ended without a verdict ({status})"),
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

    use super::{Limits, Tally, follow};

    fn judge(script: &str) -> Result<Tally, String> {
        let mut machine = Command::new("sh")
            .args(["-c", script])
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let limits = Limits {
            total: Duration::from_secs(20),
            silence: Duration::from_secs(1),
        };
        follow(&mut machine, limits, false).map_err(|error| format!("{error:#}"))
    }

    #[test]
    fn one_line_is_the_verdict() {
        assert_eq!(
            judge("printf 'boot\\r\\ninit: success\\r\\n'"),
            Ok(Tally::default())
        );
        assert!(
            judge("echo init: failure")
                .unwrap_err()
                .contains("did not end")
        );
    }

    #[test]
    fn failed_tests_are_counted_and_belie_a_success() {
        let result = "test result: FAILED. 2 passed; 1 failed; 0 ignored";
        let tally = judge(&format!("echo '{result}'; echo init: failure")).unwrap();
        assert_eq!((tally.passed, tally.failed), (2, 1));
        assert!(judge(&format!("echo '{result}'; echo init: success")).is_err());
    }

    #[test]
    fn no_verdict_and_two_verdicts_are_failures() {
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
    fn a_success_of_a_machine_that_ends_badly_is_a_failure() {
        assert!(
            judge("echo init: success; exit 3")
                .unwrap_err()
                .contains("ended badly")
        );
    }

    #[test]
    fn a_panic_is_a_failure_and_the_console_is_shown() {
        let error = judge("echo last words; echo 'Kernel panic - not syncing: Oops'").unwrap_err();
        assert!(error.contains("panicked"), "{error}");
        assert!(error.contains("| last words"), "{error}");
    }

    #[test]
    fn silence_is_a_hang() {
        let error = judge("echo begun; exec sleep 60").unwrap_err();
        assert!(error.contains("it hangs"), "{error}");
    }
}
