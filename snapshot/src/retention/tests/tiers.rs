//! Rules by tier and kind, and limits.

use std::collections::BTreeMap;

use super::*;

const NOW: &str = "2024-06-30T00:00:00Z";

/// A snapshot of that tier and type, so many hours old, on a host of its own, after which a good one comes
/// that is the floor.
fn aged(tier: &str, backup_type: &str, hours: i64) -> Row {
    let time = time(NOW).checked_sub(jiff::SignedDuration::from_hours(hours)).unwrap();
    Row { tier: tier.to_owned(), backup_type: backup_type.to_owned(), ..row(&time.to_string()) }
}

fn newest() -> Row {
    Row { tier: "yearly".to_owned(), ..row(NOW) }
}

fn survives(tier: &str, backup_type: &str, hours: i64, policy: &TierPolicy) -> bool {
    kept(&[aged(tier, backup_type, hours), newest()], Policy::Tiers(policy.clone()), &at(NOW)).contains(&0)
}

#[test]
fn the_built_in_ages_hold() {
    let policy = TierPolicy::built_in();
    let day = 24;
    let cases = [
        ("pre-deploy", "full", 7 * day),
        ("scheduled", "full", 30 * day),
        ("manual", "full", 180 * day),
        ("emergency", "full", 180 * day),
        ("restore-point", "full", 180 * day),
        ("auto", "full", 30 * day),
        ("auto", "database", 3 * day),
        ("auto", "workflows", 30 * day),
        ("pre-deploy", "database", 7 * day),
        ("pre-deploy", "workflows", 30 * day),
        ("scheduled", "database", 30 * day),
    ];
    for (tier, kind, age) in cases {
        assert!(survives(tier, kind, age, &policy), "{tier} {kind} at {age} h");
        assert!(!survives(tier, kind, age + 1, &policy), "{tier} {kind} at {} h", age + 1);
    }
    for (tier, kind) in [("yearly", "full"), ("yearly", "database"), ("unheard-of", "full")] {
        assert!(survives(tier, kind, 24 * 3650, &policy), "{tier} {kind}");
    }
}

#[test]
fn counts_and_ages_keep_together() {
    let policy = Policy::Tiers(TierPolicy::built_in());
    let tier = |tier: &str, step: i64, n: i64| -> Vec<Row> {
        (0..n).rev().map(|i| aged(tier, "full", i * step)).collect()
    };
    let stay = |rows: Vec<Row>| kept(&rows, policy.clone(), &at(NOW)).len();
    assert_eq!(stay(tier("hourly", 1, 40)), 25, "24, and those not older than 24 hours");
    assert_eq!(stay(tier("hourly", 48, 40)), 24);
    assert_eq!(stay(tier("daily", 24, 60)), 31);
    assert_eq!(stay(tier("daily", 24 * 30, 60)), 7);
    assert_eq!(stay(tier("weekly", 24 * 7, 60)), 13);
    assert_eq!(stay(tier("weekly", 24 * 70, 60)), 4);
    assert_eq!(stay(tier("monthly", 24 * 30, 60)), 12);
    assert_eq!(stay(tier("yearly", 24 * 365, 60)), 60);
    let both: Vec<Row> =
        (0..80).rev().map(|i| aged(["hourly", "daily"][usize::from(i % 2 == 1)], "full", i * 480)).collect();
    assert_eq!(stay(both), 24 + 7, "tiers do not fill each other's counts");
}

#[test]
fn other_snapshots_have_an_age_only_if_they_are_given_one() {
    let none = TierPolicy::from_rules(&BTreeMap::from([(
        "daily".to_owned(),
        Rule { count: Some(1), age_seconds: None },
    )]))
    .unwrap();
    assert!(survives("manual", "full", 24 * 3650, &none));
    let some = none.clone().with_other_days(Some(10));
    assert!(survives("manual", "full", 240, &some) && !survives("manual", "full", 241, &some));
    assert!(survives("daily", "full", 24 * 3650, &some), "it shortens no rule");
    let built_in = TierPolicy::built_in().with_other_days(Some(1));
    assert!(survives("manual", "full", 24 * 180, &built_in));
    let own = BTreeMap::from([("other".to_owned(), Rule { count: None, age_seconds: Some(86_400 * 90) })]);
    let own = TierPolicy::from_rules(&own).unwrap().with_other_days(Some(1));
    assert!(survives("manual", "full", 24 * 90, &own));
}

#[test]
fn rules_have_the_names_of_tiers_and_kinds() {
    let rule = |name: &str| BTreeMap::from([(name.to_owned(), Rule { count: Some(2), age_seconds: None })]);
    for name in
        ["pre_deploy", "pre-deploy", "auto", "database_only", "workflows-only", "other", "restore-point"]
    {
        assert!(TierPolicy::from_rules(&rule(name)).is_ok(), "{name}");
    }
    assert!(TierPolicy::from_rules(&rule("dayly")).is_err());
    assert_eq!(TierPolicy::from_rules(&BTreeMap::new()).unwrap(), TierPolicy::built_in());
    let auto = TierPolicy::from_rules(&BTreeMap::from([(
        "auto".to_owned(),
        Rule { count: None, age_seconds: Some(3600 * 50) },
    )]));
    assert!(survives("auto", "full", 50, auto.as_ref().unwrap()));
    assert!(!survives("auto", "full", 51, auto.as_ref().unwrap()));
}

#[test]
fn limits_take_whatever_is_past_either() {
    let rows: Vec<Row> = (0..40).rev().map(|days| aged("manual", "full", 24 * days)).collect();
    let limits = |retention_days, max_backups| Policy::Limits(Limits { retention_days, max_backups });
    assert_eq!(kept(&rows, limits(Some(30), Some(100)), &at(NOW)).len(), 31);
    assert_eq!(kept(&rows, limits(Some(30), Some(10)), &at(NOW)), (30..40).collect::<Vec<_>>());
    assert_eq!(kept(&rows, limits(None, Some(5)), &at(NOW)).len(), 5);
    assert_eq!(kept(&rows, limits(None, None), &at(NOW)).len(), 40);
    assert_eq!(kept(&rows, limits(Some(0), Some(0)), &at(NOW)), [39], "the last good one stays");
    let why = reasons(&rows, limits(Some(30), Some(10)), &at(NOW), 0);
    assert_eq!(why, [Reason::TooOld { days: 30 }, Reason::TooMany { count: 10 }]);
    assert_eq!(Limits::default(), Limits { retention_days: Some(30), max_backups: Some(100) });
}
