//! `chronos drill`: restores snapshots for trial, and says whether they are proven.

use chronos_server::operations::backup::ALL;
use chronos_server::operations::drill::{Drilled, drill, drill_recovery, history, meant, tidy};
use chronos_server::state::DrillStatus;
use chronos_snapshot::printable;
use clap::Args;

use crate::commands::catalog::Catalog;
use crate::context::App;
use crate::error::{Exit, Failure};
use crate::output::table::{Table, duration, local_time};

/// Drills that are listed at most.
const LISTED: u32 = 100;

/// Restore snapshots into a scratch place and prove them there
///
/// Files are read back and compared, dumps are restored into a PostgreSQL of the drill's own, SQLite databases are checked, workflows are
/// read as n8n does. Nothing live is touched, but for a target that is marked for drills, and the scratch place is gone afterwards. A snapshot that passes counts as proven.
#[derive(Debug, Args)]
pub(crate) struct Drill {
    /// Targets, whose latest snapshots are meant, or snapshots; `all`: the whole recovery, in its order; without any the latest of every
    /// configured target
    #[arg(value_name = "TARGET|SNAP")]
    names: Vec<String>,

    /// Into this target, which is marked `drill_destination` in the configuration file: what it holds is written over, and no workflow
    /// becomes active there. Without it `drill_into` of the target says where, else it is a scratch place
    #[arg(long, value_name = "TARGET", requires = "names")]
    into: Option<String>,

    /// List the drills that this host remembers, newest first
    #[arg(long)]
    list: bool,
}

impl Drill {
    /// Runs the command.
    pub(crate) fn run(&self, app: &App) -> Result<Exit, Failure> {
        let workplace = app.workplace()?;
        let catalog = Catalog::open(app)?;
        if self.list {
            return self.list(app, &catalog);
        }
        tidy(workplace, &*app.output.monitor())?;
        let (whole, named): (Vec<String>, Vec<String>) =
            self.names.iter().cloned().partition(|name| name == ALL);
        let snapshots = if whole.is_empty() || !named.is_empty() {
            let chosen = meant(workplace, &catalog, &named)?;
            chosen.notes.iter().for_each(|note| app.output.warning(note));
            chosen.snapshots
        } else {
            Vec::new()
        };
        if self.into.is_some() && !whole.is_empty() {
            let why = "the whole recovery goes into scratch places: leave --into out";
            return Err(Failure::usage(why));
        }
        let mut exit = catalog.exit();
        let mut answers = Vec::new();
        let recovery = whole.first().map(|_| drill_recovery(workplace, &catalog));
        for drilled in recovery
            .into_iter()
            .chain(snapshots.iter().map(|s| drill(workplace, &catalog, s, self.into.as_deref())))
        {
            let drilled = drilled?;
            app.output.finish();
            exit = exit.worst(match drilled.status {
                DrillStatus::Passed => Exit::Done,
                DrillStatus::Partial | DrillStatus::Interrupted => Exit::Partial,
                DrillStatus::Failed => Exit::Damage,
            });
            show(app, &drilled)?;
            answers.push(drilled);
        }
        if answers.is_empty() {
            app.output.note("No target has a snapshot yet.");
        }
        app.output.document(&answers)?;
        Ok(exit)
    }

    fn list(&self, app: &App, catalog: &Catalog) -> Result<Exit, Failure> {
        let mut all = Vec::new();
        let targets: Vec<Option<&str>> = match &*self.names {
            [] => vec![None],
            named => named.iter().map(|name| Some(name.as_str())).collect(),
        };
        for target in targets {
            all.extend(history(app.workplace()?, &catalog.repository, (target, None), LISTED)?);
        }
        app.output.document(&all)?;
        let mut table =
            Table::new(&["BEGAN", "TARGET", "SNAPSHOT", "OUTCOME", "TOOK", "WHAT IS WRONG"]).right(&[4]);
        for drilled in &all {
            let wrong = drilled.errors.first().map(|why| printable(why.as_bytes()));
            table.row([
                drilled.began_at.as_deref().map(local_time).unwrap_or_default(),
                drilled.target.clone(),
                drilled.backup_id.clone(),
                drilled.status.word().to_owned(),
                duration(drilled.duration_ms),
                wrong.unwrap_or_default(),
            ]);
        }
        app.output.table(&table)?;
        Ok(catalog.exit())
    }
}

fn show(app: &App, drilled: &Drilled) -> Result<(), Failure> {
    for source in &drilled.sources {
        for fact in &source.proven {
            app.output.detail(format!("{}: {fact}", source.shown()));
        }
    }
    for why in &drilled.errors {
        app.output.warning(printable(why.as_bytes()));
    }
    let is_recovery = drilled.target == ALL;
    let id = if is_recovery { "the whole recovery" } else { &drilled.backup_id };
    let took = duration(drilled.duration_ms);
    match drilled.status {
        DrillStatus::Passed => {
            app.output.summary(format!("{id} is proven: everything was restored in {took}"))
        }
        DrillStatus::Partial => app
            .output
            .line(format!("{id} is not proven: some of it could not be tried here; what was tried holds")),
        DrillStatus::Interrupted => app.output.line(format!("{id} is not proven: the trial came to no end")),
        DrillStatus::Failed => app.output.line(format!("{id} is not proven: the trial failed after {took}")),
    }
}
