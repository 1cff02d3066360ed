use std::fmt::Debug;

/// The cgroup hierarchies of a host, as far as they are mounted and visible.
pub(crate) trait CgroupFs: Debug + Send {
    /// Whether no hierarchy of version 1 is in use, so that the cgroup of a
    /// process is its cgroup v2.
    fn is_v2_only(&self) -> bool;

    /// Whether a path is that of the cgroup v2 with this ID; true if the v2
    /// hierarchy is not visible.
    fn is_path_of(&self, id: u64, path: &str) -> bool;

    /// The ID of the cgroup v2 with this path, if it is visible.
    fn id_of(&self, path: &str) -> Option<u64>;

    /// Whether a cgroup with this ID (if given) and path exists and is visible.
    fn exists(&self, id: Option<u64>, path: Option<&str>) -> bool;
}
