use std::fs;

use crate::source::read_kernel_file;

/// The capabilities needed to load programs:
/// `include/uapi/linux/capability.h`.
const CAP_SYS_ADMIN: u32 = 21;
const CAP_PERFMON: u32 = 38;
const CAP_BPF: u32 = 39;

/// Which of the capabilities needed to load tracing programs are effective.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Rights {
    /// `CAP_SYS_ADMIN`: sufficient alone.
    pub sys_admin: bool,
    /// `CAP_PERFMON`: sufficient together with `CAP_BPF`, since 5.8.
    pub perfmon: bool,
    /// `CAP_BPF`.
    pub bpf: bool,
}

impl Rights {
    /// Those of a process, from the text of its `/proc/PID/status`. None if the
    /// text has no capabilities.
    pub fn of_status(status: &str) -> Self {
        let set = status
            .lines()
            .find_map(|line| line.strip_prefix("CapEff:"))
            .and_then(|set| u64::from_str_radix(set.trim(), 16).ok())
            .unwrap_or(0);
        let has = |capability: u32| set & (1 << capability) != 0;
        Self {
            sys_admin: has(CAP_SYS_ADMIN),
            perfmon: has(CAP_PERFMON),
            bpf: has(CAP_BPF),
        }
    }

    /// Whether this process is in the initial user namespace: capabilities in any
    /// other one do not allow loading programs.
    pub fn are_of_the_host() -> bool {
        is_in_initial_user_namespace()
    }

    /// Whether they suffice to load tracing programs.
    pub const fn suffice(self) -> bool {
        self.sys_admin || (self.bpf && self.perfmon)
    }
}

/// Whether this process may load tracing programs.
pub(super) fn may_load_programs() -> bool {
    read_kernel_file("/proc/self/status")
        .is_ok_and(|status| Rights::of_status(&String::from_utf8_lossy(&status)).suffice())
}

/// Whether this process is in the initial PID namespace. The programs report PIDs
/// of that one, and the iterator visits the tasks of this process' namespace.
pub(super) fn is_in_initial_pid_namespace() -> bool {
    is_initial_namespace("pid", "pid:[4026531836]")
}

/// Whether this process is in the initial user namespace, in which `bpf` checks
/// capabilities.
pub(super) fn is_in_initial_user_namespace() -> bool {
    is_initial_namespace("user", "user:[4026531837]")
}

/// The inode numbers of the initial namespaces are part of the kernel's interface
/// since 3.8: `PROC_USER_INIT_INO` and `PROC_PID_INIT_INO` of
/// <https://github.com/torvalds/linux/blob/v6.12/include/linux/proc_ns.h#L44>.
fn is_initial_namespace(kind: &str, first: &str) -> bool {
    match fs::read_link(format!("/proc/self/ns/{kind}")) {
        Ok(namespace) => namespace.as_os_str() == first,
        // A kernel without namespaces has only the initial one.
        Err(_) => true,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn either_root_or_both_of_the_others_suffice() {
        let of = |set: &str| {
            let status = format!("Name:\tx\nCapPrm:\t000001ffffffffff\nCapEff:\t{set}\n");
            Rights::of_status(&status)
        };
        let both = Rights {
            sys_admin: false,
            perfmon: true,
            bpf: true,
        };
        assert_eq!(of("000000c000000000"), both);
        assert!(both.suffice());
        assert!(of("0000000000200000").suffice());
        assert!(!of("0000008000000000").suffice());
        assert!(!of("0000004000000000").suffice());
    }

    #[test]
    fn text_without_capabilities_grants_nothing() {
        for status in ["", "Name:\tx\n", "CapEff:\tnonsense\n"] {
            assert_eq!(Rights::of_status(status), Rights::default());
        }
    }
}
