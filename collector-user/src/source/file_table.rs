use std::{
    collections::HashMap,
    sync::{
        Arc, PoisonError, RwLock,
        atomic::{AtomicU64, Ordering},
    },
};

use super::{
    FileStats,
    slot::{IDLE_NS, Slot},
};

/// The slot of every file that has been read, by path. All processes share one slot a
/// file: `/proc/*/stat`.
#[derive(Debug, Default)]
pub(super) struct FileTable {
    slots: RwLock<HashMap<Arc<str>, Arc<Slot>>>,
    last_cleaning_ns: AtomicU64,
}

/// The maximum number of slots.
pub(super) const MAX_SLOTS: usize = 8192;

impl FileTable {
    /// The slot of a file, and whether it belongs to a process.
    pub(super) fn slot(&self, path: &str) -> (Arc<Slot>, bool) {
        let pattern = process_pattern(path);
        let name = pattern.as_deref().unwrap_or(path);
        if let Some(slot) = self
            .slots
            .read()
            .unwrap_or_else(PoisonError::into_inner)
            .get(name)
        {
            return (Arc::clone(slot), pattern.is_some());
        }
        let mut slots = self.slots.write().unwrap_or_else(PoisonError::into_inner);
        if slots.len() >= MAX_SLOTS {
            evict_oldest(&mut slots);
        }
        let name: Arc<str> = name.into();
        let slot = slots
            .entry(Arc::clone(&name))
            .or_insert_with(|| Arc::new(Slot::new(name)));
        (Arc::clone(slot), pattern.is_some())
    }

    /// The cost of each file, sorted by the number of reads, highest first.
    pub(super) fn stats(&self) -> Vec<FileStats> {
        let slots = self.slots.read();
        let mut files: Vec<FileStats> = slots
            .unwrap_or_else(PoisonError::into_inner)
            .values()
            .map(|slot| slot.stats())
            .collect();
        files.sort_by(|a, b| {
            (b.cost.reads, &a.path)
                .partial_cmp(&(a.cost.reads, &b.path))
                .unwrap_or(std::cmp::Ordering::Equal)
        });
        files
    }

    /// Closes idle files, at most once in a quarter of [`IDLE_NS`].
    pub(super) fn close_idle(&self, now_ns: u64) {
        let last = self.last_cleaning_ns.load(Ordering::Relaxed);
        if now_ns.saturating_sub(last) < IDLE_NS / 4 {
            return;
        }
        self.last_cleaning_ns.store(now_ns, Ordering::Relaxed);
        let slots = self.slots.read();
        for slot in slots.unwrap_or_else(PoisonError::into_inner).values() {
            slot.close_if_idle(now_ns);
        }
    }
}

/// Removes the quarter of the slots that was read least recently. The totals keep their
/// cost.
fn evict_oldest(slots: &mut HashMap<Arc<str>, Arc<Slot>>) {
    let mut times: Vec<Option<u64>> = slots.values().map(|slot| slot.last_read_ns()).collect();
    times.sort_unstable();
    let last_evicted = times[times.len() / 4];
    slots.retain(|_, slot| slot.last_read_ns() > last_evicted);
}

/// `/proc/*/stat` for `/proc/17/stat`, `/proc/*/task/*/stat` for
/// `/proc/17/task/18/stat`; `None` for a file that does not belong to a process.
fn process_pattern(path: &str) -> Option<String> {
    let rest = path.strip_prefix("/proc/")?;
    let (pid, rest) = rest.split_once('/').unwrap_or((rest, ""));
    if pid.is_empty() || !pid.bytes().all(|byte| byte.is_ascii_digit()) {
        return None;
    }
    Some(
        match rest.strip_prefix("task/").map(|task| task.split_once('/')) {
            Some(Some((_tid, file))) => format!("/proc/*/task/*/{file}"),
            _ => format!("/proc/*/{rest}"),
        },
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_files_of_all_processes_share_a_slot() {
        assert_eq!(
            process_pattern("/proc/17/stat").as_deref(),
            Some("/proc/*/stat")
        );
        assert_eq!(
            process_pattern("/proc/17/task/18/schedstat").as_deref(),
            Some("/proc/*/task/*/schedstat")
        );
        assert_eq!(
            process_pattern("/proc/17/task").as_deref(),
            Some("/proc/*/task")
        );
        assert_eq!(process_pattern("/proc/stat"), None);
        assert_eq!(process_pattern("/proc/self/stat"), None);
        assert_eq!(process_pattern("/sys/17/stat"), None);
    }
}
