//! What only `/proc` tells, looked up.

use std::{
    collections::{HashMap, HashSet},
    sync::{Arc, Mutex, PoisonError},
};

use bytes::Bytes;

use super::{
    super::{
        account::Key,
        accounts::{Details, LookUp},
    },
    State,
};
use crate::source::{
    ProcessReads, Tick,
    procfs::{
        CLOCK_TICKS_PER_SECOND,
        proc_pid::{self, Cmdline, Stat},
    },
};

/// Looks up in `/proc` what only it tells of processes that are new.
///
/// The state is not locked meanwhile: a process may keep its command line from
/// being read for as long as it likes.
#[derive(Debug, Default)]
pub(in crate::source::ebpf) struct LookUps {
    reads: ProcessReads<Key, (Option<Cmdline>, Option<Stat>)>,
}

impl State {
    /// The processes of which something is to be looked up, and was not yet in
    /// this tick.
    pub(in crate::source::ebpf) fn wanted(&mut self, tick: &Tick) -> Vec<LookUp> {
        let tick = tick.untimed();
        let done = tick.shared("processes looked up", |_tick| {
            Mutex::new(HashSet::<Key>::new())
        });
        done.map_or_else(Vec::new, |done| {
            let mut done = done.lock().unwrap_or_else(PoisonError::into_inner);
            self.accounts.wanted(&mut done)
        })
    }

    /// Takes over what was found.
    pub(in crate::source::ebpf) fn looked_up(&mut self, found: Vec<(Key, Details)>) {
        for (key, details) in found {
            self.accounts.looked_up(key, details);
        }
    }
}

impl LookUps {
    /// What `/proc` tells of these processes, and of those of an earlier call
    /// whose command line came late.
    ///
    /// `stat` is the last file that is read of a process: it tells whether those
    /// before it were of this process, and not of one that has its number now.
    /// So it is read after the command line, or here if that does not come.
    pub(in crate::source::ebpf) fn find(
        &mut self,
        tick: &Tick,
        wanted: Vec<LookUp>,
    ) -> Vec<(Key, Details)> {
        let tick = &tick.untimed();
        let mut found = Vec::with_capacity(wanted.len());
        let mut waiting = HashMap::new();
        for wanted in wanted {
            let (key, pid) = (wanted.key, wanted.key.pid);
            let cgroup = wanted
                .cgroup
                .then(|| tick.read_once(&format!("/proc/{pid}/cgroup")).ok())
                .flatten();
            let others = Others { wanted, cgroup };
            // One that has not returned may have read `stat` before this.
            if !wanted.cmdline || self.reads.is_outstanding(&key) {
                found.push((key, others.details(read_stat(tick, pid).as_ref())));
                continue;
            }
            waiting.insert(key, others);
            self.reads
                .read(tick.sources(), key, wanted.uid, move |files| {
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
            let details = Details {
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

/// What is looked up of a process that it cannot keep from being read.
struct Others {
    wanted: LookUp,
    cgroup: Option<Bytes>,
}

impl Others {
    /// What was found; nothing if the number of the process belongs to another
    /// one by now.
    fn details(self, stat: Option<&Stat>) -> Details {
        let wanted = &self.wanted;
        let Some(stat) = stat.filter(|stat| is_of(stat, wanted.key)) else {
            return Details::default();
        };
        let cgroup = self.cgroup.as_deref().and_then(if stat.has_exited() {
            proc_pid::parse_zombie_cgroup
        } else {
            proc_pid::parse_cgroup
        });
        let page_size = rustix::param::page_size() as u64;
        Details {
            cmdline: None,
            cgroup: cgroup.map(Into::into),
            moves: wanted.moves,
            comm: wanted.comm.then(|| Arc::clone(&stat.comm)),
            rss_bytes: wanted.memory.then_some(stat.rss_pages * page_size),
            vm_bytes: wanted.memory.then_some(stat.vm_bytes),
        }
    }
}

fn read_stat(tick: &Tick, pid: u32) -> Option<Stat> {
    let bytes = tick.read_once(&format!("/proc/{pid}/stat")).ok()?;
    proc_pid::parse_stat(&bytes).ok()
}

/// Whether it is of this process, and not of one that has its number now. The
/// file tells the start to a clock tick.
fn is_of(stat: &Stat, key: Key) -> bool {
    let tick_ns = 1_000_000_000 / CLOCK_TICKS_PER_SECOND;
    stat.start_time_ns == key.start_ns / tick_ns * tick_ns
}
