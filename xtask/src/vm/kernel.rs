//! Kernels of a series, from the distribution's packages.

use std::env;
use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context as _, Result, bail};

use crate::apt::{Apt, Archive};
use crate::workspace;

/// The oldest series that is supported, and a new one that many machines run.
pub(crate) const DEFAULT_SERIES: [&str; 2] = ["5.10", "6.12"];

/// The suites of Debian that kernels come from, those with short lists first.
const SUITES: [(Archive, &str); 8] = [
    (Archive::Security, "bullseye-security"),
    (Archive::Security, "bookworm-security"),
    (Archive::Security, "trixie-security"),
    (Archive::Main, "trixie-backports"),
    (Archive::Main, "bookworm-backports"),
    (Archive::Main, "bookworm"),
    (Archive::Main, "trixie"),
    (Archive::Main, "forky"),
];

/// A kernel that a machine can boot.
#[derive(Debug)]
pub(crate) struct Kernel {
    /// As in `uname -r`: `6.12.38+deb12-cloud-amd64`.
    pub(crate) release: String,
    pub(crate) image: PathBuf,
}

/// The newest kernel of `series` (`6.12`): from the cache, unless `fetch` asks
/// for the newest that there is now.
///
/// # Errors
/// When there is none in any suite, or it cannot be fetched.
pub(crate) fn of_series(series: &str, fetch: bool) -> Result<Kernel> {
    let valid = |part: &str| !part.is_empty() && part.bytes().all(|byte| byte.is_ascii_digit());
    if !series
        .split_once('.')
        .is_some_and(|(major, minor)| valid(major) && valid(minor))
    {
        bail!("`{series}` is no series of kernels: give two numbers, such as 6.12");
    }
    let cache = cache()?;
    if !fetch && let Some(kernel) = newest_cached(&cache, series) {
        return Ok(kernel);
    }
    let mut failures = Vec::new();
    for (archive, suite) in SUITES {
        match fetch_from(archive, suite, series, &cache) {
            Ok(Some(kernel)) => return Ok(kernel),
            Ok(None) => {}
            Err(error) => failures.push(format!("{suite}: {error:#}")),
        }
    }
    let mut text = format!("no suite of Debian has a kernel of series {series}");
    if !failures.is_empty() {
        text.push_str("; could not be asked: ");
        text.push_str(&failures.join("; "));
    }
    bail!(text)
}

fn fetch_from(archive: Archive, suite: &str, series: &str, cache: &Path) -> Result<Option<Kernel>> {
    let apt = Apt::open(suite, &[(archive, suite)])?;
    let pattern = series.replace('.', "\\.");
    // The unsigned packages hold the same image, and are not asked for; nor
    // are those without a third number, which hold nothing.
    let pattern = format!("^linux-(image|binary)-{pattern}\\.[0-9].*cloud-amd64$");
    let mut packages = apt.search(&pattern)?;
    // Up to 6.x the image is in `linux-image`. From 7.x on that one is empty,
    // and beside it there is `linux-binary`.
    packages.sort_by_key(|name| (version_key(name), name.starts_with("linux-binary-")));
    let Some(newest) = packages.pop() else {
        return Ok(None);
    };
    println!("fetching {newest} from {suite}");
    let folder = workspace::target().join("vm/unpacked");
    // What an interrupted run left behind.
    let _ = fs::remove_dir_all(&folder);
    fs::create_dir_all(&folder).with_context(|| folder.display().to_string())?;
    apt.unpack(&newest, &folder)?;

    let release = newest
        .trim_start_matches("linux-image-")
        .trim_start_matches("linux-binary-")
        .to_owned();
    let candidates = [
        folder.join(format!("boot/vmlinuz-{release}")),
        folder.join(format!("usr/lib/modules/{release}/vmlinuz")),
    ];
    let Some(found) = candidates.iter().find(|path| path.is_file()) else {
        bail!("{newest} holds no kernel image");
    };
    fs::create_dir_all(cache).with_context(|| cache.display().to_string())?;
    let image = cache.join(format!("vmlinuz-{release}"));
    // Copied under another name first: an interrupted copy is no image.
    let partial = cache.join(format!("partial-{release}"));
    fs::copy(found, &partial).with_context(|| partial.display().to_string())?;
    fs::rename(&partial, &image).with_context(|| image.display().to_string())?;
    fs::remove_dir_all(&folder).with_context(|| folder.display().to_string())?;
    Ok(Some(Kernel { release, image }))
}

fn newest_cached(cache: &Path, series: &str) -> Option<Kernel> {
    let mut kernels: Vec<Kernel> = fs::read_dir(cache)
        .ok()?
        .flatten()
        .filter_map(|entry| {
            let name = entry.file_name().into_string().ok()?;
            let release = name.strip_prefix("vmlinuz-")?.to_owned();
            let rest = release.strip_prefix(series)?;
            (!rest.starts_with(|first: char| first.is_ascii_digit())).then(|| Kernel {
                image: entry.path(),
                release,
            })
        })
        .collect();
    kernels.sort_by_key(|kernel| version_key(&kernel.release));
    kernels.pop()
}

/// The numbers of a name in their order, so that 6.12.9 comes before 6.12.38.
fn version_key(name: &str) -> Vec<u64> {
    name.split(|letter: char| !letter.is_ascii_digit())
        .filter_map(|number| number.parse().ok())
        .collect()
}

/// Kernels outlive a clone of the workspace: they are some 10 MB each.
fn cache() -> Result<PathBuf> {
    let base = match env::var_os("XDG_CACHE_HOME").filter(|folder| !folder.is_empty()) {
        Some(folder) => PathBuf::from(folder),
        None => env::home_dir()
            .context("neither XDG_CACHE_HOME nor HOME is set")?
            .join(".cache"),
    };
    Ok(base.join("collector/kernels"))
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::{newest_cached, version_key};

    #[test]
    fn versions_are_ordered_by_number() {
        assert!(version_key("6.12.9+deb12-cloud-amd64") < version_key("6.12.38+deb12-cloud-amd64"));
        assert!(version_key("5.10.0-9-cloud-amd64") < version_key("5.10.0-36-cloud-amd64"));
    }

    #[test]
    fn a_series_is_not_mistaken_for_a_longer_one() {
        let folder = std::env::temp_dir().join(format!("xtask-kernels-{}", std::process::id()));
        fs::create_dir_all(&folder).unwrap();
        for release in [
            "6.1.0-9-cloud-amd64",
            "6.1.0-37-cloud-amd64",
            "6.12.38-cloud-amd64",
        ] {
            fs::write(folder.join(format!("vmlinuz-{release}")), "").unwrap();
        }
        let newest = newest_cached(&folder, "6.1");
        let none = newest_cached(&folder, "5.10");
        fs::remove_dir_all(&folder).unwrap();
        assert_eq!(newest.unwrap().release, "6.1.0-37-cloud-amd64");
        assert!(none.is_none());
    }
}
