//! `chronos cleanup`: forget, then prune.

use chronos_server::operations::Mode;
use chronos_server::operations::cleanup::Decision;
use chronos_server::operations::prune::{hooked, outcome, tell};
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
        let (workplace, repository) = (app.workplace()?, &catalog.repository);
        let work = || {
            let forgotten = apply(app, &catalog, &self.keep, &self.scope, self.dry_run)?;
            let report = self.limits.prune(app, repository, self.dry_run)?;
            Ok((forgotten, report))
        };
        let (forgotten, report) = hooked(
            workplace,
            repository,
            (self.scope.targets(), Mode::dry(self.dry_run)),
            work,
            |(forgotten, report)| outcome(&forgotten.ids(), report),
            |failure: &Failure| failure.message.clone(),
        )?;
        let deleted = forgotten.ids();
        if !self.dry_run {
            tell(workplace, repository, &deleted, &report);
        }
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
