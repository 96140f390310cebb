//! Which snapshot each part of a recovery comes from: that which was named, else the newest good one that is not later.

use chronos_snapshot::{Snapshot, SourceResult};
use jiff::Timestamp;

use crate::catalog::{Catalog, Filter, LATEST};
use crate::error::{Error, Result};
use crate::operations::recover::order::{Phase, Wanted};
use crate::operations::recover::report::StepReport;

/// What the names of runs begin with.
const RUN: &str = "all_";
/// Under which a snapshot says of which run it is.
const RUN_ID: &str = "run_id";

/// What was named.
#[derive(Debug, Default)]
pub(super) struct Moment {
    /// Nothing later is taken; `None`: up to now.
    pub(super) until: Option<Timestamp>,
    /// What was named itself, which is taken for what it has all of, also if it is not good.
    pub(super) named: Vec<Snapshot>,
    /// What the user must know of the name.
    pub(super) note: Option<String>,
}

impl Moment {
    /// What a name means: `latest`, a run, or a snapshot.
    pub(super) fn of(catalog: &Catalog, name: &str) -> Result<Self> {
        if name == LATEST {
            return Ok(Self::default());
        }
        if name.starts_with(RUN) {
            let filter = Filter { metadata: vec![(RUN_ID.to_owned(), name.to_owned())], ..Filter::default() };
            let named: Vec<Snapshot> = catalog.fitting(&filter, &catalog.snapshots).cloned().collect();
            if !named.is_empty() {
                return Ok(Self { until: until(&named), named, note: None });
            }
        }
        let found = catalog.resolve(name)?;
        let named = vec![found.snapshot];
        Ok(Self { until: until(&named), named, note: found.note })
    }
}

fn until(named: &[Snapshot]) -> Option<Timestamp> {
    named.iter().map(Snapshot::taken_at).max()
}

/// The steps of a recovery, and what cannot be recovered.
pub(super) fn steps(
    catalog: &Catalog,
    moment: &Moment,
    wanted: Vec<Wanted>,
) -> (Vec<StepReport>, Vec<StepReport>) {
    let (mut steps, mut missing) = (Vec::<StepReport>::new(), Vec::new());
    for wanted in wanted {
        let Some(snapshot) = newest(catalog, moment, &wanted) else {
            let why = "no good snapshot has it".to_owned();
            missing.push(StepReport { error: Some(why), ..StepReport::of(&wanted, None) });
            continue;
        };
        // What comes from one snapshot in one phase comes back together.
        let last = steps.iter_mut().find(|step| {
            step.phase == wanted.phase
                && step.target == wanted.target
                && step.backup_id == snapshot.manifest.backup_id
        });
        match last {
            Some(step) => step.sources.push(wanted.source),
            None => steps.push(StepReport::of(&wanted, Some(snapshot))),
        }
    }
    (steps, missing)
}

/// The newest snapshot that has a source.
fn newest<'c>(catalog: &'c Catalog, moment: &'c Moment, wanted: &Wanted) -> Option<&'c Snapshot> {
    let is_of = |s: &&Snapshot| s.manifest.target == wanted.target && source(s, wanted).is_some();
    if let Some(named) = moment.named.iter().find(|s| is_of(s) && is_whole(s, wanted)) {
        return Some(named);
    }
    let fits = |s: &&Snapshot| {
        s.is_good()
            && !s.is_before_rollback()
            && is_of(s)
            && is_whole(s, wanted)
            && moment.until.is_none_or(|until| s.taken_at() <= until)
    };
    catalog.snapshots.iter().filter(fits).max_by_key(|s| s.taken_at())
}

/// The source, as a snapshot has it.
fn source<'s>(snapshot: &'s Snapshot, wanted: &Wanted) -> Option<&'s SourceResult> {
    let of_name = |s: &&SourceResult| s.name == wanted.source && !s.failed;
    snapshot.manifest.sources.iter().find(of_name)
}

/// Whether a snapshot has all of a source, and not one workflow of it.
fn is_whole(snapshot: &Snapshot, wanted: &Wanted) -> bool {
    let scope = &snapshot.manifest.scope;
    scope.is_empty() || scope.contains(&wanted.component)
}

/// Fails if nothing is to be done.
pub(super) fn check(steps: &[StepReport], missing: &[StepReport]) -> Result<()> {
    if steps.is_empty() {
        let components =
            missing.iter().map(|m| format!("{} of {}", m.sources.join(", "), m.target)).collect();
        return Err(Error::NoneGood { target: None, components });
    }
    Ok(())
}

/// What is meant by some names: targets, components or sources; all of it, if none is named.
pub(super) fn named(all: Vec<Wanted>, names: &[(String, String)]) -> Result<Vec<Wanted>> {
    if names.is_empty() {
        return Ok(all);
    }
    let fits = |wanted: &Wanted, (name, target): &(String, String)| {
        wanted.target == *target
            || wanted.component == *name
            || wanted.source == *name
            || wanted.phase == Phase::EventBus && name == "event-bus"
    };
    for name in names {
        if !all.iter().any(|wanted| fits(wanted, name)) {
            let why = format!("{:?} is no configured target, component or source", name.0);
            return Err(Error::Value { place: "components".to_owned(), why });
        }
    }
    Ok(all.into_iter().filter(|wanted| names.iter().any(|name| fits(wanted, name))).collect())
}
