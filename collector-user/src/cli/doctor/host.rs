use std::{collections::BTreeSet, fmt::Write as _};

use collector::agent::BackendChoice;

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

/// The capabilities that matter, by their number in the masks of
/// `/proc/PID/status`.
/// <https://github.com/torvalds/linux/blob/master/include/uapi/linux/capability.h>
const CAPABILITIES: [(&str, u32); 3] =
    [("CAP_SYS_ADMIN", 21), ("CAP_PERFMON", 38), ("CAP_BPF", 39)];

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
    let (uid, held) = parse_rights(&status);
    let mut found = format!("user {uid}");
    for (name, _) in CAPABILITIES {
        let has = if held.contains(name) { "has" } else { "no" };
        let _ = write!(found, ", {has} {name}");
    }
    let enough = held.contains("CAP_SYS_ADMIN")
        || (held.contains("CAP_BPF") && held.contains("CAP_PERFMON"));
    if enough {
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

/// The effective user, and which of the capabilities are in effect.
fn parse_rights(status: &str) -> (&str, BTreeSet<&'static str>) {
    let field = |name: &str| {
        let line = status.lines().find_map(|line| line.strip_prefix(name));
        line.unwrap_or_default()
    };
    let uid = field("Uid:").split_whitespace().nth(1).unwrap_or("unknown");
    let mask = u64::from_str_radix(field("CapEff:").trim(), 16).unwrap_or(0);
    let held = CAPABILITIES
        .iter()
        .filter(|(_, bit)| mask & (1 << bit) != 0);
    (uid, held.map(|(name, _)| *name).collect())
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
    fn the_effective_user_and_capabilities_are_found() {
        let status = "Name:\tx\nUid:\t1000\t0\t1000\t1000\nCapEff:\t000000c000200000\n";
        let (uid, held) = parse_rights(status);
        assert_eq!(uid, "0");
        assert_eq!(
            held,
            BTreeSet::from(["CAP_BPF", "CAP_PERFMON", "CAP_SYS_ADMIN"])
        );
        let (uid, held) = parse_rights("CapEff:\tnonsense\n");
        assert_eq!(uid, "unknown");
        assert!(held.is_empty());
    }
}
