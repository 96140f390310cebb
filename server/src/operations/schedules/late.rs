//! Which targets are overdue now, by the schedules in force and the snapshots that there are.

use std::collections::BTreeMap;

use chronos_snapshot::Snapshot;

use crate::catalog::Catalog;
use crate::error::Result;
use crate::operations::schedules::{Schedules, now};
use crate::schedule::{GoodTimes, Overdue, overdue};
use crate::sources::{Selection, scope};
use crate::state::State;
use crate::workplace::Workplace;

/// Tiers of snapshots that hold the state before a rollback.
const BEFORE_ROLLBACK: [&str; 2] = ["emergency", "restore-point"];

/// The overdue targets, each with the schedule that was missed first.
pub fn late(workplace: &Workplace, catalog: &Catalog) -> Result<Vec<Overdue>> {
    let state = State::open(&workplace.places.state)?;
    let schedules = Schedules::read(workplace, &state)?;
    let memories = schedules.memories(|_| false);
    Ok(overdue(&schedules.all, &memories, &good_times(workplace, catalog), now(workplace)?))
}

/// Of each configured target and backup type the newest good snapshot that takes all that the type means.
fn good_times(workplace: &Workplace, catalog: &Catalog) -> GoodTimes {
    let mut scopes: BTreeMap<(&str, &str), Vec<String>> = BTreeMap::new();
    let mut times = GoodTimes::new();
    for snapshot in catalog.snapshots.iter().filter(|s| s.is_good() && !is_before_rollback(s)) {
        let m = &snapshot.manifest;
        let Some(target) = workplace.config.targets.iter().find(|t| t.name == m.target) else { continue };
        let whole = scopes.entry((&m.target, &m.backup_type)).or_insert_with(|| {
            scope(target, &Selection { backup_type: m.backup_type.clone(), ..Selection::default() })
        });
        if m.scope == *whole {
            let newest =
                times.entry((m.target.clone(), m.backup_type.clone())).or_insert(snapshot.taken_at());
            *newest = snapshot.taken_at().max(*newest);
        }
    }
    times
}

fn is_before_rollback(snapshot: &Snapshot) -> bool {
    BEFORE_ROLLBACK.contains(&&*snapshot.manifest.tier.replace('_', "-"))
}
