//! Who is overdue: never before the first due time; what counts is the last good snapshot.

use super::*;

fn good(target: &str, backup_type: &str, time: &str) -> GoodTimes {
    GoodTimes::from([((target.to_owned(), backup_type.to_owned()), at(time))])
}

fn names(schedules: &[Schedule], since: &str, good: &GoodTimes, now: &str) -> Vec<String> {
    let memory = Memory { due: Some(at(now)), ..Memory::new(at(since)) };
    let memories = schedules.iter().map(|s| (s.id.clone(), memory)).collect();
    overdue(schedules, &memories, good, at(now)).into_iter().map(|o| o.target).collect()
}

#[test]
fn nobody_is_overdue_before_the_first_due_time() {
    let daily = [schedule("daily", "0 2 * * *")];
    let none = GoodTimes::new();
    assert_eq!(overdue(&daily, &Memories::new(), &none, at("2026-06-01T03:00")), []);
    let since = "2026-06-01T03:00";
    assert!(names(&daily, since, &none, "2026-06-02T01:59").is_empty());
    assert!(names(&daily, since, &none, "2026-06-02T07:59").is_empty(), "a run takes its time");
    assert_eq!(names(&daily, since, &none, "2026-06-02T08:00"), ["shop"]);
    let old = good("shop", "full", "2020-01-01T00:00");
    assert!(
        names(&daily, since, &old, "2026-06-02T07:59").is_empty(),
        "nor of what is older than the schedule"
    );
}

#[test]
fn a_good_snapshot_after_the_due_time_is_enough_whoever_made_it() {
    let hourly = [schedule("hourly", "@hourly")];
    let (since, now) = ("2026-06-01T00:00", "2026-06-01T12:40");
    assert_eq!(names(&hourly, since, &good("shop", "full", "2026-06-01T11:59"), now), ["shop"]);
    assert!(names(&hourly, since, &good("shop", "full", "2026-06-01T12:01"), now).is_empty());
    assert!(names(&hourly, since, &good("shop", "incremental", "2026-06-01T12:01"), now).is_empty());
    assert_eq!(names(&hourly, since, &good("shop", "database", "2026-06-01T12:01"), now), ["shop"]);
    assert_eq!(names(&hourly, since, &good("other", "full", "2026-06-01T12:01"), now), ["shop"]);
}

#[test]
fn parts_of_a_target_are_fresh_with_the_part_or_the_whole() {
    let database = Schedule { backup_type: "database".to_owned(), ..schedule("database", "0 */6 * * *") };
    let (since, now) = ("2026-06-01T00:00", "2026-06-01T15:00");
    for (kind, overdue) in [("database", false), ("full", false), ("workflows", true)] {
        let good = good("shop", kind, "2026-06-01T12:01");
        assert_eq!(!names(std::slice::from_ref(&database), since, &good, now).is_empty(), overdue, "{kind}");
    }
}

#[test]
fn polls_upkeep_and_what_is_switched_off_make_nobody_overdue() {
    let poll = Schedule { on_change: true, ..schedule("poll", "*/5 * * * *") };
    let cleanup = Schedule { job: Job::Cleanup, ..schedule("cleanup", "@daily") };
    let off = Schedule { enabled: false, ..schedule("off", "@hourly") };
    assert!(
        names(&[poll, cleanup, off], "2026-01-01T00:00", &GoodTimes::new(), "2026-06-01T12:00").is_empty()
    );
}

#[test]
fn of_several_schedules_the_one_that_was_missed_first_is_named() {
    let schedules = [schedule("daily", "0 2 * * *"), schedule("hourly", "@hourly")];
    let memory = Memory::new(at("2026-06-01T00:00"));
    let memories = schedules.iter().map(|s| (s.id.clone(), memory)).collect();
    let found = overdue(&schedules, &memories, &GoodTimes::new(), at("2026-06-03T00:00"));
    let [only] = &*found else { panic!("{found:?}") };
    assert_eq!((only.schedule.as_str(), only.due), ("hourly", at("2026-06-01T01:00")));
    assert_eq!(only.since, at("2026-06-01T01:30"));
}

#[test]
fn a_snapshot_from_the_future_hides_nothing() {
    let hourly = [schedule("hourly", "@hourly")];
    let ahead = good("shop", "full", "2031-01-01T00:00");
    assert_eq!(names(&hourly, "2026-06-01T00:00", &ahead, "2026-06-01T12:00"), ["shop"]);
}
