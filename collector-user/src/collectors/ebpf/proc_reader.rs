use std::collections::HashMap;
use std::sync::Arc;

use bytes::Bytes;

use crate::{
    accounting::{DetailsRequest, ProcDetails, ProcessKey},
    source::{
        ProcessReads, Tick,
        procfs::{
            CLOCK_TICKS_PER_SECOND,
            proc_pid::{self, Cmdline, Stat},
        },
    },
};

/// Reads from `/proc` the fields of processes that the programs cannot read.
///
/// The accounts are not locked meanwhile: a process can block reads of its
/// command line for as long as it likes.
#[derive(Debug, Default)]
pub(super) struct ProcReader {
    reads: ProcessReads<ProcessKey, (Option<Cmdline>, Option<Stat>)>,
}

impl ProcReader {
    /// Reads the requested fields, and returns them with those of earlier calls
    /// whose read was blocked.
    ///
    /// `stat` is the last file that is read of a process: its start time shows
    /// whether the files before were of this process, and not of another one that
    /// has reused its PID. So it is read after the command line, or here if that
    /// is blocked.
    pub(super) fn read(
        &mut self,
        tick: &Tick,
        requests: Vec<DetailsRequest>,
    ) -> Vec<(ProcessKey, ProcDetails)> {
        let tick = &tick.untimed();
        let mut found = Vec::with_capacity(requests.len());
        let mut waiting = HashMap::new();
        for request in requests {
            let (key, pid) = (request.process, request.process.pid);
            let cgroup = request
                .cgroup
                .then(|| tick.read_once(&format!("/proc/{pid}/cgroup")).ok())
                .flatten();
            let others = OtherFields { request, cgroup };
            // A read that has not returned may have read `stat` already.
            if !request.cmdline || self.reads.is_outstanding(&key) {
                found.push((key, others.details(read_stat(tick, pid).as_ref())));
                continue;
            }
            waiting.insert(key, others);
            self.reads
                .read(tick.sources(), key, request.uid, move |files| {
                    let read = |file: &str| files.read(&format!("/proc/{pid}/{file}")).ok();
                    let cmdline = read("cmdline").map(|bytes| proc_pid::parse_cmdline(&bytes));
                    let stat = read("stat").and_then(|bytes| proc_pid::parse_stat(&bytes).ok());
                    (cmdline, stat)
                });
        }
        for (key, (cmdline, stat)) in self.reads.finish(tick.sources()) {
            let stat = stat.filter(|stat| is_of(stat, key));
            let others = waiting.remove(&key);
            let others = others.map(|others| others.details(stat.as_ref()));
            let cmdline = cmdline.filter(|_| stat.is_some());
            let details = ProcDetails {
                cmdline: cmdline.map(|cmdline| cmdline.joined()),
                ..others.unwrap_or_default()
            };
            found.push((key, details));
        }
        for (key, others) in waiting {
            let stat = read_stat(tick, key.pid);
            found.push((key, others.details(stat.as_ref())));
        }
        found
    }
}

/// The requested fields whose reads a process cannot block.
struct OtherFields {
    request: DetailsRequest,
    cgroup: Option<Bytes>,
}

impl OtherFields {
    /// The fields; none if another process has reused the PID by now.
    fn details(self, stat: Option<&Stat>) -> ProcDetails {
        let request = &self.request;
        let Some(stat) = stat.filter(|stat| is_of(stat, request.process)) else {
            return ProcDetails::default();
        };
        let cgroup = self.cgroup.as_deref().and_then(if stat.has_exited() {
            proc_pid::parse_zombie_cgroup
        } else {
            proc_pid::parse_cgroup
        });
        let page_size = rustix::param::page_size() as u64;
        ProcDetails {
            cmdline: None,
            cgroup: cgroup.map(Into::into),
            moves: request.moves,
            comm: request.comm.then(|| Arc::clone(&stat.comm)),
            rss_bytes: request.memory.then_some(stat.rss_pages * page_size),
            vm_bytes: request.memory.then_some(stat.vm_bytes),
        }
    }
}

fn read_stat(tick: &Tick, pid: u32) -> Option<Stat> {
    let bytes = tick.read_once(&format!("/proc/{pid}/stat")).ok()?;
    proc_pid::parse_stat(&bytes).ok()
}

/// Whether `stat` is of this process, and not of another one that has reused its
/// PID. The start time in the file is rounded down to a clock tick.
fn is_of(stat: &Stat, key: ProcessKey) -> bool {
    let tick_ns = 1_000_000_000 / CLOCK_TICKS_PER_SECOND;
    stat.start_time_ns == key.start_ns / tick_ns * tick_ns
}
