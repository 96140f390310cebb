//! Due times against a minute by minute walk around changes of clocks, in many zones and years.

use std::collections::BTreeSet;

use jiff::civil::{Date, DateTime};
use jiff::tz::TimeZone;
use jiff::{SignedDuration, Timestamp};
use proptest::prelude::*;
use proptest::sample::select;

use super::*;

/// Changes by an hour, half an hour, two hours, a day; at midnight; backwards in summer; twice a year, more often, and never.
const ZONES: [&str; 14] = [
    "Europe/Berlin",
    "Europe/Dublin",
    "America/New_York",
    "America/Sao_Paulo",
    "America/Santiago",
    "America/St_Johns",
    "Australia/Lord_Howe",
    "Antarctica/Troll",
    "Africa/Cairo",
    "Africa/Casablanca",
    "Asia/Gaza",
    "Asia/Kathmandu",
    "Pacific/Apia",
    "UTC",
];
const MINUTES: [&str; 6] = ["0", "30", "59", "*/15", "5,45", "*"];
const HOURS: [&str; 10] = ["*", "*", "0-23", "2", "1-3", "*/6", "0", "23", "0,2", "*/2"];
const DAYS: [(&str, &str); 7] =
    [("*", "*"), ("*", "SUN"), ("*", "SAT,MON"), ("L", "*"), ("*", "SUN#L"), ("*/2", "*"), ("1", "SUN")];

/// Days on either side of a change that are walked through.
const AROUND: SignedDuration = SignedDuration::from_hours(40);

#[derive(Debug, Clone)]
struct Case {
    cron: String,
    zone: &'static str,
    start: Timestamp,
    end: Timestamp,
}

prop_compose! {
    fn case()(
        minute in select(&MINUTES[..]),
        hour in select(&HOURS[..]),
        day in select(&DAYS[..]),
        zone in select(&ZONES[..]),
        year in 1995_i16..2045,
        days in 0..365_i64,
        shift in 0..7200_i64,
    ) -> Case {
        let place = TimeZone::get(zone).unwrap();
        let some_day = Date::constant(year, 1, 1).to_zoned(TimeZone::UTC).unwrap().timestamp()
            + SignedDuration::from_hours(24 * days);
        let change = place.following(some_day).next().map_or(some_day, |change| change.timestamp());
        let middle = change + SignedDuration::from_secs(shift);
        let (start, end) = (middle - AROUND, middle + AROUND);
        Case { cron: format!("{minute} {hour} {} * {}", day.0, day.1), zone, start, end }
    }
}

/// Every minute from a day before `start` until a day after `end`, with what the clock shows.
fn minutes(case: &Case) -> Vec<(Timestamp, DateTime)> {
    let zone = TimeZone::get(case.zone).unwrap();
    let day = 86_400;
    let whole = |time: Timestamp| time.as_second().div_euclid(60) * 60;
    (whole(case.start) - day..whole(case.end) + day)
        .step_by(60)
        .map(|second| Timestamp::from_second(second).unwrap())
        .map(|moment| (moment, zone.to_datetime(moment)))
        .collect()
}

/// The due times, found by walking.
fn walked(case: &Case) -> Vec<Timestamp> {
    let cron: croner::Cron = case.cron.parse().unwrap();
    let minutes = minutes(case);
    let by_hours = cron.pattern.hours.values().len() == 24;
    let mut due = BTreeSet::new();
    let mut latest_shown = minutes[0].1;
    for (moment, shown) in minutes {
        if by_hours {
            if cron.is_time_matching(&shown).unwrap() {
                due.insert(moment);
            }
            continue;
        }
        // Every time of the clock that has not been there yet, with those that are skipped.
        while latest_shown < shown {
            latest_shown += SignedDuration::from_mins(1);
            if cron.is_time_matching(&latest_shown).unwrap() {
                due.insert(moment);
            }
        }
    }
    due.into_iter().filter(|due| *due > case.start && *due <= case.end).collect()
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 200, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn due_times_are_those_of_a_walk_through_every_minute(case in case()) {
        let times = Times::parse(&case.cron, Some(case.zone)).unwrap();
        let mut found = Vec::new();
        let mut next = times.after(case.start);
        while let Some(due) = next.filter(|due| *due <= case.end) {
            found.push(due);
            next = times.after(due);
        }
        prop_assert_eq!(&found, &walked(&case));
        for pair in found.windows(2) {
            let between = pair[0] + SignedDuration::from_secs(1);
            prop_assert_eq!(times.after(between), Some(pair[1]));
            prop_assert_eq!(times.until(pair[1]), Some(pair[1]));
            prop_assert_eq!(times.until(pair[1] - SignedDuration::from_nanos(1)), Some(pair[0]));
        }
    }

    #[test]
    fn any_text_is_refused_with_a_sentence_or_has_times(
        text in "(@?[a-z]{0,8})|([0-9*/,#LW?+A-Z-]{1,6}( [0-9*/,#LW?+A-Z-]{1,5}){3,6})|\\PC{0,20}",
        zone in select(&ZONES[..]),
    ) {
        match Times::parse(&text, Some(zone)) {
            Err(why) => prop_assert!(why.len() > 20, "{}", why),
            Ok(times) => {
                let now = at("2026-01-01T00:00");
                let next = times.after(now).unwrap();
                prop_assert!(next > now);
                prop_assert_eq!(times.until(next), Some(next));
            }
        }
    }
}

#[test]
fn the_walk_itself_knows_a_skipped_and_a_repeated_hour() {
    let case = |start: &str, end: &str| Case {
        cron: "30 2 * * *".to_owned(),
        zone: "Europe/Berlin",
        start: at(start),
        end: at(end),
    };
    assert_eq!(walked(&case("2026-03-29T00:00", "2026-03-29T12:00")), [at("2026-03-29T01:00")]);
    assert_eq!(walked(&case("2026-10-25T00:00", "2026-10-25T12:00")), [at("2026-10-25T00:30")]);
}
