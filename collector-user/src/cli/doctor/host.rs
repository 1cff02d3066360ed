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
    let release = patient.read("/proc/sys/kernel/osrelease");
    let release = release.unwrap_or_else(|_| "of unknown release".to_owned());
    let arch = std::env::consts::ARCH;
    let found = if patient.is_live() {
        format!("Linux {release} on {arch}")
    } else {
        format!("Linux {release} in the tree {}", patient.root.display())
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
    let status = match std::fs::read_to_string("/proc/self/status") {
        Ok(status) => status,
        Err(error) => {
            return Check::wrong(
                "rights",
                without_ebpf(patient),
                format!("cannot read /proc/self/status: {error}"),
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
    let Ok(text) = std::fs::read_to_string("/sys/kernel/security/lockdown") else {
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

/// Whether `/proc` can be read: every backend needs it.
pub(super) fn procfs(patient: &Patient) -> Check {
    let proc = patient.root.join("proc");
    let stat = proc.join("stat");
    if let Err(error) = std::fs::read(&stat) {
        let mend = if patient.is_live() {
            "mount /proc"
        } else {
            "give --root the directory that has proc and sys in it"
        };
        let found = format!("cannot read {}: {error}", stat.display());
        return Check::wrong(
            "procfs",
            State::Failed,
            found,
            "nothing can be collected",
            mend,
        );
    }
    let readable = |entry: std::fs::DirEntry| {
        let name = entry.file_name();
        let is_process = name.to_str()?.bytes().all(|byte| byte.is_ascii_digit());
        is_process.then(|| std::fs::read(entry.path().join("stat")).is_ok())
    };
    let entries = std::fs::read_dir(&proc).into_iter().flatten().flatten();
    let processes = entries
        .filter_map(readable)
        .filter(|readable| *readable)
        .count();
    // A mount with hidepid shows the own processes only, and not the first.
    if patient.is_live() && !proc.join("1/stat").exists() {
        return Check::wrong(
            "procfs",
            State::Fallback,
            format!("{processes} processes"),
            "only the own processes can be seen: /proc is mounted with hidepid",
            "run it with sudo, or in the group that the mount option gid names",
        );
    }
    fine(
        "procfs",
        format!("{}, {processes} processes", proc.display()),
    )
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
