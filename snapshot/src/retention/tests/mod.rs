//! What stays and what goes: tables of expected outcomes, and a slow second implementation to compare with.
#![expect(clippy::unwrap_used, clippy::indexing_slicing, clippy::panic, reason = "tests")]

mod floor;
mod keep;
mod reference;
mod tiers;
mod trust;
mod words;

use jiff::Timestamp;
use jiff::tz::TimeZone;

use super::*;

/// A good, full snapshot of target `t` on host `h`, tier `manual`.
fn row(time: &str) -> Row {
    let time = if time.ends_with('Z') { time.to_owned() } else { format!("{time}Z") };
    Row {
        target: "t".to_owned(),
        tier: "manual".to_owned(),
        backup_type: "full".to_owned(),
        scope: Vec::new(),
        host: "h".to_owned(),
        tags: Vec::new(),
        time: Some(time.parse().unwrap()),
        health: Health::Good,
        held: false,
    }
}

fn rows(times: &[&str]) -> Vec<Row> {
    times.iter().map(|t| row(t)).collect()
}

fn timing(now: &str, zone: &str, trigger: Trigger) -> Timing {
    Timing { now: now.parse().unwrap(), zone: TimeZone::get(zone).unwrap(), trigger }
}

/// A person's plan at that moment, UTC.
fn at(now: &str) -> Timing {
    timing(now, "UTC", Trigger::Person)
}

fn kept(rows: &[Row], policy: Policy, timing: &Timing) -> Vec<usize> {
    let plan = plan(rows, &PolicySet::of(policy), timing);
    assert_eq!(plan.choices.len(), rows.len());
    for (n, choice) in plan.choices.iter().enumerate() {
        assert!(choice.index == n && !choice.reasons.is_empty(), "{choice:?}");
        assert!(choice.reasons.iter().all(|r| !r.to_string().is_empty()));
    }
    let kept: Vec<usize> = plan.kept().map(|c| c.index).collect();
    let removed: Vec<usize> = plan.removed().map(|c| c.index).collect();
    assert_eq!(removed, (0..rows.len()).filter(|n| !kept.contains(n)).collect::<Vec<_>>(), "the others go");
    kept
}

fn reasons(rows: &[Row], policy: Policy, timing: &Timing, index: usize) -> Vec<Reason> {
    plan(rows, &PolicySet::of(policy), timing).choices.swap_remove(index).reasons
}

fn time(text: &str) -> Timestamp {
    text.parse().unwrap()
}
