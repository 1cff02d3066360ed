//! The files that are made from the declarations in the code:
//! `cargo xtask generate` writes them, and this test fails if they are stale.

#![expect(
    clippy::unwrap_used,
    reason = "a test fails by panicking, also where a function of its own does it"
)]

use std::{env, fs, path::Path};

use collector::metric::{
    SCHEMAS,
    schema::{proto, reference},
};

/// Set by `cargo xtask generate`.
const WRITE: &str = "COLLECTOR_WRITE_GENERATED";

/// Compares a file, relative to the workspace, with what it should be.
fn check(path: &str, content: &str, compatible: impl Fn(&str) -> Vec<String>) {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("..").join(path);
    let committed = fs::read_to_string(&path).unwrap_or_default();
    let problems = compatible(&committed);
    assert!(problems.is_empty(), "{}: {problems:#?}", path.display());
    if env::var_os(WRITE).is_some() {
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        return fs::write(&path, content).unwrap();
    }
    assert!(
        committed == content,
        "{} is stale: run `cargo xtask generate`",
        path.display()
    );
}

#[test]
fn the_reference_is_what_the_code_declares() {
    check("docs/metrics.md", &reference::render(SCHEMAS), |_| {
        Vec::new()
    });
}

/// A field is never renamed and its number never reused.
#[test]
fn the_protobuf_messages_are_what_the_code_declares() {
    let text = proto::render(SCHEMAS);
    let path = "collector-user/proto/collector/v1/metrics.proto";
    check(path, &text, |committed| {
        proto::incompatibilities(committed, &text)
    });
}
