use std::{
    ptr,
    sync::atomic::{Ordering, fence},
};

use collector_ebpf::{Cpu, CpuCounters};

use super::{MappedArray, array::read_words};

/// The map `CPUS`: the current task and the counters of each CPU.
#[derive(Debug)]
pub(crate) struct CpuRecords(MappedArray<Cpu>);

impl CpuRecords {
    pub(in crate::source::bpf) const fn new(map: MappedArray<Cpu>) -> Self {
        Self(map)
    }

    /// The number of possible CPUs.
    pub(crate) const fn len(&self) -> u32 {
        self.0.len()
    }

    /// The counters and the histograms of a CPU.
    pub(crate) fn read(&self, cpu: u32) -> Option<Cpu> {
        self.0.read(cpu)
    }

    /// The counters of a CPU, without the histograms, which are a hundred times
    /// as long.
    ///
    /// `None` if the CPU has not switched tasks, as one that is possible and was
    /// never online: all zeros, its current task would be that of slot 0, since
    /// the host booted.
    pub(crate) fn counters(&self, cpu: u32) -> Option<CpuCounters> {
        let element = self.0.element(cpu)?;
        // SAFETY: the field is within the element, which is within the mapping
        // and aligned.
        let counters = unsafe { read_words(&raw const (*element).counters) };
        (counters.since_ns != 0).then_some(counters)
    }

    /// The counters of the CPUs that have switched tasks.
    pub(crate) fn all_counters(&self) -> impl Iterator<Item = CpuCounters> {
        (0..self.len()).filter_map(|cpu| self.counters(cpu))
    }

    /// Sets the drain epoch of all CPUs: from now on changed records are set
    /// dirty again.
    pub(super) fn set_drain_epoch(&self, epoch: u32) {
        for cpu in 0..self.len() {
            if let Some(element) = self.0.element(cpu) {
                // SAFETY: the field is within the mapping and aligned, and the
                // kernel does not write it.
                unsafe { ptr::write_volatile(&raw mut (*element).counters.drain_epoch, epoch) };
            }
        }
        fence(Ordering::SeqCst);
    }
}
