//! `chronos cleanup`: forget, then prune.

use chronos_server::operations::cleanup::Decision;
use clap::Args;
use serde::Serialize;

use crate::commands::catalog::Catalog;
use crate::commands::forget::{Keep, Scope, apply};
use crate::commands::prune::{Limits, Pruned};
use crate::context::App;
use crate::error::{Exit, Failure};

/// Remove snapshots by rules, then give their space back: forget and prune
#[derive(Debug, Args)]
pub(crate) struct Cleanup {
    #[command(flatten)]
    scope: Scope,

    /// Only say what would be done
    #[arg(short = 'n', long)]
    dry_run: bool,

    #[command(flatten)]
    keep: Keep,

    #[command(flatten)]
    limits: Limits,
}

/// The JSON document.
#[derive(Serialize)]
struct Document<'a> {
    deleted: Vec<String>,
    count: usize,
    kept: Vec<Decision>,
    removed: Vec<Decision>,
    #[serde(flatten)]
    pruned: Pruned<'a>,
}

impl Cleanup {
    /// Runs the command.
    pub(crate) fn run(&self, app: &App) -> Result<Exit, Failure> {
        let catalog = Catalog::open(app)?;
        let forgotten = apply(app, &catalog, &self.keep, &self.scope, self.dry_run)?;
        let report = self.limits.prune(app, &catalog.repository, self.dry_run)?;
        let deleted: Vec<String> = forgotten.removed.iter().map(|d| d.backup_id.clone()).collect();
        app.output.document(&Document {
            count: deleted.len(),
            deleted,
            kept: forgotten.kept,
            removed: forgotten.removed,
            pruned: Pruned::new(&report, self.dry_run),
        })?;
        Ok(catalog.exit())
    }
}
