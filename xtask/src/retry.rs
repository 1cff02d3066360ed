//! Retries of network operations.

use std::thread;
use std::time::Duration;

use anyhow::Result;

/// The pauses between the attempts.
const PAUSES: [Duration; 2] = [Duration::from_secs(2), Duration::from_secs(8)];

/// Calls `attempt` up to three times, with a pause after a failure.
///
/// # Errors
/// That of the last attempt.
pub(crate) fn retry<T>(what: &str, attempt: impl FnMut() -> Result<T>) -> Result<T> {
    retry_after(&PAUSES, what, attempt)
}

fn retry_after<T>(
    pauses: &[Duration],
    what: &str,
    mut attempt: impl FnMut() -> Result<T>,
) -> Result<T> {
    for pause in pauses {
        match attempt() {
            Ok(value) => return Ok(value),
            Err(error) => println!(
                "{what} failed; retrying in {} s: {error:#}",
                pause.as_secs()
            ),
        }
        thread::sleep(*pause);
    }
    attempt()
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use anyhow::bail;

    use super::retry_after;

    const PAUSES: [Duration; 2] = [Duration::ZERO; 2];

    #[test]
    fn a_third_attempt_can_succeed() {
        let mut attempts = 0;
        let result = retry_after(&PAUSES, "it", || {
            attempts += 1;
            if attempts < 3 {
                bail!("attempt {attempts}");
            }
            Ok(attempts)
        });
        assert_eq!(result.unwrap(), 3);
    }

    #[test]
    fn after_three_attempts_the_last_error_is_returned() {
        let mut attempts = 0;
        let result = retry_after(&PAUSES, "it", || -> anyhow::Result<()> {
            attempts += 1;
            bail!("attempt {attempts}")
        });
        assert_eq!(result.unwrap_err().to_string(), "attempt 3");
    }
}
