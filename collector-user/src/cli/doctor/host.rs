use std::fmt::Write as _;

use collector::{agent::BackendChoice, source::bpf::Rights};

use super::{Check, CheckStatus, Examined, passed};

/// The requirements of the eBPF backend.
pub(super) fn checks(examined: &Examined) -> Vec<Check> {
    let mut checks = vec![kernel(examined)];
    if examined.wants_ebpf() {
        checks.extend([
            privileges(examined),
            btf(examined),
            lockdown(examined),
            unprivileged(examined),
        ]);
    }
    checks
}

fn kernel(examined: &Examined) -> Check {
    let arch = std::env::consts::ARCH;
    let release = match examined.read("/proc/sys/kernel/osrelease") {
        Ok(release) if release.starts_with(|c: char| c.is_ascii_digit()) => release,
        Err(error) if error.is_not_found() => "of unknown release".to_owned(),
        found => {
            let found = match found {
                Ok(text) => format!("/proc/sys/kernel/osrelease is {text:?}, not a release"),
                Err(error) => error.to_string(),
            };
            return Check::failed(
                "kernel",
                CheckStatus::Fallback,
                found,
                "the release of the kernel is unknown",
                "check what is mounted over /proc/sys",
            );
        }
    };
    let found = if examined.is_live() {
        format!("Linux {release} on {arch}")
    } else {
        let root = examined.sources.root();
        format!("Linux {release} in the tree {}", root.display())
    };
    passed("kernel", found)
}

/// The status if eBPF is not available: a fallback, unless the eBPF backend was chosen.
fn without_ebpf(examined: &Examined) -> CheckStatus {
    match examined.backend {
        BackendChoice::Ebpf => CheckStatus::Failed,
        BackendChoice::Auto | BackendChoice::Procfs => CheckStatus::Fallback,
    }
}

fn privileges(examined: &Examined) -> Check {
    let status = match examined.read("/proc/self/status") {
        Ok(status) => status,
        Err(error) => {
            return Check::failed(
                "privileges",
                without_ebpf(examined),
                error.to_string(),
                "it is unknown whether programs can be loaded",
                "mount /proc",
            );
        }
    };
    let rights = Rights::of_status(&status);
    let mut found = format!("user {}", effective_user(&status));
    for (name, is_held) in [
        ("CAP_SYS_ADMIN", rights.sys_admin),
        ("CAP_PERFMON", rights.perfmon),
        ("CAP_BPF", rights.bpf),
    ] {
        let has = if is_held { "has" } else { "no" };
        let _ = write!(found, ", {has} {name}");
    }
    if !Rights::are_of_the_host() {
        return Check::failed(
            "privileges",
            without_ebpf(examined),
            format!("{found}, in a user namespace"),
            "eBPF programs cannot be loaded with capabilities of a user namespace",
            "run collector in the initial user namespace: as root, and in a container with \
             --userns=host or hostUsers: true",
        );
    }
    if rights.suffice() {
        return passed("privileges", found);
    }
    Check::failed(
        "privileges",
        without_ebpf(examined),
        found,
        "eBPF programs cannot be loaded, and /proc hides some fields of other users' processes",
        "run collector with sudo, or with CAP_BPF, CAP_PERFMON and CAP_SYS_PTRACE",
    )
}

/// The effective user ID, from the text of `/proc/PID/status`.
fn effective_user(status: &str) -> &str {
    let line = status.lines().find_map(|line| line.strip_prefix("Uid:"));
    line.and_then(|users| users.split_whitespace().nth(1))
        .unwrap_or("unknown")
}

fn btf(examined: &Examined) -> Check {
    const PATH: &str = "/sys/kernel/btf/vmlinux";
    match std::fs::metadata(PATH) {
        Ok(file) => passed("btf", format!("{PATH}, {} KiB", file.len() / 1024)),
        Err(error) => Check::failed(
            "btf",
            without_ebpf(examined),
            format!("{PATH}: {error}"),
            "the kernel has no BTF, so that programs cannot be adapted to it",
            "use a kernel with CONFIG_DEBUG_INFO_BTF=y, as distributions ship since 2021",
        ),
    }
}

fn lockdown(examined: &Examined) -> Check {
    let Ok(text) = examined.read("/sys/kernel/security/lockdown") else {
        return passed(
            "lockdown",
            "unknown: not supported by the kernel, or /sys/kernel/security is not mounted",
        );
    };
    // The mode in force is in brackets: `none [integrity] confidentiality`.
    let mode = text
        .split('[')
        .nth(1)
        .and_then(|rest| rest.split(']').next());
    match mode {
        Some("confidentiality") => Check::failed(
            "lockdown",
            without_ebpf(examined),
            "confidentiality",
            "programs must not read kernel memory",
            "boot with lockdown=integrity, or without lockdown",
        ),
        Some(mode) => passed("lockdown", mode),
        None => passed("lockdown", text.trim()),
    }
}

fn unprivileged(examined: &Examined) -> Check {
    let found = match examined
        .read("/proc/sys/kernel/unprivileged_bpf_disabled")
        .as_deref()
    {
        Ok("0") => {
            "0: unprivileged users may load programs, but not of the types that are needed here"
        }
        Ok("1") => "1: only privileged users may load programs, until the next boot",
        Ok(_) => "2: only privileged users may load programs",
        Err(_) => "the kernel has no such setting",
    };
    passed("unprivileged_bpf", found)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_effective_user_id_is_the_second() {
        assert_eq!(effective_user("Name:\tx\nUid:\t1000\t0\t1\t1\n"), "0");
        assert_eq!(effective_user("Name:\tx\nUid:\t1000\n"), "unknown");
        assert_eq!(effective_user(""), "unknown");
    }
}
