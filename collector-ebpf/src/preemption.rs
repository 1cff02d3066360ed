/// The number of cgroup pairs that are counted separately; preemptions between
/// further pairs are counted in one sum.
pub const PREEMPTIONS_MAX: usize = 1024;

/// A pair of cgroups, of which one preempted the other: a key of the map
/// `PREEMPTIONS`.
///
/// Both are cgroup v2 IDs: `kernfs_node.id`, which is the inode number of the
/// cgroup's directory.
#[repr(C)]
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Preemption {
    /// The cgroup of the preempted task, which was still runnable.
    pub victim: u64,
    /// The cgroup of the task that was switched in.
    pub preemptor: u64,
}
