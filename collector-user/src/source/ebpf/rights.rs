use std::fs;

/// The capabilities of `include/uapi/linux/capability.h` that loading
/// programs takes.
const CAP_SYS_ADMIN: u32 = 21;
const CAP_PERFMON: u32 = 38;
const CAP_BPF: u32 = 39;

/// Whether this process may load tracing programs: `CAP_BPF` and
/// `CAP_PERFMON` since 5.8, or `CAP_SYS_ADMIN`.
pub(super) fn may_load_programs() -> bool {
    fs::read_to_string("/proc/self/status")
        .ok()
        .and_then(|status| effective_capabilities(&status))
        .is_some_and(|set| {
            let has = |capability: u32| set & (1 << capability) != 0;
            has(CAP_SYS_ADMIN) || (has(CAP_BPF) && has(CAP_PERFMON))
        })
}

/// Whether this process has the PID namespace that the kernel began with. The
/// programs tell numbers of that one, and the iterator shows the tasks of this
/// process' own.
///
/// The number of that namespace is part of the kernel's interface since 3.8:
/// `PROC_PID_INIT_INO` of
/// <https://github.com/torvalds/linux/blob/v6.12/include/linux/proc_ns.h#L44>.
pub(super) fn is_in_the_hosts_pid_namespace() -> bool {
    const FIRST: &str = "pid:[4026531836]";
    match fs::read_link("/proc/self/ns/pid") {
        Ok(namespace) => namespace.as_os_str() == FIRST,
        // A kernel without namespaces has but one.
        Err(_) => true,
    }
}

fn effective_capabilities(status: &str) -> Option<u64> {
    let line = status
        .lines()
        .find_map(|line| line.strip_prefix("CapEff:"))?;
    u64::from_str_radix(line.trim(), 16).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_effective_set_is_found() {
        let status = "Name:\tx\nCapPrm:\t0000000000000001\nCapEff:\t000000c000000000\n";
        assert_eq!(effective_capabilities(status), Some(0xc0_0000_0000));
        assert_eq!(effective_capabilities("Name:\tx\n"), None);
    }
}
