use super::*;
use crate::metric::{CgroupKind, Process};

fn used(cpu_ns: u64) -> Usage {
    Usage::of(&Process {
        cpu_ns: Some(cpu_ns),
        ..Process::default()
    })
}

fn cgroups(only_version_2: bool) -> Cgroups {
    let mut hierarchies = Hierarchies::default();
    hierarchies.only_version_2 = only_version_2;
    Cgroups::new(hierarchies)
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
fn with_version_2_the_path_of_a_cgroup_is_looked_up_once() {
    let mut cgroups = cgroups(true);
    let (mut first, mut second) = (Place::default(), Place::default());
    cgroups.begin(&mut first, 7, None, &used(0));
    assert!(first.needs_path());
    let path = "/system.slice/a.service";
    cgroups.looked_up(&mut first, path.into(), &used(0), &used(3));
    cgroups.begin(&mut second, 7, Some(first.of_child()), &used(0));
    assert!(!second.needs_path());
    let unit = second.container.as_ref().and_then(|of| of.unit.clone());
    assert_eq!(unit.as_deref(), Some("a.service"));
    cgroups.begin(&mut Place::default(), 1, None, &used(0));
    assert_eq!(rows(&mut cgroups).len(), 2);
    assert_eq!(
        cgroups.path_of(7).as_deref(),
        Some("/system.slice/a.service")
    );
    assert!(cgroups.are_numbered());
}

#[test]
fn a_process_that_moves_has_the_new_path_and_leaves_what_it_used() {
    let mut cgroups = cgroups(true);
    let mut place = Place::default();
    cgroups.begin(&mut place, 1, None, &used(0));
    assert_eq!(place.path.as_deref(), Some("/"));
    cgroups.moved(&mut place, 7, &used(0), &used(100));
    assert!(place.needs_path());
    cgroups.looked_up(&mut place, "/a".into(), &used(100), &used(100));
    cgroups.end(&place, &used(100), &used(130));
    let expected = [("/", 100), ("/a", 30)].map(|(path, ns)| (Some(path.to_owned()), ns));
    assert_eq!(rows(&mut cgroups), expected);
}

#[test]
fn a_lost_move_is_healed_by_the_next_pass() {
    let mut cgroups = cgroups(true);
    let mut place = Place::default();
    cgroups.begin(&mut place, 7, None, &used(0));
    cgroups.looked_up(&mut place, "/a".into(), &used(0), &used(0));
    assert!(
        !cgroups.find(&mut place, 7, &used(0)),
        "nothing has changed"
    );
    assert!(cgroups.find(&mut place, 8, &used(0)));
    assert!(place.needs_path());
}

#[test]
fn on_a_hybrid_host_the_path_stands_for_the_cgroup() {
    let mut cgroups = cgroups(false);
    let mut parent = Place::default();
    cgroups.begin(&mut parent, 1, None, &used(0));
    assert!(parent.needs_path());
    cgroups.count(&mut parent, &used(0), &used(50));
    assert_eq!(cgroups.rows()[0].kind, CgroupKind::Unknown);
    cgroups.looked_up(&mut parent, "/docker/x".into(), &used(50), &used(50));
    let mut child = Place::default();
    cgroups.begin(&mut child, 1, Some(parent.of_child()), &used(0));
    cgroups.count(&mut child, &used(0), &used(5));
    assert_eq!(child.path.as_deref(), Some("/docker/x"));
    assert!(child.needs_path(), "it may be made in another one");
    cgroups.looked_up(&mut child, "/docker/x".into(), &used(5), &used(5));
    assert!(!child.needs_path());
    assert_eq!(rows(&mut cgroups), [(Some("/docker/x".to_owned()), 55)]);
    assert!(!cgroups.are_numbered());

    // Moved in a hierarchy of version 1: the number stays the root's.
    cgroups.moved(&mut child, 1, &used(5), &used(8));
    assert!(child.needs_path());
    cgroups.looked_up(&mut child, "/docker/y".into(), &used(8), &used(9));
    let expected = [("/docker/x", 59), ("/docker/y", 0)];
    let expected = expected.map(|(path, ns)| (Some(path.to_owned()), ns));
    assert_eq!(rows(&mut cgroups), expected);
    cgroups.distrust(&mut child);
    assert!(child.needs_path(), "events were lost");

    // Moved to a cgroup of version 2, and back to its root.
    cgroups.moved(&mut child, 9, &used(9), &used(9));
    cgroups.looked_up(&mut child, "/unified".into(), &used(9), &used(9));
    assert!(!child.needs_path());
    cgroups.distrust(&mut child);
    assert!(
        child.needs_path(),
        "it may have been moved in version 1 only"
    );
    assert!(cgroups.are_numbered());
    cgroups.find(&mut child, 1, &used(9));
    assert!(child.needs_path());
}

#[test]
fn on_a_hybrid_host_a_container_of_version_1_is_not_charged_to_the_daemon() {
    let mut cgroups = cgroups(false);
    // All three are in the cgroup of version 2 that is the daemon's.
    let mut daemon = Place::default();
    cgroups.begin(&mut daemon, 7, None, &used(0));
    assert!(daemon.needs_path());
    let unit = "/system.slice/containerd.service";
    cgroups.looked_up(&mut daemon, unit.into(), &used(0), &used(0));
    cgroups.count(&mut daemon, &used(0), &used(1));
    let mut container = Place::default();
    cgroups.begin(&mut container, 7, Some(daemon.of_child()), &used(0));
    assert_eq!(container.path.as_deref(), Some(unit));
    assert!(container.needs_path());
    cgroups.looked_up(&mut container, "/docker/x".into(), &used(0), &used(0));
    let mut child = Place::default();
    cgroups.begin(&mut child, 7, Some(container.of_child()), &used(0));
    assert_eq!(child.path.as_deref(), Some("/docker/x"));
    cgroups.looked_up(&mut child, "/docker/x".into(), &used(0), &used(0));
    for place in [&mut container, &mut child] {
        cgroups.count(place, &used(0), &used(100));
        assert!(!cgroups.find(place, 7, &used(100)), "nothing has changed");
        assert_eq!(place.path.as_deref(), Some("/docker/x"));
    }
    let rows = rows(&mut cgroups);
    assert!(
        rows.contains(&(Some("/docker/x".to_owned()), 200)),
        "{rows:?}"
    );
    assert!(rows.contains(&(Some(unit.to_owned()), 1)), "{rows:?}");
}

#[test]
fn a_cgroup_has_one_row_also_if_its_path_is_read_before_the_move_is_told() {
    use std::os::unix::fs::MetadataExt as _;
    let mount = tempfile::tempdir().unwrap();
    let folder = mount.path().join("a");
    std::fs::create_dir(&folder).unwrap();
    let number = std::fs::metadata(&folder).unwrap().ino();
    let mut cgroups = Cgroups::new(Hierarchies::hybrid(mount.path().to_owned()));
    let mut place = Place::default();
    cgroups.begin(&mut place, 1, None, &used(0));
    cgroups.looked_up(&mut place, "/a".into(), &used(0), &used(10));
    cgroups.moved(&mut place, number, &used(10), &used(20));
    cgroups.looked_up(&mut place, "/a".into(), &used(20), &used(30));
    cgroups.end(&place, &used(30), &used(40));
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
fn where_the_kernel_tells_no_number_paths_are_all_there_is() {
    let mut cgroups = cgroups(true);
    let mut place = Place::default();
    cgroups.begin(&mut place, 0, None, &used(0));
    cgroups.looked_up(&mut place, "/a".into(), &used(0), &used(1));
    assert_eq!(rows(&mut cgroups), [(Some("/a".to_owned()), 1)]);
}
