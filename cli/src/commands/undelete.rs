//! `chronos undelete`: brings forgotten snapshots back.

use chronos_server::operations::Named;
use chronos_server::operations::undelete::undelete;
use clap::Args;
use serde::Serialize;

use crate::commands::catalog::Catalog;
use crate::commands::marks::Which;
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
        let chosen = undelete(&catalog, &self.which.snapshots, self.which.mode())?;
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
