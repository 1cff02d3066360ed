use proptest::prelude::*;

use super::*;
use crate::metric::{Process, Sleepers};

fn used(cpu_ns: u64) -> Usage {
    Usage::of(&Process {
        cpu_ns: Some(cpu_ns),
        runqueue_ns: Some(cpu_ns / 2),
        ..Process::default()
    })
}

fn cpu_ns(table: &mut CgroupTable, kind: CgroupKind, path: Option<&str>) -> Option<u64> {
    let rows = table.rows();
    let mut rows = rows
        .iter()
        .filter(|row| row.kind == kind && row.path.as_deref() == path);
    rows.next().and_then(|row| row.cpu_ns)
}

#[test]
fn what_was_used_before_a_move_stays_where_it_was() {
    let mut table = CgroupTable::default();
    let (a, b) = (table.of_path(&"/a".into()), table.of_path(&"/b".into()));
    let mut member = TableMember::default();
    table.enter(&mut member, a);
    table.count(&mut member, &used(100));
    table.enter(&mut member, b);
    table.count(&mut member, &used(130));
    assert_eq!(
        cpu_ns(&mut table, CgroupKind::Cgroup, Some("/a")),
        Some(100)
    );
    assert_eq!(cpu_ns(&mut table, CgroupKind::Cgroup, Some("/b")), Some(30));
    table.leave(member, &used(150));
    assert_eq!(cpu_ns(&mut table, CgroupKind::Cgroup, Some("/b")), Some(50));
    assert_eq!(table.rows().iter().map(|row| row.processes).sum::<u64>(), 0);
}

#[test]
fn what_was_used_in_an_unknown_cgroup_counts_where_it_is_found() {
    let mut table = CgroupTable::default();
    let mut member = TableMember::default();
    table.count(&mut member, &used(100));
    assert_eq!(cpu_ns(&mut table, CgroupKind::Unknown, None), Some(100));
    let a = table.of_id(7);
    table.enter(&mut member, a);
    table.set_path(a, &"/a".into());
    assert_eq!(
        cpu_ns(&mut table, CgroupKind::Cgroup, Some("/a")),
        Some(100)
    );
    assert_eq!(cpu_ns(&mut table, CgroupKind::Unknown, None), None);
    assert_eq!(table.path_of_id(7).as_deref(), Some("/a"));
}

#[test]
fn what_is_not_known_of_one_process_is_not_known_of_its_cgroup() {
    let mut table = CgroupTable::default();
    let a = table.of_id(7);
    let mut whole = TableMember::default();
    table.enter(&mut whole, a);
    table.count(&mut whole, &used(100));
    assert_eq!(table.rows()[0].runqueue_ns, Some(50));
    assert_eq!(table.rows()[0].user_ns, None);
    let mut part = TableMember::default();
    table.enter(&mut part, a);
    let without = Process {
        cpu_ns: Some(5),
        ..Process::default()
    };
    table.count(&mut part, &Usage::of(&without));
    assert_eq!(table.rows()[0].cpu_ns, Some(105));
    assert_eq!(table.rows()[0].runqueue_ns, None);
}

#[test]
fn beyond_the_bound_cgroups_share_a_row() {
    let mut table = CgroupTable::with_limit(2);
    let mut members = Vec::new();
    for id in 1..=5 {
        let group = table.of_id(id);
        let mut member = TableMember::default();
        table.enter(&mut member, group);
        table.count(&mut member, &used(id));
        members.push(member);
    }
    let rows = table.rows();
    assert_eq!(rows.len(), 3);
    assert_eq!(cpu_ns(&mut table, CgroupKind::Other, None), Some(3 + 4 + 5));
    // When one goes, there is room for another, which counts from then on.
    table.leave(members[0], &used(1));
    table.sweep(|_, _| false);
    table.sweep(|_, _| false);
    let five = table.of_id(5);
    assert_ne!(five, RowId::OTHER);
    table.enter(&mut members[4], five);
    table.count(&mut members[4], &used(9));
    assert_eq!(cpu_ns(&mut table, CgroupKind::Removed, None), Some(1));
    assert_eq!(cpu_ns(&mut table, CgroupKind::Other, None), Some(12));
    assert_eq!(cpu_ns(&mut table, CgroupKind::Cgroup, None), Some(4));
    assert_eq!(table.rows().len(), 4);
}

#[test]
fn a_cgroup_is_removed_when_it_is_empty_twice_and_gone() {
    let mut table = CgroupTable::default();
    let a = table.of_id(7);
    let mut member = TableMember::default();
    table.enter(&mut member, a);
    table.sweep(|_, _| false);
    table.sweep(|_, _| false);
    assert!(table.has_id(7), "a process is in it");
    table.leave(member, &used(10));
    table.sweep(|_, _| false);
    assert!(table.has_id(7), "it was empty once");
    table.sweep(|id, path| id == Some(7) && path.is_none());
    assert!(table.has_id(7), "it is there");
    table.sweep(|_, _| false);
    assert!(!table.has_id(7));
    assert_eq!(cpu_ns(&mut table, CgroupKind::Removed, None), Some(10));
}

#[test]
fn an_estimate_that_was_too_high_does_not_make_a_counter_go_back() {
    let mut table = CgroupTable::default();
    let a = table.of_id(7);
    let mut member = TableMember::default();
    table.enter(&mut member, a);
    table.count(&mut member, &used(100));
    assert_eq!(table.rows()[0].cpu_ns, Some(100));
    table.leave(member, &used(90));
    assert_eq!(table.rows()[0].cpu_ns, Some(100));
    let mut next = TableMember::default();
    table.enter(&mut next, a);
    table.count(&mut next, &used(20));
    assert_eq!(table.rows()[0].cpu_ns, Some(110), "90 and 20");
}

#[test]
fn a_row_that_did_not_change_is_shared() {
    let mut table = CgroupTable::default();
    let (a, b) = (table.of_id(1), table.of_id(2));
    let mut member = TableMember::default();
    table.enter(&mut member, a);
    let _ = table.of_id(2);
    let before = table.rows();
    table.count(&mut member, &used(1));
    let after = table.rows();
    assert!(!Arc::ptr_eq(&before[0], &after[0]));
    assert!(Arc::ptr_eq(&before[1], &after[1]));
    assert_ne!(a, b);
}

/// A process with a thread that sleeps since then, and what others have slept.
fn sleeps(since_ns: Option<u64>, slept_ns: u64) -> Usage {
    let mut process = Process {
        interruptible_sleep_ns: Some(slept_ns),
        uninterruptible_sleep_ns: Some(0),
        ..Process::default()
    };
    if let Some(since_ns) = since_ns {
        *process.asleep.of_kind(false) = Sleepers::one(since_ns);
    }
    Usage::of(&process)
}

#[test]
fn a_thread_that_sleeps_through_a_move_sleeps_in_each_cgroup_for_its_part() {
    let mut table = CgroupTable::default();
    let (a, b) = (table.of_id(1), table.of_id(2));
    let mut member = TableMember::default();
    let shown = |table: &mut CgroupTable, at_ns| {
        table.advance_to(at_ns);
        let rows = table.rows();
        rows.iter()
            .map(|row| row.interruptible_sleep_ns.zip(row.blocked_ns))
            .map(|both| both.map_or(0, |(sleep, blocked)| sleep.min(blocked)))
            .collect::<Vec<_>>()
    };
    table.advance_to(100);
    table.enter(&mut member, a);
    table.count(&mut member, &sleeps(Some(100), 0));
    assert_eq!(shown(&mut table, 150), [50, 0]);
    assert_eq!(shown(&mut table, 160), [60, 0], "it grows by itself");
    table.advance_to(170);
    table.enter(&mut member, b);
    assert_eq!(shown(&mut table, 200), [70, 30]);
    // It is woken at 210, and ends.
    table.count(&mut member, &sleeps(None, 110));
    assert_eq!(shown(&mut table, 300), [70, 40]);
    table.leave(member, &sleeps(None, 110));
    assert_eq!(shown(&mut table, 400), [70, 40]);
}

#[derive(Clone, Debug)]
enum Step {
    Runs(usize, u64),
    Moves(usize, u64),
    Ends(usize),
    Sweep,
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        4 => (0..6_usize, 0..100_u64).prop_map(|(who, ns)| Step::Runs(who, ns)),
        3 => (0..6_usize, 1..6_u64).prop_map(|(who, id)| Step::Moves(who, id)),
        1 => (0..6_usize).prop_map(Step::Ends),
        1 => Just(Step::Sweep),
    ]
}

proptest! {
    #[test]
    fn the_rows_always_add_up_to_what_the_processes_used(
        limit in 0..5_usize,
        steps in prop::collection::vec(step(), 0..200),
    ) {
        let mut table = CgroupTable::with_limit(limit);
        let mut alive: [Option<(TableMember, u64)>; 6] = [None; 6];
        let (mut all, mut told) = (0, 0);
        for step in steps {
            match step {
                Step::Runs(who, ns) => {
                    let (member, cpu) = alive[who].get_or_insert_with(Default::default);
                    *cpu += ns;
                    all += ns;
                    table.count(member, &used(*cpu));
                }
                Step::Moves(who, id) => {
                    let (member, _) = alive[who].get_or_insert_with(Default::default);
                    let group = table.of_id(id);
                    table.enter(member, group);
                }
                Step::Ends(who) => {
                    if let Some((member, cpu)) = alive[who].take() {
                        table.leave(member, &used(cpu));
                    }
                }
                Step::Sweep => table.sweep(|id, _| id == Some(1)),
            }
            let rows = table.rows();
            prop_assert!(rows.len() <= limit + 3);
            prop_assert_eq!(rows.iter().filter_map(|row| row.cpu_ns).sum::<u64>(), all);
            let placed = alive.iter().flatten().filter(|(member, _)| member.row.is_some());
            let shown: u64 = rows.iter().map(|row| row.processes).sum();
            prop_assert_eq!(shown, placed.count() as u64);
            prop_assert!(all >= told);
            told = all;
        }
    }
}
