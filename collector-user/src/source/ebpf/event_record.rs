//! The records of the ring buffer, decoded.

use collector_ebpf::{
    COMM_LEN, CgroupMoveEvent, EVENT_CGROUP_MOVE, EVENT_EXEC, EVENT_FORK, EVENT_THREAD_END,
    EventHeader, ExecEvent, ForkEvent, ThreadEndEvent,
};

/// One record.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum EventRecord {
    Fork(ForkEvent),
    Exec(Box<Exec>),
    ThreadEnd(ThreadEndEvent),
    CgroupMove(CgroupMoveEvent),
}

/// A process became another program.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Exec {
    pub(crate) header: EventHeader,
    pub(crate) ppid: u32,
    pub(crate) uid: u32,
    pub(crate) exec_id: u64,
    pub(crate) comm: [u8; COMM_LEN],
    pub(crate) filename: Option<String>,
    pub(crate) argv: Option<Vec<String>>,
    pub(crate) argv_truncated: bool,
}

impl EventRecord {
    /// Decodes a record; `None` if it is not one.
    pub(crate) fn decode(bytes: &[u8]) -> Option<Self> {
        match u32_at(bytes, 0)? {
            EVENT_FORK => Some(Self::Fork(ForkEvent {
                header: header(bytes)?,
                ppid: u32_at(bytes, 24)?,
                uid: u32_at(bytes, 28)?,
                flags: u32_at(bytes, 32)?,
                reserved: 0,
                comm: bytes.get(40..40 + COMM_LEN)?.try_into().ok()?,
                cgroup_id: u64_at(bytes, 56)?,
                exec_id: u64_at(bytes, 64)?,
            })),
            EVENT_EXEC => Some(Self::Exec(Box::new(exec(bytes)?))),
            EVENT_THREAD_END => Some(Self::ThreadEnd(ThreadEndEvent {
                header: header(bytes)?,
                thread: u32_at(bytes, 24)?,
                tid: u32_at(bytes, 28)?,
            })),
            EVENT_CGROUP_MOVE => Some(Self::CgroupMove(CgroupMoveEvent {
                header: header(bytes)?,
                cgroup_id: u64_at(bytes, 24)?,
                cpu_ns: u64_at(bytes, 32)?,
                thread: u32_at(bytes, 40)?,
                reserved: 0,
            })),
            _ => None,
        }
    }
}

fn exec(bytes: &[u8]) -> Option<Exec> {
    let filename_len = u32_at(bytes, 32)? as usize;
    let argv_len = u32_at(bytes, 36)? as usize;
    let argv_full_len = u64_at(bytes, 40)?;
    let filename_at = std::mem::offset_of!(ExecEvent, filename);
    let argv_at = std::mem::offset_of!(ExecEvent, argv);
    let filename = bytes.get(filename_at..argv_at)?.get(..filename_len)?;
    let argv = bytes.get(argv_at..)?.get(..argv_len)?;
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    Some(Exec {
        header: header(bytes)?,
        ppid: u32_at(bytes, 24)?,
        uid: u32_at(bytes, 28)?,
        exec_id: u64_at(bytes, 48)?,
        comm: bytes.get(56..56 + COMM_LEN)?.try_into().ok()?,
        filename: filename
            .split(|&byte| byte == 0)
            .next()
            .filter(|name| !name.is_empty())
            .map(text),
        argv: (argv_len > 0).then(|| {
            argv.strip_suffix(&[0])
                .unwrap_or(argv)
                .split(|&byte| byte == 0)
                .map(text)
                .collect()
        }),
        argv_truncated: argv_full_len > argv_len as u64,
    })
}

fn header(bytes: &[u8]) -> Option<EventHeader> {
    Some(EventHeader {
        kind: u32_at(bytes, 0)?,
        pid: u32_at(bytes, 4)?,
        time_ns: u64_at(bytes, 8)?,
        process_start_ns: u64_at(bytes, 16)?,
    })
}

fn u32_at(bytes: &[u8], at: usize) -> Option<u32> {
    Some(u32::from_ne_bytes(bytes.get(at..at + 4)?.try_into().ok()?))
}

fn u64_at(bytes: &[u8], at: usize) -> Option<u64> {
    Some(u64::from_ne_bytes(bytes.get(at..at + 8)?.try_into().ok()?))
}

/// A name as the kernel keeps it: up to its first zero.
pub(crate) fn comm_text(comm: &[u8; COMM_LEN]) -> String {
    let length = comm
        .iter()
        .position(|&byte| byte == 0)
        .unwrap_or(comm.len());
    String::from_utf8_lossy(&comm[..length]).into_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn exec_bytes(filename: &[u8], argv: &[u8], full: u64) -> Vec<u8> {
        let mut bytes = Vec::new();
        for word in [EVENT_EXEC, 7] {
            bytes.extend(word.to_ne_bytes());
        }
        for word in [11u64, 13] {
            bytes.extend(word.to_ne_bytes());
        }
        for word in [1, 1000, filename.len() as u32, argv.len() as u32] {
            bytes.extend(word.to_ne_bytes());
        }
        bytes.extend(full.to_ne_bytes());
        bytes.extend(17u64.to_ne_bytes());
        bytes.extend(b"true\0\0\0\0\0\0\0\0\0\0\0\0");
        bytes.extend(filename);
        bytes.resize(std::mem::offset_of!(ExecEvent, argv), 0);
        bytes.extend(argv);
        bytes
    }

    #[test]
    fn the_arguments_of_an_exec_are_told_apart() {
        let bytes = exec_bytes(b"/bin/true\0", b"true\0\0last\0", 11);
        let Some(EventRecord::Exec(exec)) = EventRecord::decode(&bytes) else {
            panic!("it is an exec");
        };
        assert_eq!(exec.header.pid, 7);
        assert_eq!(exec.filename.as_deref(), Some("/bin/true"));
        assert_eq!(
            exec.argv,
            Some(vec!["true".to_owned(), String::new(), "last".to_owned()])
        );
        assert!(!exec.argv_truncated);
        assert_eq!(exec.exec_id, 17);
        assert_eq!(comm_text(&exec.comm), "true");
    }

    #[test]
    fn a_fork_and_a_move_tell_the_cgroup() {
        let mut bytes = vec![0; size_of::<ForkEvent>()];
        bytes[..4].copy_from_slice(&EVENT_FORK.to_ne_bytes());
        let at = std::mem::offset_of!(ForkEvent, cgroup_id);
        bytes[at..at + 8].copy_from_slice(&77u64.to_ne_bytes());
        let end = std::mem::offset_of!(ForkEvent, exec_id);
        bytes[end..].copy_from_slice(&76u64.to_ne_bytes());
        let Some(EventRecord::Fork(fork)) = EventRecord::decode(&bytes) else {
            panic!("it is a fork");
        };
        assert_eq!((fork.cgroup_id, fork.exec_id), (77, 76));
        assert_eq!(EventRecord::decode(&bytes[..at]), None);

        let at = std::mem::offset_of!(CgroupMoveEvent, cgroup_id);
        bytes[..4].copy_from_slice(&EVENT_CGROUP_MOVE.to_ne_bytes());
        bytes[at..at + 8].copy_from_slice(&78u64.to_ne_bytes());
        let at = std::mem::offset_of!(CgroupMoveEvent, cpu_ns);
        bytes[at..at + 8].copy_from_slice(&79u64.to_ne_bytes());
        let at = std::mem::offset_of!(CgroupMoveEvent, thread);
        bytes[at..at + 4].copy_from_slice(&80u32.to_ne_bytes());
        let Some(EventRecord::CgroupMove(moved)) = EventRecord::decode(&bytes) else {
            panic!("it is a move");
        };
        assert_eq!((moved.cgroup_id, moved.cpu_ns, moved.thread), (78, 79, 80));
    }

    #[test]
    fn arguments_that_were_cut_are_marked() {
        let bytes = exec_bytes(b"/bin/true\0", b"true\0lon", 4000);
        let Some(EventRecord::Exec(exec)) = EventRecord::decode(&bytes) else {
            panic!("it is an exec");
        };
        assert!(exec.argv_truncated);
        assert_eq!(exec.argv, Some(vec!["true".to_owned(), "lon".to_owned()]));
    }

    #[test]
    fn a_record_that_is_too_short_or_lies_about_its_length_is_none() {
        let bytes = exec_bytes(b"/bin/true\0", b"true\0", 5);
        for length in 0..bytes.len() {
            assert_eq!(
                EventRecord::decode(&bytes[..length]),
                None,
                "{length} bytes"
            );
        }
        let mut liar = bytes.clone();
        liar[32..36].copy_from_slice(&u32::MAX.to_ne_bytes());
        assert_eq!(EventRecord::decode(&liar), None);
        assert_eq!(EventRecord::decode(&[9; 64]), None);
    }
}
