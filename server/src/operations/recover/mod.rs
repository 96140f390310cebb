//! Everything back, in the fixed order: config, event bus, databases, files, the n8n of control, production and development, agents.
//!
//! What always holds: each step is one restore with its own safety snapshot and its own row in the history, and once the last of
//! a target is back its health check confirms it; what cannot be brought back is named and keeps nothing else from coming back, but what
//! belongs to the same target and comes later; a recovery that broke off can be taken up again where it ended.

mod choose;
mod configuration;
mod confirm;
mod order;
mod rebuild;
mod report;

use std::collections::BTreeSet;
use std::time::Instant;

use chronos_store::{Repository, check_cancelled};
use serde_json::json;

use crate::catalog::{Catalog, target_name};
use crate::error::{Error, Result};
use crate::events::ended;
use crate::operations::Mode;
use crate::operations::recover::choose::Moment;
use crate::operations::recover::confirm::{confirm, wait_for_servers};
use crate::operations::restore::{ALL, About, Call, RestoreRequest, restore, settle};
use crate::state::{RollbackFilter, RollbackStatus, RollbackType, State};
use crate::workplace::Workplace;

pub(crate) use configuration::Configuration;
pub use order::Phase;
pub use rebuild::{RebuildRequest, rebuild};
pub use report::{Recovery, StepReport, StepState};

/// Calls of the history that are looked at for those that have taken one up.
const LOOKED_MAX: u32 = 1000;

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
    let mut recovery = match &request.resume {
        Some(id) => resumed(workplace, repository, request, id)?,
        None => planned(workplace, repository, request)?,
    };
    if request.mode.is_dry() {
        let steps = std::mem::take(&mut recovery.steps);
        recovery.steps = steps.into_iter().map(|step| dry(workplace, repository, request, step)).collect();
        "planned".clone_into(&mut recovery.status);
        recovery.sum_up();
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
    end(workplace, &call, recovery, went)
}

/// Notes how it ended, and gives what its caller is told.
fn end(workplace: &Workplace, call: &Call<'_>, recovery: Recovery, went: Result<()>) -> Result<Recovery> {
    let status = match &*recovery.status {
        _ if went.is_err() => RollbackStatus::Interrupted,
        "completed" => RollbackStatus::Completed,
        "partial" => RollbackStatus::Partial,
        _ => RollbackStatus::Failed,
    };
    let why = (status != RollbackStatus::Completed).then(|| recovery.message.clone());
    let back = recovery.steps.iter().filter(|step| step.is_back()).count();
    let details = json!({
        "rollback_id": call.id, "backup_id": recovery.backup_id,
        "restored_count": back, "error_count": recovery.steps.len() - back,
    });
    let is_back = matches!(status, RollbackStatus::Completed | RollbackStatus::Partial);
    let action = if is_back { "restore_completed" } else { "restore_failed" };
    let event = ended(&workplace.env, action, ALL, (status, why.as_deref()), details);
    call.ended((status, why.as_deref()), &recovery, &event);
    if is_back {
        return Ok(recovery);
    }
    let cause = match went {
        Err(error) => error,
        Ok(()) => Error::StepFailed(recovery.message.clone()),
    };
    // Texts, numbers and lists can always be written.
    let report = serde_json::to_value(&recovery).unwrap_or_default();
    Err(Error::NotRestored { rollback_id: call.id.clone(), report, cause: Box::new(cause) })
}

/// What is to be done, step by step; nothing is looked at yet but the repository.
fn planned(workplace: &Workplace, repository: &Repository, request: &RecoverRequest) -> Result<Recovery> {
    let config = &workplace.config;
    if config.targets.is_empty() {
        return Err(Error::NoTargets);
    }
    let catalog = Catalog::new(config, repository.clone())?;
    let moment = Moment::of(&catalog, &request.backup)?;
    let names = request.components.iter().filter(|name| *name != ALL && *name != "full");
    let names: Vec<(String, String)> = names.map(|n| (n.clone(), target_name(config, n))).collect();
    let wanted = choose::named(order::all(config), &names)?;
    let (steps, missing) = choose::steps(&catalog, &moment, wanted);
    choose::check(&steps, &missing)?;
    Ok(Recovery {
        backup_id: request.backup.clone(),
        components: request.components.clone(),
        moment: moment.until.map(|until| until.to_string()),
        steps,
        missing,
        warnings: moment.note.into_iter().collect(),
        ..Recovery::default()
    })
}

/// The steps by which everything would come back now, and what no good snapshot has.
///
/// # Errors
/// No target is configured, or nothing would come back.
pub(crate) fn steps(workplace: &Workplace, catalog: &Catalog) -> Result<(Vec<StepReport>, Vec<StepReport>)> {
    let config = &workplace.config;
    if config.targets.is_empty() {
        return Err(Error::NoTargets);
    }
    let (steps, missing) = choose::steps(catalog, &Moment::default(), order::all(config));
    choose::check(&steps, &missing)?;
    Ok((steps, missing))
}

/// What is left of a recovery that broke off, from the same snapshots.
fn resumed(
    workplace: &Workplace,
    repository: &Repository,
    request: &RecoverRequest,
    id: &str,
) -> Result<Recovery> {
    let wrong = |why: &str| Error::Value { place: "resume".to_owned(), why: format!("{id} {why}") };
    if !request.components.is_empty() {
        return Err(wrong("says itself what it is to bring back: leave the components out"));
    }
    let state = State::open(&workplace.places.state)?;
    let row = state.rollback(id)?.ok_or_else(|| Error::UnknownRollback { rollback_id: id.to_owned() })?;
    let kinds = [RollbackType::Recover, RollbackType::Rebuild, RollbackType::Emergency];
    let is_one = row.target == ALL && kinds.iter().any(|kind| kind.word() == row.rollback_type);
    if !is_one || row.repository != repository.id().to_string() {
        return Err(wrong("is no recovery from this repository"));
    }
    if row.status == RollbackStatus::Running {
        return Err(wrong("goes on"));
    }
    let since =
        state.rollbacks(&RollbackFilter { target: Some(ALL), ..RollbackFilter::default() }, LOOKED_MAX)?;
    for later in since.iter().filter(|later| later.number > row.number) {
        let report =
            state.report(later.number)?.and_then(|text| serde_json::from_str::<Recovery>(&text).ok());
        if report.is_some_and(|report| report.resumes.as_deref() == Some(id)) {
            return Err(wrong(&format!("was taken up by {}: resume that one", later.rollback_id)));
        }
    }
    let report = state.report(row.number)?;
    let earlier = report.and_then(|text| serde_json::from_str::<Recovery>(&text).ok());
    let earlier =
        earlier.ok_or_else(|| wrong("did not come to say what it was to bring back: recover anew"))?;
    Ok(Recovery {
        backup_id: earlier.backup_id,
        components: earlier.components,
        moment: earlier.moment,
        resumes: Some(id.to_owned()),
        steps: earlier.steps.into_iter().map(StepReport::resumed).collect(),
        missing: earlier.missing,
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
    if step.status != StepState::NotBegun {
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
        sources: Some(step.sources.clone()),
        target: Some(step.target.clone()),
        mode: request.mode,
        kind: request.kind,
        force: request.force,
        part_of: part_of.map(str::to_owned),
        ..RestoreRequest::default()
    }
}

/// One step after the other. What is to be done is noted before the first, and how far it has come after each restore and each
/// confirmation.
fn carry_out(
    workplace: &Workplace,
    repository: &Repository,
    request: &RecoverRequest,
    call: &Call<'_>,
    recovery: &mut Recovery,
) -> Result<()> {
    let mut broken: BTreeSet<String> = BTreeSet::new();
    note(call, recovery);
    for at in 0..recovery.steps.len() {
        check_cancelled(&*workplace.monitor)?;
        let later: Vec<(String, Phase)> = recovery
            .steps
            .iter()
            .skip(at + 1)
            .filter(|step| !step.is_back())
            .map(|s| (s.target.clone(), s.phase))
            .collect();
        let restarted = |step: &StepReport, of: &str| step.target == of && step.restarted.is_some();
        let target = recovery.steps.get(at).map(|step| step.target.clone()).unwrap_or_default();
        let is_starting = recovery.steps.iter().any(|step| restarted(step, &target));
        let Some(step) = recovery.steps.get_mut(at).filter(|step| !step.is_back()) else { continue };
        if broken.contains(&step.target) {
            step.error = Some(format!("an earlier step of {} is not back", step.target));
            continue;
        }
        let began = Instant::now();
        if step.status == StepState::NotBegun {
            if is_starting && step.phase.needs_a_server() {
                wait_for_servers(workplace, step);
            }
            put_back(workplace, repository, request, call, step);
        }
        if step.status != StepState::Unconfirmed {
            broken.insert(step.target.clone());
            note(call, recovery);
            continue;
        }
        note(call, recovery);
        let Some(step) = recovery.steps.get_mut(at) else { continue };
        let next = later.iter().find(|(target, _)| *target == step.target).map(|(_, phase)| *phase);
        confirm(workplace, step, next);
        step.duration_ms = millis(began);
        note(call, recovery);
    }
    Ok(())
}

fn note(call: &Call<'_>, recovery: &mut Recovery) {
    if let Err(error) = call.note(&*recovery) {
        let why = format!("how far it has come could not be noted: {error}");
        if !recovery.warnings.contains(&why) {
            recovery.warnings.push(why);
        }
    }
}

/// Restores what a step is about; whole, it is unconfirmed.
fn put_back(
    workplace: &Workplace,
    repository: &Repository,
    request: &RecoverRequest,
    call: &Call<'_>,
    step: &mut StepReport,
) {
    let began = Instant::now();
    let restored = restore(workplace, repository, &asked(request, step, Some(&call.id)));
    step.duration_ms = millis(began);
    match restored {
        Ok(restored) => {
            step.rollback_id.clone_from(&restored.rollback_id);
            step.pre_rollback_backup.clone_from(&restored.pre_rollback_backup);
            let is_whole = restored.status == "completed";
            step.status = if is_whole { StepState::Unconfirmed } else { StepState::Partial };
            let why = if is_whole { "it was not seen whether it works" } else { &restored.message };
            step.error = Some(why.to_owned());
            step.restored = Some(restored);
        }
        Err(error) => {
            step.status = StepState::Failed;
            if let Error::NotRestored { rollback_id, .. } = &error {
                step.rollback_id = Some(rollback_id.clone());
            }
            step.error = Some(error.to_string());
        }
    }
}

fn millis(began: Instant) -> u64 {
    u64::try_from(began.elapsed().as_millis()).unwrap_or(u64::MAX)
}
