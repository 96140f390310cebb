//! The classic policy: counts per piece of time, spans, tags.

use super::*;

fn policy(rules: &[(&str, u32)]) -> Policy {
    let mut policy = KeepPolicy::default();
    for (name, n) in rules {
        let count = Some(if *n == u32::MAX { Count::All } else { Count::Newest(*n) });
        match *name {
            "last" => policy.last = count,
            "hourly" => policy.hourly = count,
            "daily" => policy.daily = count,
            "weekly" => policy.weekly = count,
            "monthly" => policy.monthly = count,
            "yearly" => policy.yearly = count,
            other => panic!("{other}"),
        }
    }
    Policy::Keep(policy)
}

fn within(span: &str) -> Policy {
    Policy::Keep(KeepPolicy { within: Some(span.parse().unwrap()), ..KeepPolicy::default() })
}

/// Rules, times oldest first, and which of them stay.
type Case<'a> = (&'a [(&'a str, u32)], &'a [&'a str], &'a [usize]);

fn check(zone: &str, cases: &[Case<'_>]) {
    let timing = timing("2030-01-01T00:00:00Z", zone, Trigger::Person);
    for (rules, times, expected) in cases {
        assert_eq!(kept(&rows(times), policy(rules), &timing), *expected, "{rules:?} {times:?} {zone}");
    }
}

#[test]
fn counts_keep_the_newest_of_each_piece_of_time() {
    let week = [
        "2024-03-04T08:00:00",
        "2024-03-04T20:00:00",
        "2024-03-05T08:00:00",
        "2024-03-07T08:00:00",
        "2024-03-07T08:59:59",
        "2024-03-07T09:00:00",
    ];
    check(
        "UTC",
        &[
            (&[("last", 1)], &week, &[5]),
            (&[("last", 3)], &week, &[3, 4, 5]),
            (&[("last", 100)], &week, &[0, 1, 2, 3, 4, 5]),
            (&[("hourly", 2)], &week, &[4, 5]),
            (&[("daily", 2)], &week, &[2, 5]),
            (&[("daily", 3)], &week, &[1, 2, 5]),
            (&[("daily", 4)], &week, &[0, 1, 2, 5]),
            (&[("daily", u32::MAX)], &week, &[0, 1, 2, 5]),
            (&[("last", 2), ("daily", 2)], &week, &[2, 4, 5]),
            (&[("daily", 0)], &week, &[0, 1, 2, 3, 4, 5]),
            (&[("last", 1)], &[], &[]),
        ],
    );
}

#[test]
fn the_oldest_stays_while_a_rule_is_not_filled() {
    let times = ["2024-01-10T00:00:00", "2024-01-20T00:00:00", "2024-02-01T00:00:00"];
    check(
        "UTC",
        &[
            (&[("monthly", 2)], &times, &[1, 2]),
            (&[("monthly", 3)], &times, &[0, 1, 2]),
            (&[("yearly", 1)], &times, &[2]),
            (&[("yearly", 2)], &times, &[0, 2]),
        ],
    );
    let policy = policy(&[("yearly", 2)]);
    assert_eq!(reasons(&rows(&times), policy, &at("2030-01-01T00:00:00Z"), 0), [Reason::Oldest("yearly")]);
}

#[test]
fn leap_years_and_iso_weeks_have_their_own_ends() {
    let leap = ["2024-02-28T12:00:00", "2024-02-29T12:00:00", "2024-03-01T12:00:00"];
    let turn = [
        "2020-12-27T12:00:00", // Sunday of week 52
        "2020-12-28T12:00:00", // Monday of week 53
        "2021-01-03T12:00:00", // Sunday of week 53
        "2021-01-04T12:00:00", // Monday of week 1
    ];
    check(
        "UTC",
        &[
            (&[("daily", 2)], &leap, &[1, 2]),
            (&[("monthly", 1)], &leap, &[2]),
            (&[("monthly", 2)], &leap, &[1, 2]),
            (&[("weekly", 1)], &turn, &[3]),
            (&[("weekly", 2)], &turn, &[2, 3]),
            (&[("weekly", 3)], &turn, &[0, 2, 3]),
            (&[("yearly", 2)], &turn, &[1, 3]),
        ],
    );
}

#[test]
fn pieces_of_time_begin_in_the_given_zone() {
    let evening = ["2024-06-01T21:30:00", "2024-06-01T22:30:00", "2024-06-02T21:30:00"];
    check("UTC", &[(&[("daily", 2)], &evening, &[1, 2])]);
    check("Europe/Berlin", &[(&[("daily", 1)], &evening, &[2]), (&[("daily", 2)], &evening, &[0, 2])]);
}

#[test]
fn the_hour_that_a_clock_repeats_is_one_hour_and_the_skipped_one_none() {
    // 02:30 summer time, 02:10 and 02:50 winter time, 03:10.
    let back = ["2024-10-27T00:30:00", "2024-10-27T01:10:00", "2024-10-27T01:50:00", "2024-10-27T02:10:00"];
    // 01:50, then 03:10 of the same day.
    let forth = ["2024-03-31T00:50:00", "2024-03-31T01:10:00"];
    check(
        "Europe/Berlin",
        &[
            (&[("hourly", 2)], &back, &[2, 3]),
            (&[("hourly", 3)], &back, &[0, 2, 3]),
            (&[("daily", 1)], &back, &[3]),
            (&[("hourly", 2)], &forth, &[0, 1]),
            (&[("daily", 1)], &forth, &[1]),
        ],
    );
    check("UTC", &[(&[("hourly", 3)], &back, &[0, 2, 3])]);
}

#[test]
fn of_equal_times_the_later_event_is_the_newer() {
    let same = ["2024-03-07T09:00:00"; 3];
    check("UTC", &[(&[("last", 1)], &same, &[2]), (&[("last", 2)], &same, &[1, 2])]);
}

#[test]
fn order_of_events_does_not_matter_for_a_person() {
    let mixed = ["2024-03-07T09:00:00", "2024-03-05T09:00:00", "2024-03-06T09:00:00"];
    check("UTC", &[(&[("last", 1)], &mixed, &[0]), (&[("daily", 2)], &mixed, &[0, 2])]);
}

#[test]
fn spans_go_back_from_the_newest_that_is_not_in_the_future() {
    let times = ["2024-01-31T12:00:00", "2024-02-29T12:00:00", "2024-03-30T12:00:00", "2024-03-31T12:00:00"];
    let now = at("2024-06-01T00:00:00Z");
    let cases: [(&str, &[usize]); 9] = [
        ("1h", &[3]),
        ("24h", &[3]),
        ("25h", &[2, 3]),
        ("1d", &[3]),
        ("1d1h", &[2, 3]),
        // A month before 31 March is 31 February, which runs over to 2 March.
        ("1m", &[2, 3]),
        ("1m2d", &[2, 3]),
        ("1m3d", &[1, 2, 3]),
        ("1y", &[0, 1, 2, 3]),
    ];
    for (span, expected) in cases {
        assert_eq!(kept(&rows(&times), within(span), &now), expected, "{span}");
    }
    let before = at("2024-03-31T00:00:00Z");
    assert_eq!(kept(&rows(&times), within("1d"), &before), [2, 3], "the future one stays and ends no span");
    let early = at("2020-01-01T00:00:00Z");
    assert_eq!(kept(&rows(&times), within("1h"), &early), [0, 1, 2, 3]);
}

#[test]
fn spans_can_be_thinned() {
    let times = [
        "2024-03-01T12:00:00",
        "2024-03-28T12:00:00",
        "2024-03-30T12:00:00",
        "2024-03-30T18:00:00",
        "2024-03-31T12:00:00",
    ];
    let policy = KeepPolicy { within_daily: Some("7d".parse().unwrap()), ..KeepPolicy::default() };
    let now = at("2024-06-01T00:00:00Z");
    assert_eq!(kept(&rows(&times), Policy::Keep(policy.clone()), &now), [1, 3, 4]);
    let why = reasons(&rows(&times), Policy::Keep(policy), &now, 1);
    assert_eq!(why.first().unwrap().to_string(), "daily within 7d");
}

#[test]
fn tags_keep_whatever_the_time() {
    let mut rows =
        rows(&["2024-01-01T00:00:00", "2024-01-02T00:00:00", "2024-01-03T00:00:00", "2024-01-04T00:00:00"]);
    let tagged = |tags: &[&str]| tags.iter().map(ToString::to_string).collect::<Vec<String>>();
    for (row, tags) in rows.iter_mut().zip([&["a"][..], &["a", "b"], &[], &["c"]]) {
        row.tags = tagged(tags);
    }
    let now = at("2024-06-01T00:00:00Z");
    let cases: [(&[&[&str]], &[usize]); 6] = [
        (&[&["a"]], &[0, 1, 3]),
        (&[&["a", "b"]], &[1, 3]),
        (&[&["b"], &["c"]], &[1, 3]),
        (&[&[""]], &[2, 3]),
        (&[&["none"]], &[3]),
        (&[&["c"]], &[3]),
    ];
    for (lists, expected) in cases {
        let tags = lists.iter().map(|l| tagged(l)).collect();
        // The last one is the floor in each case.
        let policy = Policy::Keep(KeepPolicy { tags, ..KeepPolicy::default() });
        assert_eq!(kept(&rows, policy, &now), expected, "{lists:?}");
    }
}

#[test]
fn without_rules_everything_stays() {
    let rows = rows(&["2001-01-01T00:00:00", "2024-01-02T00:00:00"]);
    let now = at("2024-06-01T00:00:00Z");
    assert_eq!(kept(&rows, Policy::Keep(KeepPolicy::default()), &now), [0, 1]);
    assert_eq!(reasons(&rows, Policy::Keep(KeepPolicy::default()), &now, 0), [Reason::NoRules]);
}

#[test]
fn targets_are_groups_with_policies_of_their_own() {
    let mut rows =
        rows(&["2024-01-01T00:00:00", "2024-01-02T00:00:00", "2024-01-03T00:00:00", "2024-01-04T00:00:00"]);
    for row in rows.iter_mut().take(2) {
        row.target = "u".to_owned();
    }
    let now = at("2024-06-01T00:00:00Z");
    assert_eq!(kept(&rows, policy(&[("last", 1)]), &now), [1, 3]);
    let mut set = PolicySet::of(policy(&[("last", 1)]));
    set.targets.insert("u".to_owned(), policy(&[("last", 2)]));
    let kept: Vec<usize> = plan(&rows, &set, &now).kept().map(|c| c.index).collect();
    assert_eq!(kept, [0, 1, 3]);
}

#[test]
fn spans_and_counts_are_read_as_people_write_them() {
    let span: Within = "1y5m7d2h".parse().unwrap();
    assert_eq!((span.years, span.months, span.days, span.hours), (1, 5, 7, 2));
    assert_eq!(span.to_string(), "1y5m7d2h");
    for bad in ["", "5", "d", "5x", "1d-2h", "99999d", "1d 2h"] {
        assert!(bad.parse::<Within>().is_err(), "{bad}");
    }
    assert_eq!("unlimited".parse::<Count>().unwrap(), Count::All);
    assert_eq!("-1".parse::<Count>().unwrap(), Count::All);
    assert_eq!("7".parse::<Count>().unwrap(), Count::Newest(7));
    assert!("-2".parse::<Count>().is_err() && "x".parse::<Count>().is_err());
    assert_eq!(kept(&rows(&["2024-01-01T00:00:00"]), within("9999y"), &at("2024-06-01T00:00:00Z")), [0]);
}

#[test]
fn pieces_of_time_that_are_far_apart_are_never_taken_for_one() {
    type Rule = fn(&mut KeepPolicy) -> &mut Option<Count>;
    let hourly: Rule = |p| &mut p.hourly;
    let daily: Rule = |p| &mut p.daily;
    let weekly: Rule = |p| &mut p.weekly;
    let monthly: Rule = |p| &mut p.monthly;
    // Years, months, weeks and days whose sums, products or quotients are alike.
    for (rule, older, newer) in [
        (hourly, "2024-01-05T03:00:00", "2024-01-06T03:00:00"),
        (hourly, "2024-01-05T03:00:00", "2024-01-06T02:00:00"),
        (daily, "2024-02-05T00:00:00", "2025-01-05T00:00:00"),
        (daily, "2024-01-05T00:00:00", "2025-01-05T00:00:00"),
        (daily, "1980-12-05T00:00:00", "2160-11-05T00:00:00"),
        (daily, "1971-09-10T00:00:00", "2190-10-09T00:00:00"),
        (weekly, "2024-01-10T00:00:00", "2025-01-01T00:00:00"),
        (weekly, "2024-01-10T00:00:00", "2025-01-08T00:00:00"),
        (weekly, "1989-12-28T00:00:00", "2028-12-20T00:00:00"),
        (monthly, "2024-02-05T00:00:00", "2025-01-05T00:00:00"),
        (monthly, "2024-01-05T00:00:00", "2025-01-05T00:00:00"),
        (monthly, "1980-12-05T00:00:00", "2160-11-05T00:00:00"),
    ] {
        let mut policy = KeepPolicy::default();
        *rule(&mut policy) = Some(Count::Newest(2));
        let found = kept(&rows(&[older, newer]), Policy::Keep(policy), &at("2200-01-01T00:00:00Z"));
        assert_eq!(found, [0, 1], "{older} {newer}");
    }
}

#[test]
fn spans_begin_at_the_newest_that_is_past() {
    let policy = Policy::Keep(KeepPolicy { within: Some("1h".parse().unwrap()), ..KeepPolicy::default() });
    let rows = rows(&["2024-06-29T22:40:00", "2024-06-29T23:30:00", "2024-06-30T00:00:00"]);
    assert_eq!(kept(&rows, policy.clone(), &at("2024-06-30T00:00:00Z")), [0, 1, 2]);
    assert_eq!(kept(&rows, policy, &at("2024-06-30T00:00:01Z")), [1, 2]);
}
