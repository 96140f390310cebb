//! `chronos forget`: applies the retention rules, and says why each snapshot stays or goes.

mod keep;

use chronos_server::operations::Mode;
use chronos_server::operations::cleanup::{Decision, ForgetRequest, forget};
use clap::Args;
use serde::Serialize;

use crate::commands::catalog::Catalog;
use crate::context::App;
use crate::error::{Exit, Failure};
use crate::output::table::{Table, local_time};
pub(crate) use keep::Keep;

/// Remove snapshots by rules
///
/// Without --keep options the configured rules apply, else the built-in ones (hourly 24, daily 7 and 30 days, weekly 4
/// and 90 days, monthly 12, yearly all, pre-deploy 7 days, scheduled 30 days, manual, emergency and restore-point 180
/// days). Never removed: held snapshots, and the last good one of each target. What is forgotten can be brought back
/// with `undelete` until the next prune.
#[derive(Debug, Args)]
pub(crate) struct Forget {
    #[command(flatten)]
    scope: Scope,

    /// Only say what would be done
    #[arg(short = 'n', long)]
    dry_run: bool,

    #[command(flatten)]
    keep: Keep,
}

/// Which targets the rules are applied to.
#[derive(Clone, Debug, Default, Args)]
pub(crate) struct Scope {
    /// Only snapshots of this target; may be given several times
    #[arg(long = "target", value_name = "TARGET")]
    targets: Vec<String>,
}

impl Scope {
    /// The targets; none if all are meant.
    pub(crate) fn targets(&self) -> &[String] {
        &self.targets
    }
}

/// The JSON document.
#[derive(Debug, Serialize)]
pub(crate) struct Forgotten {
    pub(crate) dry_run: bool,
    pub(crate) kept: Vec<Decision>,
    pub(crate) removed: Vec<Decision>,
}

impl Forgotten {
    /// The snapshots that go.
    pub(crate) fn ids(&self) -> Vec<String> {
        self.removed.iter().map(|d| d.backup_id.clone()).collect()
    }
}

impl Forget {
    /// Runs the command.
    pub(crate) fn run(&self, app: &App) -> Result<Exit, Failure> {
        let catalog = Catalog::open(app)?;
        let forgotten = apply(app, &catalog, &self.keep, &self.scope, self.dry_run)?;
        app.output.document(&forgotten)?;
        if !self.dry_run && !forgotten.removed.is_empty() {
            app.output
                .note("`chronos undelete` brings them back until `chronos prune` gives their space back.");
        }
        Ok(catalog.exit())
    }
}

/// Decides over all snapshots, forgets what goes, and says so.
pub(crate) fn apply(
    app: &App,
    catalog: &Catalog,
    keep: &Keep,
    scope: &Scope,
    dry_run: bool,
) -> Result<Forgotten, Failure> {
    let request = ForgetRequest {
        targets: scope.targets.clone(),
        policies: keep.policies(),
        mode: Mode::dry(dry_run),
        ..ForgetRequest::default()
    };
    let forgotten = forget(app.workplace()?, catalog, &request)?;
    for target in &forgotten.without_snapshots {
        app.output.warning(format!("there is no snapshot of target {target}"));
    }
    let mut table = Table::new(&["", "BACKUP ID", "TIME", "WHY"]);
    for decision in &forgotten.decisions {
        let word = match (decision.keep, dry_run) {
            (true, _) => "keep",
            (false, false) => "remove",
            (false, true) => "would remove",
        };
        table.row([
            word.to_owned(),
            decision.backup_id.clone(),
            local_time(&decision.created_at),
            decision.reasons.join("; "),
        ]);
    }
    if !table.is_empty() {
        app.output.table(&table)?;
    }
    let (kept, removed) = forgotten.split();
    let verb = if dry_run { "would be removed" } else { "removed" };
    app.output.summary(format!("{} kept, {} {verb}", kept.len(), removed.len()))?;
    Ok(Forgotten { dry_run, kept, removed })
}
