//! `chronos targets`: the configured targets, what belongs to them, and how fresh they are.

use chronos_server::operations::targets::{TargetState, targets};
use chronos_server::workplace::exists;
use chronos_snapshot::printable;
use clap::Args;

use crate::commands::catalog::Catalog;
use crate::context::App;
use crate::error::{Exit, Failure};
use crate::output::table::{Table, age, local_time};

/// List the configured targets: their sources, and how old their last good snapshots are
#[derive(Debug, Args)]
pub(crate) struct Targets {}

impl Targets {
    /// Runs the command.
    pub(crate) fn run(app: &App) -> Result<Exit, Failure> {
        let workplace = app.workplace()?;
        // Before the first backup there are targets, and no repository.
        let catalog = if exists(&*workplace.backend()?)? { Some(Catalog::open(app)?) } else { None };
        let found = targets(workplace, catalog.as_deref())?;
        app.output.document(&found)?;
        if found.is_empty() {
            app.output.note("No target is configured; `chronos config init` writes a file to begin with.");
        } else {
            app.output.table(&table(&found))?;
        }
        Ok(catalog.map_or(Exit::Done, |c| c.exit()))
    }
}

fn table(found: &[TargetState]) -> Table {
    let mut table =
        Table::new(&["TARGET", "SOURCES", "SNAPSHOTS", "LAST GOOD", "AGE", "LAST RUN"]).right(&[2, 4]);
    for target in found {
        let sources: Vec<String> =
            target.sources.iter().map(|s| format!("{} ({})", s.name, s.kind)).collect();
        let good = target.last_good.as_ref();
        let run = target.last_run.as_ref().map(|run| match &run.error {
            Some(error) => format!("{}: {}", run.status, printable(error.as_bytes())),
            None => run.status.to_owned(),
        });
        table.row([
            target.target.clone(),
            sources.join(", "),
            target.snapshots.to_string(),
            good.map_or_else(|| "none".to_owned(), |g| local_time(&g.created_at)),
            good.map_or_else(String::new, |g| age(g.age_seconds)),
            run.unwrap_or_default(),
        ]);
    }
    table
}
