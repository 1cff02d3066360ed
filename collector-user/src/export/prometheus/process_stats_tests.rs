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

/// Takes in a reading at a time at which rows are chosen anew.
fn cpu_rows(families: &mut ProcessFamilies, stats: &Arc<ProcessStats>) -> HashMap<String, u64> {
    let at = families.choice.at.map_or(0, |at| at + 1);
    families.observe(stats, at * CHOICE_NS);
    shown(families)
}

fn encoded(families: &ProcessFamilies) -> String {
    let mut text = Text::default();
    families.encode(&mut text);
    text.finish()
}

/// The rows of the CPU family, by their `pid`.
fn shown(families: &ProcessFamilies) -> HashMap<String, u64> {
    let text = encoded(families);
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
fn the_total_waits_for_a_process_that_is_in_neither_sum_for_one_tick() {
    let mut families = ProcessFamilies::new(2);
    for (processes, exited_s) in [(vec![process(1, 10)], 0), (vec![], 0), (vec![], 10)] {
        cpu_rows(&mut families, &reading(processes, Some(exited_s)));
        let text = encoded(&families);
        let total = "\nhost_processes_cpu_seconds_total 10\n";
        assert!(text.contains(total), "{text}");
    }
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

#[test]
fn any_number_of_scrapers_see_the_same() {
    let mut families = ProcessFamilies::new(1);
    let readings = [
        reading(vec![process(1, 10), process(2, 4)], Some(0)),
        reading(vec![process(1, 10), process(2, 30)], Some(0)),
        reading(vec![process(2, 31)], Some(12)),
    ];
    let mut scraped_once = ProcessFamilies::new(1);
    for (at, stats) in readings.iter().enumerate() {
        families.observe(stats, at as u64 * CHOICE_NS);
        scraped_once.observe(stats, at as u64 * CHOICE_NS);
        let text = encoded(&families);
        assert_eq!(encoded(&families), text);
        assert_eq!(encoded(&families), text);
    }
    assert_eq!(encoded(&scraped_once), encoded(&families));
}

#[test]
fn between_two_choices_who_begins_gets_a_row_that_is_free_and_no_other() {
    let mut families = ProcessFamilies::new(2);
    cpu_rows(&mut families, &reading(vec![process(1, 10)], Some(0)));
    let now = families.choice.at.unwrap() * CHOICE_NS;
    let stats = reading(vec![process(1, 10), process(2, 5), process(3, 7)], Some(0));
    families.observe(&stats, now + 1);
    let rows = shown(&families);
    assert_eq!(rows["3"], 7);
    assert!(!rows.contains_key("2"));
    assert_eq!(rows["other"], 5);
    let stats = reading(vec![process(2, 90), process(3, 7)], Some(11));
    families.observe(&stats, now + 2);
    let rows = shown(&families);
    assert_eq!(rows["gone"], 10);
    assert_eq!(rows["other"], 91);
    assert!(!rows.contains_key("2"));
    let stats = reading(vec![process(2, 99), process(3, 7)], Some(11));
    families.observe(&stats, now + CHOICE_NS);
    assert_eq!(shown(&families)["2"], 9);
}

#[test]
fn a_row_that_was_summed_up_counts_from_where_it_is_listed_again() {
    let mut families = ProcessFamilies::new(2);
    let cut = Arc::new(ProcessStats {
        processes: vec![process(1, 10)].into(),
        other: Some(crate::metric::OtherProcesses {
            processes: 1,
            cpu_ns: Some(40 * SECOND),
            ..crate::metric::OtherProcesses::default()
        }),
        ..ProcessStats::default()
    });
    cpu_rows(&mut families, &cut);
    let rows = cpu_rows(
        &mut families,
        &reading(vec![process(1, 10), process(2, 41)], None),
    );
    assert_eq!(rows["2"], 0);
    assert_eq!(rows.values().sum::<u64>(), 51);
}

/// What happens to each of a few processes between two readings.
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
        readings in prop::collection::vec((prop::collection::vec(step(), 6), 0_u64..3), 1..20),
    ) {
        let mut now = 0;
        let mut families = ProcessFamilies::new(limit);
        let mut alive: HashMap<usize, Process> = HashMap::new();
        let (mut exited, mut next) = (0, 1);
        let mut before: HashMap<String, u64> = HashMap::new();
        for (steps, passed) in readings {
            now += passed * CHOICE_NS / 2;
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
            let mut sums = Sums::default();
            for process in &processes {
                sums.add(process);
            }
            families.observe(&reading(processes, Some(exited)), now);
            prop_assert_eq!(&families.listed, &sums);
            let rows = shown(&families);
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
