use std::sync::{Arc, Mutex, PoisonError};

use super::process_table::ProcessTable;
use crate::{collectors::CollectError, metric::ProcessEvent, source::Tick};

/// Finds [`ProcessEvent`]s by scanning `/proc` repeatedly.
///
/// To be polled about once a second while there is a subscriber. Processes that
/// live shorter than the interval may not be seen.
///
/// - `fork`: a new process, with its present command name. The time is its start
///   time.
/// - `exec`: the addresses of the program differ from those before, or from those
///   of the parent of a new process. Reading them takes the right to trace the
///   process; without it there is no such event. The file is unknown, and the
///   arguments are the present ones.
/// - `exit`: the process is a zombie, or has been reaped. The exit status and the
///   final totals are known for a zombie only.
///
/// The times of `exec` and `exit` are those of the poll.
#[derive(Debug)]
pub struct ProcessPoller {
    table: Arc<Mutex<ProcessTable>>,
}

/// A scan that is not older than this is used again.
const FRESH_NS: u64 = 500_000_000;

impl ProcessPoller {
    pub(super) fn new(table: Arc<Mutex<ProcessTable>>) -> Self {
        Self { table }
    }

    /// The events since the last call. The first call, and one after a pause of more
    /// than five seconds, returns none.
    ///
    /// Blocks while it scans all processes.
    ///
    /// # Errors
    ///
    /// When `/proc` cannot be listed.
    pub fn poll(&mut self, tick: &Tick) -> Result<Vec<ProcessEvent>, CollectError> {
        let now_ns = tick.monotonic_ns();
        let mut table = self.table.lock().unwrap_or_else(PoisonError::into_inner);
        let is_fresh = table
            .scanned_at_ns()
            .is_some_and(|at| now_ns.saturating_sub(at) < FRESH_NS);
        if !is_fresh {
            table.scan(tick)?;
        }
        Ok(table.take_events(now_ns))
    }
}

#[cfg(test)]
mod tests {
    use std::{fs, path::Path, process::Command};

    use super::*;
    use crate::{
        collectors::{Collector as _, procfs::ProcfsProcessStats},
        source::Sources,
    };

    fn write_process(root: &Path, pid: u32, start: u64, state: char, stack: u64, exit_code: u32) {
        let folder = root.join(format!("proc/{pid}"));
        fs::create_dir_all(&folder).unwrap();
        // From the stack, field 28, to the exit code, field 52.
        let zeros = "0 ".repeat(23);
        let stat = format!(
            "{pid} (sh) {state} 1 1 1 0 -1 0 1 0 0 0 2 0 0 0 20 0 1 0 {start} 0 0 0 1 1 {stack} {zeros}{exit_code}\n"
        );
        fs::write(folder.join("stat"), stat).unwrap();
        fs::write(folder.join("cmdline"), "sh\0-c\0").unwrap();
    }

    fn kinds(events: &[ProcessEvent]) -> Vec<(&'static str, u32)> {
        let kind = |event: &ProcessEvent| match event {
            ProcessEvent::Fork(event) => ("fork", event.pid),
            ProcessEvent::Exec(event) => ("exec", event.pid),
            ProcessEvent::Exit(event) => ("exit", event.pid),
        };
        events.iter().map(kind).collect()
    }

    /// A poller that has seen process 1 once, whose polls are never fresh.
    fn poller(
        root: &Path,
    ) -> (
        ProcessPoller,
        impl FnMut(&mut ProcessPoller) -> Vec<ProcessEvent>,
    ) {
        write_process(root, 1, 1, 'S', 7, 0);
        let sources = Sources::rooted(root.to_owned());
        let mut poller = ProcfsProcessStats::new().poller();
        assert!(poller.poll(&sources.tick()).unwrap().is_empty());
        let poll = move |poller: &mut ProcessPoller| {
            let tick = sources.tick();
            poller.table.lock().unwrap().scan(&tick).unwrap();
            poller.poll(&tick).unwrap()
        };
        (poller, poll)
    }

    #[test]
    fn what_was_there_before_is_no_event() {
        let root = tempfile::tempdir().unwrap();
        let (mut poller, mut poll) = poller(root.path());
        assert!(poll(&mut poller).is_empty());
    }

    #[test]
    fn a_process_begins_executes_ends_and_is_reaped_with_one_exit() {
        let root = tempfile::tempdir().unwrap();
        let (mut poller, mut poll) = poller(root.path());
        write_process(root.path(), 2, 50, 'S', 7, 0);
        assert_eq!(kinds(&poll(&mut poller)), [("fork", 2)]);
        write_process(root.path(), 2, 50, 'S', 8, 0);
        let events = poll(&mut poller);
        assert_eq!(kinds(&events), [("exec", 2)]);
        let ProcessEvent::Exec(exec) = &events[0] else {
            panic!("{events:?}");
        };
        assert_eq!(exec.argv.as_ref().map(Vec::len), Some(2));
        assert_eq!(exec.filename, None);
        write_process(root.path(), 2, 50, 'Z', 0, 3 << 8);
        let events = poll(&mut poller);
        assert_eq!(kinds(&events), [("exit", 2)]);
        let ProcessEvent::Exit(exit) = &events[0] else {
            panic!("{events:?}");
        };
        assert_eq!((exit.exit_code, exit.signal), (Some(3), None));
        assert_eq!(exit.cpu_ns, Some(20_000_000));
        fs::remove_dir_all(root.path().join("proc/2")).unwrap();
        assert!(poll(&mut poller).is_empty());
    }

    #[test]
    fn of_a_process_that_was_never_seen_dead_the_end_is_unknown() {
        let root = tempfile::tempdir().unwrap();
        let (mut poller, mut poll) = poller(root.path());
        write_process(root.path(), 2, 50, 'S', 7, 0);
        poll(&mut poller);
        fs::remove_dir_all(root.path().join("proc/2")).unwrap();
        let events = poll(&mut poller);
        let ProcessEvent::Exit(exit) = &events[0] else {
            panic!("{events:?}");
        };
        assert_eq!(
            (exit.exit_code, exit.signal, exit.cpu_ns),
            (None, None, None)
        );
    }

    #[test]
    fn a_number_that_is_used_again_is_another_process() {
        let root = tempfile::tempdir().unwrap();
        let (mut poller, mut poll) = poller(root.path());
        write_process(root.path(), 2, 50, 'S', 7, 0);
        poll(&mut poller);
        write_process(root.path(), 2, 60, 'S', 7, 0);
        assert_eq!(kinds(&poll(&mut poller)), [("exit", 2), ("fork", 2)]);
    }

    #[test]
    fn what_the_statistics_see_is_not_looked_at_again_and_not_lost() {
        let mut stats = ProcfsProcessStats::new();
        let mut poller = stats.poller();
        let sources = Sources::live();
        poller.poll(&sources.tick()).unwrap();
        for _ in 0..100 {
            let mut child = Command::new("sleep").arg("60").spawn().unwrap();
            let tick = sources.tick();
            stats.collect(&tick).unwrap();
            let opens = sources.stats().opens;
            let events = poller.poll(&tick).unwrap();
            assert_eq!(sources.stats().opens, opens);
            let _ = child.kill();
            let _ = child.wait();
            if kinds(&events).contains(&("fork", child.id())) {
                return;
            }
            // On a busy host too much time may pass between two polls.
            assert!(events.is_empty(), "{events:?}");
        }
        panic!("no poll was soon enough after the one before");
    }
}
