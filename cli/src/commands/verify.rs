//! `chronos verify`: reads back all that some snapshots need.

use chronos_server::operations::verify::{Kept, Verified, verify};
use chronos_snapshot::Depth;
use chronos_store::Verdict;
use clap::Args;

use crate::commands::catalog::Catalog;
use crate::context::App;
use crate::error::{Exit, Failure};
use crate::output::table::size;

/// Read back and check everything that snapshots need
///
/// The outcome is kept with the snapshot: it becomes verified, corrupted or missing.
#[derive(Debug, Args)]
pub(crate) struct Verify {
    /// Snapshots
    #[arg(value_name = "SNAP", required = true)]
    snapshots: Vec<String>,

    /// Only look whether everything is there; the outcome is kept only if something is missing
    #[arg(long)]
    quick: bool,
}

impl Verify {
    /// Runs the command.
    pub(crate) fn run(&self, app: &App) -> Result<Exit, Failure> {
        let catalog = Catalog::open(app)?;
        let mut exit = catalog.exit();
        let mut answers = Vec::new();
        for snapshot in catalog.resolve_all(app, &self.snapshots)? {
            let depth = if self.quick { Depth::Presence } else { Depth::Everything };
            let verified = verify(app.workplace()?, &catalog, &snapshot, depth)?;
            app.output.finish();
            show(app, &verified)?;
            if !verified.valid {
                exit = exit.worst(Exit::Damage);
            }
            answers.push(verified);
        }
        if answers.iter().any(|a| !a.valid) {
            app.output.note(
                "Nothing was deleted. `chronos backup` stores anew what still exists; then `chronos repair packs`.",
            );
        }
        app.output.document(&answers)?;
        Ok(exit)
    }
}

fn show(app: &App, verified: &Verified) -> Result<(), Failure> {
    if verified.kept == Kept::ReadOnly {
        app.output.note("The repository is read-only: the outcome is not kept in it.");
    }
    let id = &verified.backup_id;
    match verified.verdict {
        Verdict::Verified => app.output.summary(format!(
            "{id} is good: {} chunks, {} read and checked",
            verified.chunks,
            size(verified.bytes_read)
        )),
        bad => {
            for finding in &verified.errors {
                app.output.warning(format!("{}: {}", finding.object, finding.problem));
            }
            let what = if bad == Verdict::Missing { "is missing" } else { "is damaged" };
            app.output.line(format!("{id}: part of it {what}; the rest can be restored"))
        }
    }
}
