//! The configured targets and how fresh they are.

use chronos_snapshot::Snapshot;
use jiff::Timestamp;
use serde::Serialize;

use crate::catalog::{Catalog, target_name};
use crate::config::{Config, TargetConfig};
use crate::error::{Error, Result};
use crate::operations::drill::Drilled;
use crate::operations::restore::ALL;
use crate::sources::{self, SourceState};
use crate::state::{DrillFilter, DrillStatus, Run, RunFilter, State};
use crate::workplace::Workplace;

/// A target.
#[derive(Clone, Debug, Serialize)]
pub struct TargetState {
    /// Its name.
    pub target: String,
    /// Its other names.
    pub aliases: Vec<String>,
    /// What belongs to it.
    pub sources: Vec<SourceState>,
    /// Snapshots that there are.
    pub snapshots: usize,
    /// The newest that is good, takes the whole target and is not of the time before a rollback.
    pub last_good: Option<LastGood>,
    /// The last run on this host, as its history tells it.
    pub last_run: Option<LastRun>,
    /// The snapshot that was proven last by a drill.
    pub last_proven: Option<LastProven>,
    /// The last drill on this host, as its history tells it.
    pub last_drill: Option<LastDrill>,
}

/// The snapshot that was proven last.
#[derive(Clone, Debug, Serialize)]
pub struct LastProven {
    /// Its name.
    pub backup_id: String,
    /// When it was restored for trial.
    pub proven_at: String,
    /// How long ago.
    pub age_seconds: u64,
}

/// The name of a target of which rows are asked for: one that is configured, or that something which this host has done was about.
///
/// # Errors
/// [`Error::UnknownTarget`]; those of the state.
pub(crate) fn known_target(config: &Config, state: &State, name: &str) -> Result<String> {
    let target = target_name(config, name);
    let is_known = config.target(name).is_some() || name == ALL || state.knows_target(&target)?;
    if is_known { Ok(target) } else { Err(Error::UnknownTarget { target }) }
}

/// Drills that are looked at for the last one that came to its end.
const LOOKED_MAX: u32 = 20;

/// The last drill of a target on this host.
#[derive(Clone, Debug, Serialize)]
pub struct LastDrill {
    /// The snapshot.
    pub backup_id: String,
    /// What came of it.
    pub status: DrillStatus,
    /// When it began.
    pub began_at: Option<String>,
    /// How long it took: the measured recovery time.
    pub duration_ms: u64,
    /// What does not hold.
    pub error: Option<String>,
}

/// The newest good snapshot.
#[derive(Clone, Debug, Serialize)]
pub struct LastGood {
    /// Its name.
    pub backup_id: String,
    /// Its content id.
    pub snapshot: String,
    /// When it was taken.
    pub created_at: String,
    /// How long ago; 0 if its time is yet to come.
    pub age_seconds: u64,
}

/// The last run of a target on this host.
#[derive(Clone, Debug, Serialize)]
pub struct LastRun {
    /// The name that its snapshot has, or would have had.
    pub backup_id: Option<String>,
    /// How it stands.
    pub status: &'static str,
    /// When it began.
    pub began: String,
    /// Why it failed, or what was missing.
    pub error: Option<String>,
}

/// Looks at every configured target; without a catalogue there are no snapshots yet.
pub fn targets(workplace: &Workplace, catalog: Option<&Catalog>) -> Result<Vec<TargetState>> {
    let now =
        Timestamp::from_nanosecond(workplace.env.clock.now()).map_err(|e| Error::Clock(e.to_string()))?;
    let history = History::open(workplace, catalog);
    let none = Vec::new();
    let snapshots = catalog.map_or(&none, |c| &c.snapshots);
    Ok(workplace.config.targets.iter().map(|target| state(target, snapshots, &history, now)).collect())
}

/// How the recovery of everything was tried.
#[derive(Clone, Debug, Default, Serialize)]
pub struct RecoveryState {
    /// When it was proven last.
    pub last_proven: Option<LastProven>,
    /// Its last drill on this host.
    pub last_drill: Option<LastDrill>,
}

/// Looks at the drills of the whole recovery.
pub fn recovery(workplace: &Workplace, catalog: Option<&Catalog>) -> Result<RecoveryState> {
    let now =
        Timestamp::from_nanosecond(workplace.env.clock.now()).map_err(|e| Error::Clock(e.to_string()))?;
    let history = History::open(workplace, catalog);
    let passed = history.drills(ALL, Some(DrillStatus::Passed)).into_iter().find_map(|drilled| {
        let time: Timestamp = drilled.proven_at.as_deref()?.parse().ok()?;
        Some(proven(drilled.backup_id, time, now))
    });
    Ok(RecoveryState { last_proven: passed, last_drill: history.last_drill(ALL) })
}

fn state(target: &TargetConfig, all: &[Snapshot], history: &History<'_>, now: Timestamp) -> TargetState {
    let own = || all.iter().filter(|s| s.manifest.target == target.name);
    let good = own().filter(|s| s.is_latest_candidate()).max_by_key(|s| s.taken_at());
    TargetState {
        target: target.name.clone(),
        aliases: target.aliases.clone(),
        sources: sources::described(target),
        snapshots: own().count(),
        last_good: good.map(|s| LastGood {
            backup_id: s.manifest.backup_id.clone(),
            snapshot: s.id.to_string(),
            created_at: s.manifest.created_at.clone(),
            age_seconds: u64::try_from(now.duration_since(s.taken_at()).as_secs()).unwrap_or(0),
        }),
        last_run: history.last(&target.name).map(last_run),
        last_proven: own()
            .filter_map(|s| last_proven(s, now))
            .max_by(|a, b| a.0.cmp(&b.0))
            .map(|found| found.1),
        last_drill: history.last_drill(&target.name),
    }
}

/// When a snapshot was proven, if it is.
fn last_proven(snapshot: &Snapshot, now: Timestamp) -> Option<(i64, LastProven)> {
    let at = snapshot.marks.proven_at?;
    let time = Timestamp::from_nanosecond(i128::from(at)).ok()?;
    Some((at, proven(snapshot.manifest.backup_id.clone(), time, now)))
}

fn proven(backup_id: String, at: Timestamp, now: Timestamp) -> LastProven {
    let age_seconds = u64::try_from(now.duration_since(at).as_secs()).unwrap_or(0);
    LastProven { backup_id, proven_at: at.to_string(), age_seconds }
}

fn last_run(run: Run) -> LastRun {
    let began = Timestamp::from_nanosecond(i128::from(run.began)).unwrap_or_default();
    LastRun {
        backup_id: run.backup_id,
        status: run.status.word(),
        began: began.to_string(),
        error: run.error,
    }
}

/// The history of one repository; told of and left out where it cannot be read.
struct History<'w> {
    workplace: &'w Workplace,
    state: Option<(State, String)>,
}

impl<'w> History<'w> {
    fn open(workplace: &'w Workplace, catalog: Option<&Catalog>) -> Self {
        let state = catalog.and_then(|catalog| {
            let state = State::open(&workplace.places.state).map_err(|e| untold(workplace, &e)).ok()?;
            Some((state, catalog.repository.id().to_string()))
        });
        Self { workplace, state }
    }

    fn last(&self, target: &str) -> Option<Run> {
        let (state, repository) = self.state.as_ref()?;
        let filter = RunFilter { repository: Some(repository), target: Some(target), ..RunFilter::default() };
        state.runs(&filter, 1).map_err(|e| untold(self.workplace, &e)).ok()?.pop()
    }
}

impl History<'_> {
    /// The newest drills of a target.
    fn drills(&self, target: &str, status: Option<DrillStatus>) -> Vec<Drilled> {
        let Some((state, repository)) = &self.state else { return Vec::new() };
        let filter = DrillFilter { repository: Some(repository), target: Some(target), status };
        let reports = state.drills(&filter, LOOKED_MAX).map_err(|e| untold(self.workplace, &e));
        // What a later version wrote in another way is left to it.
        let reports = reports.into_iter().flatten();
        reports.filter_map(|report| serde_json::from_str(&report).ok()).collect()
    }

    fn last_drill(&self, target: &str) -> Option<LastDrill> {
        // One that came to no end says nothing, and hides nothing.
        let mut drills = self.drills(target, None).into_iter();
        let drilled = drills.find(|drilled| drilled.status != DrillStatus::Interrupted)?;
        Some(LastDrill {
            backup_id: drilled.backup_id,
            status: drilled.status,
            began_at: drilled.began_at,
            duration_ms: drilled.duration_ms,
            error: drilled.errors.into_iter().next(),
        })
    }
}

fn untold(workplace: &Workplace, error: &Error) {
    workplace.monitor.problem(&format!("the history of runs cannot be read: {error}"));
}
