//! Retention by a rule, as the program does it: a plan over the listed snapshots, then one change.

use std::collections::BTreeMap;

use chronos_snapshot::retention::{Count, KeepPolicy, Policy, PolicySet, Row, Timing, Trigger, plan};
use chronos_snapshot::{Error, listed};
use chronos_store::{Change, Repository};
use jiff::Timestamp;
use jiff::tz::TimeZone;

use super::engine::Answer;

/// Keeps the newest so many of one target, or of each.
pub(super) fn forget(
    repo: &Repository,
    last: u32,
    target: Option<&str>,
    dry_run: bool,
) -> Result<Answer, Error> {
    let (snapshots, errors) = listed(&*repo.view()?);
    if let Some(error) = errors.into_iter().next() {
        return Err(error);
    }
    let policy = |last| Policy::Keep(KeepPolicy { last: Some(last), ..KeepPolicy::default() });
    let policies = match target {
        None => PolicySet::of(policy(Count::Newest(last))),
        Some(name) => PolicySet {
            general: policy(Count::All),
            targets: BTreeMap::from([(name.to_owned(), policy(Count::Newest(last)))]),
        },
    };
    let rows: Vec<Row> = snapshots.iter().map(Row::of).collect();
    let now = Timestamp::from_nanosecond(repo.env().clock.now()).unwrap();
    let timing = Timing { now, zone: TimeZone::UTC, trigger: Trigger::Person };
    let plan = plan(&rows, &policies, &timing);
    let going: Vec<_> = plan.removed().map(|choice| snapshots[choice.index].session.clone()).collect();
    if !dry_run && !going.is_empty() {
        repo.change(&|_| Ok(Some(Change::Forget { snapshots: going.clone() })))?;
    }
    Ok(Answer::default())
}
