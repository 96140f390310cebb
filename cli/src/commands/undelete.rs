//! `chronos undelete`: brings forgotten snapshots back.

use chronos_snapshot::resolve;
use chronos_store::Change;
use clap::Args;
use serde::Serialize;

use crate::commands::catalog::Catalog;
use crate::commands::marks::{Named, Which};
use crate::context::App;
use crate::error::{Exit, Failure};

/// Bring deleted snapshots back
///
/// Possible until a prune has purged them. `chronos snapshots --deleted` lists them.
#[derive(Debug, Args)]
pub(crate) struct Undelete {
    #[command(flatten)]
    which: Which,
}

/// The JSON document.
#[derive(Serialize)]
struct Document {
    undeleted: Vec<Named>,
    dry_run: bool,
}

impl Undelete {
    /// Runs the command.
    pub(crate) fn run(&self, app: &App) -> Result<Exit, Failure> {
        let catalog = Catalog::open(app)?;
        let trash = catalog.trash()?;
        let mut chosen = Vec::new();
        for name in &self.which.snapshots {
            let found = resolve(&trash, name).map_err(|e| {
                let failure = Failure::from(e);
                if resolve(&catalog.snapshots, name).is_ok() {
                    return Failure::new(Exit::Failed, format!("{name} is not deleted"));
                }
                failure.hint("`chronos snapshots --deleted` lists what can be brought back")
            })?;
            chosen.push(found.snapshot);
        }
        if !self.which.dry_run {
            let snapshots: Vec<_> = chosen.iter().map(|s| s.session.clone()).collect();
            catalog.repository.change(&|_| Ok(Some(Change::Undelete { snapshots: snapshots.clone() })))?;
        }
        for snapshot in &chosen {
            let verb = if self.which.dry_run { "would be" } else { "is" };
            app.output.summary(format!("{} {verb} back", snapshot.manifest.backup_id))?;
        }
        app.output.document(&Document {
            undeleted: chosen.iter().map(Named::from).collect(),
            dry_run: self.which.dry_run,
        })?;
        Ok(catalog.exit())
    }
}
