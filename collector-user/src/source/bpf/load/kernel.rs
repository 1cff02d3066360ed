//! Checks of the kernel before anything is loaded.

use std::io;

use super::{
    LoadError,
    btf::{Btf, BtfError},
    rights,
};

/// Whether this process may load programs, and sees the PIDs that they report.
pub(super) fn check_rights() -> Result<(), LoadError> {
    if !rights::may_load_programs() {
        return Err(LoadError::NoPermission);
    }
    if !rights::is_in_initial_user_namespace() {
        return Err(LoadError::UserNamespace);
    }
    if !rights::is_in_initial_pid_namespace() {
        return Err(LoadError::PidNamespace);
    }
    Ok(())
}

/// The BTF of the kernel.
pub(super) fn btf() -> Result<Btf, LoadError> {
    Btf::of_this_kernel().map_err(|error| match error {
        BtfError::Io(error) if error.kind() == io::ErrorKind::NotFound => LoadError::NoBtf,
        error => LoadError::Btf(error),
    })
}

/// Whether `sched_switch` has the arguments that the program uses.
///
/// In some 5.18 kernels the state of the previous task came before the task:
/// <https://git.kernel.org/torvalds/c/9c2136be0878>
pub(super) fn check_sched_switch(btf: &Btf) -> Result<(), LoadError> {
    match btf.tracepoint_arguments("sched_switch").as_deref() {
        Some([_, true, true, ..]) => Ok(()),
        Some(_) => Err(LoadError::UnknownSwitchArguments),
        None => Err(LoadError::NoSwitchTracepoint),
    }
}
