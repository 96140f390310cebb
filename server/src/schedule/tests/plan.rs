//! What is due now: once for all that was missed, never before its time, never twice.

use super::*;

fn due(schedule: &Schedule, memory: Memory, now: &str) -> Vec<(Timestamp, bool)> {
    let plan = plan(std::slice::from_ref(schedule), &remembered(&schedule.id, memory), at(now));
    plan.due.iter().map(|due| (due.at, due.catches_up())).collect()
}

fn begun(time: &str) -> Memory {
    Memory { due: Some(at(time)), ..Memory::new(at("2026-01-01T00:00")) }
}

#[test]
fn a_new_schedule_waits_for_its_first_time() {
    let hourly = schedule("hourly", "@hourly");
    let plan = plan(std::slice::from_ref(&hourly), &Memories::new(), at("2026-06-01T10:30"));
    assert_eq!(plan.due, []);
    assert_eq!(plan.wake(), Some(at("2026-06-01T11:00")));
    assert_eq!(due(&hourly, Memory::new(at("2026-06-01T10:30")), "2026-06-01T10:59"), []);
    let first = due(&hourly, Memory::new(at("2026-06-01T10:30")), "2026-06-01T11:00");
    assert_eq!(first, [(at("2026-06-01T11:00"), false)]);
}

#[test]
fn what_was_missed_is_done_once() {
    let hourly = schedule("hourly", "@hourly");
    let caught_up = due(&hourly, begun("2026-06-01T10:00"), "2026-06-01T19:12");
    assert_eq!(caught_up, [(at("2026-06-01T19:00"), true)]);
    assert_eq!(due(&hourly, begun("2026-06-01T19:00"), "2026-06-01T19:12"), []);
    // A year of minutes.
    let always = schedule("always", "* * * * *");
    let caught_up = due(&always, begun("2026-06-01T10:00"), "2027-06-01T10:00");
    assert_eq!(caught_up, [(at("2027-06-01T10:00"), true)]);
}

#[test]
fn a_late_look_at_one_time_is_no_catching_up() {
    let daily = schedule("daily", "0 2 * * *");
    assert_eq!(due(&daily, begun("2026-06-01T02:00"), "2026-06-02T23:00"), [(at("2026-06-02T02:00"), false)]);
}

#[test]
fn what_runs_is_waited_for_and_then_made_up_for_once() {
    let hourly = schedule("hourly", "@hourly");
    let running = Memory { is_running: true, ..begun("2026-06-01T10:00") };
    assert_eq!(due(&hourly, running, "2026-06-01T13:20"), []);
    assert_eq!(due(&hourly, begun("2026-06-01T10:00"), "2026-06-01T13:20"), [(at("2026-06-01T13:00"), true)]);
}

#[test]
fn nothing_is_due_of_a_schedule_that_is_switched_off() {
    let off = Schedule { enabled: false, ..schedule("hourly", "@hourly") };
    let plan = plan(&[off], &remembered("hourly", begun("2026-06-01T10:00")), at("2026-06-01T19:12"));
    assert_eq!((plan.due.len(), plan.wake()), (0, None));
}

#[test]
fn a_clock_that_is_put_back_a_little_begins_nothing_twice() {
    let hourly = schedule("hourly", "@hourly");
    assert_eq!(due(&hourly, begun("2026-06-01T10:00"), "2026-06-01T09:59"), []);
    assert_eq!(due(&hourly, begun("2026-06-01T10:00"), "2026-06-01T10:00"), []);
    assert_eq!(due(&hourly, begun("2026-06-01T10:00"), "2026-06-01T11:00").len(), 1);
}

#[test]
fn a_clock_that_was_years_ahead_stops_nothing() {
    let hourly = schedule("hourly", "@hourly");
    let plan_at = |memory, now| plan(std::slice::from_ref(&hourly), &remembered("hourly", memory), at(now));
    let ahead = begun("2031-06-01T10:00");
    assert_eq!(plan_at(ahead, "2026-06-01T09:30").wake(), Some(at("2026-06-01T10:00")));
    let new_ahead = Memory::new(at("2031-06-01T10:00"));
    assert_eq!(plan_at(new_ahead, "2026-06-01T09:30").wake(), Some(at("2026-06-01T10:00")));
}

#[test]
fn what_is_due_together_keeps_its_order() {
    let schedules =
        [schedule("daily", "0 2 * * *"), schedule("hourly", "0 * * * *"), schedule("early", "0 1 * * *")];
    let since = Memory::new(at("2026-06-01T00:30"));
    let memories = schedules.iter().map(|s| (s.id.clone(), since)).collect();
    let plan = plan(&schedules, &memories, at("2026-06-01T02:00"));
    assert_eq!(plan.due.iter().map(|d| d.id.as_str()).collect::<Vec<_>>(), ["early", "daily", "hourly"]);
}

mod jitter {
    use std::collections::BTreeSet;

    use super::*;

    fn jittered(id: &str, cron: &str, minutes: u64) -> Schedule {
        Schedule { jitter: Duration::from_mins(minutes), ..schedule(id, cron) }
    }

    /// How many seconds later each of many runs begins.
    fn delays(schedule: &Schedule) -> Vec<i64> {
        let mut memory = begun("2026-06-01T00:00");
        let mut delays = Vec::new();
        for _ in 0..200 {
            let seen =
                plan(std::slice::from_ref(schedule), &remembered(&schedule.id, memory), memory.due.unwrap());
            let next = &seen.upcoming[0];
            assert_eq!(due(schedule, memory, &(next.starts - Duration::from_secs(1)).to_string()), []);
            assert_eq!(due(schedule, memory, &next.starts.to_string()), [(next.due, false)]);
            delays.push(next.starts.as_second() - next.due.as_second());
            memory.due = Some(next.due);
        }
        delays
    }

    #[test]
    fn it_is_spread_and_bounded_and_always_the_same() {
        let hourly = jittered("hourly", "@hourly", 10);
        let seen = delays(&hourly);
        assert!(seen.iter().all(|d| (0..600).contains(d)), "{seen:?}");
        assert!(seen.iter().collect::<BTreeSet<_>>().len() > 130, "{seen:?}");
        let mean = seen.iter().sum::<i64>() / 200;
        assert!((240..360).contains(&mean), "{mean}");
        assert_eq!(seen, delays(&hourly));
        assert_ne!(seen, delays(&jittered("other", "@hourly", 10)));
        assert_eq!(seen[..4], [529, 224, 177, 11], "on every host and in every version");
    }

    #[test]
    fn it_never_reaches_the_next_time() {
        let seen = delays(&jittered("quick", "*/5 * * * *", 24 * 60));
        assert!(seen.iter().all(|d| (0..300).contains(d)), "{seen:?}");
    }

    #[test]
    fn what_was_missed_does_not_wait_for_the_jitter_of_the_next() {
        let hourly = jittered("hourly", "@hourly", 59);
        let mut memory = begun("2026-06-01T10:00");
        let now = "2026-06-01T19:00";
        assert_eq!(due(&hourly, memory, now), [(at("2026-06-01T18:00"), true)]);
        memory.due = Some(at("2026-06-01T18:00"));
        let seen = plan(std::slice::from_ref(&hourly), &remembered("hourly", memory), at(now));
        assert_eq!((seen.due.len(), seen.upcoming[0].due), (0, at("2026-06-01T19:00")));
    }
}
