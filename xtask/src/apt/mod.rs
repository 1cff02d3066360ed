//! Access to the distribution's packages, also of suites that are not among the
//! machine's apt sources, which stay unchanged.

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

/// Maximum age of package lists.
const FRESH: Duration = Duration::from_hours(24);

/// A view of some suites of the machine's archive.
///
/// It has its own sources.list, package lists and cache below the target directory, so
/// that the machine's apt state is not changed.
#[derive(Debug)]
pub(crate) struct Apt {
    folder: PathBuf,
    /// The architecture of the packages, if it is not the machine's.
    architecture: Option<Architecture>,
}

impl Apt {
    /// The view named `name` of `suites`. Suites whose archive is unknown are left out.
    ///
    /// # Errors
    /// When the machine has no usable apt sources, or the package lists cannot be
    /// downloaded.
    pub(crate) fn open<S: AsRef<str>>(name: &str, suites: &[(Archive, S)]) -> Result<Self> {
        let folder = workspace::target().join("apt").join(name);
        Self::open_at(folder, None, suites)
    }

    /// As [`open`](Self::open), with the packages of another architecture, which can be
    /// unpacked but not installed.
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

    /// Updates the package lists.
    ///
    /// # Errors
    /// When they cannot be downloaded.
    pub(crate) fn refresh(&self) -> Result<()> {
        println!("updating the package lists of {}", self.shown_suites());
        retry("updating the package lists", || {
            command::run(self.command("apt-get").args(["--quiet=2", "update"]))
        })?;
        fs::write(self.stamp(), "").context("cannot write to the target directory")
    }

    /// The names of packages that match the regular expression `pattern`.
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

    /// Downloads `package`, with or without a version (`name=version`), and unpacks it
    /// into `into`.
    ///
    /// # Errors
    /// When it cannot be downloaded or unpacked.
    pub(crate) fn unpack(&self, package: &str, into: &Path) -> Result<()> {
        let folder = self.folder.join("download");
        workspace::make_empty(&folder)?;
        retry(&format!("downloading {package}"), || {
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

    /// Installs `packages`, preferably from `suite`.
    ///
    /// # Errors
    /// When a package cannot be installed, or this is not root.
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
            // Another apt may be running.
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

    /// A program of apt, restricted to these suites.
    fn command(&self, program: &str) -> Command {
        let mut command = Command::new(program);
        let folder = self.folder.display();
        for option in [
            format!("Dir::Etc::sourcelist={folder}/sources.list"),
            "Dir::Etc::sourceparts=-".to_owned(),
            format!("Dir::State::lists={folder}/lists"),
            format!("Dir::Cache={folder}/cache"),
            // The sandbox user may not be able to write to these directories.
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
