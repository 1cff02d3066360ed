//! Names that are not UTF-8: the kernel allows any byte but NUL and `/`.

use std::{
    ffi::OsStr,
    fs,
    os::unix::ffi::OsStrExt as _,
    process::{Command, Stdio},
};

use collector::{
    collectors::{Collector as _, NetworkInfoCollector, procfs::ProcfsProcessStats},
    source::Sources,
};
use collector_tests::{Child, TestCgroup, helper, wait_until};

use crate::support::{load, process};

#[test]
fn a_network_interface_with_a_name_that_is_not_utf8_has_a_row() {
    let version = Command::new("ip").arg("-V").output();
    if !version.is_ok_and(|version| version.status.success()) {
        eprintln!("\n*** SKIPPED: there is no iproute2 that could make an interface ***\n");
        return;
    }
    let status = helper("names::in_a_network_namespace")
        .expect("this binary is known")
        .stdin(Stdio::null())
        .status()
        .expect("it starts");
    assert!(status.success(), "{status:?}");
}

/// Has two bridges, of which one is named like the escape of the other.
#[test]
#[ignore = "run by another test as a child process"]
fn in_a_network_namespace() {
    // SAFETY: the call takes no pointer; it is this thread and its children
    // that are in the new namespaces.
    let made = unsafe { libc::unshare(libc::CLONE_NEWNET | libc::CLONE_NEWNS) };
    assert_eq!(made, 0, "root may make them");
    let private =
        rustix::mount::MountPropagationFlags::PRIVATE | rustix::mount::MountPropagationFlags::REC;
    rustix::mount::mount_change("/", private).expect("the mounts are of this process");
    let root = tempfile::tempdir().expect("a folder");
    let sys = root.path().join("sys");
    fs::create_dir(&sys).expect("a folder");
    let flags = rustix::mount::MountFlags::empty();
    rustix::mount::mount("sysfs", &sys, "sysfs", flags, None).expect("root may mount it");
    for name in [&b"\xff\xfebr"[..], b"\\xff\\xfebr"] {
        let made = Command::new("ip")
            .args(["link", "add"])
            .arg(OsStr::from_bytes(name))
            .args(["type", "bridge"])
            .status()
            .expect("it starts");
        if !made.success() {
            eprintln!("\n*** SKIPPED: this kernel has no bridges ***\n");
            let _left = rustix::mount::unmount(&sys, rustix::mount::UnmountFlags::DETACH);
            return;
        }
    }
    let sources = Sources::rooted(root.path().to_owned());
    let info = NetworkInfoCollector.collect(&sources.tick());
    rustix::mount::unmount(&sys, rustix::mount::UnmountFlags::DETACH).expect("it is mounted");
    let interfaces = info.expect("it is listed").interfaces;
    for name in ["\\xff\\xfebr", "\\x5cxff\\x5cxfebr"] {
        let row = interfaces.iter().find(|row| *row.name == *name);
        let row = row.unwrap_or_else(|| panic!("{name} has no row: {interfaces:?}"));
        // What is in its directory was read.
        assert_eq!(row.mtu_bytes, Some(1500));
        assert!(row.index.is_some() && row.mac.is_some());
    }
}

#[test]
fn both_backends_show_a_cgroup_with_a_name_that_is_not_utf8() {
    let group = TestCgroup::version_2(OsStr::from_bytes(b"\xffx\\x2dy")).expect("it is made");
    assert!(group.path().ends_with("-\\xffx\\x2dy"), "{}", group.path());
    let child = Child::spawn(Command::new("sleep").arg("600")).expect("it starts");
    group.take(child.pid()).expect("root may move it");

    let sources = Sources::live();
    let stats = ProcfsProcessStats::new().collect(&sources.tick());
    let stats = stats.expect("a reading is had");
    let row = stats.processes.get(child.pid()).expect("it is shown");
    let by_procfs = row.cgroup.clone();

    let accountant = load();
    wait_until("its cgroup is looked up", || {
        process(&accountant, child.pid()).cgroup.is_some()
    });
    let by_ebpf = process(&accountant, child.pid()).cgroup;
    // On a host with hierarchies of version 1 its path there may tell more.
    if by_procfs.as_deref() != Some(group.path()) {
        eprintln!("this host tells of version 1: {by_procfs:?}");
    }
    assert_eq!(by_procfs, by_ebpf);
}
