//! Kernels from Debian's packages.

use std::env;
use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context as _, Result, bail};

use super::series::{Wanted, version_key};
use crate::apt::{Apt, Archive};
use crate::architecture::Architecture;
use crate::workspace;

/// The suites that kernels come from, those with short package lists first. Last is
/// the suite with kernels that its security suite may have dropped.
const SUITES: [(Archive, &str); 9] = [
    (Archive::Security, "bullseye-security"),
    (Archive::Security, "bookworm-security"),
    (Archive::Security, "trixie-security"),
    (Archive::Main, "trixie-backports"),
    (Archive::Main, "bookworm-backports"),
    (Archive::Main, "bookworm"),
    (Archive::Main, "trixie"),
    (Archive::Main, "forky"),
    (Archive::Main, "bullseye"),
];

/// Package names of kernel images, up to the release.
const PREFIXES: [&str; 2] = ["linux-image-", "linux-binary-"];

/// A kernel that a machine can boot.
#[derive(Clone, Debug)]
pub(crate) struct Kernel {
    pub(crate) architecture: Architecture,
    /// As printed by `uname -r`: `6.12.38+deb12-cloud-amd64`.
    pub(crate) release: String,
    pub(crate) image: PathBuf,
}

/// A kernel in a suite.
#[derive(Clone, Debug)]
pub(crate) struct Offer {
    architecture: Architecture,
    pub(crate) release: String,
    pub(crate) suite: &'static str,
    archive: Archive,
    package: String,
}

/// The kernels of all suites, and the suites that failed.
#[derive(Debug, Default)]
pub(crate) struct Offers {
    pub(crate) found: Vec<Offer>,
    failures: Vec<String>,
}

/// The wanted kernel. A series is taken from the cache if it is there and `fetch` is
/// false; otherwise, and for [`Wanted::Newest`], the package lists are consulted, which
/// are downloaded at most once a day.
///
/// # Errors
/// When no suite has it, or it cannot be downloaded.
pub(crate) fn get(architecture: Architecture, wanted: Wanted, fetch: bool) -> Result<Kernel> {
    let kept = cached(architecture)?;
    if !fetch
        && let Wanted::Series(series) | Wanted::OrNext(series) = wanted
        && let Some(kernel) = Wanted::Series(series).pick(kept.clone(), release_of)
    {
        return Ok(kernel);
    }
    // A suite may lack a package that it lists, as lists and packages are updated
    // independently. Its older builds are then removed too.
    let mut removed: Vec<Offer> = Vec::new();
    let failures = loop {
        let pick = |found: &[Offer]| {
            let available = |offer: &&Offer| removed.iter().all(|one| one.suite != offer.suite);
            let found = found.iter().filter(available).cloned();
            wanted.pick(found.collect(), |offer| &offer.release)
        };
        let offers = match wanted {
            // The search stops at the first suite that has the series.
            Wanted::Series(_) => Offers::until(architecture, |found| pick(found).is_some()),
            Wanted::OrNext(_) | Wanted::Newest => Offers::of_all_suites(architecture),
        };
        let Some(offer) = pick(&offers.found) else {
            break offers.failures;
        };
        if let Some(kernel) = kept.iter().find(|kernel| kernel.release == offer.release) {
            return Ok(kernel.clone());
        }
        match download(&offer, wanted) {
            Ok(kernel) => return Ok(kernel),
            Err(error) => println!("cannot download {}: {error:#}", offer.package),
        }
        removed.push(offer);
    };
    let removed = removed
        .iter()
        .map(|offer| format!("{} of {}", offer.package, offer.suite));
    let failures: Vec<String> = failures.into_iter().chain(removed).collect();
    if failures.is_empty() {
        bail!("no suite of Debian has the kernel {wanted} for {architecture}");
    }
    let failures = failures.join("; ");
    // The cached kernel may be outdated, as some suites could not be read.
    match wanted.pick(kept, release_of) {
        Some(kernel) if !fetch => {
            println!(
                "{wanted}: using {} from the cache; failed: {failures}",
                kernel.release
            );
            Ok(kernel)
        }
        _ => {
            bail!("no suite that could be read has the kernel {wanted}; failed: {failures}")
        }
    }
}

/// The kernels of an architecture in the cache.
///
/// # Errors
/// When there is no cache directory.
pub(crate) fn cached(architecture: Architecture) -> Result<Vec<Kernel>> {
    let end = format!("-{}", architecture.of_debian());
    // A missing directory is an empty cache.
    let entries = fs::read_dir(cache()?).into_iter().flatten().flatten();
    Ok(entries
        .filter_map(|entry| {
            let name = entry.file_name().into_string().ok()?;
            Some(Kernel {
                architecture,
                release: name.strip_prefix("vmlinuz-")?.to_owned(),
                image: entry.path(),
            })
        })
        .filter(|kernel| kernel.release.ends_with(&end))
        .collect())
}

fn release_of(kernel: &Kernel) -> &str {
    &kernel.release
}

impl Offers {
    /// The kernels of all suites.
    pub(crate) fn of_all_suites(architecture: Architecture) -> Self {
        Self::until(architecture, |_| false)
    }

    /// Reads one suite after the other until `enough` returns true.
    fn until(architecture: Architecture, enough: impl Fn(&[Offer]) -> bool) -> Self {
        let mut offers = Self::default();
        for (archive, suite) in SUITES {
            match of_suite(architecture, archive, suite) {
                Ok(found) => offers.found.extend(found),
                Err(error) => offers.failures.push(format!("{suite}: {error:#}")),
            }
            if enough(&offers.found) {
                break;
            }
        }
        offers
    }

    /// Prints the suites that could not be read.
    pub(crate) fn print_failures(&self) {
        for failure in &self.failures {
            println!("cannot read the suite {failure}");
        }
    }
}

/// The kernels in the package lists of a suite, which are at most a day old.
fn of_suite(
    architecture: Architecture,
    archive: Archive,
    suite: &'static str,
) -> Result<Vec<Offer>> {
    let apt = Apt::open_for(architecture, suite, &[(archive, suite)])?;
    search(&apt, architecture, archive, suite)
}

fn search(
    apt: &Apt,
    architecture: Architecture,
    archive: Archive,
    suite: &'static str,
) -> Result<Vec<Offer>> {
    // Left out: unsigned packages, which hold the same image, and metapackages,
    // which have no third number.
    let pattern = r"^linux-(image|binary)-[0-9]+\.[0-9]+\.[0-9].*cloud-";
    let packages = apt.search(&format!("{pattern}{}$", architecture.of_debian()))?;
    let mut offers: Vec<Offer> = packages
        .into_iter()
        .filter_map(|package| {
            let release = PREFIXES
                .iter()
                .find_map(|prefix| package.strip_prefix(prefix))?;
            Some(Offer {
                architecture,
                release: release.to_owned(),
                suite,
                archive,
                package,
            })
        })
        .collect();
    // Later kernels have their image in `linux-binary`, and an empty `linux-image`
    // of the same release beside it. Of equal keys the last is picked.
    offers.sort_by_key(|offer| {
        let is_binary = offer.package.starts_with(PREFIXES[1]);
        (version_key(&offer.release), is_binary)
    });
    Ok(offers)
}

fn download(offer: &Offer, wanted: Wanted) -> Result<Kernel> {
    let Offer {
        architecture,
        archive,
        suite,
        ..
    } = *offer;
    let apt = Apt::open_for(architecture, suite, &[(archive, suite)])?;
    let Err(error) = unpack(&apt, offer) else {
        return keep(offer);
    };
    // The package list may name a build that has been replaced since.
    apt.refresh()?;
    let offers = search(&apt, architecture, archive, suite)?;
    let newer = wanted
        .pick(offers, |offer| &offer.release)
        .filter(|newer| newer.package != offer.package);
    let Some(newer) = newer else {
        return Err(error);
    };
    println!("{error:#}; trying a newer build");
    unpack(&apt, &newer)?;
    keep(&newer)
}

fn unpack(apt: &Apt, offer: &Offer) -> Result<()> {
    println!("fetching {} from {}", offer.package, offer.suite);
    let folder = unpacked();
    workspace::make_empty(&folder)?;
    apt.unpack(&offer.package, &folder)
}

fn unpacked() -> PathBuf {
    workspace::target().join("vm/unpacked")
}

/// Moves the image of an unpacked package to the cache.
fn keep(offer: &Offer) -> Result<Kernel> {
    let folder = unpacked();
    let release = &offer.release;
    let candidates = [
        folder.join(format!("boot/vmlinuz-{release}")),
        folder.join(format!("usr/lib/modules/{release}/vmlinuz")),
    ];
    let Some(found) = candidates.iter().find(|path| path.is_file()) else {
        bail!("{} holds no kernel image", offer.package);
    };
    let image = cache()?.join(format!("vmlinuz-{release}"));
    keep_file(found, &image)?;
    fs::remove_dir_all(&folder).with_context(|| folder.display().to_string())?;
    Ok(Kernel {
        architecture: offer.architecture,
        release: release.clone(),
        image,
    })
}

/// Copies a file into the cache.
pub(super) fn keep_file(from: &Path, to: &Path) -> Result<()> {
    let cache = cache()?;
    fs::create_dir_all(&cache).with_context(|| cache.display().to_string())?;
    // Copied under a temporary name, so that an interrupted copy is never used, and
    // so that two runs may download the same file.
    let partial = cache.join(format!("partial-{}", std::process::id()));
    fs::copy(from, &partial).with_context(|| partial.display().to_string())?;
    fs::rename(&partial, to).with_context(|| to.display().to_string())
}

/// The cache directory, which is shared by all clones: a kernel is about 10 MB.
pub(super) fn cache() -> Result<PathBuf> {
    let base = match env::var_os("XDG_CACHE_HOME").filter(|folder| !folder.is_empty()) {
        Some(folder) => PathBuf::from(folder),
        None => env::home_dir()
            .context("neither XDG_CACHE_HOME nor HOME is set")?
            .join(".cache"),
    };
    Ok(base.join("collector/kernels"))
}
