//! The machine's own apt sources.

use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Result, bail};

use crate::command;

/// An archive of the distribution.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Archive {
    /// The distribution itself, with its updates and backports.
    Main,
    /// The security updates.
    Security,
}

/// The archives that the machine uses.
#[derive(Debug, Default)]
pub(crate) struct Origin {
    main: Option<Entry>,
    security: Option<Entry>,
}

/// One archive, as the machine's sources have it.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Entry {
    uri: String,
    /// The keyring of its signatures.
    keyring: Option<String>,
}

impl Origin {
    /// The archives that this machine uses.
    ///
    /// # Errors
    /// When the machine has no apt, or no source of the distribution.
    pub(crate) fn of_this_machine() -> Result<Self> {
        if command::which("apt-get").is_none() {
            bail!("apt-get is not installed: this is neither Debian nor Ubuntu");
        }
        let codename = codename().unwrap_or_default();
        let mut origin = Self::default();
        for path in source_files() {
            let Ok(text) = fs::read_to_string(&path) else {
                continue;
            };
            if path.extension().is_some_and(|end| end == "sources") {
                origin.read_deb822(&text, &codename);
            } else {
                origin.read_lines(&text, &codename);
            }
        }
        if origin.main.is_none() {
            bail!("apt has no source of the distribution's own packages");
        }
        Ok(origin)
    }

    /// The line of `sources.list` for `suite`, if its archive is known.
    pub(crate) fn line(&self, archive: Archive, suite: &str) -> Option<String> {
        let entry = match archive {
            Archive::Main => self.main.as_ref()?,
            Archive::Security => self.security.as_ref()?,
        };
        let signed = entry
            .keyring
            .as_ref()
            .map(|path| format!("[signed-by={path}] "))
            .unwrap_or_default();
        Some(format!(
            "deb {signed}{} {suite} {}\n",
            entry.uri,
            components()
        ))
    }

    fn add(&mut self, suites: &[&str], codename: &str, entry: &Entry) {
        if suites.contains(&codename) {
            self.main.get_or_insert_with(|| entry.clone());
        }
        if suites.contains(&format!("{codename}-security").as_str()) {
            self.security.get_or_insert_with(|| entry.clone());
        }
    }

    /// Reads deb822 sources: `man 5 sources.list`.
    fn read_deb822(&mut self, text: &str, codename: &str) {
        for paragraph in text.split("\n\n") {
            let field = |name: &str| {
                paragraph.lines().find_map(|line| {
                    let (key, value) = line.split_once(':')?;
                    (key.eq_ignore_ascii_case(name)).then(|| value.trim())
                })
            };
            let words = |name: &str| -> Vec<&str> {
                field(name).unwrap_or_default().split_whitespace().collect()
            };
            let enabled = field("Enabled").is_none_or(|value| !value.eq_ignore_ascii_case("no"));
            if !enabled
                || !words("Types").contains(&"deb")
                || !words("Components").contains(&"main")
            {
                continue;
            }
            let Some(uri) = words("URIs").first().copied() else {
                continue;
            };
            let entry = Entry {
                uri: uri.to_owned(),
                // The field may hold the key itself; apt's default keyring is used then.
                keyring: field("Signed-By")
                    .filter(|value| value.starts_with('/'))
                    .map(str::to_owned),
            };
            self.add(&words("Suites"), codename, &entry);
        }
    }

    /// Reads one-line sources.
    fn read_lines(&mut self, text: &str, codename: &str) {
        for line in text.lines() {
            let Some(rest) = line.trim().strip_prefix("deb ") else {
                continue;
            };
            let (options, rest) = match rest.trim_start().strip_prefix('[') {
                Some(rest) => rest.split_once(']').unwrap_or(("", rest)),
                None => ("", rest),
            };
            let mut words = rest.split_whitespace();
            let (Some(uri), Some(suite)) = (words.next(), words.next()) else {
                continue;
            };
            if !words.any(|component| component == "main") {
                continue;
            }
            let keyring = options
                .split_whitespace()
                .find_map(|option| option.strip_prefix("signed-by="));
            let entry = Entry {
                uri: uri.to_owned(),
                keyring: keyring.map(str::to_owned),
            };
            self.add(&[suite], codename, &entry);
        }
    }
}

/// The suite of a line of `sources.list` written by [`Origin::line`].
pub(super) fn suite_of(line: &str) -> Option<&str> {
    line.split(" main").next()?.split_whitespace().last()
}

/// The codename of this machine's release: `VERSION_CODENAME` of os-release.
pub(crate) fn codename() -> Option<String> {
    os_release("VERSION_CODENAME")
}

/// The suites of this machine's release, with its updates and backports. Backports are
/// installed only on request: apt gives them a low priority.
pub(crate) fn own_suites() -> Vec<(Archive, String)> {
    let codename = codename().unwrap_or_default();
    vec![
        (Archive::Main, codename.clone()),
        (Archive::Main, format!("{codename}-updates")),
        (Archive::Main, format!("{codename}-backports")),
        (Archive::Security, format!("{codename}-security")),
    ]
}

/// Ubuntu has most packages of Debian's `main` in its `universe`.
fn components() -> &'static str {
    match os_release("ID").as_deref() {
        Some("ubuntu") => "main universe",
        _ => "main",
    }
}

/// A field of `/etc/os-release`.
pub(crate) fn os_release(name: &str) -> Option<String> {
    let text = fs::read_to_string("/etc/os-release").ok()?;
    text.lines().find_map(|line| {
        let (key, value) = line.split_once('=')?;
        (key == name).then(|| value.trim_matches('"').to_owned())
    })
}

fn source_files() -> Vec<PathBuf> {
    let mut files = vec![PathBuf::from("/etc/apt/sources.list")];
    if let Ok(entries) = fs::read_dir(Path::new("/etc/apt/sources.list.d")) {
        files.extend(entries.flatten().map(|entry| entry.path()).filter(|path| {
            path.extension()
                .is_some_and(|end| end == "list" || end == "sources")
        }));
    }
    files.sort();
    files
}

#[cfg(test)]
mod tests {
    use super::{Archive, Origin};

    #[test]
    fn deb822_sources_give_the_archive_and_its_keyring() {
        let mut origin = Origin::default();
        origin.read_deb822(
            "Types: deb\n# kept\nURIs: http://mirror.test/debian\nSuites: one one-updates\n\
             Components: main contrib\nSigned-By: /keys/a.gpg\n\n\
             Types: deb\nURIs: http://mirror.test/security\nSuites: one-security\n\
             Components: main\n\n\
             Types: deb\nURIs: http://other.test/x\nSuites: one\nComponents: main\n",
            "one",
        );
        assert_eq!(
            origin.line(Archive::Main, "two-backports").as_deref(),
            Some("deb [signed-by=/keys/a.gpg] http://mirror.test/debian two-backports main\n")
        );
        assert_eq!(
            origin.line(Archive::Security, "two-security").as_deref(),
            Some("deb http://mirror.test/security two-security main\n")
        );
    }

    #[test]
    fn one_line_sources_give_the_archive_and_its_keyring() {
        let mut origin = Origin::default();
        origin.read_lines(
            "# deb http://no.test/ one main\n\
             deb-src http://no.test/ one main\n\
             deb http://no.test/ one non-free\n\
             deb [arch=amd64 signed-by=/keys/b.gpg] http://mirror.test/debian one main\n",
            "one",
        );
        assert_eq!(
            origin.line(Archive::Main, "one").as_deref(),
            Some("deb [signed-by=/keys/b.gpg] http://mirror.test/debian one main\n")
        );
        assert_eq!(origin.line(Archive::Security, "one-security"), None);
    }
}
