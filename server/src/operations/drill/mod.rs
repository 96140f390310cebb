//! Drills: a snapshot is restored into a scratch place and proven there, source by source, so that a restore that is needed has been tried.
//!
//! What always holds: nothing of a live system is written or even asked, but for a target that is marked for drills; the scratch place is gone afterwards, and what a killed process
//! left of one goes with the next drill or start of the service. A drill passes only if every part of it was tried and holds.

mod apart;
mod databases;
mod destination;
mod files;
mod findings;
mod imported;
mod keys;
mod meant;
mod record;
mod recovery;
mod report;
mod rows;
mod scratch;
mod server;
mod trial;
mod workflows;

use chronos_snapshot::Snapshot;
use chronos_store::Monitor;

use crate::catalog::{Catalog, rfc3339};
use crate::error::Result;
use crate::state::State;
use crate::turn::Turn;
use crate::workplace::Workplace;

pub use meant::{each, history, meant};
use record::{Begun, mark, settle};
pub use recovery::drill_recovery;
pub use report::{Drilled, Drills, RecoveryPart, SourceProof};
use trial::Trial;

/// One drill at a time.
const TURN: &str = "drill";

/// Restores a snapshot for trial, keeps the outcome with it and in the history of this host, and tells of it. `into`: into this target, which
/// is marked for drills; else into the one that is configured for it, else into a scratch place.
///
/// # Errors
/// What keeps a drill from being made at all: no room, no scratch place, a target that takes none, an order to stop.
pub fn drill(
    workplace: &Workplace,
    catalog: &Catalog,
    snapshot: &Snapshot,
    into: Option<&str>,
) -> Result<Drilled> {
    if into.is_some() {
        // What somebody asks for in vain is told to them alone.
        check_into(workplace, snapshot, into)?;
    }
    let _turn = turn(workplace, catalog)?;
    let stored = catalog.as_stored()?;
    let manifest = &snapshot.manifest;
    let begun = Begun::new(
        workplace,
        &catalog.repository,
        Drilled {
            backup_id: manifest.backup_id.clone(),
            snapshot: snapshot.id.to_string(),
            target: manifest.target.clone(),
            into: destination::name(workplace, &manifest.target, into),
            size_bytes: manifest.size_bytes,
            ..Drilled::default()
        },
    );
    let made = destination::meant(workplace, &manifest.target, into)
        .and_then(|into| Trial::begin(workplace, &stored, snapshot, into, &[])?.run());
    match made {
        Ok(sources) => {
            Ok(begun.ended(workplace, sources, |status, now| mark(catalog, snapshot, status, now)))
        }
        Err(error) => {
            begun.not_made(workplace, &error);
            Err(error)
        }
    }
}

/// Refuses a target that takes no drill of a snapshot.
///
/// # Errors
/// [`Error::Value`](crate::error::Error::Value) says why nothing may be written there.
pub fn check_into(workplace: &Workplace, snapshot: &Snapshot, into: Option<&str>) -> Result<()> {
    destination::meant(workplace, &snapshot.manifest.target, into).map(drop)
}

/// Waits until no other drill of this host goes on: the room for one is looked at first, and nobody else is to take it.
fn turn(workplace: &Workplace, catalog: &Catalog) -> Result<Turn> {
    let turn = Turn::take(&workplace.places.state, TURN, TURN, &**catalog.repository.monitor())?;
    if let Err(error) = settle(workplace) {
        workplace.monitor.problem(&format!("what became of earlier drills is not told: {error}"));
    }
    Ok(turn)
}

/// Removes what killed drills have left, and tells of them.
///
/// # Errors
/// The folder of their places cannot be listed, or the state of this host not be written.
pub fn tidy(workplace: &Workplace, monitor: &dyn Monitor) -> Result<()> {
    if Turn::try_take(&workplace.places.state, TURN, TURN)?.is_some()
        && State::is_there(&workplace.places.state)
    {
        settle(workplace)?;
    }
    scratch::tidy(workplace, monitor)
}

/// A moment as it is stored; a clock beyond the years that 64 bits can tell has no time.
fn short(nanos: i128) -> i64 {
    i64::try_from(nanos).unwrap_or_default()
}

/// Nanoseconds as a time for people.
fn shown_time(nanos: i128) -> Option<String> {
    i64::try_from(nanos).ok().and_then(rfc3339)
}

fn milliseconds(from: i128, to: i128) -> u64 {
    u64::try_from((to - from) / 1_000_000).unwrap_or(0)
}
