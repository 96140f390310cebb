//! Due times: words, names, days of months, and clocks that are put forward and back.

use super::*;

/// The next due times after a moment, as the clock there shows them.
fn shown(cron: &str, zone: &str, from: &str, number: usize) -> Vec<String> {
    let times = Times::parse(cron, Some(zone)).unwrap();
    let place = parse_timezone(zone).unwrap();
    let mut moment = at(from);
    let mut all = Vec::new();
    for _ in 0..number {
        moment = times.after(moment).unwrap();
        all.push(moment.to_zoned(place.clone()).strftime("%m-%d %H:%M%:z").to_string());
    }
    all
}

#[test]
fn words_and_names_and_days_of_months() {
    let dates = |cron: &str| shown(cron, "UTC", "2026-01-01T00:00", 2);
    assert_eq!(dates("@hourly"), ["01-01 01:00+00:00", "01-01 02:00+00:00"]);
    assert_eq!(dates("@Daily"), ["01-02 00:00+00:00", "01-03 00:00+00:00"]);
    assert_eq!(dates("@midnight"), dates("@daily"));
    assert_eq!(dates("@weekly"), ["01-04 00:00+00:00", "01-11 00:00+00:00"]);
    assert_eq!(dates("@monthly"), ["02-01 00:00+00:00", "03-01 00:00+00:00"]);
    assert_eq!(dates("@yearly"), ["01-01 00:00+00:00", "01-01 00:00+00:00"]);
    assert_eq!(dates("30 3 * JAN mon"), ["01-05 03:30+00:00", "01-12 03:30+00:00"]);
    assert_eq!(dates("0 4 L * *"), ["01-31 04:00+00:00", "02-28 04:00+00:00"]);
    assert_eq!(dates("0 4 * * MON#1"), ["01-05 04:00+00:00", "02-02 04:00+00:00"]);
    assert_eq!(dates("0 4 * * FRI#L"), ["01-30 04:00+00:00", "02-27 04:00+00:00"]);
    assert_eq!(dates("0 4 15W 2-12 *"), ["02-16 04:00+00:00", "03-16 04:00+00:00"]);
    assert_eq!(dates("0 4 13 * FRI"), ["01-02 04:00+00:00", "01-09 04:00+00:00"], "either of the two");
    assert_eq!(dates("0 4 13 * +FRI"), ["02-13 04:00+00:00", "03-13 04:00+00:00"], "both of the two");
    assert_eq!(dates("  0   4 *  * 7 "), ["01-04 04:00+00:00", "01-11 04:00+00:00"]);
}

#[test]
fn a_leap_day_on_a_weekday_comes_once_in_28_years() {
    let times = Times::parse("0 0 29 2 +MON", None).unwrap();
    let next = times.after(at("2024-03-01T00:00")).unwrap();
    assert_eq!(next, at("2044-02-29T00:00"));
    assert_eq!(times.until(at("2071-01-01T00:00")), Some(next));
}

#[test]
fn a_time_that_is_skipped_comes_at_the_first_moment_after_and_once() {
    // 02:00 becomes 03:00 on 29 March 2026.
    let berlin = |cron: &str, number| shown(cron, "Europe/Berlin", "2026-03-28T12:00", number);
    assert_eq!(berlin("30 2 * * *", 2), ["03-29 03:00+02:00", "03-30 02:30+02:00"]);
    assert_eq!(berlin("0 2 * * *", 2), ["03-29 03:00+02:00", "03-30 02:00+02:00"]);
    assert_eq!(berlin("*/15 2 * * *", 3), ["03-29 03:00+02:00", "03-30 02:00+02:00", "03-30 02:15+02:00"]);
    assert_eq!(berlin("0 2,3 * * *", 2), ["03-29 03:00+02:00", "03-30 02:00+02:00"]);
    assert_eq!(berlin("30 2 29 3 *", 1), ["03-29 03:00+02:00"]);
    // At midnight, so that the day itself begins at one.
    assert_eq!(shown("0 0 L * *", "Africa/Cairo", "2023-04-10T00:00", 1), ["04-30 00:00+03:00"]);
    assert_eq!(
        shown("@daily", "Africa/Cairo", "2023-04-27T12:00", 2),
        ["04-28 01:00+03:00", "04-29 00:00+03:00"]
    );
    // A whole day.
    let apia = shown("0 12 * * *", "Pacific/Apia", "2011-12-29T12:00Z".replace('Z', "").as_str(), 3);
    assert_eq!(apia, ["12-29 12:00-10:00", "12-31 00:00+14:00", "12-31 12:00+14:00"]);
}

#[test]
fn a_time_that_is_shown_twice_comes_once() {
    // 03:00 becomes 02:00 on 25 October 2026.
    let berlin = |cron: &str, number| shown(cron, "Europe/Berlin", "2026-10-24T12:00", number);
    assert_eq!(berlin("30 2 * * *", 2), ["10-25 02:30+02:00", "10-26 02:30+01:00"]);
    assert_eq!(
        berlin("0 */2 * * *", 7)[4..],
        ["10-25 00:00+02:00", "10-25 02:00+02:00", "10-25 04:00+01:00"]
    );
    // Asked for between the two.
    assert_eq!(shown("30,45 2 * * *", "Europe/Berlin", "2026-10-25T01:10", 1), ["10-26 02:30+01:00"]);
    assert_eq!(shown("59 2 25 10 *", "Europe/Berlin", "2026-01-01T00:00", 1), ["10-25 02:59+02:00"]);
}

#[test]
fn where_every_hour_is_meant_each_that_goes_by_has_its_own() {
    let day = |from: &str, until: &str| {
        let times = Times::parse("0 * * * *", Some("Europe/Berlin")).unwrap();
        let mut due = times.after(at(from)).unwrap();
        let mut number = 0;
        while due <= at(until) {
            let next = times.after(due).unwrap();
            assert_eq!(next.as_second() - due.as_second(), 3600);
            (due, number) = (next, number + 1);
        }
        number
    };
    assert_eq!(day("2026-03-28T23:00", "2026-03-29T22:00"), 23);
    assert_eq!(day("2026-10-24T22:00", "2026-10-25T23:00"), 25);
    let zone = "Europe/Berlin";
    assert_eq!(
        shown("30 * * * *", zone, "2026-10-24T23:45", 4),
        ["10-25 02:30+02:00", "10-25 02:30+01:00", "10-25 03:30+01:00", "10-25 04:30+01:00"]
    );
    assert_eq!(shown("30 * * * *", zone, "2026-03-29T00:00", 2), ["03-29 01:30+01:00", "03-29 03:30+02:00"]);
    // Half an hour, which is shown twice.
    assert_eq!(
        shown("45 * * * *", "Australia/Lord_Howe", "2026-04-04T14:00", 3),
        ["04-05 01:45+11:00", "04-05 01:45+10:30", "04-05 02:45+10:30"]
    );
}

#[test]
fn what_cannot_be_read_names_the_field_and_what_is_allowed() {
    for (text, words) in [
        ("", "five fields are expected"),
        ("* * * *", "five fields are expected"),
        ("0 0 2 * * *", "five fields are expected"),
        ("0 2 * * * 2026", "five fields are expected"),
        ("61 * * * *", "\"61\" is no minute: 0-59"),
        ("0 24 * * *", "\"24\" is no hour: 0-23"),
        ("0 0 32 * *", "\"32\" is no day of the month: 1-31"),
        ("0 0 * FOO *", "\"FOO\" is no month: 1-12"),
        ("0 0 * * MOO", "\"MOO\" is no day of the week: 0-7"),
        ("*/0 * * * *", "is no minute"),
        ("5-1 * * * *", "is no minute"),
        ("@often", "there are @hourly, @daily"),
        ("@daily 5", "there are @hourly"),
        ("0 0 30 2 *", "never comes"),
        ("0 0 31 4,6,9,11 *", "never comes"),
    ] {
        let why = Times::parse(text, None).unwrap_err();
        assert!(why.contains(words), "{text:?}: {why}");
    }
    let long = format!("{} * * * *", ["1"; 300].join(","));
    assert!(Times::parse(&long, None).unwrap_err().contains("too many"));
    assert!(Times::parse("@daily", Some("Europe/Atlantis")).unwrap_err().contains("Europe/Berlin"));
}
