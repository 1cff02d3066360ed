use std::sync::Arc;

use crate::{
    metric::ProcessState,
    source::{
        parse::{self, ParseError},
        procfs::ticks_to_ns,
    },
};

/// The content of `/proc/PID/stat`.
///
/// Times and faults are sums over all threads, including exited ones.
/// <https://docs.kernel.org/filesystems/proc.html#process-specific-subdirectories>,
/// table 1-4.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Stat {
    /// The PID.
    pub pid: u32,
    /// `comm` of the thread-group leader: at most 15 bytes, without the work item that the
    /// kernel appends to the name of a kworker.
    pub comm: Arc<str>,
    /// The state of the thread-group leader; `None` for an unknown letter.
    pub state: Option<ProcessState>,
    /// The parent PID; 0 if the parent is not in this PID namespace.
    pub ppid: u32,
    /// Whether it is a kernel thread.
    pub kernel_thread: bool,
    /// Minor faults.
    pub minor_faults: u64,
    /// Major faults.
    pub major_faults: u64,
    /// User time, in steps of a clock tick: 10 ms.
    pub user_ns: u64,
    /// System time, in steps of a clock tick: 10 ms.
    pub system_ns: u64,
    /// The number of threads: 1 for a zombie; 0 for a process that was reaped during the
    /// read, of which only PID, `comm` and start time are valid.
    pub threads: u32,
    /// Start time: nanoseconds since boot, in steps of a clock tick.
    pub start_time_ns: u64,
    /// Virtual memory size.
    pub vm_bytes: u64,
    /// Resident set size, in pages.
    pub rss_pages: u64,
    /// Changes at execve(2).
    pub program: ProgramMark,
    /// The exit status of a zombie; needs permission to ptrace it.
    pub exit_status: Option<ExitStatus>,
}

/// The addresses of code and stack of a process.
///
/// Address space layout randomization changes them at each execve(2), so that a change
/// indicates one. Both are 0 without permission to ptrace the process, and for kernel
/// threads.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct ProgramMark {
    start_code: u64,
    start_stack: u64,
}

impl ProgramMark {
    /// Whether the addresses are known.
    pub const fn is_known(self) -> bool {
        self.start_stack != 0
    }

    /// Whether the addresses differ from `other`; false if either is unknown.
    pub fn differs_from(self, other: Self) -> bool {
        self.is_known() && other.is_known() && self != other
    }
}

/// The exit status of a process, as returned by wait(2).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ExitStatus(i32);

impl ExitStatus {
    /// The exit code, if the process was not killed by a signal.
    pub const fn code(self) -> Option<u8> {
        match self.signal() {
            None => Some((self.0 >> 8) as u8),
            Some(_) => None,
        }
    }

    /// The signal that killed the process.
    pub const fn signal(self) -> Option<u8> {
        match (self.0 & 0x7f) as u8 {
            0 => None,
            signal => Some(signal),
        }
    }

    /// Whether it dumped core.
    pub const fn core_dumped(self) -> bool {
        self.0 & 0x80 != 0
    }
}

/// `PF_KTHREAD` of the task flags:
/// <https://github.com/torvalds/linux/blob/v6.12/include/linux/sched.h#L1697>.
const KERNEL_THREAD: u64 = 0x0020_0000;
/// `PF_WQ_WORKER`: a kworker.
const WORKQUEUE_WORKER: u64 = 0x0000_0020;
/// `TASK_COMM_LEN`, without the NUL.
const MAX_COMM_BYTES: usize = 15;

/// Parses `/proc/PID/stat`.
///
/// # Errors
///
/// When a field up to `rss` is missing or not a number. Later fields are optional.
pub fn parse_stat(bytes: &[u8]) -> Result<Stat, ParseError> {
    // `comm` may contain spaces and parentheses; no later field contains a parenthesis.
    let open = bytes.iter().position(|&byte| byte == b'(');
    let close = bytes.iter().rposition(|&byte| byte == b')');
    let (Some(open), Some(close)) = (open, close) else {
        return Err(ParseError::missing("comm, in parentheses,"));
    };
    let comm = bytes
        .get(open + 1..close)
        .ok_or_else(|| ParseError::invalid("comm", bytes, "a name in parentheses"))?;
    let pid = parse::field("pid", Some(bytes[..open].trim_ascii()))?;

    let mut words = parse::words(&bytes[close + 1..]);
    // Field numbers are those of proc_pid_stat(5): the state is field 3.
    let state = words.next().ok_or(ParseError::missing("state"))?;
    let ppid = parse::field("ppid", words.next())?;
    let flags: u64 = parse::field("flags", words.nth(9 - 5))?;
    let minor_faults = parse::field("min_flt", words.next())?;
    let major_faults = parse::field("maj_flt", words.nth(12 - 11))?;
    let user: u64 = parse::field("utime", words.nth(14 - 13))?;
    let system: u64 = parse::field("stime", words.next())?;
    let threads = parse::field("num_threads", words.nth(20 - 16))?;
    let start_time: u64 = parse::field("start_time", words.nth(22 - 21))?;
    let vm_bytes = parse::field("vsize", words.next())?;
    // Signed: the kernel's counters are approximate and may be negative.
    let rss: i64 = parse::field("rss", words.next())?;
    let start_code = words.nth(26 - 25).and_then(parse::number);
    let start_stack = words.nth(28 - 27).and_then(parse::number);
    let exit_code = words.nth(52 - 29).and_then(parse::number);

    let state = ProcessState::from_letter(state[0] as char);
    let mut stat = Stat {
        pid,
        comm: String::from_utf8_lossy(task_comm(comm, flags)).into(),
        state,
        ppid,
        kernel_thread: flags & KERNEL_THREAD != 0,
        minor_faults,
        major_faults,
        user_ns: ticks_to_ns(user),
        system_ns: ticks_to_ns(system),
        threads,
        start_time_ns: ticks_to_ns(start_time),
        vm_bytes,
        rss_pages: u64::try_from(rss).unwrap_or(0),
        program: ProgramMark {
            start_code: start_code.unwrap_or(0),
            start_stack: start_stack.unwrap_or(0),
        },
        exit_status: None,
    };
    if stat.has_exited() {
        stat.exit_status = exit_code.map(ExitStatus);
    }
    Ok(stat)
}

/// The `comm` of a task, from the name in `/proc`.
///
/// They differ for kernel threads: since Linux 4.18 the current or last work item of a
/// kworker is appended, as `+WORK` or `-WORK`, and since 5.17 a name longer than `comm` is
/// shown in full:
/// `proc_task_name()` of
/// <https://github.com/torvalds/linux/blob/v6.12/fs/proc/array.c#L101> and
/// `wq_worker_comm()` of
/// <https://github.com/torvalds/linux/blob/v6.12/kernel/workqueue.c#L6426>.
fn task_comm(shown: &[u8], flags: u64) -> &[u8] {
    const PREFIX: &[u8] = b"kworker/";
    if flags & KERNEL_THREAD == 0 {
        return shown;
    }
    let mut comm = shown;
    if flags & WORKQUEUE_WORKER != 0
        && let Some(name) = shown.strip_prefix(PREFIX)
    {
        // A rescuer is `kworker/R-` and the name of its workqueue, which may contain a
        // hyphen; the name is truncated below.
        let is_rescuer = name.starts_with(b"R-");
        let end = name
            .iter()
            .position(|&byte| byte == b'+' || byte == b'-' && !is_rescuer);
        comm = &shown[..end.map_or(shown.len(), |end| PREFIX.len() + end)];
    }
    &comm[..comm.len().min(MAX_COMM_BYTES)]
}

impl Stat {
    /// Whether all threads of the process have exited.
    pub fn has_exited(&self) -> bool {
        let is_zombie = matches!(self.state, Some(ProcessState::Zombie | ProcessState::Dead));
        is_zombie && self.threads <= 1
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn line(comm: &str, state: &str) -> Vec<u8> {
        format!(
            "42 ({comm}) {state} 7 42 42 0 -1 4194560 11 12 13 14 150 25 2 3 20 0 4 0 \
             1234 8192000 300 18446744073709551615 94387647123456 94387647143337 \
             140736439993920 0 0 0 0 0 0 0 0 0 17 0 0 0 0 0 0 1 2 3 4 5 6 7 {}\n",
            if state == "Z" { "9" } else { "0" }
        )
        .into_bytes()
    }

    #[test]
    fn every_field_is_parsed() {
        let stat = parse_stat(&line("cat", "S")).unwrap();
        assert_eq!(stat.pid, 42);
        assert_eq!(&*stat.comm, "cat");
        assert_eq!(stat.state, Some(ProcessState::Sleeping));
        assert_eq!(stat.ppid, 7);
        assert!(!stat.kernel_thread);
        assert_eq!((stat.minor_faults, stat.major_faults), (11, 13));
        assert_eq!(stat.user_ns, 1_500_000_000);
        assert_eq!(stat.system_ns, 250_000_000);
        assert_eq!(stat.threads, 4);
        assert_eq!(stat.start_time_ns, 12_340_000_000);
        assert_eq!((stat.vm_bytes, stat.rss_pages), (8_192_000, 300));
        assert_eq!(stat.program.start_code, 94_387_647_123_456);
        assert_eq!(stat.program.start_stack, 140_736_439_993_920);
        assert_eq!(stat.exit_status, None);
    }

    #[test]
    fn comm_may_contain_spaces_parentheses_and_bytes_that_are_not_utf8() {
        let stat = parse_stat(&line("a) R 1 (b", "S")).unwrap();
        assert_eq!(&*stat.comm, "a) R 1 (b");
        let mut bytes = line("x", "S");
        bytes[4] = 0xff;
        assert_eq!(&*parse_stat(&bytes).unwrap().comm, "\u{fffd}");
    }

    #[test]
    fn comm_of_a_kworker_does_not_depend_on_its_work_item() {
        let comm = |shown: &str, flags: u64| {
            let text = String::from_utf8(line(shown, "I")).unwrap();
            let text = text.replace(" 4194560 ", &format!(" {flags} "));
            parse_stat(text.as_bytes()).unwrap().comm.to_string()
        };
        let worker = KERNEL_THREAD | WORKQUEUE_WORKER;
        for (shown, expected) in [
            ("kworker/u16:4-events_power_efficient", "kworker/u16:4"),
            ("kworker/u16:4+flush-8:0", "kworker/u16:4"),
            ("kworker/0:1H-kblockd", "kworker/0:1H"),
            ("kworker/0:1", "kworker/0:1"),
            ("kworker/R-mm_percpu_wq", "kworker/R-mm_pe"),
            ("kworker/R-a-b+c", "kworker/R-a-b"),
            ("kworker/u1024:1024+x", "kworker/u1024:1"),
        ] {
            assert_eq!(comm(shown, worker), expected);
        }
        assert_eq!(
            comm("rcu_tasks_rude_kthread", KERNEL_THREAD),
            "rcu_tasks_rude_"
        );
        // Any process can have this name.
        assert_eq!(comm("kworker/0:1-x", 0), "kworker/0:1-x");
        assert_eq!(comm("jbd2/vda1-8", KERNEL_THREAD), "jbd2/vda1-8");
    }

    #[test]
    fn a_zombie_without_other_threads_has_an_exit_status() {
        let mut text = String::from_utf8(line("sh", "Z")).unwrap();
        assert_eq!(parse_stat(text.as_bytes()).unwrap().exit_status, None);
        text = text.replace(" 20 0 4 0 ", " 20 0 1 0 ");
        let status = parse_stat(text.as_bytes()).unwrap().exit_status.unwrap();
        assert_eq!(status.signal(), Some(9));
        assert_eq!(status.code(), None);
        assert_eq!(ExitStatus(3 << 8).code(), Some(3));
        assert!(ExitStatus(0x0b | 0x80).core_dumped());
    }

    #[test]
    fn a_truncated_line_is_an_error_with_the_field() {
        let whole = line("cat", "S");
        let error = parse_stat(&whole[..20]).unwrap_err();
        assert!(error.to_string().contains("flags"), "{error}");
        assert!(parse_stat(b"").is_err());
        assert!(parse_stat(b")(").is_err());
        for end in 0..whole.len() {
            let _ = parse_stat(&whole[..end]);
        }
    }
}
