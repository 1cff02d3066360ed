//! Cgroups: which there are, what their paths tell, and what the processes in
//! them used.
//!
//! Both backends add processes up to cgroups with the same `CgroupTable`, so
//! that the sums are true in the same way.

mod container;
mod hierarchies;
mod table;
mod usage;

pub use container::container_of;
pub(crate) use hierarchies::Hierarchies;
pub(crate) use table::{CgroupTable, GroupId, Member};
pub(crate) use usage::Usage;
