use proptest::prelude::*;

use super::*;
use crate::metric::ExitedTotals;

const SECOND: u64 = 1_000_000_000;

fn process(pid: u32, cpu_s: u64) -> Process {
    Process {
        pid,
        start_time_ns: u64::from(pid),
        comm: format!("p{pid}").into(),
        cpu_ns: Some(cpu_s * SECOND),
        ..Process::default()
    }
}

fn reading(processes: Vec<Process>, exited_s: Option<u64>) -> Arc<ProcessStats> {
    Arc::new(ProcessStats {
        processes: processes.into(),
        exited: ExitedTotals {
            cpu_ns: exited_s.map(|seconds| seconds * SECOND),
            ..ExitedTotals::default()
        },
        ..ProcessStats::default()
    })
}

/// The rows of the CPU family, by their `pid`.
fn cpu_rows(families: &mut ProcessFamilies, stats: &Arc<ProcessStats>) -> HashMap<String, u64> {
    let mut text = Text::default();
    families.encode(&mut text, stats);
    let text = text.finish();
    let rows = text.lines().filter_map(|line| {
        let rest = line.strip_prefix("host_process_cpu_seconds_total{pid=\"")?;
        let (pid, rest) = rest.split_once('"')?;
        let value: f64 = rest.split(' ').next_back()?.parse().ok()?;
        Some((pid.to_owned(), value as u64))
    });
    rows.collect()
}

#[test]
fn the_busiest_have_a_row_and_the_rest_is_other() {
    let mut families = ProcessFamilies::new(2);
    let stats = reading(vec![process(1, 5), process(2, 1), process(3, 9)], Some(100));
    let rows = cpu_rows(&mut families, &stats);
    assert_eq!(rows["3"], 9);
    assert_eq!(rows["1"], 5);
    assert_eq!(rows["other"], 101);
    assert!(!rows.contains_key("2"));
}

#[test]
fn who_gets_a_row_later_counts_from_then_and_other_does_not_go_back() {
    let mut families = ProcessFamilies::new(1);
    cpu_rows(
        &mut families,
        &reading(vec![process(1, 10), process(2, 4)], Some(0)),
    );
    let rows = cpu_rows(
        &mut families,
        &reading(vec![process(1, 10), process(2, 30)], Some(0)),
    );
    assert_eq!(rows["2"], 26);
    assert_eq!(rows["other"], 4);
    assert_eq!(rows["gone"], 10);
}

#[test]
fn where_the_exited_are_not_known_what_was_last_seen_of_them_stays_in_the_sum() {
    let mut families = ProcessFamilies::new(1);
    cpu_rows(
        &mut families,
        &reading(vec![process(1, 10), process(2, 4)], None),
    );
    let rows = cpu_rows(&mut families, &reading(vec![process(1, 11)], None));
    assert_eq!(rows["1"], 11);
    assert_eq!(rows["other"], 4);
}

#[test]
fn no_process_may_have_a_row_at_all() {
    let mut families = ProcessFamilies::new(0);
    let rows = cpu_rows(&mut families, &reading(vec![process(1, 3)], Some(2)));
    assert_eq!(rows, HashMap::from([("other".to_owned(), 5)]));
}

/// What happens to each of a few processes between two scrapes.
#[derive(Clone, Debug)]
enum Step {
    Runs(u64),
    Ends,
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![4 => (0_u64..50).prop_map(Step::Runs), 1 => Just(Step::Ends)]
}

proptest! {
    #[test]
    fn the_rows_always_add_up_and_no_row_goes_back(
        limit in 0_usize..4,
        scrapes in prop::collection::vec(prop::collection::vec(step(), 6), 1..20),
    ) {
        let mut families = ProcessFamilies::new(limit);
        let mut alive: HashMap<usize, Process> = HashMap::new();
        let (mut exited, mut next) = (0, 1);
        let mut before: HashMap<String, u64> = HashMap::new();
        for steps in scrapes {
            for (slot, step) in steps.iter().enumerate() {
                match step {
                    Step::Runs(seconds) => {
                        let process = alive.entry(slot).or_insert_with(|| {
                            next += 1;
                            process(next, 0)
                        });
                        process.cpu_ns = process.cpu_ns.map(|ns| ns + seconds * SECOND);
                    }
                    Step::Ends => {
                        let ended = alive.remove(&slot).and_then(|process| process.cpu_ns);
                        exited += ended.unwrap_or(0) / SECOND;
                    }
                }
            }
            let mut processes: Vec<Process> = alive.values().cloned().collect();
            processes.sort_by_key(|process| process.pid);
            let living: u64 = processes.iter().filter_map(|p| p.cpu_ns).sum::<u64>() / SECOND;
            let rows = cpu_rows(&mut families, &reading(processes, Some(exited)));
            prop_assert_eq!(rows.values().sum::<u64>(), living + exited);
            prop_assert!(rows.len() <= limit + 2);
            for name in ["other", "gone"] {
                prop_assert!(rows.get(name) >= before.get(name));
            }
            for (pid, value) in &rows {
                // One that lost its row and gets one again begins anew.
                let is_same = before.contains_key(pid);
                prop_assert!(!is_same || *value >= before[pid], "{} went back", pid);
            }
            before = rows;
        }
    }
}
