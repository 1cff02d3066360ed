//! What is asked of the kernel before anything is loaded.

use std::io;

use super::super::{
    LoadError,
    btf::{Btf, BtfError},
    rights,
};

/// Whether this process may load programs, and would see the tasks that they
/// tell of.
pub(super) fn check_rights() -> Result<(), LoadError> {
    if !rights::may_load_programs() {
        return Err(LoadError::NoPermission);
    }
    if !rights::is_in_the_hosts_user_namespace() {
        return Err(LoadError::UserNamespace);
    }
    if !rights::is_in_the_hosts_pid_namespace() {
        return Err(LoadError::PidNamespace);
    }
    Ok(())
}

/// The kernel's description of its types.
pub(super) fn btf() -> Result<Btf, LoadError> {
    Btf::of_this_kernel().map_err(|error| match error {
        BtfError::Io(error) if error.kind() == io::ErrorKind::NotFound => LoadError::NoBtf,
        error => LoadError::Other(error.to_string()),
    })
}

/// Whether the kernel tells of a switch what the program takes from it.
///
/// In some 5.18 kernels the state of the previous task stood before it:
/// <https://git.kernel.org/torvalds/c/9c2136be0878>
pub(super) fn check_sched_switch(btf: &Btf) -> Result<(), LoadError> {
    match btf.tracepoint_arguments("sched_switch").as_deref() {
        Some([_, true, true, ..]) => Ok(()),
        Some(_) => Err(LoadError::Other(
            "this kernel passes other arguments to sched_switch than 5.10 and later do: update it"
                .to_owned(),
        )),
        None => Err(LoadError::Other(
            "this kernel has no tracepoint sched_switch".to_owned(),
        )),
    }
}
