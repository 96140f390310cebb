//! A second, slow implementation of the rules, written from their meaning, and random histories to compare.
//!
//! Each snapshot is judged in a list of its own: all that are believed, and itself.

use std::collections::BTreeSet;

use jiff::{SignedDuration, Span, Zoned};
use proptest::prelude::*;
use proptest::test_runner::RngSeed;

use super::*;

/// Fixed, so that a failure can be seen again.
const SEED: u64 = 20_241_115;
const NOW: &str = "2024-11-15T12:00:00Z";

fn local(row: &Row, timing: &Timing) -> Zoned {
    row.time.unwrap().to_zoned(timing.zone.clone())
}

fn believed(rows: &[Row], timing: &Timing, index: usize) -> bool {
    let day = SignedDuration::from_hours(24);
    let time = rows[index].time.unwrap();
    timing.trigger == Trigger::Person
        || (time <= timing.now + day && rows[index..].iter().all(|later| time <= later.time.unwrap() + day))
}

/// All believed rows of the target and the one itself, newest first.
fn list_for(rows: &[Row], timing: &Timing, index: usize) -> Vec<usize> {
    let mut list: Vec<usize> = (0..rows.len())
        .filter(|i| rows[*i].target == rows[index].target && (*i == index || believed(rows, timing, *i)))
        .collect();
    list.sort_by(|a, b| (rows[*b].time, b).cmp(&(rows[*a].time, a)));
    list
}

/// The newest of the newest `count` pieces, and the oldest of all if there are fewer pieces than that.
fn by_piece(list: &[usize], count: usize, piece: &dyn Fn(usize) -> String) -> BTreeSet<usize> {
    let mut pieces: Vec<String> = Vec::new();
    let mut kept = BTreeSet::new();
    for i in list {
        if !pieces.contains(&piece(*i)) {
            pieces.push(piece(*i));
            if pieces.len() <= count {
                kept.insert(*i);
            }
        }
    }
    if pieces.len() < count {
        kept.extend(list.last());
    }
    kept
}

fn keeps(rows: &[Row], policy: &KeepPolicy, timing: &Timing, index: usize) -> bool {
    let list = list_for(rows, timing, index);
    let piece = |format: &'static str| move |i: usize| local(&rows[i], timing).strftime(format).to_string();
    let number = |count: Option<Count>| match count {
        None => 0,
        Some(Count::Newest(n)) => n as usize,
        Some(Count::All) => usize::MAX,
    };
    let formats = [
        (policy.hourly, "%Y-%m-%d %H"),
        (policy.daily, "%Y-%m-%d"),
        (policy.weekly, "%G-%V"),
        (policy.monthly, "%Y-%m"),
        (policy.yearly, "%Y"),
    ];
    let by_count = formats.iter().any(|(count, format)| {
        number(*count) > 0 && by_piece(&list, number(*count), &piece(format)).contains(&index)
    });
    let among_last = list.iter().position(|i| *i == index).unwrap() < number(policy.last);
    let newest = list
        .iter()
        .filter(|i| believed(rows, timing, **i) && rows[**i].time.unwrap() < timing.now)
        .map(|i| local(&rows[*i], timing))
        .max();
    let inside = |span: &Within, i: usize| {
        let span = Span::new().days(span.days).hours(span.hours);
        newest.as_ref().is_none_or(|n| local(&rows[i], timing) > n - span)
    };
    let within = policy.within.is_some_and(|span| inside(&span, index));
    let within_daily = policy.within_daily.is_some_and(|span| {
        let sublist: Vec<usize> = list.iter().copied().filter(|i| inside(&span, *i)).collect();
        let days: BTreeSet<String> = sublist.iter().map(|i| piece("%Y-%m-%d")(*i)).collect();
        let newest_of_days = by_piece(&sublist, days.len(), &piece("%Y-%m-%d"));
        // The oldest of all stays too, if it is inside.
        newest_of_days.contains(&index) || (inside(&span, index) && list.last() == Some(&index))
    });
    by_count || among_last || within || within_daily
}

fn tier_keeps(rows: &[Row], timing: &Timing, index: usize) -> bool {
    let policy = TierPolicy::built_in();
    let me = &rows[index];
    let list = list_for(rows, timing, index);
    let age = timing.now.duration_since(me.time.unwrap()).as_secs_f64();
    let judge = |rule: Rule, named: &dyn Fn(&Row) -> bool| {
        let newer = list.iter().take_while(|i| **i != index).filter(|i| named(&rows[**i])).count();
        rule == Rule::default()
            || rule.count.is_some_and(|n| newer < n as usize)
            || rule.age_seconds.is_some_and(|a| age <= a as f64)
    };
    let tier = policy.tiers.get(&me.tier).map(|rule| judge(*rule, &|r| r.tier == me.tier));
    let kind = match me.backup_type.as_str() {
        "database" => Some(judge(policy.database_only.unwrap(), &|r| r.backup_type == "database")),
        "workflows" => Some(judge(policy.workflows_only.unwrap(), &|r| r.backup_type == "workflows")),
        _ => None,
    };
    match (tier, kind) {
        (None, None) if me.tier == "auto" => age <= 30.0 * 86_400.0,
        (None, None) => true,
        (tier, kind) => tier.unwrap_or(false) || kind.unwrap_or(false),
    }
}

fn history() -> impl Strategy<Value = Vec<Row>> {
    let tiers = prop::sample::select(vec!["hourly", "daily", "weekly", "monthly", "manual", "auto", "odd"]);
    let kinds = prop::sample::select(vec!["full", "database", "workflows"]);
    // Steps of minutes between snapshots, mostly forward, sometimes far back or ahead.
    let step = prop_oneof![8 => 0..3000i64, 3 => 3000..90_000i64, 1 => -90_000..90_000i64];
    let one = (step, tiers, kinds, prop::sample::select(vec!["a", "b"]));
    prop::collection::vec(one, 0..40).prop_map(|steps| {
        let mut minutes = 0;
        let mut rows = Vec::new();
        for (step, tier, kind, target) in steps {
            minutes += step;
            let time = time("2024-01-01T00:00:00Z") + SignedDuration::from_mins(minutes);
            let row = Row { tier: tier.to_owned(), backup_type: kind.to_owned(), ..row(&time.to_string()) };
            // Nothing here is good, so that the floor does not hide what the rules say.
            rows.push(Row { target: target.to_owned(), health: Health::Bad, ..row });
        }
        rows
    })
}

fn timings() -> impl Strategy<Value = Timing> {
    let zones = prop::sample::select(vec!["UTC", "Europe/Berlin", "America/New_York", "Asia/Kolkata"]);
    let triggers = prop::sample::select(vec![Trigger::Person, Trigger::Schedule]);
    (zones, triggers).prop_map(|(zone, trigger)| timing(NOW, zone, trigger))
}

fn counts() -> impl Strategy<Value = Option<Count>> {
    prop_oneof![3 => Just(None), 3 => (0..6u32).prop_map(|n| Some(Count::Newest(n))), 1 => Just(Some(Count::All))]
}

fn spans() -> impl Strategy<Value = Option<Within>> {
    let span =
        (0..60i32, 1..24i32).prop_map(|(days, hours)| Some(Within { days, hours, ..Within::default() }));
    prop_oneof![2 => Just(None), 1 => span]
}

fn policies() -> impl Strategy<Value = KeepPolicy> {
    let counts = (counts(), counts(), counts(), counts(), counts(), counts());
    (counts, spans(), spans()).prop_map(
        |((last, hourly, daily, weekly, monthly, yearly), within, within_daily)| KeepPolicy {
            last,
            hourly,
            daily,
            weekly,
            monthly,
            yearly,
            within,
            within_daily,
            ..KeepPolicy::default()
        },
    )
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 300, failure_persistence: None, rng_seed: RngSeed::Fixed(SEED), ..ProptestConfig::default() })]

    #[test]
    fn the_classic_policy_means_what_its_words_say(rows in history(), policy in policies(), timing in timings()) {
        prop_assume!(!policy.is_empty());
        let expected: Vec<usize> = (0..rows.len()).filter(|i| keeps(&rows, &policy, &timing, *i)).collect();
        prop_assert_eq!(kept(&rows, Policy::Keep(policy), &timing), expected);
    }

    #[test]
    fn tiers_mean_what_their_words_say(rows in history(), timing in timings()) {
        let expected: Vec<usize> = (0..rows.len()).filter(|i| tier_keeps(&rows, &timing, *i)).collect();
        prop_assert_eq!(kept(&rows, Policy::Tiers(TierPolicy::built_in()), &timing), expected);
    }

    #[test]
    fn a_later_snapshot_that_is_not_believed_removes_nothing(rows in history(), policy in policies(), zone in timings()) {
        let timing = Timing { trigger: Trigger::Schedule, ..zone };
        let before = kept(&rows, Policy::Keep(policy.clone()), &timing);
        let mut forged = rows.clone();
        forged.push(Row { target: "a".to_owned(), ..row("2025-05-05T00:00:00") });
        let after = kept(&forged, Policy::Keep(policy), &timing);
        prop_assert!(before.iter().all(|i| after.contains(i)));
    }
}
