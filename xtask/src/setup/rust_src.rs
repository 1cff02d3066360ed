//! rust-src: the sources of the standard library, of exactly the compiler's release.

use std::env;
use std::fs;
use std::path::Path;
use std::process::Command;

use anyhow::{Context as _, Result, bail};

use crate::apt::{Apt, Archive, own_suites};
use crate::{command, ebpf, workspace};

/// Suites of Debian that get new compilers first, tried after the machine's own.
const NEWER: [(Archive, &str); 3] = [
    (Archive::Main, "trixie-backports"),
    (Archive::Main, "forky"),
    (Archive::Main, "sid"),
];

/// Installs `library/` into the compiler's sysroot.
///
/// # Errors
/// When neither rustup nor the distribution has it.
pub(super) fn bring() -> Result<()> {
    let library = ebpf::library()?;
    if ebpf::has_core(&library) {
        println!("rust-src: installed already");
        return Ok(());
    }
    let release = release()?;
    println!("rust-src: installing release {release} with rustup");
    if rustup() && ebpf::has_core(&library) {
        println!("rust-src: installed");
        return Ok(());
    }
    println!("rust-src: rustup failed; trying the packages of the distribution");
    match from_packages(&release, &library) {
        Ok(()) => {
            println!("rust-src: installed");
            Ok(())
        }
        Err(error) => Err(error.context(format!(
            "cannot install rust-src of {release}: copy the directory `library` of Rust's sources \
             of that release to {}",
            library.display()
        ))),
    }
}

fn rustup() -> bool {
    let mut rustup = Command::new("rustup");
    rustup.args(["component", "add", "rust-src"]);
    if let Some(toolchain) = env::var_os("RUSTUP_TOOLCHAIN") {
        rustup.arg("--toolchain").arg(toolchain);
    }
    // A failure is not an error of this task, which then tries packages.
    match command::output(&mut rustup) {
        Ok(_) => true,
        Err(error) => {
            let text = error.to_string();
            let reason = text.lines().find(|line| line.contains("error"));
            println!("  {}", reason.unwrap_or("it cannot be started"));
            false
        }
    }
}

fn from_packages(release: &str, library: &Path) -> Result<()> {
    // Ubuntu names the package after the minor release.
    let minor = release.rsplit_once('.').map_or(release, |(minor, _)| minor);
    let packages = ["rust-src".to_owned(), format!("rust-{minor}-src")];
    let mut views = vec![("own".to_owned(), own_suites())];
    views.extend(
        NEWER.map(|(archive, suite)| (suite.to_owned(), vec![(archive, suite.to_owned())])),
    );

    let mut failures = Vec::new();
    for (view, suites) in &views {
        let apt = match Apt::open(view, suites) {
            Ok(apt) => apt,
            Err(error) => {
                failures.push(format!("{view}: {error:#}"));
                continue;
            }
        };
        for package in &packages {
            let versions = apt.versions(package)?;
            let Some(version) = versions.iter().find(|version| is_of(version, release)) else {
                continue;
            };
            println!("rust-src: fetching {package} {version} from {view}");
            return unpack(&apt, &format!("{package}={version}"), release, library);
        }
    }
    failures.push("no suite has a package of that release".to_owned());
    bail!("{}", failures.join("; "))
}

/// Whether a package of `version` (`1.95.0+dfsg1-2~bpo13+1`) is of `release`.
fn is_of(version: &str, release: &str) -> bool {
    version
        .strip_prefix(release)
        .is_some_and(|rest| !rest.starts_with(|next: char| next.is_ascii_digit() || next == '.'))
}

fn unpack(apt: &Apt, package: &str, release: &str, library: &Path) -> Result<()> {
    let folder = workspace::target().join("setup/rust-src");
    workspace::make_empty(&folder)?;
    apt.unpack(package, &folder)?;
    let from = folder.join(format!("usr/src/rustc-{release}/library"));
    if !ebpf::has_core(&from) {
        bail!("{package} holds no {}", from.display());
    }
    let parent = library.parent().unwrap_or(library);
    fs::create_dir_all(parent).with_context(|| parent.display().to_string())?;
    // Copied under a temporary name, so that an interrupted copy is never used. The
    // source may be on another file system, and so cannot be renamed.
    let partial = parent.join("partial");
    let _ = fs::remove_dir_all(&partial);
    command::run(Command::new("cp").arg("-r").arg(&from).arg(&partial))?;
    fs::rename(&partial, library).with_context(|| library.display().to_string())?;
    fs::remove_dir_all(&folder).with_context(|| folder.display().to_string())
}

/// The compiler's release: `1.95.0`.
fn release() -> Result<String> {
    let text = command::output(command::rustc().arg("-vV"))?;
    text.lines()
        .find_map(|line| line.strip_prefix("release: "))
        .map(str::to_owned)
        .context("the compiler does not say which release it is")
}

#[cfg(test)]
mod tests {
    use super::is_of;

    #[test]
    fn a_package_matches_a_release_only_if_all_numbers_match() {
        assert!(is_of("1.95.0+dfsg1-2~bpo13+1", "1.95.0"));
        assert!(is_of("1.95.0-1ubuntu1", "1.95.0"));
        assert!(!is_of("1.95.01-1", "1.95.0"));
        assert!(!is_of("1.94.1+dfsg1-1", "1.95.0"));
    }
}
