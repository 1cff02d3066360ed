use std::fmt::Write as _;

use collector::{agent::BackendChoice, source::ebpf::Rights};

use super::{Check, Patient, State, fine};

/// What eBPF needs of the host, and what is to be known of it.
pub(super) fn checks(patient: &Patient) -> Vec<Check> {
    let mut checks = vec![kernel(patient)];
    if patient.wants_ebpf() {
        checks.extend([
            rights(patient),
            btf(patient),
            lockdown(patient),
            unprivileged(patient),
        ]);
    }
    checks
}

fn kernel(patient: &Patient) -> Check {
    let arch = std::env::consts::ARCH;
    let release = match patient.read("/proc/sys/kernel/osrelease") {
        Ok(release) if release.starts_with(|c: char| c.is_ascii_digit()) => release,
        Err(error) if error.is_not_found() => "of unknown release".to_owned(),
        found => {
            let found = match found {
                Ok(text) => format!("/proc/sys/kernel/osrelease is {text:?}, not a release"),
                Err(error) => error.to_string(),
            };
            return Check::wrong(
                "kernel",
                State::Fallback,
                found,
                "the release of the kernel is unknown",
                "see what is in the way of /proc/sys",
            );
        }
    };
    let found = if patient.is_live() {
        format!("Linux {release} on {arch}")
    } else {
        let root = patient.sources.root();
        format!("Linux {release} in the tree {}", root.display())
    };
    fine("kernel", found)
}

/// What the loss of eBPF comes to: another backend, unless none is wanted.
fn without_ebpf(patient: &Patient) -> State {
    match patient.backend {
        BackendChoice::Ebpf => State::Failed,
        BackendChoice::Auto | BackendChoice::Procfs => State::Fallback,
    }
}

fn rights(patient: &Patient) -> Check {
    let status = match patient.read("/proc/self/status") {
        Ok(status) => status,
        Err(error) => {
            return Check::wrong(
                "rights",
                without_ebpf(patient),
                error.to_string(),
                "it is not known whether programs can be loaded",
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
        return Check::wrong(
            "rights",
            without_ebpf(patient),
            format!("{found}, in a user namespace of its own"),
            "capabilities of a user namespace do not let eBPF programs be loaded, whatever they are",
            "run it in the user namespace of the host: as root, and in a container without user \
             namespaces (--userns=host, hostUsers: true)",
        );
    }
    if rights.suffice() {
        return fine("rights", found);
    }
    Check::wrong(
        "rights",
        without_ebpf(patient),
        found,
        "eBPF programs cannot be loaded; of processes of other users, /proc tells less",
        "run it with sudo, or give it CAP_BPF, CAP_PERFMON and CAP_SYS_PTRACE",
    )
}

/// The number of the effective user, from the text of `/proc/PID/status`.
fn effective_user(status: &str) -> &str {
    let line = status.lines().find_map(|line| line.strip_prefix("Uid:"));
    line.and_then(|users| users.split_whitespace().nth(1))
        .unwrap_or("unknown")
}

fn btf(patient: &Patient) -> Check {
    const PATH: &str = "/sys/kernel/btf/vmlinux";
    match std::fs::metadata(PATH) {
        Ok(file) => fine("btf", format!("{PATH}, {} KiB", file.len() / 1024)),
        Err(error) => Check::wrong(
            "btf",
            without_ebpf(patient),
            format!("{PATH}: {error}"),
            "the kernel does not describe its types, so no program can be fitted to it",
            "use a kernel with CONFIG_DEBUG_INFO_BTF=y; those of the distributions have it since 2021",
        ),
    }
}

fn lockdown(patient: &Patient) -> Check {
    let Ok(text) = patient.read("/sys/kernel/security/lockdown") else {
        return fine(
            "lockdown",
            "not told: the kernel has none, or /sys/kernel/security is not mounted",
        );
    };
    // The mode in force stands between brackets: `none [integrity] confidentiality`.
    let mode = text
        .split('[')
        .nth(1)
        .and_then(|rest| rest.split(']').next());
    match mode {
        Some("confidentiality") => Check::wrong(
            "lockdown",
            without_ebpf(patient),
            "confidentiality",
            "no program may read the memory of the kernel",
            "boot with lockdown=integrity, or without lockdown",
        ),
        Some(mode) => fine("lockdown", mode),
        None => fine("lockdown", text.trim()),
    }
}

fn unprivileged(patient: &Patient) -> Check {
    let found = match patient
        .read("/proc/sys/kernel/unprivileged_bpf_disabled")
        .as_deref()
    {
        Ok("0") => "0: users without rights may load programs, but not those that are needed here",
        Ok("1") => "1: only who has the rights may load programs, until the next boot",
        Ok(_) => "2: only who has the rights may load programs",
        Err(_) => "the kernel has no such setting",
    };
    fine("unprivileged_bpf", found)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_effective_user_is_the_second() {
        assert_eq!(effective_user("Name:\tx\nUid:\t1000\t0\t1\t1\n"), "0");
        assert_eq!(effective_user("Name:\tx\nUid:\t1000\n"), "unknown");
        assert_eq!(effective_user(""), "unknown");
    }
}
