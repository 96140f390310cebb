//! `chronos delete`: forgets the snapshots that are named.

use chronos_server::operations::Named;
use chronos_server::operations::delete::delete;
use clap::Args;
use serde::Serialize;

use crate::commands::catalog::Catalog;
use crate::commands::marks::Which;
use crate::context::App;
use crate::error::{Exit, Failure};

/// Delete snapshots by name
///
/// They are hidden at once and can be brought back with `undelete` until the next prune, which gives their space back.
/// Held snapshots are refused.
#[derive(Debug, Args)]
pub(crate) struct Delete {
    #[command(flatten)]
    which: Which,
}

/// The JSON document.
#[derive(Serialize)]
struct Document {
    deleted: Vec<Named>,
    count: usize,
    dry_run: bool,
}

impl Delete {
    /// Runs the command.
    pub(crate) fn run(&self, app: &App) -> Result<Exit, Failure> {
        let catalog = Catalog::open(app)?;
        let chosen = catalog.resolve_all(app, &self.which.snapshots)?;
        delete(&catalog, &chosen, self.which.mode())?;
        for snapshot in &chosen {
            let verb = if self.which.dry_run { "would be deleted" } else { "is deleted" };
            app.output.summary(format!("{} {verb}: it was named", snapshot.manifest.backup_id))?;
        }
        if !self.which.dry_run {
            app.output.note("`chronos undelete` brings them back until the next `chronos prune`.");
        }
        app.output.document(&Document {
            deleted: chosen.iter().map(Named::from).collect(),
            count: chosen.len(),
            dry_run: self.which.dry_run,
        })?;
        Ok(catalog.exit())
    }
}
