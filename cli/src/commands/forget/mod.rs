//! `chronos forget`: applies the retention rules, and says why each snapshot stays or goes.

mod policy;

use chronos_snapshot::Snapshot;
use chronos_snapshot::retention::{Choice, PolicySet, Row, Timing, Trigger, plan};
use clap::Args;
use jiff::Timestamp;
use jiff::tz::TimeZone;
use serde::Serialize;

use crate::commands::catalog::{Catalog, canonical};
use crate::commands::marks::forget;
use crate::context::App;
use crate::error::{Exit, Failure};
use crate::output::table::{Table, local_time};
pub(crate) use policy::Keep;

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

/// One snapshot of the JSON document.
#[derive(Debug, Serialize)]
pub(crate) struct Decision {
    backup_id: String,
    snapshot: String,
    created_at: String,
    reasons: Vec<String>,
}

impl Decision {
    /// The snapshot's name.
    pub(crate) fn backup_id(&self) -> &str {
        &self.backup_id
    }
}

/// The JSON document.
#[derive(Debug, Serialize)]
pub(crate) struct Forgotten {
    pub(crate) dry_run: bool,
    pub(crate) kept: Vec<Decision>,
    pub(crate) removed: Vec<Decision>,
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

/// What was decided over a snapshot.
struct Decided<'a> {
    snapshot: &'a Snapshot,
    keep: bool,
    decision: Decision,
}

/// Decides over all snapshots, says so, and forgets what goes.
pub(crate) fn apply(
    app: &App,
    catalog: &Catalog,
    keep: &Keep,
    scope: &Scope,
    dry_run: bool,
) -> Result<Forgotten, Failure> {
    let targets: Vec<String> = scope.targets.iter().map(|t| canonical(app, t)).collect::<Result<_, _>>()?;
    let decided = decide(app, catalog, &keep.policies(app)?, &targets, Trigger::Person)?;
    if !dry_run {
        forget_all(catalog, &decided)?;
    }
    let mut table = Table::new(&["", "BACKUP ID", "TIME", "WHY"]);
    for Decided { keep, decision, .. } in &decided {
        let word = match (keep, dry_run) {
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
    let (kept, removed): (Vec<_>, Vec<_>) = decided.into_iter().partition(|d| d.keep);
    let verb = if dry_run { "would be removed" } else { "removed" };
    app.output.summary(format!("{} kept, {} {verb}", kept.len(), removed.len()))?;
    let decisions = |all: Vec<Decided<'_>>| all.into_iter().map(|d| d.decision).collect();
    Ok(Forgotten { dry_run, kept: decisions(kept), removed: decisions(removed) })
}

/// Applies the configured rules to one target, as after a backup, and says what went.
pub(crate) fn limit(app: &App, catalog: &Catalog, target: &str) -> Result<Vec<Decision>, Failure> {
    let policies = Keep::default().policies(app)?;
    let decided = decide(app, catalog, &policies, &[target.to_owned()], Trigger::Schedule)?;
    forget_all(catalog, &decided)?;
    Ok(decided.into_iter().filter(|d| !d.keep).map(|d| d.decision).collect())
}

fn forget_all(catalog: &Catalog, decided: &[Decided<'_>]) -> Result<(), Failure> {
    let going: Vec<Snapshot> = decided.iter().filter(|d| !d.keep).map(|d| d.snapshot.clone()).collect();
    forget(&catalog.repository, &going)
}

fn decide<'a>(
    app: &App,
    catalog: &'a Catalog,
    policies: &PolicySet,
    targets: &[String],
    trigger: Trigger,
) -> Result<Vec<Decided<'a>>, Failure> {
    let is_meant = |s: &&Snapshot| targets.is_empty() || targets.contains(&s.manifest.target);
    let chosen: Vec<&Snapshot> = catalog.snapshots.iter().filter(is_meant).collect();
    let rows: Vec<Row> = chosen.iter().map(|s| Row::of(s)).collect();
    let now = Timestamp::from_nanosecond(app.env.clock.now())
        .map_err(|e| Failure::new(Exit::Failed, format!("the clock: {e}")))?;
    let timing = Timing { now, zone: TimeZone::system(), trigger };
    let decided = plan(&rows, policies, &timing).choices.into_iter().filter_map(|choice| {
        let snapshot = *chosen.get(choice.index)?;
        Some(Decided { snapshot, keep: choice.keep, decision: decision(snapshot, &choice) })
    });
    let mut decided: Vec<Decided<'_>> = decided.collect();
    decided.sort_by_key(|d| d.snapshot.taken_at());
    for target in targets.iter().filter(|t| decided.iter().all(|d| d.snapshot.manifest.target != **t)) {
        app.output.warning(format!("there is no snapshot of target {target}"));
    }
    Ok(decided)
}

fn decision(snapshot: &Snapshot, choice: &Choice) -> Decision {
    Decision {
        backup_id: snapshot.manifest.backup_id.clone(),
        snapshot: snapshot.id.to_string(),
        created_at: snapshot.manifest.created_at.clone(),
        reasons: choice.reasons.iter().map(ToString::to_string).collect(),
    }
}
