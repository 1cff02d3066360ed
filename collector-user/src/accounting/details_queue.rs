use std::collections::HashSet;

use super::{
    ProcessKey,
    handles::{retain_existing, shrink_if_empty},
    proc_details::DetailsRequest,
    process_key::ProcessHandle,
    process_table::ProcessTable,
};

/// The most processes of which fields are read from `/proc` in one tick.
const REQUESTS_PER_TICK: usize = 512;

/// The processes of which some fields have to be read from `/proc`.
#[derive(Debug, Default)]
pub(super) struct DetailsQueue {
    /// Processes that were forked or moved: the last one first.
    recent: Vec<ProcessHandle>,
    /// The others that the last task pass found: after those.
    from_pass: Vec<ProcessHandle>,
}

impl DetailsQueue {
    /// A process that was forked, moved, or has executed a program.
    pub(super) fn push(&mut self, handle: ProcessHandle) {
        self.recent.push(handle);
    }

    /// Starts a task pass, which finds all processes that need details.
    pub(super) fn begin_pass(&mut self) {
        self.from_pass.clear();
    }

    /// A process that a task pass visited.
    pub(super) fn push_from_pass(&mut self, handle: ProcessHandle) {
        self.from_pass.push(handle);
    }

    /// Ends a task pass. The oldest processes come first, so that a parent comes
    /// before its children.
    pub(super) fn end_pass(&mut self) {
        self.from_pass.reverse();
    }

    /// Removes the processes that no longer exist, so that the list is bounded
    /// while no reading is taken.
    pub(super) fn retain_existing(&mut self, table: &ProcessTable) {
        retain_existing(&mut self.recent, table);
    }

    /// The next requests, made by `request_for`, which returns `None` if nothing
    /// is missing.
    ///
    /// `done` are the processes requested earlier in this tick. They stay in the
    /// queue until the next tick: the files of a process that is moved
    /// continually would be read again and again otherwise.
    pub(super) fn take_requests(
        &mut self,
        done: &mut HashSet<ProcessKey>,
        mut request_for: impl FnMut(&ProcessHandle) -> Option<DetailsRequest>,
    ) -> Vec<DetailsRequest> {
        let mut requests = Vec::new();
        let mut again = HashSet::new();
        while done.len() < REQUESTS_PER_TICK
            && let Some(request) = self.next_request(&mut request_for)
        {
            if done.insert(request.process) {
                requests.push(request);
            } else {
                again.insert(request.process);
            }
        }
        self.recent
            .extend(again.into_iter().map(ProcessHandle::unresolved));
        requests
    }

    fn next_request(
        &mut self,
        request_for: &mut impl FnMut(&ProcessHandle) -> Option<DetailsRequest>,
    ) -> Option<DetailsRequest> {
        while let Some(handle) = self.recent.pop().or_else(|| self.from_pass.pop()) {
            let request = request_for(&handle);
            if request.is_some() {
                return request;
            }
        }
        shrink_if_empty(&mut self.recent);
        shrink_if_empty(&mut self.from_pass);
        None
    }

    #[cfg(test)]
    pub(super) fn len(&self) -> usize {
        self.recent.len()
    }
}
