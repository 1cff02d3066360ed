//! The guest's shell: one that needs no libraries, since a guest has none.

use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context as _, Result, bail};
use object::Object as _;

use super::kernel;
use crate::apt::{Apt, own_suites};
use crate::architecture::Architecture;
use crate::{command, workspace};

/// One for the guests of an architecture: that of this machine, or for others
/// one that is fetched once and kept beside the kernels.
///
/// # Errors
/// When it is not there, cannot be had, or needs libraries.
pub(super) fn of(architecture: Architecture) -> Result<PathBuf> {
    if architecture.is_of_this_machine() {
        return check();
    }
    let kept = kernel::cache()?.join(format!("busybox-{architecture}"));
    if !kept.is_file() {
        fetch(architecture, &kept)?;
    }
    check_is_static(&kept)?;
    Ok(kept)
}

/// Where that of this machine is.
///
/// # Errors
/// When it is not there, or needs libraries.
pub(crate) fn check() -> Result<PathBuf> {
    let Some(path) = command::which("busybox") else {
        bail!("busybox is not on PATH; run `cargo xtask setup --for test`");
    };
    check_is_static(&path)?;
    Ok(path)
}

fn check_is_static(path: &Path) -> Result<()> {
    let shown = || path.display().to_string();
    let data = fs::read(path).with_context(shown)?;
    let file = object::File::parse(&*data).with_context(shown)?;
    if file.section_by_name(".interp").is_some() {
        bail!(
            "{} needs libraries, which a guest has not; run `cargo xtask setup --for test`",
            path.display()
        );
    }
    Ok(())
}

fn fetch(architecture: Architecture, to: &Path) -> Result<()> {
    println!("fetching busybox-static for {architecture}");
    let apt = Apt::open_for(architecture, "own", &own_suites())?;
    let folder = workspace::target().join("vm/busybox");
    workspace::make_empty(&folder)?;
    apt.unpack("busybox-static", &folder)?;
    let places = ["bin/busybox", "usr/bin/busybox"].map(|place| folder.join(place));
    let Some(found) = places.iter().find(|path| path.is_file()) else {
        bail!("busybox-static for {architecture} holds no busybox");
    };
    kernel::keep_file(found, to)?;
    fs::remove_dir_all(&folder).with_context(|| folder.display().to_string())
}
