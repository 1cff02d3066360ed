use std::collections::VecDeque;

use super::process_key::ProcessHandle;

/// Processes that have exited and are not known to be reaped.
#[derive(Debug, Default)]
pub(super) struct Zombies {
    /// Exited since the last call of [`check`](Self::check).
    new: Vec<ProcessHandle>,
    /// The others, in the order in which they are checked again.
    waiting: VecDeque<ProcessHandle>,
}

impl Zombies {
    /// A process that exited just now.
    pub(super) fn exited(&mut self, handle: ProcessHandle) {
        self.new.push(handle);
    }

    /// A process that was a zombie when it was found.
    pub(super) fn found(&mut self, handle: ProcessHandle) {
        self.waiting.push_back(handle);
    }

    /// Removes the zombies for which `is_reaped` holds: checks those that
    /// exited since the last call, and at most `most` of the others, in turn.
    pub(super) fn check(&mut self, most: usize, mut is_reaped: impl FnMut(ProcessHandle) -> bool) {
        for _ in 0..most.min(self.waiting.len()) {
            let Some(handle) = self.waiting.pop_front() else {
                break;
            };
            if !is_reaped(handle) {
                self.waiting.push_back(handle);
            }
        }
        for handle in std::mem::take(&mut self.new) {
            if !is_reaped(handle) {
                self.waiting.push_back(handle);
            }
        }
    }
}
