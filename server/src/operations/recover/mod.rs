//! Everything back, in the fixed order: config, event bus, databases, files, the n8n of control, production and development, agents.
//!
//! What always holds: each step is one restore with its own safety snapshot and its own row in the history, and is confirmed by the
//! health check of its target before the next; what cannot be brought back is named and keeps nothing else from coming back, but what
//! belongs to the same target and comes later; a recovery that broke off can be taken up again where it ended.

mod choose;
mod confirm;
mod order;
mod rebuild;
mod report;

use std::collections::BTreeSet;
use std::time::Instant;

use chronos_store::{Repository, check_cancelled};
use jiff::Timestamp;
use serde::Deserialize;
use serde_json::json;

use crate::catalog::{Catalog, target_name};
use crate::error::{Error, Result};
use crate::events::ended;
use crate::operations::Mode;
use crate::operations::recover::choose::Moment;
use crate::operations::recover::confirm::confirm;
use crate::operations::restore::{ALL, About, Call, RestoreRequest, restore, settle};
use crate::state::{RollbackFilter, RollbackStatus, RollbackType, State};
use crate::workplace::Workplace;

pub use order::Phase;
pub use rebuild::{RebuildRequest, rebuild};
pub use report::{Recovery, StepReport, StepState};

/// What is asked for.
#[derive(Clone, Debug, Default)]
pub struct RecoverRequest {
    /// A snapshot, a run, or `latest`.
    pub backup: String,
    /// Only these targets, components or sources; empty: everything that is configured.
    pub components: Vec<String>,
    /// A recovery that broke off: what it brought back stays, and the rest comes from the same snapshots.
    pub resume: Option<String>,
    /// Whether anything is done.
    pub mode: Mode,
    /// What kind of call it is, for the history.
    pub kind: RollbackType,
    /// Whether it is done also where no snapshot of what is there can be made first.
    pub force: bool,
}

/// Recovers, or says what that would do.
///
/// # Errors
/// What cannot be begun: unknown names, no snapshot at all, another recovery that goes on; [`Error::NotRestored`] if nothing is back.
pub fn recover(workplace: &Workplace, repository: &Repository, request: &RecoverRequest) -> Result<Recovery> {
    let began = Instant::now();
    if !request.mode.is_dry() {
        settle(workplace)?;
    }
    let mut recovery = planned(workplace, repository, request)?;
    if request.mode.is_dry() {
        let steps = std::mem::take(&mut recovery.steps);
        recovery.steps = steps.into_iter().map(|step| dry(workplace, repository, request, step)).collect();
        recovery.message = format!(
            "would recover {} steps; nothing was changed",
            recovery.steps.iter().filter(|s| !s.is_back()).count()
        );
        "planned".clone_into(&mut recovery.status);
        return Ok(recovery);
    }
    let id = repository.id().to_string();
    let about = About {
        repository: &id,
        kind: request.kind,
        target: ALL,
        source: Some(&recovery.backup_id),
        undoes: None,
    };
    let call = Call::begin(workplace, &about, &mut recovery.warnings)?;
    recovery.rollback_id = Some(call.id.clone());
    let went = carry_out(workplace, repository, request, &call, &mut recovery);
    recovery.duration_ms = millis(began);
    recovery.sum_up();
    let status = match &*recovery.status {
        _ if went.is_err() => RollbackStatus::Interrupted,
        "completed" => RollbackStatus::Completed,
        "partial" => RollbackStatus::Partial,
        _ => RollbackStatus::Failed,
    };
    let why = (status != RollbackStatus::Completed).then(|| recovery.message.clone());
    let count = |is: fn(&StepReport) -> bool| recovery.steps.iter().filter(|step| is(step)).count();
    let details = json!({
        "rollback_id": call.id, "backup_id": recovery.backup_id,
        "restored_count": count(StepReport::is_back), "error_count": count(|step| !step.is_back()),
    });
    let action = if status == RollbackStatus::Failed { "restore_failed" } else { "restore_completed" };
    let event = ended(&workplace.env, action, ALL, (status, why.as_deref()), details);
    call.ended((status, why.as_deref()), &recovery, &event);
    went?;
    if status == RollbackStatus::Failed {
        let cause = Box::new(Error::StepFailed(recovery.message.clone()));
        // Texts, numbers and lists can always be written.
        let report = serde_json::to_value(&recovery).unwrap_or_default();
        return Err(Error::NotRestored { rollback_id: call.id.clone(), report, cause });
    }
    Ok(recovery)
}

/// What is to be done, step by step; nothing is looked at yet but the repository.
fn planned(workplace: &Workplace, repository: &Repository, request: &RecoverRequest) -> Result<Recovery> {
    let config = &workplace.config;
    if config.targets.is_empty() {
        return Err(Error::NoTargets);
    }
    let catalog = Catalog::new(config, repository.clone())?;
    let earlier = request.resume.as_deref().map(|id| Earlier::find(workplace, repository, id)).transpose()?;
    let backup = earlier.as_ref().map_or(&request.backup, |earlier| &earlier.backup_id);
    let mut moment = Moment::of(&catalog, backup)?;
    if let Some(earlier) = &earlier {
        let began = Timestamp::from_nanosecond(i128::from(earlier.began)).ok();
        moment.until = moment.until.or(began);
    }
    let names = request.components.iter().filter(|name| *name != ALL && *name != "full");
    let names: Vec<(String, String)> = names.map(|n| (n.clone(), target_name(config, n))).collect();
    let wanted = choose::named(order::all(config), &names)?;
    let (mut steps, missing) = choose::steps(&catalog, &moment, wanted);
    choose::check(&steps, &missing)?;
    if let Some(earlier) = &earlier {
        for step in &mut steps {
            if earlier.has(step) {
                step.status = StepState::Resumed;
            }
        }
    }
    Ok(Recovery {
        backup_id: backup.clone(),
        moment: moment.until.map(|until| until.to_string()),
        resumes: request.resume.clone(),
        steps,
        missing,
        warnings: moment.note.into_iter().collect(),
        ..Recovery::default()
    })
}

/// What one step would do.
fn dry(
    workplace: &Workplace,
    repository: &Repository,
    request: &RecoverRequest,
    mut step: StepReport,
) -> StepReport {
    if step.is_back() {
        return step;
    }
    match restore(workplace, repository, &asked(request, &step, None)) {
        Ok(restored) => step.restored = Some(restored),
        Err(error) => step.error = Some(error.to_string()),
    }
    step
}

fn asked(request: &RecoverRequest, step: &StepReport, part_of: Option<&str>) -> RestoreRequest {
    RestoreRequest {
        backup: step.backup_id.clone(),
        components: step.sources.clone(),
        target: Some(step.target.clone()),
        mode: request.mode,
        kind: request.kind,
        force: request.force,
        part_of: part_of.map(str::to_owned),
        ..RestoreRequest::default()
    }
}

/// One step after the other; how far it has come is noted after each.
fn carry_out(
    workplace: &Workplace,
    repository: &Repository,
    request: &RecoverRequest,
    call: &Call<'_>,
    recovery: &mut Recovery,
) -> Result<()> {
    let mut broken: BTreeSet<String> = BTreeSet::new();
    for at in 0..recovery.steps.len() {
        check_cancelled(&*workplace.monitor)?;
        let Some(step) = recovery.steps.get_mut(at).filter(|step| !step.is_back()) else { continue };
        if broken.contains(&step.target) {
            step.error = Some(format!("an earlier step of {} is not back", step.target));
            continue;
        }
        let began = Instant::now();
        one(workplace, repository, request, call, step);
        step.duration_ms = millis(began);
        if !step.is_back() {
            broken.insert(step.target.clone());
        }
        if let Err(error) = call.note(&*recovery) {
            recovery.warnings.push(format!("how far it has come could not be noted: {error}"));
        }
    }
    Ok(())
}

fn one(
    workplace: &Workplace,
    repository: &Repository,
    request: &RecoverRequest,
    call: &Call<'_>,
    step: &mut StepReport,
) {
    let restored = match restore(workplace, repository, &asked(request, step, Some(&call.id))) {
        Ok(restored) => restored,
        Err(error) => {
            step.status = StepState::Failed;
            if let Error::NotRestored { rollback_id, .. } = &error {
                step.rollback_id = Some(rollback_id.clone());
            }
            step.error = Some(error.to_string());
            return;
        }
    };
    step.rollback_id.clone_from(&restored.rollback_id);
    step.pre_rollback_backup.clone_from(&restored.pre_rollback_backup);
    let is_whole = restored.status == "completed";
    step.error = (!is_whole).then(|| restored.message.clone());
    step.status = if is_whole { StepState::Completed } else { StepState::Partial };
    step.restored = Some(restored);
    confirm(workplace, step);
}

fn millis(began: Instant) -> u64 {
    u64::try_from(began.elapsed().as_millis()).unwrap_or(u64::MAX)
}

/// A recovery that broke off.
struct Earlier {
    backup_id: String,
    began: i64,
    steps: Vec<EarlierStep>,
}

#[derive(Deserialize)]
struct EarlierStep {
    phase: String,
    target: String,
    sources: Vec<String>,
    backup_id: String,
    status: StepState,
}

#[derive(Deserialize)]
struct EarlierReport {
    steps: Vec<EarlierStep>,
}

impl Earlier {
    fn find(workplace: &Workplace, repository: &Repository, id: &str) -> Result<Self> {
        let unknown = || Error::UnknownRollback { rollback_id: id.to_owned() };
        let state = State::open(&workplace.places.state)?;
        let filter = RollbackFilter { rollback_id: Some(id), ..RollbackFilter::default() };
        let row = state.rollbacks(&filter, 1)?.into_iter().next().ok_or_else(unknown)?;
        let wrong = |why: &str| Error::Value { place: "resume".to_owned(), why: format!("{id} {why}") };
        let kinds = [RollbackType::Recover, RollbackType::Rebuild, RollbackType::Emergency];
        let is_one = row.target == ALL && kinds.iter().any(|kind| kind.word() == row.rollback_type);
        if !is_one || row.repository != repository.id().to_string() {
            return Err(wrong("is no recovery from this repository"));
        }
        if row.status == RollbackStatus::Running {
            return Err(wrong("goes on"));
        }
        // One that ended before its first step has no report.
        let report =
            state.report(row.number)?.and_then(|text| serde_json::from_str::<EarlierReport>(&text).ok());
        Ok(Self {
            backup_id: row.source_backup_id.ok_or_else(|| wrong("does not say what it recovered from"))?,
            began: row.created_at,
            steps: report.map(|report| report.steps).unwrap_or_default(),
        })
    }

    /// Whether it brought a step back.
    fn has(&self, step: &StepReport) -> bool {
        let phase = serde_json::to_value(step.phase).unwrap_or_default();
        self.steps.iter().any(|earlier| {
            matches!(earlier.status, StepState::Completed | StepState::Resumed)
                && phase == *earlier.phase
                && earlier.target == step.target
                && earlier.sources == step.sources
                && earlier.backup_id == step.backup_id
        })
    }
}
