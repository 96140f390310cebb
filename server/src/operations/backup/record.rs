//! What the history of this host says of a run, and with it whoever is told. A history that cannot be written keeps no backup from
//! being made.

use chronos_snapshot::{BackupReport, ErrorKind};
use chronos_store::Repository;
use jiff::Timestamp;
use serde_json::{Value, json};

use crate::error::{Error, Kind};
use crate::events::{FAILURE, Teller, backup_failed, backup_made, record};
use crate::operations::backup::ended::{Ended, Mark};
use crate::operations::backup::{BackupRequest, Planned};
use crate::state::{Alert, NewRun, Noted, RunNumber, RunStatus, State};
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
        let first = report.sources.iter().find_map(|s| s.error.clone());
        let is_whole = is_whole(planned);
        let status = RunStatus::of_word(&report.status);
        let mark = match status {
            RunStatus::Partial => Mark::Raise,
            _ if is_whole => Mark::ClearAll,
            _ => Mark::Clear,
        };
        let run_id = planned.request.run_id.as_deref();
        let events = |is_new| backup_made(&self.workplace.env, report, run_id, (is_whole, is_new));
        let ended = Ended {
            status,
            backup_id: Some(report.backup_id.clone()),
            snapshot: report.snapshot.as_ref().map(ToString::to_string),
            error: first,
            files: report.files(),
            bytes: report.bytes_processed,
            mark,
            told: events(false),
            told_if_new: events(true),
            ..self.ended(planned)
        };
        self.end(planned, ended);
    }

    /// Notes why a run made nothing, and gives the error the name that its snapshot would have had.
    pub(super) fn failed(self, planned: &Planned, error: Error) -> Error {
        let mut ended =
            Ended { status: RunStatus::Interrupted, error: Some(error.to_string()), ..self.ended(planned) };
        if error.kind() == Kind::Library(ErrorKind::Interrupted) {
            // One that was stopped says nothing of its target.
            self.end(planned, ended);
            return error;
        }
        let backup_id = name(self.repository, planned, self.began);
        let upstream = planned.watched.failure();
        (ended.status, ended.backup_id) = (RunStatus::Failed, Some(backup_id.clone()));
        let error = Error::Failed { backup_id, upstream, cause: Box::new(error) };
        // One that is tried again has not the last word.
        if !planned.request.leaves_untold(&error) {
            let details = failure(&planned.request, &error);
            ended.told = vec![backup_failed(&self.workplace.env, &planned.target, details)];
            ended.told_if_new.clone_from(&ended.told);
            ended.mark = Mark::Raise;
        }
        self.end(planned, ended);
        error
    }

    /// The end of a run of which nothing is known yet.
    fn ended(&self, planned: &Planned) -> Ended {
        Ended {
            run: self.noted.as_ref().map(|(_, number)| *number),
            at: short(self.repository.env().clock.now()),
            target: planned.target.clone(),
            backup_type: planned.request.selection.backup_type.clone(),
            ..Ended::new(Teller::of(self.workplace))
        }
    }

    fn end(self, planned: &Planned, ended: Ended) {
        let written = match &self.noted {
            Some((state, _)) => ended.write(state),
            // What could not be written when it began may be told all the same.
            None if ended.is_idle() => Ok(()),
            None => State::open(&self.workplace.places.state).and_then(|state| ended.write(&state)),
        };
        match (written, &planned.request.unwritten) {
            (Ok(()), _) => {}
            (Err(error), None) => untold(self.repository, &error),
            (Err(error), Some(unwritten)) => {
                unwritten.add(ended);
                let why = format!("how this run ended is written down later: {error}");
                self.repository.monitor().problem(&why);
            }
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
            vec![backup_failed(&workplace.env, &planned.target, failure(&planned.request, error))]
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

/// Tells of a failure that was left untold, because it might have been tried again.
pub(super) fn tell_left(
    workplace: &Workplace,
    repository: &Repository,
    request: &BackupRequest,
    target: &str,
    error: &Error,
) {
    let alert = Alert::Raise { kind: FAILURE, target, detail: &request.selection.backup_type };
    let events = |_: &Noted| vec![backup_failed(&workplace.env, target, failure(request, error))];
    if let Err(error) = record(workplace, alert, &events) {
        repository.monitor().problem(&format!("nobody is told of this backup: {error}"));
    }
}

/// What is told of a backup that failed.
fn failure(request: &BackupRequest, error: &Error) -> Value {
    json!({
        "error": error.to_string(),
        "backup_id": error.backup_id(),
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
