//! What a restore is doing to a live system, noted before it does it; and how whoever comes after a process that died in the middle of
//! it brings that to an end.

use std::sync::Arc;

use chronos_connect::{Stands, postgres, sqlite};
use chronos_snapshot::{FileOptions, Recovered, RecoveredOutcome, resume_or_undo};
use chronos_store::Monitor;
use serde::{Deserialize, Serialize};

use crate::config::{Source, SourceKind};
use crate::error::Result;
use crate::operations::backup::setting;
use crate::operations::restore::lite::shell;
use crate::operations::restore::record::{Record, settle, short, turn_of};
use crate::operations::restore::take_back::take_back;
use crate::sources::postgres_client;
use crate::state::{ActRow, State};
use crate::turn::Turn;
use crate::values::shown;
use crate::workplace::Workplace;

/// Something that is done as a whole, with what is needed to bring it to an end.
#[derive(Debug, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "snake_case")]
pub(super) enum Act {
    /// Files into a place; what is needed is in a journal of this name.
    Files { id: String, place: String },
    /// A database of this source.
    Sqlite { source: String, left: sqlite::Unfinished },
    /// A database of this source.
    Postgres { source: String, left: postgres::Unfinished },
    /// Workflows of the server of this source, one after the other: those that are written over or removed, by their ids there,
    /// and those that are made, by their stored ids.
    Workflows { place: String, source: String, written: Vec<String>, created: Vec<String> },
}

/// An act that stands in the state of this host, if that can be written.
#[derive(Clone, Debug)]
pub(super) struct Noted {
    row: Option<(Arc<State>, i64)>,
    monitor: Arc<dyn Monitor>,
}

impl Noted {
    /// Notes that something is about to be done. That it cannot be noted keeps nobody from bringing things back: it is told of.
    pub(super) fn begin(record: &Record, monitor: &Arc<dyn Monitor>, act: &Act) -> Self {
        let mut noted = Self { row: None, monitor: Arc::clone(monitor) };
        if let Some((state, rollback)) = record.noted() {
            let number = text(act).and_then(|what| state.begin_act(*rollback, &what));
            noted.row = noted.told(number).map(|number| (Arc::clone(state), number));
        }
        noted
    }

    /// Notes how far it has come.
    pub(super) fn now(&self, act: &Act) {
        if let Some((state, number)) = &self.row {
            self.told(text(act).and_then(|what| state.note_act(*number, &what)));
        }
    }

    /// Notes that it is done.
    pub(super) fn done(&self) {
        if let Some((state, number)) = &self.row {
            self.told(state.finish_act(*number));
        }
    }

    /// Notes that it failed, if nobody knows in which state that left the system: it is brought to an end later.
    pub(super) fn failed(&self, error: &chronos_connect::Error) {
        if let (Some((state, number)), chronos_connect::Error::NotUndone { .. }) = (&self.row, error) {
            self.told(state.leave_act(*number));
        }
    }

    fn told<T>(&self, noted: Result<T>) -> Option<T> {
        let told = |e| self.monitor.problem(&format!("what is being restored could not be noted: {e}"));
        noted.map_err(told).ok()
    }
}

fn text(act: &Act) -> Result<String> {
    serde_json::to_string(act).map_err(|e| chronos_snapshot::Error::Invalid(e.to_string()).into())
}

/// Brings to an end what earlier processes left: files are put back as they were, or what was finished is tidied up; a database is the
/// old one or the new one, and those who use it can. Says what it did.
pub fn resume(workplace: &Workplace) -> Result<Vec<String>> {
    let folder = &workplace.places.state;
    let recovered = resume_or_undo(folder)?;
    let mut told: Vec<String> = recovered.iter().filter_map(of_files).collect();
    settle(workplace)?;
    if State::is_there(folder) {
        let state = State::open(folder)?;
        for (repository, target) in state.acted_on()? {
            let whose = (&*repository, &*target);
            if let Some(_turn) = Turn::try_take(folder, &repository, &turn_of(&target))? {
                told.extend(finish(workplace, &state, whose, &recovered, &|_| true)?);
            }
            told.extend(take_back(workplace, &state, whose)?);
        }
    }
    Ok(told)
}

/// Whether something is left that [`resume`] could not bring to an end yet. What cannot be looked at is not.
pub fn is_unfinished(workplace: &Workplace) -> bool {
    let folder = &workplace.places.state;
    State::is_there(folder)
        && State::open(folder).and_then(|state| state.acted_on()).is_ok_and(|acted_on| !acted_on.is_empty())
}

/// The same of one target, whose turn the caller has. Workflows are left as they are: whoever restores now says what they are to be.
/// What belongs to a rollback that is undone is ended with that.
pub(super) fn resume_target(
    workplace: &Workplace,
    repository: &str,
    target: &str,
    undone: Option<&str>,
) -> Result<Vec<String>> {
    let folder = &workplace.places.state;
    if !State::is_there(folder) {
        return Ok(Vec::new());
    }
    let state = State::open(folder)?;
    if state.acts(repository, target)?.is_empty() {
        return Ok(Vec::new());
    }
    state.interrupt_rollbacks(repository, target, short(workplace.env.clock.now()))?;
    let recovered = resume_or_undo(folder)?;
    let of_workflows = |row: &ActRow| undone == Some(&*row.rollback_id);
    finish(workplace, &state, (repository, target), &recovered, &of_workflows)
}

fn of_files(recovered: &Recovered) -> Option<String> {
    let place = shown(&recovered.path);
    match &recovered.outcome {
        RecoveredOutcome::Undone => Some(format!("an interrupted restore was undone: {place} is as before")),
        RecoveredOutcome::Finished => Some(format!("an interrupted restore into {place} was finished")),
        RecoveredOutcome::Failed(why) => {
            Some(format!("an interrupted restore into {place} cannot be undone yet: {why}"))
        }
        RecoveredOutcome::Running => None,
    }
}

fn finish(
    workplace: &Workplace,
    state: &State,
    (repository, target): (&str, &str),
    recovered: &[Recovered],
    leaves_workflows: &dyn Fn(&ActRow) -> bool,
) -> Result<Vec<String>> {
    let mut told = Vec::new();
    for row in state.acts(repository, target)? {
        // What a later version wrote is left to it.
        let Ok(act) = serde_json::from_str::<Act>(&row.what) else { continue };
        if matches!(act, Act::Workflows { .. }) && !row.is_done && leaves_workflows(&row) {
            continue;
        }
        let ended = if row.is_done {
            Ok(act.stands(&Stands::New { old: None }))
        } else {
            act.end(workplace, target, recovered)
        };
        match ended {
            Ok(line) => {
                state.end_act(row.number, &line)?;
                told.push(format!("{target}: {line}"));
            }
            Err(why) => {
                told.push(format!("{target}: an interrupted restore cannot be brought to an end yet: {why}"));
            }
        }
    }
    Ok(told)
}

impl Act {
    /// Brings it to an end, and says in which state that leaves the system.
    fn end(
        &self,
        workplace: &Workplace,
        target: &str,
        recovered: &[Recovered],
    ) -> std::result::Result<String, String> {
        let source = |name: &str, kind| {
            let sources = workplace.config.target(target).into_iter().flat_map(|t| &t.sources);
            sources.into_iter().find(|s: &&Source| s.name == name && s.kind == kind)
        };
        match self {
            Self::Files { id, .. } => match recovered.iter().find(|r| r.id == *id).map(|r| &r.outcome) {
                Some(RecoveredOutcome::Finished) => Ok(self.stands(&Stands::New { old: None })),
                Some(RecoveredOutcome::Failed(why)) => Err(why.clone()),
                Some(RecoveredOutcome::Running) => Err("it goes on".to_owned()),
                // Nothing was begun, or another process has undone it.
                Some(RecoveredOutcome::Undone) | None => Ok(self.stands(&Stands::Old)),
            },
            Self::Sqlite { source: name, left } => {
                let start = source(name, SourceKind::Sqlite).and_then(|s| s.start.as_ref());
                let stands = left
                    .resume(shell(start, &workplace.config.secret_variables()).as_ref())
                    .map_err(|e| e.to_string())?;
                let started = if start.is_some() && left.inode.is_some() {
                    "; those who use it were started"
                } else {
                    ""
                };
                Ok(format!("{}{started}", self.stands(&stands)))
            }
            Self::Postgres { source: name, left } => {
                let live = source(name, SourceKind::Postgres).ok_or_else(|| {
                    format!(
                        "source {name} is no longer configured, and what became of database {:?} cannot be asked",
                        left.database()
                    )
                })?;
                let client = postgres_client(live, &setting(workplace, &FileOptions::default()));
                let client = client.map_err(|e| e.to_string())?;
                Ok(self.stands(&left.resume(&client).map_err(|e| e.to_string())?))
            }
            Self::Workflows { place, .. } => {
                Ok(format!("some workflows of {place} may be back and others not"))
            }
        }
    }

    /// In which state it is, for people.
    fn stands(&self, stands: &Stands) -> String {
        let what = match self {
            Self::Files { place, .. } => place.clone(),
            Self::Sqlite { left, .. } => format!("database {}", shown(&left.database)),
            Self::Postgres { left, .. } => format!("database {}", left.database()),
            Self::Workflows { place, .. } => format!("what was asked for of {place}"),
        };
        match stands {
            Stands::Old => format!("{what} is as it was before"),
            Stands::New { old: None } => format!("{what} is as in the snapshot"),
            Stands::New { old: Some(old) } => {
                format!("{what} is as in the snapshot, and the one that was there is {old}")
            }
        }
    }
}
