//! What the history of this host says of a run, and with it whoever is told. A history that cannot be written keeps no backup from
//! being made.

use chronos_snapshot::{BackupReport, ErrorKind};
use chronos_store::Repository;
use jiff::Timestamp;
use serde_json::{Value, json};

use crate::error::{Error, Kind};
use crate::events::{Event, FAILURE, Teller, backup_failed, backup_made, record};
use crate::operations::backup::Planned;
use crate::state::{Alert, Ending, NewRun, Noted, RunNumber, RunStatus, State, Telling};
use crate::workplace::Workplace;

/// Names of failed runs that are tried in one second.
const IDS_MAX: u32 = 100;

/// A run that is noted in the history, if that can be.
#[derive(Debug)]
pub(super) struct Record<'r> {
    workplace: &'r Workplace,
    repository: &'r Repository,
    noted: Option<(State, RunNumber)>,
    began: i128,
}

/// Backup types that take the whole target.
const WHOLE: [&str; 2] = ["full", "incremental"];

impl<'r> Record<'r> {
    /// Notes that a run begins.
    pub(super) fn begin(workplace: &'r Workplace, repository: &'r Repository, planned: &Planned) -> Self {
        let began = repository.env().clock.now();
        let noted = State::open(&workplace.places.state).and_then(|state| {
            let number = state.begin_run(&NewRun {
                run_id: planned.request.run_id.as_deref(),
                repository: &repository.id().to_string(),
                target: &planned.target,
                tier: &planned.request.tier,
                backup_type: &planned.request.selection.backup_type,
                began: short(began),
            })?;
            Ok((state, number))
        });
        let noted = noted.map_err(|e| untold(repository, &e)).ok();
        Self { workplace, repository, noted, began }
    }

    /// Notes what a run made.
    pub(super) fn made(self, planned: &Planned, report: &BackupReport) {
        let snapshot = report.snapshot.as_ref().map(ToString::to_string);
        let first = report.sources.iter().find_map(|s| s.error.as_deref());
        let ending = Ending {
            status: RunStatus::of_word(&report.status),
            backup_id: Some(&report.backup_id),
            snapshot: snapshot.as_deref(),
            error: first,
            ended: 0,
            files: report.files(),
            bytes: report.bytes_processed,
        };
        let (target, detail) = (&*planned.target, &*report.backup_type);
        let is_whole = is_whole(planned);
        let alert = if ending.status == RunStatus::Partial {
            Alert::Raise { kind: FAILURE, target, detail }
        } else if is_whole {
            // Whatever part of it was not good is now.
            Alert::Clear { kind: None, target, detail: None }
        } else {
            Alert::Clear { kind: Some(FAILURE), target, detail: Some(detail) }
        };
        let (env, run_id) = (&self.workplace.env, planned.request.run_id.as_deref());
        self.end(&ending, alert, &|noted| backup_made(env, report, run_id, (is_whole, noted.is_new)));
    }

    /// Notes why a run made nothing, and gives the error the name that its snapshot would have had.
    pub(super) fn failed(self, planned: &Planned, error: Error) -> Error {
        let (mut backup_id, mut status) = (None, RunStatus::Interrupted);
        if error.kind() != Kind::Library(ErrorKind::Interrupted) {
            backup_id = Some(name(self.repository, planned, self.began));
            status = RunStatus::Failed;
        }
        let why = error.to_string();
        let ending = Ending {
            status,
            backup_id: backup_id.as_deref(),
            snapshot: None,
            error: Some(&why),
            ended: 0,
            files: 0,
            bytes: 0,
        };
        let request = &planned.request;
        let (target, detail) = (&*planned.target, &*request.selection.backup_type);
        let env = &self.workplace.env;
        // One that was stopped says nothing of its target.
        let (alert, tells) = match &backup_id {
            Some(_) => (Alert::Raise { kind: FAILURE, target, detail }, true),
            None => (Alert::Untouched, false),
        };
        self.end(&ending, alert, &|_| {
            let details = failure(planned, backup_id.as_deref(), &why);
            if tells { vec![backup_failed(env, target, details)] } else { Vec::new() }
        });
        match backup_id {
            Some(backup_id) => {
                Error::Failed { backup_id, upstream: planned.watched.failure(), cause: Box::new(error) }
            }
            None => error,
        }
    }

    fn end(self, ending: &Ending<'_>, alert: Alert<'_>, events: &dyn Fn(&Noted) -> Vec<Event>) {
        let now = short(self.repository.env().clock.now());
        let Some((state, number)) = &self.noted else {
            // What could not be written when it began may be told all the same.
            if let Err(error) = record(self.workplace, alert, events) {
                untold(self.repository, &error);
            }
            return;
        };
        let teller = Teller::of(self.workplace);
        let telling = Telling {
            repository: &teller.repository,
            now,
            alert,
            letters: &|noted| teller.letters(&events(noted)),
        };
        if let Err(error) = state.end_run(*number, &Ending { ended: now, ..ending.clone() }, &telling) {
            untold(self.repository, &error);
        }
    }
}

/// Tells of a backup of something that is not configured, and so stands in no history.
pub(super) fn tell_only(
    workplace: &Workplace,
    repository: &Repository,
    planned: &Planned,
    done: Result<&BackupReport, &Error>,
) {
    let events = |_: &Noted| match done {
        Ok(report) => backup_made(&workplace.env, report, None, (is_whole(planned), false)),
        Err(error) if error.kind() == Kind::Library(ErrorKind::Interrupted) => Vec::new(),
        Err(error) => {
            let details = failure(planned, None, &error.to_string());
            vec![backup_failed(&workplace.env, &planned.target, details)]
        }
    };
    if let Err(error) = record(workplace, Alert::Untouched, &events) {
        repository.monitor().problem(&format!("nobody is told of this backup: {error}"));
    }
}

/// Whether all of a target is taken.
fn is_whole(planned: &Planned) -> bool {
    planned.scope.is_empty() && WHOLE.contains(&&*planned.request.selection.backup_type)
}

/// What is told of a backup that failed.
fn failure(planned: &Planned, backup_id: Option<&str>, why: &str) -> Value {
    let request = &planned.request;
    json!({
        "error": why,
        "backup_id": backup_id,
        "tier": request.tier,
        "backup_type": request.selection.backup_type,
        "run_id": request.run_id,
    })
}

/// Tells that the history does not know of a run.
fn untold(repository: &Repository, error: &Error) {
    repository.monitor().problem(&format!("the history of runs does not have this one: {error}"));
}

/// The first free name of a run that failed. Where the repository cannot even keep a name, it is not kept.
fn name(repository: &Repository, planned: &Planned, began: i128) -> String {
    let time = Timestamp::from_nanosecond(planned.request.time.unwrap_or(began)).unwrap_or_default();
    let base = format!("{}_{}_{}", planned.target, planned.request.tier, time.strftime("%Y%m%d_%H%M%S"));
    let names = (1..=IDS_MAX).map(|n| if n == 1 { base.clone() } else { format!("{base}_{n}") });
    for name in names {
        match repository.confirm().and_then(|()| repository.claim_name(&name)) {
            Ok(true) => return name,
            Ok(false) => {}
            // One that no snapshot of this second has.
            Err(_) => break,
        }
    }
    format!("{base}_{}", IDS_MAX + 1)
}

/// Nanoseconds as tables keep them.
fn short(nanos: i128) -> i64 {
    i64::try_from(nanos).unwrap_or(i64::MAX)
}
