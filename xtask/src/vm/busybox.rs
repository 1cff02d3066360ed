//! The guest's busybox, which is statically linked: a guest has no libraries.

use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context as _, Result, bail};
use object::Object as _;

use super::kernel;
use crate::apt::{Apt, own_suites};
use crate::architecture::Architecture;
use crate::{command, workspace};

/// The busybox for guests of an architecture: the installed one for this machine's,
/// or one that is downloaded once and cached beside the kernels.
///
/// # Errors
/// When it is missing, cannot be downloaded, or is dynamically linked.
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

/// The path of the installed busybox.
///
/// # Errors
/// When it is missing or dynamically linked.
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
            "{} is dynamically linked, and a guest has no libraries; run `cargo xtask setup --for test`",
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
