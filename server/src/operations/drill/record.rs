//! What is kept of a drill: the mark of its snapshot in the repository, a row of the history of this host, and who is told.

use chronos_snapshot::Snapshot;
use chronos_store::{ErrorKind, Repository};
use serde_json::json;

use crate::catalog::Catalog;
use crate::error::{Error, Kind, Result};
use crate::events::{Teller, drill_ended, record};
use crate::operations::drill::findings::of_error;
use crate::operations::drill::report::{Drilled, SourceProof};
use crate::operations::drill::{milliseconds, short, shown_time};
use crate::operations::marks;
use crate::state::{Alert, DrillStatus, NewDrill, State, Telling};
use crate::workplace::Workplace;

/// Why a drill that its process did not end says nothing.
const KILLED: &str = "its process ended before it did, and nothing is proven by it: make it again";
/// The same of one that was stopped.
const STOPPED: &str = "it was stopped, and nothing is proven by it";

/// A drill that begins, as this host notes it.
pub(super) struct Begun {
    began: i128,
    /// `None`: it could not be noted.
    number: Option<i64>,
    /// As it stands while it goes on.
    drilled: Drilled,
    repository: String,
}

impl Begun {
    /// Notes it, and what is told of it if it comes to no end.
    pub(super) fn new(workplace: &Workplace, repository: &Repository, of: Drilled) -> Self {
        let began = workplace.env.clock.now();
        let drilled = Drilled {
            status: DrillStatus::Interrupted,
            began_at: shown_time(began),
            errors: vec![KILLED.to_owned()],
            ..of
        };
        let repository = repository.id().to_string();
        let noted = State::open(&workplace.places.state)
            .and_then(|state| state.begin_drill(&repository, short(began), &text(&drilled)));
        let told = |error: &Error| {
            workplace
                .monitor
                .problem(&format!("that this drill has begun is not in the history of this host: {error}"));
        };
        Self { began, number: noted.inspect_err(told).ok(), drilled, repository }
    }

    /// The same of so many bytes.
    pub(super) fn of_size(self, size_bytes: u64) -> Self {
        Self { drilled: Drilled { size_bytes, ..self.drilled }, ..self }
    }

    /// It came to its end. `mark` is told what came of it and when; it gives since when a snapshot counts as proven.
    pub(super) fn ended(
        self,
        workplace: &Workplace,
        sources: Vec<SourceProof>,
        mark: impl FnOnce(DrillStatus, i128) -> Result<Option<i64>>,
    ) -> Drilled {
        let now = workplace.env.clock.now();
        let status = sources.iter().map(|s| s.status).max().unwrap_or_default();
        let line = |source: &SourceProof| {
            let all = source.errors.iter().chain(&source.not_tried);
            all.map(|why| format!("{}: {why}", source.shown())).collect::<Vec<_>>()
        };
        let mut drilled = Drilled {
            status,
            duration_ms: milliseconds(self.began, now),
            errors: sources.iter().flat_map(line).collect(),
            sources,
            ..self.drilled
        };
        match mark(status, now) {
            Ok(proven) => drilled.proven_at = proven.and_then(|at| shown_time(at.into())),
            Err(error) => {
                let problem = format!("the outcome of this drill is not kept in the repository: {error}");
                workplace.monitor.problem(&problem);
            }
        }
        keep(workplace, &self.repository, self.number, &drilled, (short(self.began), short(now)));
        drilled
    }

    /// It could not be made, or was stopped.
    pub(super) fn not_made(self, workplace: &Workplace, error: &Error) {
        let is_stopped = error.kind() == Kind::Library(ErrorKind::Interrupted);
        let (status, why) = if is_stopped {
            (DrillStatus::Interrupted, STOPPED.to_owned())
        } else {
            (of_error(error), error.to_string())
        };
        let drilled = Drilled { status, errors: vec![why], ..self.drilled };
        let now = short(workplace.env.clock.now());
        keep(workplace, &self.repository, self.number, &drilled, (short(self.began), now));
    }
}

/// Tells of the drills that have begun and whose process is no more. Whoever calls it has the turn, so that none goes on.
pub(super) fn settle(workplace: &Workplace) -> Result<()> {
    let left = State::open(&workplace.places.state)?.begun_drills()?;
    for begun in left {
        // What a later version wrote in another way is left to it.
        let Ok(drilled) = serde_json::from_str::<Drilled>(&begun.report) else { continue };
        let now = short(workplace.env.clock.now());
        keep(workplace, &begun.repository, Some(begun.number), &drilled, (begun.began, now));
    }
    Ok(())
}

fn text(drilled: &Drilled) -> String {
    // Texts, numbers and lists can always be written.
    serde_json::to_string(drilled).unwrap_or_default()
}

/// A drill of something that has no snapshot.
pub(super) fn not_found(workplace: &Workplace, name: &str, error: &Error) {
    let errors = [error.to_string()];
    let event = drill_ended(
        &workplace.env,
        name,
        DrillStatus::Failed,
        &errors,
        json!({ "status": DrillStatus::Failed }),
    );
    if let Err(error) = record(workplace, Alert::Untouched, &|_| vec![event.clone()]) {
        workplace.monitor.problem(&format!("nobody is told of this drill: {error}"));
    }
}

/// Keeps with the snapshot that it is proven, or is so no more; gives since when.
pub(super) fn mark(
    catalog: &Catalog,
    snapshot: &Snapshot,
    status: DrillStatus,
    now: i128,
) -> Result<Option<i64>> {
    let proven = match status {
        DrillStatus::Passed => i64::try_from(now).ok(),
        DrillStatus::Failed => None,
        // It says nothing new.
        DrillStatus::Partial | DrillStatus::Interrupted => return Ok(snapshot.marks.proven_at),
    };
    let one = std::slice::from_ref(snapshot);
    marks::set(&catalog.repository, one, &|marks| marks.proven_at = proven)?;
    Ok(proven)
}

/// Writes it into the history of this host, and with it what others are told.
fn keep(
    workplace: &Workplace,
    repository: &str,
    begun: Option<i64>,
    drilled: &Drilled,
    (began, ended): (i64, i64),
) {
    let row = NewDrill {
        repository,
        target: &drilled.target,
        backup_id: &drilled.backup_id,
        snapshot: &drilled.snapshot,
        status: drilled.status,
        began,
        ended,
        report: &text(drilled),
    };
    let details = json!({
        "status": drilled.status,
        "backup_id": drilled.backup_id,
        "duration_ms": drilled.duration_ms,
        "proven_at": drilled.proven_at,
    });
    let event = drill_ended(&workplace.env, &drilled.target, drilled.status, &drilled.errors, details);
    let teller = Teller::of(workplace);
    let letters = |_: &_| teller.letters(std::slice::from_ref(&event));
    let now = short(workplace.env.clock.now());
    let telling = Telling { repository: &teller.repository, now, alert: Alert::Untouched, letters: &letters };
    let noted = State::open(&workplace.places.state).and_then(|state| state.add_drill(begun, &row, &telling));
    if let Err(error) = noted {
        workplace.monitor.problem(&format!("this drill is not in the history of this host: {error}"));
    }
}
