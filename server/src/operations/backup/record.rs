//! What the history of this host says of a run. A history that cannot be written keeps no backup from being made.

use chronos_snapshot::{BackupReport, ErrorKind};
use chronos_store::Repository;
use jiff::Timestamp;

use crate::error::{Error, Kind};
use crate::operations::backup::Planned;
use crate::state::{Ending, NewRun, RunNumber, RunStatus, State};
use crate::workplace::Workplace;

/// Names of failed runs that are tried in one second.
const IDS_MAX: u32 = 100;

/// A run that is noted in the history, if that can be.
#[derive(Debug)]
pub(super) struct Record<'r> {
    repository: &'r Repository,
    noted: Option<(State, RunNumber)>,
    began: i128,
}

impl<'r> Record<'r> {
    /// Notes that a run begins.
    pub(super) fn begin(workplace: &Workplace, repository: &'r Repository, planned: &Planned) -> Self {
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
        Self { repository, noted, began }
    }

    /// Notes what a run made.
    pub(super) fn made(self, report: &BackupReport) {
        let snapshot = report.snapshot.as_ref().map(ToString::to_string);
        let first = report.sources.iter().find_map(|s| s.error.as_deref());
        self.end(&Ending {
            status: RunStatus::of_word(&report.status),
            backup_id: Some(&report.backup_id),
            snapshot: snapshot.as_deref(),
            error: first,
            ended: 0,
            files: report.files(),
            bytes: report.bytes_processed,
        });
    }

    /// Notes why a run made nothing, and gives the error the name that its snapshot would have had.
    pub(super) fn failed(self, planned: &Planned, error: Error) -> Error {
        let (mut backup_id, mut status) = (None, RunStatus::Interrupted);
        if error.kind() != Kind::Library(ErrorKind::Interrupted) {
            backup_id = Some(name(self.repository, planned, self.began));
            status = RunStatus::Failed;
        }
        let why = error.to_string();
        self.end(&Ending {
            status,
            backup_id: backup_id.as_deref(),
            snapshot: None,
            error: Some(&why),
            ended: 0,
            files: 0,
            bytes: 0,
        });
        match backup_id {
            Some(backup_id) => {
                Error::Failed { backup_id, upstream: planned.watched.failure(), cause: Box::new(error) }
            }
            None => error,
        }
    }

    fn end(self, ending: &Ending<'_>) {
        let ended = short(self.repository.env().clock.now());
        if let Some((state, number)) = self.noted
            && let Err(error) = state.end_run(number, &Ending { ended, ..ending.clone() })
        {
            untold(self.repository, &error);
        }
    }
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
        if repository.claim_name(&name).unwrap_or(true) {
            return name;
        }
    }
    base
}

/// Nanoseconds as tables keep them.
fn short(nanos: i128) -> i64 {
    i64::try_from(nanos).unwrap_or(i64::MAX)
}
