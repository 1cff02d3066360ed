use super::*;
use crate::{
    metric::{CgroupKind, Process},
    source::CgroupMounts,
};

fn used(cpu_ns: u64) -> Usage {
    Usage::of(&Process {
        cpu_ns: Some(cpu_ns),
        ..Process::default()
    })
}

fn cgroups(is_v2_only: bool) -> Cgroups {
    Cgroups::new(CgroupMounts::without_mounts(is_v2_only))
}

/// Path and CPU time of each row.
fn rows(cgroups: &mut Cgroups) -> Vec<(Option<String>, u64)> {
    let rows = cgroups.rows();
    let rows = rows.iter().map(|row| {
        let path = row.path.as_deref().map(str::to_owned);
        (path, row.cpu_ns.unwrap_or(0))
    });
    rows.collect()
}

#[test]
fn with_cgroup_v2_only_the_path_of_a_cgroup_is_read_once() {
    let mut cgroups = cgroups(true);
    let (mut first, mut second) = (CgroupMembership::default(), CgroupMembership::default());
    cgroups.fork(&mut first, 7, None, &used(0));
    assert!(first.needs_path());
    let path = "/system.slice/a.service";
    cgroups.set_path(&mut first, path.into(), &used(0), &used(3));
    cgroups.fork(&mut second, 7, Some(first.for_child()), &used(0));
    assert!(!second.needs_path());
    let unit = second.container.as_ref().and_then(|of| of.unit.clone());
    assert_eq!(unit.as_deref(), Some("a.service"));
    cgroups.fork(&mut CgroupMembership::default(), 1, None, &used(0));
    assert_eq!(rows(&mut cgroups).len(), 2);
    assert_eq!(
        cgroups.path_of(7).as_deref(),
        Some("/system.slice/a.service")
    );
    assert!(cgroups.has_distinct_ids());
}

#[test]
fn a_process_that_moves_has_the_new_path_and_leaves_its_usage() {
    let mut cgroups = cgroups(true);
    let mut member = CgroupMembership::default();
    cgroups.fork(&mut member, 1, None, &used(0));
    assert_eq!(member.path.as_deref(), Some("/"));
    cgroups.move_to(&mut member, 7, &used(0), &used(100));
    assert!(member.needs_path());
    cgroups.set_path(&mut member, "/a".into(), &used(100), &used(100));
    cgroups.end(&member, &used(100), &used(130));
    let expected = [("/", 100), ("/a", 30)].map(|(path, ns)| (Some(path.to_owned()), ns));
    assert_eq!(rows(&mut cgroups), expected);
}

#[test]
fn a_missed_move_is_found_by_the_next_pass() {
    let mut cgroups = cgroups(true);
    let mut member = CgroupMembership::default();
    cgroups.fork(&mut member, 7, None, &used(0));
    cgroups.set_path(&mut member, "/a".into(), &used(0), &used(0));
    assert!(
        !cgroups.observe(&mut member, 7, &used(0)),
        "nothing has changed"
    );
    assert!(cgroups.observe(&mut member, 8, &used(0)));
    assert!(member.needs_path());
}

#[test]
fn on_a_hybrid_host_the_path_identifies_the_cgroup() {
    let mut cgroups = cgroups(false);
    let mut parent = CgroupMembership::default();
    cgroups.fork(&mut parent, 1, None, &used(0));
    assert!(parent.needs_path());
    cgroups.count(&mut parent, &used(0), &used(50));
    assert_eq!(cgroups.rows()[0].kind, CgroupKind::Unknown);
    cgroups.set_path(&mut parent, "/docker/x".into(), &used(50), &used(50));
    let mut child = CgroupMembership::default();
    cgroups.fork(&mut child, 1, Some(parent.for_child()), &used(0));
    cgroups.count(&mut child, &used(0), &used(5));
    assert_eq!(child.path.as_deref(), Some("/docker/x"));
    assert!(child.needs_path(), "it may be created in another one");
    cgroups.set_path(&mut child, "/docker/x".into(), &used(5), &used(5));
    assert!(!child.needs_path());
    assert_eq!(rows(&mut cgroups), [(Some("/docker/x".to_owned()), 55)]);
    assert!(!cgroups.has_distinct_ids());

    // Moved in a hierarchy of version 1: the ID stays that of the root.
    cgroups.move_to(&mut child, 1, &used(5), &used(8));
    assert!(child.needs_path());
    cgroups.set_path(&mut child, "/docker/y".into(), &used(8), &used(9));
    let expected = [("/docker/x", 59), ("/docker/y", 0)];
    let expected = expected.map(|(path, ns)| (Some(path.to_owned()), ns));
    assert_eq!(rows(&mut cgroups), expected);
    cgroups.mark_stale(&mut child);
    assert!(child.needs_path(), "events were dropped");

    // Moved to a cgroup of version 2, and back to its root.
    cgroups.move_to(&mut child, 9, &used(9), &used(9));
    cgroups.set_path(&mut child, "/unified".into(), &used(9), &used(9));
    assert!(!child.needs_path());
    cgroups.mark_stale(&mut child);
    assert!(
        child.needs_path(),
        "it may have been moved in version 1 only"
    );
    assert!(cgroups.has_distinct_ids());
    cgroups.observe(&mut child, 1, &used(9));
    assert!(child.needs_path());
}

#[test]
fn on_a_hybrid_host_a_container_of_version_1_is_not_charged_to_the_daemon() {
    let mut cgroups = cgroups(false);
    // All three are in the cgroup of version 2 of the daemon.
    let mut daemon = CgroupMembership::default();
    cgroups.fork(&mut daemon, 7, None, &used(0));
    assert!(daemon.needs_path());
    let unit = "/system.slice/containerd.service";
    cgroups.set_path(&mut daemon, unit.into(), &used(0), &used(0));
    cgroups.count(&mut daemon, &used(0), &used(1));
    let mut container = CgroupMembership::default();
    cgroups.fork(&mut container, 7, Some(daemon.for_child()), &used(0));
    assert_eq!(container.path.as_deref(), Some(unit));
    assert!(container.needs_path());
    cgroups.set_path(&mut container, "/docker/x".into(), &used(0), &used(0));
    let mut child = CgroupMembership::default();
    cgroups.fork(&mut child, 7, Some(container.for_child()), &used(0));
    assert_eq!(child.path.as_deref(), Some("/docker/x"));
    cgroups.set_path(&mut child, "/docker/x".into(), &used(0), &used(0));
    for member in [&mut container, &mut child] {
        cgroups.count(member, &used(0), &used(100));
        assert!(
            !cgroups.observe(member, 7, &used(100)),
            "nothing has changed"
        );
        assert_eq!(member.path.as_deref(), Some("/docker/x"));
    }
    let rows = rows(&mut cgroups);
    assert!(
        rows.contains(&(Some("/docker/x".to_owned()), 200)),
        "{rows:?}"
    );
    assert!(rows.contains(&(Some(unit.to_owned()), 1)), "{rows:?}");
}

#[test]
fn a_cgroup_has_one_row_also_if_its_path_is_read_before_the_move_is_reported() {
    use std::os::unix::fs::MetadataExt as _;
    let mount = tempfile::tempdir().unwrap();
    let folder = mount.path().join("a");
    std::fs::create_dir(&folder).unwrap();
    let number = std::fs::metadata(&folder).unwrap().ino();
    let mut cgroups = Cgroups::new(CgroupMounts::hybrid(mount.path().to_owned()));
    let mut member = CgroupMembership::default();
    cgroups.fork(&mut member, 1, None, &used(0));
    cgroups.set_path(&mut member, "/a".into(), &used(0), &used(10));
    cgroups.move_to(&mut member, number, &used(10), &used(20));
    cgroups.set_path(&mut member, "/a".into(), &used(20), &used(30));
    cgroups.end(&member, &used(30), &used(40));
    let in_it = cgroups
        .rows()
        .iter()
        .filter(|row| row.id == Some(number))
        .count();
    assert_eq!(in_it, 1);
    let named = rows(&mut cgroups);
    let named: Vec<_> = named
        .iter()
        .filter(|(path, _)| path.as_deref() == Some("/a"))
        .collect();
    assert_eq!(named.len(), 1, "{named:?}");
}

#[test]
fn without_cgroup_ids_paths_identify_cgroups() {
    let mut cgroups = cgroups(true);
    let mut member = CgroupMembership::default();
    cgroups.fork(&mut member, 0, None, &used(0));
    cgroups.set_path(&mut member, "/a".into(), &used(0), &used(1));
    assert_eq!(rows(&mut cgroups), [(Some("/a".to_owned()), 1)]);
}
