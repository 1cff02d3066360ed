//! Files that are generated from the code.

use std::path::Path;

use anyhow::Result;

use crate::{command, suite, workspace};

/// Writes the files that follow from the declarations of the metrics.
///
/// These are docs/metrics.md and collector-user/proto/collector/v1/metrics.proto. Fails
/// if a field was renamed or its number reused.
#[derive(Debug, clap::Args)]
#[command(verbatim_doc_comment)]
pub(crate) struct Generate {}

impl Generate {
    /// # Errors
    /// When the code does not build, or a field changed its meaning.
    pub(crate) fn run() -> Result<()> {
        generate(workspace::root())
    }
}

/// The same in a copy of the workspace.
pub(crate) fn generate(workspace: &Path) -> Result<()> {
    command::run(suite::test_in(workspace, "generated")?.env("COLLECTOR_WRITE_GENERATED", "1"))
}
