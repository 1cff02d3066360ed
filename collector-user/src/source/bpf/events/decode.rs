use collector_ebpf::{
    EVENT_CGROUP_MOVE, EVENT_EXEC, EVENT_FORK, EVENT_THREAD_END, EventHeader, ExecEvent, ExecInfo,
};

use super::super::pod::read_pod;
use crate::accounting::{Exec, LifecycleEvent};

/// Decodes a record of the ring buffer; `None` if it is malformed.
pub(super) fn decode(bytes: &[u8]) -> Option<LifecycleEvent> {
    let header: EventHeader = read_pod(bytes)?;
    match header.kind {
        EVENT_FORK => read_pod(bytes).map(LifecycleEvent::Fork),
        EVENT_EXEC => exec(bytes).map(Box::new).map(LifecycleEvent::Exec),
        EVENT_THREAD_END => read_pod(bytes).map(LifecycleEvent::ThreadEnd),
        EVENT_CGROUP_MOVE => read_pod(bytes).map(LifecycleEvent::CgroupMove),
        _ => None,
    }
}

/// Decodes an [`ExecEvent`], which ends after the last argument.
fn exec(bytes: &[u8]) -> Option<Exec> {
    let info: ExecInfo = read_pod(bytes)?;
    let filename_at = std::mem::offset_of!(ExecEvent, filename);
    let argv_at = std::mem::offset_of!(ExecEvent, argv);
    let filename = bytes
        .get(filename_at..argv_at)?
        .get(..info.filename_len as usize)?;
    let argv = bytes.get(argv_at..)?.get(..info.argv_len as usize)?;
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    Some(Exec {
        header: info.header,
        ppid: info.ppid,
        uid: info.uid,
        exec_id: info.exec_id,
        comm: info.comm,
        filename: filename
            .split(|&byte| byte == 0)
            .next()
            .filter(|name| !name.is_empty())
            .map(text),
        argv: (!argv.is_empty()).then(|| {
            argv.strip_suffix(&[0])
                .unwrap_or(argv)
                .split(|&byte| byte == 0)
                .map(text)
                .collect()
        }),
        argv_truncated: info.argv_full_len > argv.len() as u64,
    })
}

#[cfg(test)]
mod tests {
    use collector_ebpf::{CgroupMoveEvent, ForkEvent};

    use super::*;
    use crate::accounting::comm_text;

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
    fn the_arguments_of_an_exec_are_separated() {
        let bytes = exec_bytes(b"/bin/true\0", b"true\0\0last\0", 11);
        let Some(LifecycleEvent::Exec(exec)) = decode(&bytes) else {
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
    fn a_fork_and_a_move_have_the_cgroup_id() {
        let mut bytes = vec![0; size_of::<ForkEvent>()];
        bytes[..4].copy_from_slice(&EVENT_FORK.to_ne_bytes());
        let at = std::mem::offset_of!(ForkEvent, cgroup_id);
        bytes[at..at + 8].copy_from_slice(&77u64.to_ne_bytes());
        let end = std::mem::offset_of!(ForkEvent, exec_id);
        bytes[end..].copy_from_slice(&76u64.to_ne_bytes());
        let Some(LifecycleEvent::Fork(fork)) = decode(&bytes) else {
            panic!("it is a fork");
        };
        assert_eq!((fork.cgroup_id, fork.exec_id), (77, 76));
        assert_eq!(decode(&bytes[..at]), None);

        let at = std::mem::offset_of!(CgroupMoveEvent, cgroup_id);
        bytes[..4].copy_from_slice(&EVENT_CGROUP_MOVE.to_ne_bytes());
        bytes[at..at + 8].copy_from_slice(&78u64.to_ne_bytes());
        let at = std::mem::offset_of!(CgroupMoveEvent, cpu_ns);
        bytes[at..at + 8].copy_from_slice(&79u64.to_ne_bytes());
        let at = std::mem::offset_of!(CgroupMoveEvent, slot);
        bytes[at..at + 4].copy_from_slice(&80u32.to_ne_bytes());
        let Some(LifecycleEvent::CgroupMove(moved)) = decode(&bytes) else {
            panic!("it is a move");
        };
        assert_eq!((moved.cgroup_id, moved.cpu_ns, moved.slot), (78, 79, 80));
    }

    #[test]
    fn truncated_arguments_are_marked() {
        let bytes = exec_bytes(b"/bin/true\0", b"true\0lon", 4000);
        let Some(LifecycleEvent::Exec(exec)) = decode(&bytes) else {
            panic!("it is an exec");
        };
        assert!(exec.argv_truncated);
        assert_eq!(exec.argv, Some(vec!["true".to_owned(), "lon".to_owned()]));
    }

    #[test]
    fn a_record_that_is_too_short_or_has_a_wrong_length_is_none() {
        let bytes = exec_bytes(b"/bin/true\0", b"true\0", 5);
        for length in 0..bytes.len() {
            assert_eq!(decode(&bytes[..length]), None, "{length} bytes");
        }
        let mut wrong = bytes.clone();
        wrong[32..36].copy_from_slice(&u32::MAX.to_ne_bytes());
        assert_eq!(decode(&wrong), None);
        assert_eq!(decode(&[9; 64]), None);
    }
}
