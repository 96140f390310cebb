//! What no rule can remove.

use super::*;

const NOW: &str = "2024-06-30T00:00:00Z";

fn nothing() -> Policy {
    Policy::Limits(Limits { retention_days: Some(0), max_backups: Some(0) })
}

fn with(time: &str, change: impl FnOnce(&mut Row)) -> Row {
    let mut row = row(time);
    change(&mut row);
    row
}

fn check(rows: &[Row], expected: &[usize]) {
    assert_eq!(kept(rows, nothing(), &at(NOW)), expected);
}

#[test]
fn held_snapshots_stay() {
    let rows = [
        with("2001-01-01T00:00:00", |r| r.held = true),
        row("2002-01-01T00:00:00"),
        row("2003-01-01T00:00:00"),
    ];
    check(&rows, &[0, 2]);
    assert_eq!(reasons(&rows, nothing(), &at(NOW), 0), [Reason::Held]);
    assert_eq!(reasons(&rows, nothing(), &at(NOW), 2), [Reason::LastGood]);
}

#[test]
fn the_last_good_stays_for_each_target_and_host() {
    let rows = [
        with("2001-01-01T00:00:00", |r| r.target = "a".to_owned()),
        with("2001-01-02T00:00:00", |r| r.target = "a".to_owned()),
        with("2001-01-01T00:00:00", |r| r.host = "other".to_owned()),
        row("2001-01-01T00:00:00"),
        row("2001-01-03T00:00:00"),
        row("2001-01-02T00:00:00"),
    ];
    check(&rows, &[1, 2, 4]);
}

#[test]
fn damaged_ones_and_states_before_a_rollback_are_nobodys_last_good() {
    let rows = [
        row("2001-01-01T00:00:00"),
        with("2001-01-02T00:00:00", |r| r.health = Health::Bad),
        with("2001-01-03T00:00:00", |r| r.tier = "emergency".to_owned()),
        with("2001-01-04T00:00:00", |r| r.tier = "restore-point".to_owned()),
    ];
    check(&rows, &[0]);
}

#[test]
fn the_newest_partial_stays_only_if_it_is_later() {
    let partial = |time| with(time, |r| r.health = Health::Partial);
    let rows = [
        partial("2001-01-01T00:00:00"),
        row("2001-01-02T00:00:00"),
        partial("2001-01-03T00:00:00"),
        partial("2001-01-04T00:00:00"),
    ];
    check(&rows, &[1, 3]);
    assert_eq!(reasons(&rows, nothing(), &at(NOW), 3), [Reason::NewestPartial]);
    check(&rows[..2], &[1]);
    check(&rows[..1], &[0]);
}

#[test]
fn a_part_that_is_later_than_the_whole_stays_beside_it() {
    let part = |time, kind: &str| with(time, |r| r.backup_type = kind.to_owned());
    let scoped = |time, scope: &str| with(time, |r| r.scope = vec![scope.to_owned()]);
    let rows = [
        part("2001-01-01T00:00:00", "database"),
        row("2001-01-02T00:00:00"),
        part("2001-01-03T00:00:00", "database"),
        part("2001-01-04T00:00:00", "database"),
        part("2001-01-05T00:00:00", "workflows"),
        scoped("2001-01-06T00:00:00", "one"),
        part("2001-01-07T00:00:00", "workflows"),
    ];
    check(&rows, &[1, 3, 5, 6]);
    check(&rows[..2], &[1]);
    check(&[part("2001-01-01T00:00:00", "database"), part("2001-01-02T00:00:00", "database")], &[1]);
}

#[test]
fn a_snapshot_without_a_readable_time_stays_and_counts_for_nothing() {
    let rows = [row("2001-01-01T00:00:00"), with("2001-01-01T00:00:00", |r| r.time = None)];
    check(&rows, &[0, 1]);
    assert_eq!(reasons(&rows, nothing(), &at(NOW), 1), [Reason::UnknownTime]);
}

#[test]
fn whatever_the_rules_say_the_floor_adds_its_reason() {
    let rows = [row("2024-06-29T00:00:00")];
    let policy = Policy::Keep(KeepPolicy { last: Some(Count::Newest(1)), ..KeepPolicy::default() });
    assert_eq!(reasons(&rows, policy, &at(NOW), 0), [Reason::Newest("last"), Reason::LastGood]);
}
