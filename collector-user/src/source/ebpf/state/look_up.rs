//! What only `/proc` tells, looked up.

use super::{
    super::accounts::{Details, LookUp},
    State,
};
use crate::source::{
    Tick,
    procfs::{CLOCK_TICKS_PER_SECOND, proc_pid},
};

/// How many processes are looked up in `/proc` at one tick.
const LOOK_UPS_A_TICK: usize = 512;

impl State {
    /// Looks up in `/proc` what only it tells of a process that is new.
    pub(in crate::source::ebpf) fn look_up(&mut self, tick: &Tick) {
        for _ in 0..LOOK_UPS_A_TICK {
            let Some(wanted) = self.accounts.next_look_up() else {
                break;
            };
            self.accounts.looked_up(wanted.key, look_up(tick, wanted));
        }
    }
}

/// What `/proc` tells of a process; nothing if its number belongs to another
/// one by now.
fn look_up(tick: &Tick, wanted: LookUp) -> Details {
    let pid = wanted.key.pid;
    let read = |file: &str| tick.read_once(&format!("/proc/{pid}/{file}")).ok();
    let mut details = Details::default();
    if wanted.cgroup {
        details.cgroup = read("cgroup")
            .and_then(|bytes| proc_pid::parse_cgroup(&bytes))
            .map(Into::into);
    }
    if wanted.cmdline {
        details.cmdline = read("cmdline").map(|bytes| proc_pid::parse_cmdline(&bytes).joined());
    }
    let Some(stat) = read("stat").and_then(|bytes| proc_pid::parse_stat(&bytes).ok()) else {
        return Details::default();
    };
    // The file tells the start to a clock tick.
    let tick_ns = 1_000_000_000 / CLOCK_TICKS_PER_SECOND;
    if stat.start_time_ns != wanted.key.start_ns / tick_ns * tick_ns {
        return Details::default();
    }
    if wanted.comm {
        details.comm = Some(stat.comm);
    }
    if wanted.memory {
        details.rss_bytes = Some(stat.rss_pages * rustix::param::page_size() as u64);
        details.vm_bytes = Some(stat.vm_bytes);
    }
    details
}
