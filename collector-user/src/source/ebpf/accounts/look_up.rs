//! What only `/proc` tells.

use std::{collections::HashSet, sync::Arc};

use super::super::account::{Key, Located};
use super::{Accounts, changed, trim};
use crate::source::cgroup::Usage;

/// How many processes are looked up in `/proc` at one tick.
const LOOK_UPS_A_TICK: usize = 512;

/// A process of which something is to be looked up in `/proc`: what is set.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[expect(clippy::struct_excessive_bools, reason = "each is asked for alone")]
pub(crate) struct LookUp {
    pub(crate) key: Key,
    pub(crate) cgroup: bool,
    pub(crate) cmdline: bool,
    pub(crate) memory: bool,
    /// Whether its name is missing.
    pub(crate) comm: bool,
    /// How often it had been [moved](super::super::cgroups::Place::moves).
    pub(crate) moves: u32,
    /// Its effective user, where that is known.
    pub(crate) uid: Option<u32>,
}

/// What was found in `/proc`.
#[derive(Clone, Debug, Default)]
pub(crate) struct Details {
    pub(crate) cmdline: Option<Arc<str>>,
    pub(crate) cgroup: Option<Arc<str>>,
    /// How often the process had been moved before that was read.
    pub(crate) moves: u32,
    pub(crate) comm: Option<Arc<str>>,
    pub(crate) rss_bytes: Option<u64>,
    pub(crate) vm_bytes: Option<u64>,
}

impl Accounts {
    /// The processes of which something is to be looked up now, the youngest
    /// first. Those that were looked up in this tick, which are in `done`, are
    /// left for the next one: of a process that is moved all the time the same
    /// files would be read again and again.
    pub(crate) fn wanted(&mut self, done: &mut HashSet<Key>) -> Vec<LookUp> {
        let mut wanted = Vec::new();
        let mut again = HashSet::new();
        while done.len() < LOOK_UPS_A_TICK
            && let Some(next) = self.next_look_up()
        {
            if done.insert(next.key) {
                wanted.push(next);
            } else {
                again.insert(next.key);
            }
        }
        self.to_look_up
            .extend(again.into_iter().map(Located::nowhere));
        wanted
    }

    /// The youngest process that is still there and of which something is to
    /// be looked up in `/proc`.
    pub(super) fn next_look_up(&mut self) -> Option<LookUp> {
        while let Some(located) = self
            .to_look_up
            .pop()
            .or_else(|| self.to_look_up_later.pop())
        {
            let Some(account) = self.processes.at_mut(&located) else {
                continue;
            };
            if self.cgroups.name(&mut account.place) {
                changed(account, &mut self.changed);
            }
            let wanted = LookUp {
                key: located.key(),
                cgroup: account.place.needs_path(),
                cmdline: account.row.cmdline.is_none() && account.kernel_thread != Some(true),
                memory: self.known.rss && account.row.rss_bytes.is_none(),
                comm: !self.known.comm,
                moves: account.place.moves(),
                uid: account.row.uid,
            };
            if wanted.cgroup || wanted.cmdline || wanted.memory || wanted.comm {
                return Some(wanted);
            }
        }
        trim(&mut self.to_look_up);
        trim(&mut self.to_look_up_later);
        None
    }

    /// What was found in `/proc`.
    pub(crate) fn looked_up(&mut self, key: Key, details: Details) {
        let line = details.cmdline.map(|line| self.shared_line(key, line));
        if let Some(account) = self.processes.get_mut(&key) {
            changed(account, &mut self.changed);
            // The state is not locked while files are read. A move that was told
            // meanwhile has the process looked up again.
            let is_current = details.moves == account.place.moves();
            if let Some(path) = details.cgroup.filter(|_| is_current) {
                let counted = Usage::of(&account.row);
                let used = account.used(&self.known, self.times);
                self.cgroups
                    .looked_up(&mut account.place, path, &counted, &used);
            }
            let row = account.edit();
            if line.is_some() {
                row.cmdline = line;
            }
            if let Some(comm) = details.comm {
                row.comm = comm;
            }
            if details.rss_bytes.is_some() {
                row.rss_bytes = details.rss_bytes.filter(|_| self.known.rss);
                row.vm_bytes = details.vm_bytes.filter(|_| self.known.vm);
            }
        }
    }

    /// The command line of the parent, if this one is the same: workers that
    /// a server makes by `fork` have one line among them.
    fn shared_line(&mut self, key: Key, line: Arc<str>) -> Arc<str> {
        let parent = self.processes.get_mut(&key).and_then(|of| of.row.ppid);
        parent
            .and_then(|pid| self.processes.newest(pid)?.row.cmdline.clone())
            .filter(|of_parent| *of_parent == line)
            .unwrap_or(line)
    }
}
