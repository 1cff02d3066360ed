use std::{collections::HashMap, sync::Arc};

use collector::metric::{Cgroup, CgroupKind, Container};

use super::{Grid, Side, format};
use crate::cli::output::Size;

/// The maximum number of rows.
const ROWS: usize = 8;

/// The cgroups with the most CPU time since the previous sample, or in total
/// without one; empty if all processes are in one cgroup.
pub(super) fn table(
    now: &[Arc<Cgroup>],
    before: Option<(&[Arc<Cgroup>], f64)>,
    size: Size,
) -> Option<String> {
    let is_one = |row: &&Arc<Cgroup>| row.kind == CgroupKind::Cgroup;
    if now.iter().filter(is_one).count() < 2 {
        return None;
    }
    let previous: HashMap<_, _> = before
        .map(|(rows, _)| rows.iter().map(|row| (key(row), row)).collect())
        .unwrap_or_default();
    let mut rows: Vec<_> = now
        .iter()
        .map(|row| {
            let rate = |of: fn(&Cgroup) -> Option<u64>| {
                let (_, seconds) = before?;
                // A new cgroup had used nothing before.
                let was = previous.get(&key(row)).map_or(Some(0), |row| of(row))?;
                Some(of(row)?.saturating_sub(was) as f64 / seconds)
            };
            let cpu = rate(|row| row.cpu_ns).map(|ns| ns / 1e7);
            let wait = rate(|row| row.runqueue_ns).map(|ns| ns / 1e6);
            (row, cpu, wait)
        })
        .collect();
    rows.sort_by(|(a, a_cpu, _), (b, b_cpu, _)| {
        let by_rate = b_cpu.unwrap_or(-1.0).total_cmp(&a_cpu.unwrap_or(-1.0));
        by_rate.then_with(|| b.cpu_ns.cmp(&a.cpu_ns))
    });
    let mut grid = Grid::new(&[
        ("PROC", Side::Right),
        ("CPU%", Side::Right),
        ("WAIT ms/s", Side::Right),
        ("CPU TIME", Side::Right),
        ("CGROUP", Side::Left),
    ]);
    for (row, cpu, wait) in rows.into_iter().take(ROWS) {
        grid.add([
            row.processes.to_string(),
            format::tenths(cpu),
            format::tenths(wait),
            format::known(row.cpu_ns, format::seconds),
            name(row),
        ]);
    }
    Some(grid.render(size))
}

fn key(row: &Cgroup) -> (CgroupKind, Option<u64>, Option<&str>) {
    let path = row.path.as_deref().filter(|_| row.id.is_none());
    (row.kind, row.id, path)
}

/// The name of a cgroup: its container, or its path.
fn name(row: &Cgroup) -> String {
    match (row.kind, &row.path, &row.container) {
        (CgroupKind::Other, ..) => "(other)".to_owned(),
        (CgroupKind::Removed, ..) => "(removed)".to_owned(),
        (CgroupKind::Unknown, ..) => "(unknown)".to_owned(),
        (CgroupKind::Cgroup, None, _) => match row.id {
            Some(id) => format!("(number {id})"),
            None => format::UNKNOWN.to_owned(),
        },
        (CgroupKind::Cgroup, Some(path), container) => {
            let container = container.as_deref().and_then(short);
            container.unwrap_or_else(|| format::harmless(path))
        }
    }
}

/// The runtime of a container, and the short form of its ID.
fn short(container: &Container) -> Option<String> {
    let id = container.container_id.as_deref()?;
    // Names, as of LXC, are not shortened.
    let id = match id.len() {
        64 => id.get(..12).unwrap_or(id),
        _ => id,
    };
    let runtime = container
        .runtime
        .map_or("container", |runtime| runtime.as_str());
    Some(match &container.pod_uid {
        Some(pod) => format!(
            "{runtime} {} pod {}",
            format::harmless(id),
            format::harmless(pod)
        ),
        None => format!("{runtime} {}", format::harmless(id)),
    })
}

#[cfg(test)]
mod tests {
    use collector::metric::ContainerRuntime;

    use super::*;

    fn row(path: &str, cpu_ms: u64) -> Arc<Cgroup> {
        Arc::new(Cgroup {
            path: Some(path.into()),
            cpu_ns: Some(cpu_ms * 1_000_000),
            ..Cgroup::default()
        })
    }

    #[test]
    fn the_busiest_since_the_sample_before_is_first() {
        let before = [row("/a", 9_000), row("/b", 0)];
        let now = [row("/a", 9_000), row("/b", 500)];
        let text = table(&now, Some((&before, 1.0)), Size::UNBOUNDED).unwrap();
        let names: Vec<_> = text
            .lines()
            .skip(1)
            .filter_map(|line| line.split(' ').next_back())
            .collect();
        assert_eq!(names, ["/b", "/a"]);
        assert!(text.contains("50.0"), "{text}");
        assert_eq!(table(&now[..1], None, Size::UNBOUNDED), None);
    }

    #[test]
    fn a_container_is_named_by_what_people_use() {
        let container = Container {
            runtime: Some(ContainerRuntime::CriO),
            container_id: Some("0123456789abcdef".repeat(4).into()),
            ..Container::default()
        };
        let row = Cgroup {
            container: Some(Arc::new(container)),
            ..Cgroup::clone(&row("/x", 1))
        };
        assert_eq!(name(&row), "cri-o 0123456789ab");
        let gone = Cgroup {
            id: Some(7),
            ..Cgroup::default()
        };
        assert_eq!(name(&gone), "(number 7)");
    }
}
