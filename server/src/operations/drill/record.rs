//! What is kept of a drill: the mark of its snapshot in the repository, a row of the history of this host, and who is told.

use chronos_snapshot::Snapshot;
use chronos_store::ErrorKind;
use serde_json::json;

use crate::catalog::Catalog;
use crate::error::{Error, Kind, Result};
use crate::events::{Teller, drill_ended, record};
use crate::operations::drill::{Drilled, SourceProof, milliseconds, of_error, short, shown_time};
use crate::operations::marks;
use crate::state::{Alert, DrillStatus, NewDrill, State, Telling};
use crate::workplace::Workplace;

/// A drill that came to its end.
pub(super) fn ended(
    workplace: &Workplace,
    catalog: &Catalog,
    snapshot: &Snapshot,
    began: i128,
    sources: Vec<SourceProof>,
) -> Drilled {
    let now = workplace.env.clock.now();
    let status = sources.iter().map(|s| s.status).max().unwrap_or_default();
    let line = |source: &SourceProof| {
        let all = source.errors.iter().chain(&source.not_tried);
        all.map(|why| format!("{}: {why}", source.source)).collect::<Vec<_>>()
    };
    let manifest = &snapshot.manifest;
    let mut drilled = Drilled {
        backup_id: manifest.backup_id.clone(),
        snapshot: snapshot.id.to_string(),
        target: manifest.target.clone(),
        status,
        began_at: shown_time(began),
        duration_ms: milliseconds(began, now),
        size_bytes: manifest.size_bytes,
        proven_at: None,
        errors: sources.iter().flat_map(line).collect(),
        sources,
    };
    match mark(catalog, snapshot, status, now) {
        Ok(proven) => drilled.proven_at = proven.and_then(|at| shown_time(at.into())),
        Err(error) => {
            let problem = format!("the outcome of this drill is not kept in the repository: {error}");
            workplace.monitor.problem(&problem);
        }
    }
    keep(workplace, catalog, &drilled, (began, now));
    drilled
}

/// A drill that could not be made: that is told like one that did not pass, unless somebody stopped it.
pub(super) fn not_made(workplace: &Workplace, catalog: &Catalog, snapshot: &Snapshot, error: &Error) {
    if error.kind() == Kind::Library(ErrorKind::Interrupted) {
        return;
    }
    let now = workplace.env.clock.now();
    let manifest = &snapshot.manifest;
    let drilled = Drilled {
        backup_id: manifest.backup_id.clone(),
        snapshot: snapshot.id.to_string(),
        target: manifest.target.clone(),
        status: of_error(error),
        began_at: shown_time(now),
        duration_ms: 0,
        size_bytes: manifest.size_bytes,
        proven_at: None,
        sources: Vec::new(),
        errors: vec![error.to_string()],
    };
    keep(workplace, catalog, &drilled, (now, now));
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
fn mark(catalog: &Catalog, snapshot: &Snapshot, status: DrillStatus, now: i128) -> Result<Option<i64>> {
    let proven = match status {
        DrillStatus::Passed => i64::try_from(now).ok(),
        DrillStatus::Failed => None,
        // It says nothing new.
        DrillStatus::Partial => return Ok(snapshot.marks.proven_at),
    };
    let one = std::slice::from_ref(snapshot);
    marks::set(&catalog.repository, one, &|marks| marks.proven_at = proven)?;
    Ok(proven)
}

/// Writes it into the history of this host, and with it what others are told.
fn keep(workplace: &Workplace, catalog: &Catalog, drilled: &Drilled, (began, ended): (i128, i128)) {
    let row = NewDrill {
        repository: &catalog.repository.id().to_string(),
        target: &drilled.target,
        backup_id: &drilled.backup_id,
        snapshot: &drilled.snapshot,
        status: drilled.status,
        began: short(began),
        ended: short(ended),
        // Texts, numbers and lists can always be written.
        report: &serde_json::to_string(drilled).unwrap_or_default(),
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
    let noted = State::open(&workplace.places.state).and_then(|state| state.add_drill(&row, &telling));
    if let Err(error) = noted {
        workplace.monitor.problem(&format!("this drill is not in the history of this host: {error}"));
    }
}
