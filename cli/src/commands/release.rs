//! `chronos release`: ends a hold.

use clap::Args;
use serde::Serialize;

use crate::commands::catalog::Catalog;
use crate::commands::marks::{Named, set};
use crate::context::App;
use crate::error::{Exit, Failure};

/// Give held snapshots back to retention
#[derive(Debug, Args)]
pub(crate) struct Release {
    /// Snapshots
    #[arg(value_name = "SNAP", required = true)]
    snapshots: Vec<String>,

    /// Only say what would be done
    #[arg(short = 'n', long)]
    dry_run: bool,
}

/// The JSON document.
#[derive(Serialize)]
struct Document {
    released: Vec<Named>,
    dry_run: bool,
}

impl Release {
    /// Runs the command.
    pub(crate) fn run(&self, app: &App) -> Result<Exit, Failure> {
        let catalog = Catalog::open(app)?;
        let chosen = catalog.resolve_all(app, &self.snapshots)?;
        if !self.dry_run {
            set(&catalog.repository, &chosen, &|marks| marks.held = false)?;
        }
        for snapshot in &chosen {
            let id = &snapshot.manifest.backup_id;
            let verb = if self.dry_run { "would be" } else { "is" };
            app.output.summary(format!("{id} {verb} released: retention decides about it again"))?;
        }
        app.output.document(&Document {
            released: chosen.iter().map(Named::from).collect(),
            dry_run: self.dry_run,
        })?;
        Ok(catalog.exit())
    }
}
