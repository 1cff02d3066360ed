//! What only `/proc` tells.

use std::sync::Arc;

use super::super::account::Key;
use super::{Accounts, changed};

/// A process of which something is to be looked up in `/proc`: its cgroup,
/// and what else is set.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct LookUp {
    pub(crate) key: Key,
    pub(crate) cmdline: bool,
    pub(crate) memory: bool,
    /// Whether its name is missing.
    pub(crate) comm: bool,
}

/// What was found in `/proc`.
#[derive(Clone, Debug, Default)]
pub(crate) struct Details {
    pub(crate) cmdline: Option<Arc<str>>,
    pub(crate) cgroup: Option<Arc<str>>,
    pub(crate) comm: Option<Arc<str>>,
    pub(crate) rss_bytes: Option<u64>,
    pub(crate) vm_bytes: Option<u64>,
}

impl Accounts {
    /// Up to `limit` processes that are still there, and of which something
    /// is to be looked up in `/proc`. The youngest come first.
    pub(crate) fn take_look_ups(&mut self, limit: usize) -> Vec<LookUp> {
        let mut found = Vec::new();
        while found.len() < limit
            && let Some(key) = self.to_look_up.pop()
        {
            if let Some(account) = self.processes.get(&key) {
                found.push(LookUp {
                    key,
                    cmdline: account.cmdline.is_none() && account.kernel_thread != Some(true),
                    memory: account.rss_bytes.is_none(),
                    comm: !self.known.comm,
                });
            }
        }
        found
    }

    /// What was found in `/proc`.
    pub(crate) fn looked_up(&mut self, key: Key, details: Details) {
        if let Some(account) = self.processes.get_mut(&key) {
            changed(account, key, &mut self.changed);
            if details.cmdline.is_some() {
                account.cmdline = details.cmdline;
            }
            if details.cgroup.is_some() {
                account.cgroup = details.cgroup;
            }
            if let Some(comm) = details.comm {
                account.comm = comm;
            }
            if details.rss_bytes.is_some() {
                account.rss_bytes = details.rss_bytes;
                account.vm_bytes = details.vm_bytes;
            }
        }
    }
}
