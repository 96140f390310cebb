//! Which snapshots are drilled, the drills of schedules, and those that this host remembers.

use chronos_snapshot::ErrorKind;
use chronos_store::Repository;

use crate::catalog::{Catalog, Chosen, target_name};
use crate::error::{Kind, Result};
use crate::operations::drill::findings::of_error;
use crate::operations::drill::report::{Drilled, Drills};
use crate::operations::drill::{drill, drill_recovery, record};
use crate::operations::restore::ALL;
use crate::state::{DrillFilter, DrillStatus, State};
use crate::workplace::Workplace;

/// Drills for whom nobody waits, by the names of targets and snapshots as in [`meant`], and of the whole recovery by `all`, and `into` which target: one that cannot be made keeps no other from it, and
/// is told like one that did not pass.
///
/// # Errors
/// Somebody wants it to stop.
pub fn each(
    workplace: &Workplace,
    catalog: &Catalog,
    wanted: &[String],
    into: Option<&str>,
) -> Result<Drills> {
    let mut all = Drills::default();
    for name in names(workplace, catalog, wanted) {
        let made = match catalog.resolve(&name) {
            _ if name == ALL => drill_recovery(workplace, catalog),
            Ok(found) => drill(workplace, catalog, &found.snapshot, into),
            Err(error) => {
                record::not_found(workplace, name.trim_start_matches("latest:"), &error);
                Err(error)
            }
        };
        match made {
            Ok(drilled) => all.add(drilled),
            Err(error) if error.kind() == Kind::Library(ErrorKind::Interrupted) => return Err(error),
            Err(error) => {
                all.status = all.status.max(of_error(&error));
                all.errors.push(format!("{name}: {error}"));
            }
        }
    }
    Ok(all)
}

/// The snapshots that are meant by the names of targets and of snapshots; with no name the latest of every configured target that has one,
/// or the latest of all where no target is configured.
///
/// # Errors
/// A name that means nothing, and a target that has no good snapshot.
pub fn meant(workplace: &Workplace, catalog: &Catalog, wanted: &[String]) -> Result<Chosen> {
    catalog.resolve_all(&names(workplace, catalog, wanted))
}

/// The same as names of snapshots.
fn names(workplace: &Workplace, catalog: &Catalog, wanted: &[String]) -> Vec<String> {
    let config = &workplace.config;
    let has_any = |target: &str| catalog.snapshots.iter().any(|s| s.manifest.target == target);
    let latest = |target: &str| format!("latest:{target}");
    match wanted {
        [] if config.targets.is_empty() => vec!["latest".to_owned()],
        [] => config.targets.iter().map(|t| &*t.name).filter(|t| has_any(t)).map(latest).collect(),
        named => named
            .iter()
            .map(|name| {
                let target = target_name(config, name);
                let is_target = config.target(name).is_some() || has_any(&target);
                if is_target { latest(&target) } else { name.clone() }
            })
            .collect(),
    }
}

/// The drills that this host remembers of a repository, newest first, at most `limit`.
///
/// # Errors
/// The state of this host cannot be read.
pub fn history(
    workplace: &Workplace,
    repository: &Repository,
    (target, status): (Option<&str>, Option<DrillStatus>),
    limit: u32,
) -> Result<Vec<Drilled>> {
    let target = target.map(|name| target_name(&workplace.config, name));
    let id = repository.id().to_string();
    let filter = DrillFilter { repository: Some(&id), target: target.as_deref(), status };
    let rows = State::open(&workplace.places.state)?.drills(&filter, limit)?;
    // What a later version wrote in another way is left to it.
    Ok(rows.iter().filter_map(|row| serde_json::from_str(row).ok()).collect())
}
