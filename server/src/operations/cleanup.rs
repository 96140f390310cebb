//! Cleaning up: retention decides what stays and says why, then the space of what no snapshot needs is given back.

use chronos_snapshot::Snapshot;
use chronos_snapshot::retention::{Choice, PolicySet, Row, Timing, Trigger, plan};
use chronos_store::{PruneOptions, PruneReport};
use jiff::Timestamp;
use jiff::tz::TimeZone;
use serde::Serialize;
use utoipa::ToSchema;

use crate::catalog::{Catalog, target_name};
use crate::error::{Error, Result};
use crate::operations::{Mode, marks, prune};
use crate::retention::configured;
use crate::workplace::Workplace;

/// Which snapshots are decided about, and by which rules.
#[derive(Clone, Debug)]
pub struct ForgetRequest {
    /// Of these targets, or of those that have these aliases; empty: of all.
    pub targets: Vec<String>,
    /// Rules that replace the configured ones.
    pub policies: Option<PolicySet>,
    /// Who asked: a person, or a schedule, which trusts clocks less.
    pub trigger: Trigger,
    /// Whether anything is written.
    pub mode: Mode,
}

impl Default for ForgetRequest {
    fn default() -> Self {
        Self { targets: Vec::new(), policies: None, trigger: Trigger::Person, mode: Mode::Apply }
    }
}

/// What was decided over one snapshot.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, ToSchema)]
pub struct Decision {
    /// Its name.
    pub backup_id: String,
    /// Its content id.
    pub snapshot: String,
    /// When it was taken.
    pub created_at: String,
    /// Why it stays or goes.
    pub reasons: Vec<String>,
    /// Whether it stays.
    #[serde(skip)]
    pub keep: bool,
}

/// What was decided.
#[derive(Clone, Debug, Default)]
pub struct Forgotten {
    /// About every snapshot, in the order of their times.
    pub decisions: Vec<Decision>,
    /// Targets that have no snapshot.
    pub without_snapshots: Vec<String>,
}

impl Forgotten {
    /// What stays and what goes.
    pub fn split(self) -> (Vec<Decision>, Vec<Decision>) {
        self.decisions.into_iter().partition(|d| d.keep)
    }
}

/// Applies the rules, and forgets what goes.
pub fn forget(workplace: &Workplace, catalog: &Catalog, request: &ForgetRequest) -> Result<Forgotten> {
    let policies = match &request.policies {
        Some(given) => given.clone(),
        None => configured(&workplace.config, &workplace.environment)?,
    };
    let targets: Vec<String> = request.targets.iter().map(|t| target_name(&workplace.config, t)).collect();
    let is_meant = |s: &&Snapshot| targets.is_empty() || targets.contains(&s.manifest.target);
    let chosen: Vec<&Snapshot> = catalog.snapshots.iter().filter(is_meant).collect();
    let rows: Vec<Row> = chosen.iter().map(|s| Row::of(s)).collect();
    let now =
        Timestamp::from_nanosecond(workplace.env.clock.now()).map_err(|e| Error::Clock(e.to_string()))?;
    let timing = Timing { now, zone: TimeZone::system(), trigger: request.trigger };
    let mut decided: Vec<(&Snapshot, Choice)> = plan(&rows, &policies, &timing)
        .choices
        .into_iter()
        .filter_map(|choice| Some((*chosen.get(choice.index)?, choice)))
        .collect();
    decided.sort_by_key(|(snapshot, _)| snapshot.taken_at());
    if !request.mode.is_dry() {
        let going: Vec<Snapshot> =
            decided.iter().filter(|(_, c)| !c.keep).map(|(s, _)| (*s).clone()).collect();
        marks::forget(&catalog.repository, &going)?;
    }
    let without_snapshots =
        targets.into_iter().filter(|t| decided.iter().all(|(s, _)| s.manifest.target != *t)).collect();
    Ok(Forgotten { decisions: decided.iter().map(|(s, c)| decision(s, c)).collect(), without_snapshots })
}

fn decision(snapshot: &Snapshot, choice: &Choice) -> Decision {
    Decision {
        backup_id: snapshot.manifest.backup_id.clone(),
        snapshot: snapshot.id.to_string(),
        created_at: snapshot.manifest.created_at.clone(),
        reasons: choice.reasons.iter().map(ToString::to_string).collect(),
        keep: choice.keep,
    }
}

/// What a cleanup did.
#[derive(Clone, Debug)]
pub struct Cleaned {
    /// What retention decided.
    pub forgotten: Forgotten,
    /// What was given back.
    pub pruned: PruneReport,
}

/// The answer of a cleanup.
#[derive(Clone, Debug, Serialize, ToSchema)]
pub struct CleanupReport {
    /// `completed`, or `planned` if nothing was done.
    status: &'static str,
    /// Whether nothing was done.
    dry_run: bool,
    /// The snapshots that went.
    deleted: Vec<String>,
    /// How many.
    count: usize,
    /// Bytes that were given back.
    freed_bytes: u64,
    /// Bytes that wait for a running session to end.
    pending_bytes: u64,
    /// What stayed, and why.
    kept: Vec<Decision>,
    /// What went, and why.
    removed: Vec<Decision>,
}

impl Cleaned {
    /// The snapshots that went.
    fn deleted(&self) -> Vec<String> {
        let decisions = self.forgotten.decisions.iter();
        decisions.filter(|d| !d.keep).map(|d| d.backup_id.clone()).collect()
    }

    /// The answer.
    pub fn report(self, is_dry: bool) -> CleanupReport {
        let (kept, removed) = self.forgotten.split();
        let deleted: Vec<String> = removed.iter().map(|d| d.backup_id.clone()).collect();
        CleanupReport {
            status: if is_dry { "planned" } else { "completed" },
            dry_run: is_dry,
            count: deleted.len(),
            deleted,
            freed_bytes: self.pruned.bytes_freed,
            pending_bytes: self.pruned.bytes_pending,
            kept,
            removed,
        }
    }
}

/// Applies retention, then gives the space back; between the hooks of that, and told.
pub fn cleanup(
    workplace: &Workplace,
    catalog: &Catalog,
    request: &ForgetRequest,
    options: &PruneOptions,
) -> Result<Cleaned> {
    let repository = &catalog.repository;
    let work = || {
        let forgotten = forget(workplace, catalog, request)?;
        let options = PruneOptions { dry_run: request.mode.is_dry(), ..options.clone() };
        Ok(Cleaned { forgotten, pruned: repository.prune(&options)? })
    };
    let told = |cleaned: &Cleaned| prune::outcome(&cleaned.deleted(), &cleaned.pruned);
    let about = (&*request.targets, request.mode);
    let cleaned = prune::hooked(workplace, repository, about, work, told, Error::to_string)?;
    if !request.mode.is_dry() {
        prune::tell(workplace, repository, &cleaned.deleted(), &cleaned.pruned);
    }
    Ok(cleaned)
}
