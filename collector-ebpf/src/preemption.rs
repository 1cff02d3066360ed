/// How many pairs of cgroups are counted apart; what happens between further
/// pairs is counted in one sum.
pub const PREEMPTIONS_MAX: usize = 1024;

/// Who lost a CPU to whom: a key of the map `PREEMPTIONS`.
///
/// Both are numbers of cgroups of version 2: `kernfs_node.id`, the number of
/// the inode that the cgroup's folder has.
#[repr(C)]
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Preemption {
    /// The cgroup of the task that could have gone on.
    pub victim: u64,
    /// The cgroup of the task that got the CPU.
    pub preemptor: u64,
}
