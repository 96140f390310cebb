//! Days, months and a year of the usual schedule with a clock that is moved: which runs begin, and what retention leaves of their
//! snapshots, where the clocks of Berlin change and the machine is off for nine hours.

use std::collections::BTreeMap;

use chronos_snapshot::retention::{self, Health, Policy, PolicySet, Row, TierPolicy, Timing, Trigger};
use jiff::tz::TimeZone;
use jiff::{SignedDuration, Timestamp};

use super::*;

const ZONE: &str = "Europe/Berlin";
/// How long a snapshot takes.
const RUN: SignedDuration = SignedDuration::from_secs(40);
/// How often somebody changes a workflow.
const CHANGE: SignedDuration = SignedDuration::from_hours(7);

/// What began: which schedule, for when, when.
#[derive(Clone, Debug, PartialEq)]
struct Begun {
    id: String,
    due: Timestamp,
    at: Timestamp,
}

/// A service with two targets, `prod` with workflows and `shop` with a database.
struct World {
    schedules: Vec<Schedule>,
    memories: Memories,
    now: Timestamp,
    begun: Vec<Begun>,
    /// Every snapshot ever made, by target, tier and type.
    made: BTreeMap<(String, String, String), Vec<Timestamp>>,
    rows: Vec<Row>,
    cleaned: Option<Timestamp>,
    changed: Timestamp,
    overdue: Vec<(Timestamp, String)>,
}

impl World {
    fn new(start: &str) -> Self {
        let target = |name: &str, component: &str| TargetParts {
            name: name.to_owned(),
            components: [component.to_owned(), "files".to_owned()].into(),
        };
        let schedules =
            built_in(&[target("prod", "workflows"), target("shop", "database")], None, Some(ZONE)).unwrap();
        let now = at(start);
        let memories = schedules.iter().map(|s| (s.id.clone(), Memory::new(now))).collect();
        let (begun, made, rows, overdue) = (Vec::new(), BTreeMap::new(), Vec::new(), Vec::new());
        Self { schedules, memories, now, begun, made, rows, cleaned: None, changed: now, overdue }
    }

    /// Lets time go by until a moment.
    fn run(&mut self, until: &str) {
        let until = at(until);
        loop {
            let plan = plan(&self.schedules, &self.memories, self.now);
            if plan.due.is_empty() {
                match plan.wake().filter(|wake| *wake < until) {
                    Some(wake) => self.now = wake,
                    None => break,
                }
            }
            for due in plan.due {
                self.begun.push(Begun { id: due.id.clone(), due: due.at, at: self.now });
                self.memories.get_mut(&due.id).unwrap().due = Some(due.at);
                let schedule = self.schedules.iter().find(|s| s.id == due.id).unwrap().clone();
                match schedule.job {
                    Job::Backup => self.back_up(&schedule),
                    Job::Cleanup => self.clean_up(),
                    _ => {}
                }
            }
            // Once an hour, when what is due at the hour should be there.
            if (2400..2700).contains(&(self.now.as_second() % 3600)) {
                self.note_overdue();
            }
        }
        self.now = self.now.max(until);
    }

    /// The machine is off.
    fn sleep(&mut self, until: &str) {
        self.now = at(until);
        self.note_overdue();
    }

    fn back_up(&mut self, schedule: &Schedule) {
        if schedule.on_change {
            if self.now.duration_since(self.changed) < CHANGE {
                return;
            }
            self.changed = self.now;
        }
        for target in &schedule.targets {
            let key = (target.clone(), schedule.tier.clone(), schedule.backup_type.clone());
            self.made.entry(key).or_default().push(self.now);
            self.rows.push(Row {
                target: target.clone(),
                tier: schedule.tier.clone(),
                backup_type: schedule.backup_type.clone(),
                scope: Vec::new(),
                host: "host".to_owned(),
                tags: Vec::new(),
                time: Some(self.now),
                health: Health::Good,
                held: false,
            });
            self.now += RUN;
        }
    }

    fn clean_up(&mut self) {
        let timing = Timing { now: self.now, zone: TimeZone::get(ZONE).unwrap(), trigger: Trigger::Schedule };
        let policies = PolicySet::of(Policy::Tiers(TierPolicy::built_in()));
        let kept = retention::plan(&self.rows, &policies, &timing);
        let mut keep = kept.choices.iter().map(|choice| choice.keep);
        self.rows.retain(|_| keep.next().unwrap());
        self.cleaned = Some(self.now);
    }

    fn note_overdue(&mut self) {
        let good = self.made.iter().map(|((target, _, kind), times)| ((target.clone(), kind.clone()), times));
        let mut newest = GoodTimes::new();
        for (key, times) in good {
            let time = newest.entry(key).or_insert(times[0]);
            *time = (*time).max(times[times.len() - 1]);
        }
        let found = overdue(&self.schedules, &self.memories, &newest, self.now);
        self.overdue.extend(found.into_iter().map(|o| (self.now, o.target)));
    }

    /// How often each schedule began.
    fn counts(&self) -> BTreeMap<&str, usize> {
        let mut counts = BTreeMap::new();
        for begun in &self.begun {
            *counts.entry(begun.id.as_str()).or_default() += 1;
        }
        counts
    }

    /// What began at other times than it was due.
    fn late(&self) -> Vec<&Begun> {
        self.begun.iter().filter(|b| b.at.duration_since(b.due) > RUN * 12).collect()
    }

    /// The times of what is left, of a target, tier and type.
    fn left(&self, target: &str, tier: &str, kind: &str) -> Vec<Timestamp> {
        let fits = |r: &&Row| r.target == target && r.tier == tier && r.backup_type == kind;
        self.rows.iter().filter(fits).filter_map(|r| r.time).collect()
    }

    /// What should be left of it: the newest so many and those of the last so many hours at the last cleanup, and all since then.
    #[track_caller]
    fn keeps(&self, (target, tier, kind): (&str, &str, &str), count: usize, hours: i64) {
        let made = &self.made[&(target.to_owned(), tier.to_owned(), kind.to_owned())];
        let cleaned = self.cleaned.unwrap();
        let before = made.iter().filter(|time| **time <= cleaned).count();
        let wanted: Vec<Timestamp> = (0..)
            .zip(made)
            .filter(|(place, time)| {
                place + count >= before || cleaned.duration_since(**time) <= SignedDuration::from_hours(hours)
            })
            .map(|(_, time)| *time)
            .collect();
        assert_eq!(self.left(target, tier, kind), wanted, "{target} {tier} {kind}");
        assert!(!wanted.is_empty());
    }

    #[track_caller]
    fn keeps_the_right_ones(&self) {
        let day = 24;
        for target in ["prod", "shop"] {
            self.keeps((target, "hourly", "incremental"), 24, day);
            self.keeps((target, "daily", "full"), 7, 30 * day);
            self.keeps((target, "weekly", "full"), 4, 90 * day);
            self.keeps((target, "monthly", "full"), 12, 0);
        }
        self.keeps(("shop", "auto", "database"), 0, 3 * day);
        self.keeps(("prod", "auto", "workflows"), 0, 30 * day);
    }
}

#[test]
fn a_day() {
    let mut world = World::new("2026-06-09T22:00");
    world.run("2026-06-10T22:00");
    let counts = world.counts();
    let wanted = [("cleanup", 1), ("daily", 1), ("database", 3), ("hourly", 23), ("workflows", 287)];
    assert_eq!(counts, wanted.into(), "from midnight until before midnight; midnight itself was before");
    assert_eq!((world.late(), &*world.overdue), (Vec::new(), &[][..]));
    assert_eq!(world.rows.len(), 2 * 23 + 2 + 3 + 3);
}

#[test]
fn a_day_that_the_clocks_make_shorter_and_one_that_they_make_longer() {
    for (start, end, hours) in
        [("2026-03-28T22:59", "2026-03-29T21:59", 23), ("2026-10-24T21:59", "2026-10-25T22:59", 25)]
    {
        let mut world = World::new(start);
        world.run(end);
        let counts = world.counts();
        let of = |id| counts.get(id).copied().unwrap_or(0);
        assert_eq!(
            [of("hourly"), of("daily"), of("weekly"), of("database"), of("cleanup")],
            [hours, 1, 1, 4, 1]
        );
        assert_eq!(world.late(), Vec::<&Begun>::new());
    }
}

#[test]
fn nine_hours_off_are_made_up_for_once() {
    let mut world = World::new("2026-06-08T22:00");
    world.run("2026-06-09T23:30");
    world.begun.clear();
    // From 01:30 until 10:30 in Berlin.
    world.sleep("2026-06-10T08:30");
    assert_eq!(world.overdue.iter().map(|(_, target)| target.as_str()).collect::<Vec<_>>(), ["prod", "shop"]);
    world.run("2026-06-10T22:00");
    let late: Vec<(&str, Timestamp)> = world.late().iter().map(|b| (b.id.as_str(), b.due)).collect();
    let wanted = [
        ("daily", at("2026-06-10T00:00")),
        ("cleanup", at("2026-06-10T03:00")),
        ("database", at("2026-06-10T04:00")),
        ("hourly", at("2026-06-10T08:00")),
    ];
    assert_eq!(late, wanted);
    let counts = world.counts();
    assert_eq!((counts["hourly"], counts["daily"], counts["cleanup"]), (1 + 13, 1, 1));
    assert_eq!(world.overdue.len(), 2, "what was made up for is fresh again: {:?}", world.overdue);
}

#[test]
fn a_month() {
    for (start, end, hours) in [
        ("2026-02-28T22:59", "2026-03-31T21:59", 31 * 24 - 1),
        ("2026-09-30T21:59", "2026-10-31T22:59", 31 * 24 + 1),
    ] {
        let mut world = World::new(start);
        world.run(end);
        let counts = world.counts();
        let sundays = if hours % 2 == 1 && start.starts_with("2026-02") { 5 } else { 4 };
        assert_eq!((counts["hourly"], counts["daily"], counts["database"]), (hours, 31, 31 * 4));
        assert_eq!(
            (counts["weekly"], counts["verify"], counts["monthly"], counts["cleanup"]),
            (sundays, sundays, 1, 31)
        );
        assert_eq!((world.late().len(), world.overdue.len()), (0, 0));
        world.keeps_the_right_ones();
    }
}

#[test]
fn a_year() {
    let mut world = World::new("2025-12-31T22:59");
    world.run("2026-05-04T23:30");
    world.sleep("2026-05-05T08:30");
    world.run("2026-12-31T22:59");
    let counts = world.counts();
    let wanted = [
        // Eight of the nine hours that it was off are not made up for.
        ("hourly", 365 * 24 - 8),
        ("daily", 365),
        ("database", 365 * 4),
        ("weekly", 52),
        ("monthly", 12),
        ("cleanup", 365),
        ("verify", 52),
        ("drill", 12),
        ("recovery-drill", 4),
    ];
    for (id, number) in wanted {
        assert_eq!(counts[id], number, "{id}");
    }
    assert_eq!(world.late().len(), 4);
    world.keeps_the_right_ones();
    assert_eq!(world.left("shop", "hourly", "incremental").len(), 24 + 18);
    assert_eq!(world.left("shop", "monthly", "full").len(), 12);
    // Twice over because both targets are seen to be late once.
    assert_eq!(world.overdue.len(), 2, "{:?}", world.overdue);
}
