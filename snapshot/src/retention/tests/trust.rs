//! Times that do not fit the repository's own order of events.

use super::*;

const NOW: &str = "2024-06-30T00:00:00Z";

fn last(n: u32) -> Policy {
    Policy::Keep(KeepPolicy { last: Some(Count::Newest(n)), ..KeepPolicy::default() })
}

fn scheduled() -> Timing {
    timing(NOW, "UTC", Trigger::Schedule)
}

#[test]
fn a_time_in_the_future_ages_nothing_out_on_a_schedule() {
    let rows =
        rows(&["2024-06-27T00:00:00", "2024-06-28T00:00:00", "2025-01-01T00:00:00", "2026-01-01T00:00:00"]);
    assert_eq!(kept(&rows, last(2), &scheduled()), [0, 1, 2, 3]);
    assert_eq!(kept(&rows, last(1), &scheduled()), [1, 2, 3]);
    assert_eq!(kept(&rows, last(1), &at(NOW)), [3], "a person gets what was asked for");
}

#[test]
fn a_time_in_the_future_is_not_the_last_good_alone_on_a_schedule() {
    let rows = rows(&["2024-06-27T00:00:00", "2024-06-28T00:00:00", "2026-01-01T00:00:00"]);
    let nothing = Policy::Limits(Limits { retention_days: Some(0), max_backups: Some(0) });
    assert_eq!(kept(&rows, nothing.clone(), &scheduled()), [1, 2]);
    assert_eq!(kept(&rows, nothing, &at(NOW)), [2]);
}

#[test]
fn a_forged_time_that_has_passed_since_is_still_known_by_what_came_later() {
    let mut rows = rows(&["2024-06-01T00:00:00", "2024-06-02T00:00:00"]);
    // Written on the second of June, dated later.
    rows.extend(super::rows(&["2024-06-20T00:00:00", "2024-06-21T00:00:00", "2024-06-22T00:00:00"]));
    rows.push(row("2024-06-03T00:00:00"));
    assert_eq!(kept(&rows, last(3), &scheduled()), [0, 1, 2, 3, 4, 5]);
    assert_eq!(kept(&rows, last(2), &scheduled()), [1, 2, 3, 4, 5]);
    assert_eq!(kept(&rows, last(3), &at(NOW)), [2, 3, 4]);
}

#[test]
fn a_day_of_difference_between_clocks_is_believed() {
    let rows = rows(&["2024-06-10T00:00:00", "2024-06-11T23:00:00", "2024-06-10T23:00:00"]);
    assert_eq!(kept(&rows, last(1), &scheduled()), [1]);
    let ahead = super::rows(&["2024-06-10T00:00:00", "2024-06-30T23:59:00"]);
    assert_eq!(kept(&ahead, last(1), &scheduled()), [1]);
}

#[test]
fn counts_of_tiers_and_limits_are_not_filled_by_forged_times() {
    let tier = |time: &str| Row { tier: "monthly".to_owned(), ..row(time) };
    let mut rows: Vec<Row> = (1..=6).map(|month| tier(&format!("2024-0{month}-01T00:00:00"))).collect();
    rows.extend((10..=29).map(|day| tier(&format!("2027-01-{day}T00:00:00"))));
    let built_in = Policy::Tiers(TierPolicy::built_in());
    assert_eq!(kept(&rows, built_in.clone(), &scheduled()).len(), rows.len());
    assert_eq!(kept(&rows, built_in, &at(NOW)), (14..26).collect::<Vec<_>>());
    let limits = Policy::Limits(Limits { retention_days: None, max_backups: Some(4) });
    assert_eq!(kept(&rows, limits, &scheduled()), (2..26).collect::<Vec<_>>());
}

#[test]
fn spans_do_not_go_back_from_a_forged_time() {
    let rows = rows(&["2024-06-10T00:00:00", "2024-06-25T00:00:00", "2024-06-12T00:00:00"]);
    let policy = Policy::Keep(KeepPolicy { within: Some("5d".parse().unwrap()), ..KeepPolicy::default() });
    assert_eq!(kept(&rows, policy.clone(), &scheduled()), [0, 1, 2]);
    assert_eq!(kept(&rows, policy, &at(NOW)), [1]);
}
