//! Workflows that a process was putting back when it died: each is one call after the other, so that only what was there before is whole.
//!
//! What always holds: it is a restore of its own, with a snapshot of what is there now and a row in the history; it is done only if
//! nobody has restored the target since, and not long after.

use chronos_connect::n8n::Instance;
use chronos_snapshot::{ErrorKind, FileOptions, Strategy};

use crate::config::SourceKind;
use crate::error::{Error, Kind, Result};
use crate::operations::backup::setting;
use crate::operations::restore::acts::Act;
use crate::operations::restore::record::short;
use crate::operations::restore::undone::{Created, Gave};
use crate::operations::restore::{RestoreRequest, Restored, Undone, restore};
use crate::sources::n8n_instance;
use crate::state::{ActRow, Rollback, RollbackType, State};
use crate::workplace::Workplace;

/// Nanoseconds after which a person has to say what is to become of it: others have worked with what is there.
const LATE: i64 = 24 * 3600 * 1_000_000_000;

/// Takes back what was done to workflows of a target. Says what it did.
pub(super) fn take_back(
    workplace: &Workplace,
    state: &State,
    (repository, target): (&str, &str),
) -> Result<Vec<String>> {
    let mut told = Vec::new();
    for row in state.acts(repository, target)?.into_iter().filter(|row| !row.is_done) {
        let Ok(act @ Act::Workflows { .. }) = serde_json::from_str::<Act>(&row.what) else { continue };
        // Of one that goes on, and of one that was ended with another, nothing is to be taken back.
        if !state.has_act(row.number)? {
            continue;
        }
        let Some(rollback) = state.rollback(&row.rollback_id)? else { continue };
        match one(workplace, &row, &act, &rollback) {
            Ok(line) => {
                state.end_act(row.number, &line)?;
                told.push(format!("{target}: {line}"));
            }
            Err(why) => told.push(format!("{target}: workflows cannot be taken back yet: {why}")),
        }
    }
    Ok(told)
}

/// How it ends; an error means that it may be possible later.
fn one(workplace: &Workplace, row: &ActRow, act: &Act, rollback: &Rollback) -> Result<String> {
    let Act::Workflows { place, source, written, created } = act else { return Ok(String::new()) };
    let open = |why: &str| {
        let id = &rollback.rollback_id;
        Ok(format!(
            "some workflows of {place} may be back and others not: {why}; an undo of {id} takes it back"
        ))
    };
    let Some(before) = &rollback.pre_rollback_backup else { return open("no snapshot was made before") };
    if short(workplace.env.clock.now()).saturating_sub(rollback.created_at) > LATE {
        return open("it was a day ago or more");
    }
    check_server(workplace, &rollback.target, source)?;
    let repository = workplace.open()?.repository;
    if repository.id().to_string() != rollback.repository {
        return open("it belongs to another repository");
    }
    let pair = |id: &String| (source.clone(), id.clone());
    let request = RestoreRequest {
        backup: before.clone(),
        sources: Some(vec![source.clone()]),
        target: Some(rollback.target.clone()),
        strategy: Some(Strategy::Replace),
        kind: RollbackType::Undo,
        undone: Some(Undone {
            rollback_id: rollback.rollback_id.clone(),
            source: rollback.source_backup_id.clone(),
            overwrote: true,
            removed: Gave::Nothing,
            act: Some(row.number),
            workflow: rollback.workflow_id.clone(),
            written: Some(written.iter().map(pair).collect()),
            created: Created::Perhaps(Some(created.clone())),
        }),
        ..RestoreRequest::default()
    };
    match restore(workplace, &repository, &request) {
        Ok(restored) => Ok(ended(place, &restored)),
        Err(error) if is_final(&error) => open(&error.to_string()),
        Err(error) => Err(error),
    }
}

fn ended(place: &str, restored: &Restored) -> String {
    let by = restored.rollback_id.clone().unwrap_or_default();
    match &*restored.status {
        "completed" => format!("what was done to workflows of {place} was taken back by {by}"),
        _ => format!(
            "not all that was done to workflows of {place} was taken back by {by}: {}",
            restored.message
        ),
    }
}

/// Whether it is not tried again: its server had answered just before. One that is still about to publish what the dead process asked it
/// for, as new ones do it beside, changes a little longer.
fn is_final(error: &Error) -> bool {
    let has_moved = match error {
        Error::NotRestored { cause, .. } => matches!(**cause, Error::WorkflowsMoved),
        error => matches!(error, Error::WorkflowsMoved),
    };
    !has_moved && error.kind() != Kind::Library(ErrorKind::Busy)
}

/// Fails if the server lets nobody in: then nothing is begun.
fn check_server(workplace: &Workplace, target: &str, source: &str) -> Result<()> {
    let sources = workplace.config.target(target).into_iter().flat_map(|target| &target.sources);
    let mut servers = sources.filter(|s| s.kind == SourceKind::N8n && s.name == source);
    let Some(server) = servers.next() else { return Ok(()) };
    let asked = match n8n_instance(server, &setting(workplace, &FileOptions::default()))? {
        Instance::Api(client) => client.active_workflows().map(drop),
        line @ Instance::Command(_) => line.look(),
    };
    Ok(asked.map_err(chronos_connect::Error::from)?)
}
