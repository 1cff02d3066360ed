//! The declared size of readings, compared with the allocator.

use std::{
    alloc::{GlobalAlloc, Layout, System},
    cell::Cell,
    path::Path,
};

use collector::{
    collectors::{Collector, CollectorSet, add_procfs, add_tiers_1_and_2},
    metric::Reading,
    source::Sources,
};

thread_local! {
    /// Allocated by this thread: those of the test harness allocate, too.
    static BYTES: Cell<usize> = const { Cell::new(0) };
}

struct Counting;

#[global_allocator]
static ALLOCATOR: Counting = Counting;

// SAFETY: every call is forwarded to `System` unchanged; counting allocates nothing.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        BYTES.with(|bytes| bytes.set(bytes.get().wrapping_add(layout.size())));
        // SAFETY: the caller keeps the contract of `GlobalAlloc::alloc`.
        unsafe { System.alloc(layout) }
    }

    unsafe fn dealloc(&self, pointer: *mut u8, layout: Layout) {
        BYTES.with(|bytes| bytes.set(bytes.get().wrapping_sub(layout.size())));
        // SAFETY: the caller keeps the contract of `GlobalAlloc::dealloc`.
        unsafe { System.dealloc(pointer, layout) }
    }
}

/// The declared and the measured heap size of each metric.
struct Measured {
    sources: Sources,
    rows: Vec<(&'static str, usize, usize)>,
}

impl CollectorSet for Measured {
    fn add<C: Collector>(mut self, mut collector: C) -> Self {
        // After some ticks the collectors and sources have allocated their own state, which
        // does not belong to the reading.
        for _ in 0..3 {
            drop(collector.collect(&self.sources.tick()));
        }
        let before = BYTES.get();
        let reading = collector.collect(&self.sources.tick());
        let taken = BYTES.get().saturating_sub(before);
        if let Ok(reading) = &reading {
            let name = C::Reading::METRIC.name;
            self.rows.push((name, reading.heap_bytes(), taken));
        }
        self
    }
}

#[test]
fn the_measured_size_of_a_reading_is_about_its_heap_bytes() {
    let fixtures = Path::new(env!("CARGO_MANIFEST_DIR")).join("../tests/fixtures");
    for tree in ["vm", "numa-server", "arm64-board"] {
        let measured = Measured {
            sources: Sources::rooted(fixtures.join(tree)),
            rows: Vec::new(),
        };
        let (measured, _poller) = add_procfs(add_tiers_1_and_2(measured));
        assert!(measured.rows.len() > 5, "{tree}: {:?}", measured.rows);
        for (metric, said, taken) in measured.rows {
            let says = format!("{tree}: {metric} says {said} bytes and takes {taken}");
            assert!(taken <= said + said / 10 + 64, "{says}");
            // Readings of processes share unchanged rows, and each counts all of its rows.
            assert!(said <= taken || metric == "process_stats", "{says}");
        }
    }
}
