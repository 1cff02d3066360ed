//! What only `/proc` tells, looked up.

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
        proc_pid::{self, Stat},
    },
};

/// How many processes are looked up in `/proc` at one tick.
const LOOK_UPS_A_TICK: usize = 512;

/// Looks up in `/proc` what only it tells of processes that are new.
///
/// The state is not locked meanwhile: a process may keep its command line from
/// being read for as long as it likes.
#[derive(Debug, Default)]
pub(in crate::source::ebpf) struct LookUps {
    reads: ProcessReads<Key, Details>,
}

impl State {
    /// The processes of which something is to be looked up at this tick.
    pub(in crate::source::ebpf) fn wanted(&mut self) -> Vec<LookUp> {
        std::iter::from_fn(|| self.accounts.next_look_up())
            .take(LOOK_UPS_A_TICK)
            .collect()
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
    pub(in crate::source::ebpf) fn find(
        &mut self,
        tick: &Tick,
        wanted: Vec<LookUp>,
    ) -> Vec<(Key, Details)> {
        let mut found = Vec::with_capacity(wanted.len());
        for wanted in wanted {
            if wanted.cgroup || wanted.memory || wanted.comm {
                found.push((wanted.key, look_up(&tick.untimed(), wanted)));
            }
            if wanted.cmdline {
                let sources = tick.sources();
                self.reads
                    .read(sources, wanted.key, wanted.uid, move |files| {
                        let pid = wanted.key.pid;
                        let read = |file: &str| files.read(&format!("/proc/{pid}/{file}")).ok();
                        let cmdline = read("cmdline").map(|bytes| proc_pid::parse_cmdline(&bytes));
                        let stat = read("stat").and_then(|bytes| proc_pid::parse_stat(&bytes).ok());
                        let is_same = stat.is_some_and(|stat| is_of(&stat, wanted.key));
                        Details {
                            cmdline: cmdline.filter(|_| is_same).map(|cmdline| cmdline.joined()),
                            ..Details::default()
                        }
                    });
            }
        }
        found.extend(self.reads.finish(tick.sources()));
        found
    }
}

/// What `/proc` tells of a process that it cannot keep from being read; nothing
/// if its number belongs to another one by now.
fn look_up(tick: &Tick, wanted: LookUp) -> Details {
    let pid = wanted.key.pid;
    let read = |file: &str| tick.read_once(&format!("/proc/{pid}/{file}")).ok();
    let mut details = Details::default();
    if wanted.cgroup {
        details.cgroup = read("cgroup")
            .and_then(|bytes| proc_pid::parse_cgroup(&bytes))
            .map(Into::into);
    }
    let stat = read("stat").and_then(|bytes| proc_pid::parse_stat(&bytes).ok());
    let Some(stat) = stat.filter(|stat| is_of(stat, wanted.key)) else {
        return Details::default();
    };
    if wanted.comm {
        details.comm = Some(stat.comm);
    }
    if wanted.memory {
        details.rss_bytes = Some(stat.rss_pages * rustix::param::page_size() as u64);
        details.vm_bytes = Some(stat.vm_bytes);
    }
    details
}

/// Whether it is of this process, and not of one that has its number now. The
/// file tells the start to a clock tick.
fn is_of(stat: &Stat, key: Key) -> bool {
    let tick_ns = 1_000_000_000 / CLOCK_TICKS_PER_SECOND;
    stat.start_time_ns == key.start_ns / tick_ns * tick_ns
}
