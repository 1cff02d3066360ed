//! Damaged files: whatever they contain, a collector returns a reading or an error with the
//! file, and never panics.

#![expect(
    clippy::unwrap_used,
    reason = "a test fails by panicking, also where a function of its own does it"
)]

mod trees;

use std::{
    fs,
    os::unix::fs::symlink,
    path::{Path, PathBuf},
};

use collector::source::{
    Sources,
    procfs::{cpuinfo, loadavg, meminfo, os_release, proc_pid, proc_stat},
    sysfs,
};
use proptest::prelude::*;

/// Runs every parser on these bytes.
fn parse_with_all(bytes: &[u8]) {
    let _ = proc_stat::parse(bytes);
    let _ = meminfo::parse(bytes);
    let _ = meminfo::parse_node_total_bytes(bytes);
    let _ = loadavg::parse(bytes);
    let _ = loadavg::parse_uptime_ns(bytes);
    let _ = cpuinfo::parse(bytes);
    let _ = os_release::parse(bytes);
    let _ = proc_pid::parse_stat(bytes);
    let _ = proc_pid::parse_status(bytes);
    let _ = proc_pid::parse_io(bytes);
    let _ = proc_pid::parse_schedstat(bytes);
    let _ = proc_pid::parse_cgroup(bytes);
    let _ = proc_pid::parse_zombie_cgroup(bytes);
    let _ = proc_pid::parse_cmdline(bytes).joined();
    let _ = sysfs::parse_cpu_list(bytes);
    let _ = sysfs::parse_selected(bytes);
    let _ = sysfs::parse_size_bytes(bytes);
    let _ = sysfs::parse_device_number(bytes);
    let _ = sysfs::parse_hexadecimal(bytes);
    let _ = sysfs::parse_pci_address(&String::from_utf8_lossy(bytes));
    let _ = sysfs::uevent_value(bytes, "DEVTYPE");
    let _ = sysfs::parse_string_list(bytes);
    let _ = sysfs::parse_machine_id(bytes);
    let _ = sysfs::is_placeholder(&String::from_utf8_lossy(bytes));
}

/// The files of a tree.
fn files(folder: &Path, found: &mut Vec<PathBuf>) {
    let mut entries: Vec<_> = fs::read_dir(folder)
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .collect();
    entries.sort();
    for path in entries {
        let kind = path.symlink_metadata().unwrap().file_type();
        if kind.is_dir() {
            files(&path, found);
        } else if kind.is_file() {
            found.push(path);
        }
    }
}

fn copy(from: &Path, to: &Path) {
    fs::create_dir_all(to).unwrap();
    for entry in fs::read_dir(from).unwrap() {
        let path = entry.unwrap().path();
        let target = to.join(path.file_name().unwrap());
        let kind = path.symlink_metadata().unwrap().file_type();
        if kind.is_dir() {
            copy(&path, &target);
        } else if kind.is_symlink() {
            symlink(fs::read_link(&path).unwrap(), target).unwrap();
        } else {
            fs::copy(&path, target).unwrap();
        }
    }
}

/// A way to damage a file.
#[derive(Clone, Debug)]
enum Damage {
    Truncate(prop::sample::Index),
    Overwrite(prop::sample::Index, Vec<u8>),
    Insert(prop::sample::Index, Vec<u8>),
    Replace(Vec<u8>),
}

impl Damage {
    fn apply(&self, bytes: &mut Vec<u8>) {
        let at = |index: &prop::sample::Index, bytes: &[u8]| index.index(bytes.len() + 1);
        match self {
            Self::Truncate(index) => bytes.truncate(at(index, bytes)),
            Self::Overwrite(index, new) => {
                let at = at(index, bytes);
                let end = bytes.len().min(at + new.len());
                bytes.splice(at..end, new.iter().copied());
            }
            Self::Insert(index, new) => {
                let at = at(index, bytes);
                bytes.splice(at..at, new.iter().copied());
            }
            Self::Replace(new) => bytes.clone_from(new),
        }
    }
}

fn damage() -> impl Strategy<Value = Damage> {
    let bytes = || {
        prop_oneof![
            prop::collection::vec(any::<u8>(), 0..24),
            prop::sample::select(
                [
                    &b"-1"[..],
                    b"18446744073709551615",
                    b"99999999999999999999999999",
                    b"\0",
                    b"\n",
                    b" ",
                    b":",
                    b")",
                    b"0-65535",
                    b"\xff\xfe",
                    b"kB",
                ]
                .map(<[u8]>::to_vec)
                .to_vec()
            ),
        ]
    };
    prop_oneof![
        any::<prop::sample::Index>().prop_map(Damage::Truncate),
        (any::<prop::sample::Index>(), bytes()).prop_map(|(at, new)| Damage::Overwrite(at, new)),
        (any::<prop::sample::Index>(), bytes()).prop_map(|(at, new)| Damage::Insert(at, new)),
        bytes().prop_map(Damage::Replace),
    ]
}

#[test]
fn no_parser_panics_on_a_damaged_file() {
    let mut all = Vec::new();
    for tree in trees::TREES {
        files(&trees::path(tree), &mut all);
    }
    let contents: Vec<Vec<u8>> = all.iter().map(|path| fs::read(path).unwrap()).collect();
    let damaged = (
        any::<prop::sample::Index>(),
        prop::collection::vec(damage(), 1..4),
    );
    proptest!(ProptestConfig::with_cases(500), |((file, damages) in damaged)| {
        let mut bytes = file.get(&contents).clone();
        for damage in &damages {
            damage.apply(&mut bytes);
        }
        parse_with_all(&bytes);
    });
}

#[test]
fn no_parser_panics_on_random_bytes() {
    proptest!(ProptestConfig::with_cases(500), |(bytes: Vec<u8>)| {
        parse_with_all(&bytes);
    });
}

#[test]
fn a_damaged_tree_gives_a_reading_or_an_error_with_a_file() {
    let root = tempfile::tempdir().unwrap();
    copy(&trees::path("arm64-board"), root.path());
    let mut all = Vec::new();
    files(root.path(), &mut all);
    // Files that a whole metric depends on are damaged more often.
    let important = ["proc/stat", "proc/meminfo", "proc/loadavg", "proc/1/stat"];
    for _ in 0..all.len() / 8 {
        all.extend(important.map(|path| root.path().join(path)));
    }
    let damaged = (any::<prop::sample::Index>(), damage());
    proptest!(ProptestConfig::with_cases(64), |((file, damage) in damaged)| {
        let path = file.get(&all);
        let whole = fs::read(path).unwrap();
        let mut bytes = whole.clone();
        damage.apply(&mut bytes);
        fs::write(path, &bytes).unwrap();
        let readings = trees::collect_all(&Sources::rooted(root.path().to_owned()).tick());
        fs::write(path, &whole).unwrap();
        for (metric, reading) in readings {
            if let Err(error) = reading {
                let shown = error.to_string();
                let names_it = shown.contains(path.to_str().unwrap());
                prop_assert!(names_it, "{metric}: {shown}");
            }
        }
    });
}

#[test]
fn in_an_empty_tree_each_metric_names_the_missing_file() {
    let root = tempfile::tempdir().unwrap();
    let readings = trees::collect_all(&Sources::rooted(root.path().to_owned()).tick());
    for (metric, reading) in readings {
        match reading {
            // It has no mandatory file.
            Ok(_) => assert_eq!(metric, "system_info"),
            Err(error) => {
                let shown = error.to_string();
                assert!(shown.starts_with("cannot open "), "{metric}: {shown}");
                assert!(shown.contains("No such file"), "{metric}: {shown}");
            }
        }
    }
}

#[test]
fn a_missing_root_is_named() {
    let root = PathBuf::from("/nonexistent/tree");
    let error = Sources::rooted(root).tick().read("/proc/stat").unwrap_err();
    assert!(
        error.to_string().contains("/nonexistent/tree/proc/stat"),
        "{error}"
    );
}

#[test]
fn a_missing_file_affects_only_the_metrics_that_need_it() {
    for (missing, metrics) in [
        ("proc/stat", &["cpu_stats"][..]),
        ("proc/meminfo", &["memory_info", "memory_stats"]),
        ("proc/loadavg", &["load_avg"]),
        ("proc/uptime", &[]),
        ("proc/cpuinfo", &[]),
        ("sys/block", &["disk_info"]),
        ("sys/class/net", &["network_info"]),
        ("sys/devices/system/cpu", &["cpu_info"]),
        ("sys/devices/system/node", &[]),
    ] {
        let root = tempfile::tempdir().unwrap();
        copy(&trees::path("numa-server"), root.path());
        let path = root.path().join(missing);
        if path.is_dir() {
            fs::remove_dir_all(&path).unwrap();
        } else {
            fs::remove_file(&path).unwrap();
        }
        let readings = trees::collect_all(&Sources::rooted(root.path().to_owned()).tick());
        let harmed: Vec<&str> = readings
            .iter()
            .filter(|(_, reading)| reading.is_err())
            .map(|(&metric, _)| metric)
            .collect();
        assert_eq!(harmed, metrics, "without {missing}");
    }
}
