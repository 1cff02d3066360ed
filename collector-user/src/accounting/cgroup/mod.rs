//! Cgroups: the usage of the processes in each, and the container or service
//! that a path names.
//!
//! Both backends add processes up to cgroups in a [`CgroupTable`]. Where cgroups
//! are mounted, and which exist, is known by a [`CgroupFs`].

mod cgroup_fs;
mod cgroups;
mod container;
mod membership;
mod table;
mod usage;

pub(crate) use cgroup_fs::CgroupFs;
pub(crate) use cgroups::Cgroups;
pub(crate) use container::container_of;
pub(crate) use membership::CgroupMembership;
use membership::ParentCgroup;
pub(crate) use table::{CgroupTable, RowId, TableMember};
pub(crate) use usage::Usage;
