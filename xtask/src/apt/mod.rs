//! The distribution's packages, from suites that the machine itself may not
//! use, without a change to what it uses.

mod source;

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::{Duration, SystemTime};

use anyhow::{Context as _, Result, bail};

use crate::architecture::Architecture;
use crate::retry::retry;
use crate::{command, workspace};
use source::Origin;
pub(crate) use source::{Archive, codename, own_suites};

/// Lists of packages are asked for anew when they are older than this.
const FRESH: Duration = Duration::from_hours(24);

/// A view on some suites of the machine's own archive.
///
/// It has its own list of sources, its own package lists and its own cache, all
/// below the target folder, so that apt's state on the machine stays as it is.
#[derive(Debug)]
pub(crate) struct Apt {
    folder: PathBuf,
    /// Whose packages are seen: the machine's own if not told.
    architecture: Option<Architecture>,
}

impl Apt {
    /// The view named `name`, on `suites` of the machine's own archive. Suites
    /// that the archive does not have are left out.
    ///
    /// # Errors
    /// When the machine has no apt sources of a kind that is known here, or
    /// none of the suites can be had.
    pub(crate) fn open<S: AsRef<str>>(name: &str, suites: &[(Archive, S)]) -> Result<Self> {
        let folder = workspace::target().join("apt").join(name);
        Self::open_at(folder, None, suites)
    }

    /// The same with the packages for another architecture, to be unpacked and
    /// not installed.
    ///
    /// # Errors
    /// As [`open`](Self::open).
    pub(crate) fn open_for<S: AsRef<str>>(
        architecture: Architecture,
        name: &str,
        suites: &[(Archive, S)],
    ) -> Result<Self> {
        if architecture.is_of_this_machine() {
            return Self::open(name, suites);
        }
        let folder = workspace::target()
            .join("apt")
            .join(format!("{name}-{architecture}"));
        Self::open_at(folder, Some(architecture), suites)
    }

    fn open_at<S: AsRef<str>>(
        folder: PathBuf,
        architecture: Option<Architecture>,
        suites: &[(Archive, S)],
    ) -> Result<Self> {
        let origin = Origin::of_this_machine()?;
        let apt = Self {
            folder,
            architecture,
        };
        for folder in ["lists/partial", "cache/archives/partial"] {
            let folder = apt.folder.join(folder);
            fs::create_dir_all(&folder).with_context(|| folder.display().to_string())?;
        }
        let list: String = suites
            .iter()
            .filter_map(|(archive, suite)| origin.line(*archive, suite.as_ref()))
            .collect();
        let path = apt.folder.join("sources.list");
        if fs::read_to_string(&path).is_ok_and(|old| old == list) && apt.is_fresh() {
            return Ok(apt);
        }
        fs::write(&path, list).with_context(|| path.display().to_string())?;
        apt.refresh()?;
        Ok(apt)
    }

    /// Reads the package lists anew.
    ///
    /// # Errors
    /// When they cannot be had.
    pub(crate) fn refresh(&self) -> Result<()> {
        println!("reading the package lists of {}", self.shown_suites());
        retry("reading the package lists", || {
            command::run(self.command("apt-get").args(["--quiet=2", "update"]))
        })?;
        fs::write(self.stamp(), "").context("cannot write to the target folder")
    }

    /// The names of the packages that match the regular expression `pattern`.
    ///
    /// # Errors
    /// When apt fails.
    pub(crate) fn search(&self, pattern: &str) -> Result<Vec<String>> {
        let found =
            command::output(
                self.command("apt-cache")
                    .args(["search", "--names-only", pattern]),
            )?;
        Ok(found
            .lines()
            .filter_map(|line| line.split_whitespace().next())
            .map(str::to_owned)
            .collect())
    }

    /// The versions of `package`, the newest first.
    ///
    /// # Errors
    /// When apt fails.
    pub(crate) fn versions(&self, package: &str) -> Result<Vec<String>> {
        // Lines like ` rust-src | 1.95.0+dfsg1-2~bpo13+1 | URI SUITE Packages`.
        let table = command::output(self.command("apt-cache").args(["madison", package]))?;
        Ok(table
            .lines()
            .filter_map(|line| line.split('|').nth(1))
            .map(|version| version.trim().to_owned())
            .collect())
    }

    /// Downloads `package`, which may name a version (`name=version`), and
    /// unpacks it into `into`.
    ///
    /// # Errors
    /// When it cannot be had, or not be unpacked.
    pub(crate) fn unpack(&self, package: &str, into: &Path) -> Result<()> {
        let folder = self.folder.join("download");
        workspace::make_empty(&folder)?;
        retry(&format!("fetching {package}"), || {
            command::run(
                self.command("apt-get")
                    .current_dir(&folder)
                    .args(["--quiet", "download", package]),
            )
        })?;
        for entry in fs::read_dir(&folder)? {
            command::run(
                Command::new("dpkg-deb")
                    .arg("--extract")
                    .arg(entry?.path())
                    .arg(into),
            )?;
        }
        fs::remove_dir_all(&folder).with_context(|| folder.display().to_string())
    }

    /// Installs `packages` on the machine, preferring `suite` where it is given.
    ///
    /// # Errors
    /// When a package cannot be had, or this is not root.
    pub(crate) fn install(&self, packages: &[&str], suite: Option<&str>) -> Result<()> {
        if !command::is_root() {
            bail!(
                "installing {} needs root: run this task as root once",
                packages.join(" ")
            );
        }
        let mut apt = self.command("apt-get");
        apt.env("DEBIAN_FRONTEND", "noninteractive").args([
            "--quiet",
            "--yes",
            "--no-install-recommends",
            "-o",
            "Dpkg::Use-Pty=0",
            // Another apt on this machine may be at work.
            "-o",
            "DPkg::Lock::Timeout=300",
        ]);
        if let Some(suite) = suite {
            apt.args(["--target-release", suite]);
        }
        apt.arg("install").args(packages);
        retry("installing", || command::run(&mut apt))
    }

    fn is_fresh(&self) -> bool {
        fs::metadata(self.stamp())
            .and_then(|metadata| metadata.modified())
            .is_ok_and(|time| {
                SystemTime::now()
                    .duration_since(time)
                    .is_ok_and(|age| age < FRESH)
            })
    }

    fn stamp(&self) -> PathBuf {
        self.folder.join("updated")
    }

    fn shown_suites(&self) -> String {
        let list = fs::read_to_string(self.folder.join("sources.list")).unwrap_or_default();
        let suites: Vec<&str> = list.lines().filter_map(source::suite_of).collect();
        suites.join(", ")
    }

    /// `program` of apt, seeing these suites alone.
    fn command(&self, program: &str) -> Command {
        let mut command = Command::new(program);
        let folder = self.folder.display();
        for option in [
            format!("Dir::Etc::sourcelist={folder}/sources.list"),
            "Dir::Etc::sourceparts=-".to_owned(),
            format!("Dir::State::lists={folder}/lists"),
            format!("Dir::Cache={folder}/cache"),
            // The sandbox user may not write to folders of this one.
            "APT::Sandbox::User=".to_owned(),
            "Acquire::Languages=none".to_owned(),
            "Acquire::Retries=3".to_owned(),
            "Acquire::http::Timeout=60".to_owned(),
            "Acquire::https::Timeout=60".to_owned(),
        ] {
            command.args(["-o", &option]);
        }
        if let Some(architecture) = self.architecture {
            for option in ["APT::Architecture", "APT::Architectures"] {
                command.args(["-o", &format!("{option}={}", architecture.of_debian())]);
            }
        }
        command
    }
}
