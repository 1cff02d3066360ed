//! `docs/metrics.md`, made from the catalog and from the doc comments of the
//! readings, so that it says what the code does.
//!
//! `UPDATE_REFERENCE=1 cargo test --package collector --test reference`
//! rewrites it.

#![expect(
    clippy::unwrap_used,
    reason = "a test fails by panicking, also where a function of its own does it"
)]

use std::{env, fmt::Write as _, fs, path::Path};

use collector::metric::{CATALOG, Kind};

/// Readings with a part that stands in a file of its own.
const PARTS: &[(&str, &str)] = &[
    ("process_stats", "other_processes"),
    ("process_stats", "cgroup"),
    ("process_stats", "container"),
    ("sched_latency", "preemption"),
];

/// Appends a table for each public structure of a source file.
fn tables(page: &mut String, file: &str) {
    let path = format!("{}/src/metric/{file}.rs", env!("CARGO_MANIFEST_DIR"));
    let mut doc = String::new();
    let (mut is_inside, mut is_skipped) = (false, false);
    for line in fs::read_to_string(path).unwrap().lines() {
        let line = line.trim();
        if let Some(text) = line.strip_prefix("///") {
            let separator = if doc.is_empty() || doc.ends_with(' ') {
                ""
            } else {
                " "
            };
            write!(doc, "{separator}{}", text.trim()).unwrap();
        } else if let Some(rest) = line.strip_prefix("pub struct ") {
            let name = rest.trim_end_matches([' ', '{']);
            write!(page, "\n### `{name}`\n\n{}\n\n", plain(&doc)).unwrap();
            page.push_str("| field | type | |\n|---|---|---|\n");
            is_inside = true;
            doc.clear();
        } else if line == "}" {
            is_inside = false;
            doc.clear();
        } else if is_inside && let Some(field) = line.strip_prefix("pub ") {
            let (name, kind) = field.trim_end_matches(',').split_once(": ").unwrap();
            if !std::mem::take(&mut is_skipped) {
                writeln!(page, "| `{name}` | `{kind}` | {} |", plain(&doc)).unwrap();
            }
            doc.clear();
        } else if line == "#[serde(skip)]" {
            is_skipped = true;
        } else if !line.starts_with("#[") {
            doc.clear();
        }
    }
}

/// A doc comment where there are no links to items, inside a table.
fn plain(doc: &str) -> String {
    doc.replace("[`", "`")
        .replace("`]", "`")
        .replace('|', "\\|")
}

fn render() -> String {
    let mut page = String::from(
        "# Metrics\n\n\
         Made from the code by `collector-user/tests/reference.rs`; do not edit it here.\n\n\
         `Option` is `null` in JSON where the kernel or the backend does not know. A suffix \
         is the unit: `_ns`, `_bytes`. `collector status` says which backend a host has.\n\n\
         | metric | tier | pace | kind | |\n|---|---|---|---|---|\n",
    );
    for metric in CATALOG {
        let (kind, pace) = match metric.kind {
            Kind::State => {
                let seconds = metric.tier.default_interval().as_secs();
                ("state", format!("{seconds} s"))
            }
            Kind::Event => ("event", "as it happens".to_owned()),
        };
        writeln!(
            page,
            "| [`{0}`](#{0}) | {1} | {pace} | {kind} | {2} |",
            metric.name,
            u8::from(metric.tier),
            metric.help
        )
        .unwrap();
    }
    for metric in CATALOG {
        write!(page, "\n## {}\n\n{}\n", metric.name, metric.help).unwrap();
        tables(&mut page, metric.name);
        for (_, part) in PARTS.iter().filter(|(name, _)| *name == metric.name) {
            tables(&mut page, part);
        }
    }
    page
}

#[test]
fn the_reference_says_what_the_code_does() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../docs/metrics.md");
    let page = render();
    if env::var_os("UPDATE_REFERENCE").is_some() {
        fs::write(&path, &page).unwrap();
    }
    let committed = fs::read_to_string(&path).unwrap_or_default();
    assert!(
        committed == page,
        "docs/metrics.md is not what the code says: set UPDATE_REFERENCE=1 and run this again"
    );
}
