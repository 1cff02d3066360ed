//! The records are plain old data.

use aya::Pod;

use crate::{
    CgroupMoveEvent, Cpu, CpuCounters, CpuOffsets, CpuReading, EventHeader, ExecEvent, ExecInfo,
    ForkEvent, Preemption, TaskEntry, Thread, ThreadEndEvent,
};

macro_rules! pod {
    ($($record:ty),+ $(,)?) => {
        $(
            // SAFETY: the record is `repr(C)`, all its fields are integers or
            // arrays of these, so any bits are a value of it, and it has no
            // padding: its size is the sum of the sizes of its fields, which
            // are in an order in which each is aligned.
            unsafe impl Pod for $record {}
        )+
    };
}

pod!(
    CgroupMoveEvent,
    Cpu,
    CpuCounters,
    CpuOffsets,
    CpuReading,
    EventHeader,
    ExecEvent,
    ExecInfo,
    ForkEvent,
    Preemption,
    TaskEntry,
    Thread,
    ThreadEndEvent,
);
