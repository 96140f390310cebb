//! Schedules of the configuration and those that were added, together; what is remembered, by several processes.
#![expect(clippy::unwrap_used, clippy::indexing_slicing, reason = "tests")]

use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};
use std::time::Duration;

use chronos_store::{Clock, Env, Silent};

use super::*;
use crate::config::{Config, ScheduleConfig, TargetConfig};
use crate::workplace::{Choices, Variables};

/// A clock that is set, in seconds.
#[derive(Debug, Clone, Default)]
struct SetClock(Arc<AtomicI64>);

impl Clock for SetClock {
    fn now(&self) -> i128 {
        i128::from(self.0.load(Ordering::SeqCst)) * 1_000_000_000
    }

    fn uptime(&self) -> Duration {
        Duration::ZERO
    }
}

fn at(text: &str) -> Timestamp {
    format!("{text}:00Z").parse().unwrap()
}

/// The place of a user with two targets, at a moment.
fn place(home: &Path, now: &str) -> Workplace {
    let variables = Variables::of([("HOME".to_owned(), home.as_os_str().to_owned())]);
    let clock = SetClock::default();
    clock.0.store(at(now).as_second(), Ordering::SeqCst);
    let env = Env { clock: Arc::new(clock), ..Env::system() };
    let target = |name: &str| TargetConfig {
        name: name.to_owned(),
        aliases: vec![format!("{name}-alias")],
        paths: vec![home.to_path_buf()],
        ..TargetConfig::default()
    };
    let config = Config { targets: vec![target("shop"), target("site")], ..Config::default() };
    let mut place = Workplace::find(Choices::default(), variables, env, Arc::new(Silent)).unwrap();
    place.config = config;
    place
}

fn new(id: Option<&str>, cron: &str) -> NewSchedule {
    NewSchedule {
        id: id.map(str::to_owned),
        job: Job::Backup,
        target: Some("shop".to_owned()),
        tier: None,
        backup_type: None,
        on_change: false,
        cron: cron.to_owned(),
        timezone: None,
        jitter: None,
        enabled: true,
    }
}

fn ids(workplace: &Workplace) -> Vec<String> {
    list(workplace).unwrap().into_iter().map(|s| s.id).collect()
}

fn one(workplace: &Workplace, id: &str) -> ScheduleState {
    list(workplace).unwrap().into_iter().find(|s| s.id == id).unwrap()
}

#[test]
fn the_usual_ones_are_there_until_the_configuration_has_its_own() {
    let home = tempfile::tempdir().unwrap();
    let mut place = place(home.path(), "2026-06-01T12:30");
    assert_eq!(
        ids(&place),
        ["hourly", "daily", "weekly", "monthly", "cleanup", "verify", "drill", "recovery-drill"]
    );
    let hourly = one(&place, "hourly");
    assert_eq!((hourly.target, hourly.targets.len()), (None, 2));
    assert_eq!(hourly.next_run.as_deref(), Some("2026-06-01T13:00:00Z"));
    let nightly = ScheduleConfig {
        name: "nightly".to_owned(),
        target: Some("shop-alias".to_owned()),
        cron: "@daily".to_owned(),
        timezone: Some("Europe/Berlin".to_owned()),
        jitter: Some("10min".to_owned()),
        ..ScheduleConfig::default()
    };
    place.config.schedules = vec![nightly];
    add(&place, &new(Some("noon"), "0 12 * * *")).unwrap();
    assert_eq!(ids(&place), ["nightly", "noon"]);
    let nightly = one(&place, "nightly");
    assert_eq!((nightly.origin, nightly.target.as_deref()), (Origin::Config, Some("shop")));
    assert_eq!((nightly.tier.as_deref(), nightly.jitter_seconds), (Some("scheduled"), 600));
    assert!(nightly.next_run.unwrap().starts_with("2026-06-01T22:0"));
}

#[test]
fn one_is_added_changed_switched_and_removed() {
    let home = tempfile::tempdir().unwrap();
    let place = place(home.path(), "2026-06-01T12:30");
    let added = add(&place, &new(None, "0 3 * * *")).unwrap();
    assert_eq!((added.id.as_str(), added.origin, added.enabled), ("shop-scheduled", Origin::Added, true));
    assert_eq!(added.next_run.as_deref(), Some("2026-06-02T03:00:00Z"));
    assert_eq!(add(&place, &new(None, "0 4 * * *")).unwrap().id, "shop-scheduled-2");
    let tier = ScheduleChange {
        tier: Some("daily".to_owned()),
        target: Some("all".to_owned()),
        ..ScheduleChange::default()
    };
    let changed = change(&place, "shop-scheduled", &tier).unwrap();
    assert_eq!((changed.tier.as_deref(), changed.target, changed.targets.len()), (Some("daily"), None, 2));
    let off = change(&place, "shop-scheduled", &ScheduleChange::switch(false)).unwrap();
    assert_eq!((off.enabled, off.next_run), (false, None));
    let cleanup = ScheduleChange { job: Some(Job::Cleanup), ..ScheduleChange::default() };
    let changed = change(&place, "shop-scheduled", &cleanup).unwrap();
    assert_eq!((changed.job, changed.tier, changed.targets.len()), (Job::Cleanup, None, 0));
    remove(&place, "shop-scheduled").unwrap();
    assert_eq!(ids(&place).last().unwrap(), "shop-scheduled-2");
    assert!(matches!(
        remove(&place, "shop-scheduled").unwrap_err(),
        Error::UnknownSchedule { near: Some(_), .. }
    ));
}

#[test]
fn what_stands_in_the_configuration_is_changed_there_alone() {
    let home = tempfile::tempdir().unwrap();
    let mut place = place(home.path(), "2026-06-01T12:30");
    let off = ScheduleChange::switch(false);
    assert!(!change(&place, "hourly", &off).unwrap().enabled, "the usual ones can be switched off");
    let tier = ScheduleChange { tier: Some("auto".to_owned()), ..ScheduleChange::default() };
    assert!(matches!(change(&place, "hourly", &tier).unwrap_err(), Error::ScheduleFixed { file: None, .. }));
    assert!(matches!(remove(&place, "hourly").unwrap_err(), Error::ScheduleFixed { .. }));
    let cron = "@daily".to_owned();
    place.config.schedules =
        vec![ScheduleConfig { name: "nightly".to_owned(), cron, ..ScheduleConfig::default() }];
    place.config_file = Some("/etc/chronos/chronos.toml".into());
    for error in [change(&place, "nightly", &off).unwrap_err(), remove(&place, "nightly").unwrap_err()] {
        assert!(error.to_string().contains("/etc/chronos/chronos.toml"), "{error}");
    }
    assert!(matches!(
        add(&place, &new(Some("nightly"), "@daily")).unwrap_err(),
        Error::ScheduleExists { .. }
    ));
}

#[test]
fn what_is_wrong_is_named_and_nothing_is_kept_of_it() {
    let home = tempfile::tempdir().unwrap();
    let place = place(home.path(), "2026-06-01T12:30");
    let text = |text: &str| Some(text.to_owned());
    let good = || new(Some("x"), "@daily");
    for (new, words) in [
        (NewSchedule { cron: "0 0 30 2 *".to_owned(), ..good() }, "cron: \"0 0 30 2 *\" never comes"),
        (NewSchedule { timezone: text("Nowhere"), ..good() }, "timezone: \"Nowhere\""),
        (NewSchedule { target: text("shpo"), ..good() }, "did you mean \"shop\"?"),
        (NewSchedule { tier: text("often"), ..good() }, "tier: \"often\" is not known; there are hourly"),
        (NewSchedule { backup_type: text("half"), ..good() }, "backup_type: \"half\" is not known"),
        (NewSchedule { jitter: text("2d"), ..good() }, "jitter: is longer than a day"),
        (NewSchedule { job: Job::Sync, target: None, ..good() }, "job: no place for a copy is configured"),
        (NewSchedule { job: Job::Sync, target: text("shop"), ..good() }, "target: belongs to other jobs"),
        (NewSchedule { job: Job::Cleanup, tier: text("daily"), ..good() }, "tier: belongs to the job backup"),
        (NewSchedule { job: Job::Verify, on_change: true, ..good() }, "on_change: belongs to"),
        (NewSchedule { id: text("a/b"), ..good() }, "schedule's name"),
    ] {
        let error = add(&place, &new).unwrap_err();
        assert!(error.to_string().contains(words), "{words}: {error}");
    }
    assert!(!ids(&place).contains(&"x".to_owned()));
}

#[test]
fn nothing_is_made_up_for_of_the_time_when_it_was_not_in_force() {
    let home = tempfile::tempdir().unwrap();
    let due = |place: &Workplace, now: &str| {
        let state = State::open(&place.places.state).unwrap();
        let schedules = Schedules::watch(place, &state, at(now)).unwrap();
        let plan = plan(&schedules.all, &schedules.memories(|_| false), at(now));
        plan.due.into_iter().map(|due| due.id).collect::<Vec<_>>()
    };
    let morning = place(home.path(), "2026-06-01T12:30");
    change(&morning, "hourly", &ScheduleChange::switch(false)).unwrap();
    assert!(due(&morning, "2026-06-01T12:30").is_empty());
    assert_eq!(due(&morning, "2026-06-02T02:10"), ["daily"]);
    let night = place(home.path(), "2026-06-02T02:15");
    change(&night, "hourly", &ScheduleChange::switch(true)).unwrap();
    assert_eq!(due(&morning, "2026-06-02T02:20"), ["daily"], "hourly begins to count");
    assert_eq!(due(&morning, "2026-06-02T03:00"), ["daily", "hourly"]);
}

#[test]
fn of_several_processes_one_alone_begins_what_is_due() {
    let home = tempfile::tempdir().unwrap();
    let place = place(home.path(), "2026-06-01T12:30");
    add(&place, &new(Some("x"), "@hourly")).unwrap();
    let due = at("2026-06-01T13:00");
    let folder = &place.places.state;
    let repository = key(&place);
    let begin = |due: Timestamp| {
        let now = at("2026-06-01T14:00");
        State::open(folder).unwrap().begin_schedule(&repository, "x", due, now).unwrap()
    };
    let taken: Vec<bool> = std::thread::scope(|scope| {
        let all: Vec<_> = (0..6).map(|_| scope.spawn(|| begin(due))).collect();
        all.into_iter().map(|one| one.join().unwrap()).collect()
    });
    assert_eq!(taken.iter().filter(|taken| **taken).count(), 1);
    assert_eq!(one(&place, "x").last_status.as_deref(), Some("running"));
    let state = State::open(folder).unwrap();
    state.end_schedule(&repository, "x", due, "completed").unwrap();
    let listed = one(&place, "x");
    assert_eq!(listed.last_run.as_deref(), Some("2026-06-01T14:00:00Z"), "when it began");
    assert_eq!(
        (listed.last_status.as_deref(), listed.next_run.as_deref()),
        (Some("completed"), Some("2026-06-01T14:00:00Z"))
    );
    assert!(begin(at("2026-06-01T14:00")));
    assert!(!begin(due), "what is past");
    assert_eq!(state.interrupt_schedules(&repository).unwrap(), ["x"]);
    assert_eq!(one(&place, "x").last_status.as_deref(), Some("interrupted"));
}

#[test]
fn several_processes_add_at_once_and_each_has_its_name() {
    let home = tempfile::tempdir().unwrap();
    let place = place(home.path(), "2026-06-01T12:30");
    std::thread::scope(|scope| {
        for _ in 0..5 {
            scope.spawn(|| add(&place, &new(None, "@daily")).unwrap());
        }
    });
    let added: Vec<String> = ids(&place).into_iter().filter(|id| id.starts_with("shop-")).collect();
    let named =
        ["shop-scheduled", "shop-scheduled-2", "shop-scheduled-3", "shop-scheduled-4", "shop-scheduled-5"];
    assert_eq!(added, named);
}

#[test]
fn services_of_two_repositories_do_not_meet() {
    let home = tempfile::tempdir().unwrap();
    let mut place = place(home.path(), "2026-06-01T12:30");
    add(&place, &new(Some("x"), "@daily")).unwrap();
    place.location.place = chronos_remote::Location::Local(home.path().join("other"));
    assert!(!ids(&place).contains(&"x".to_owned()));
    assert_eq!(list(&place).unwrap()[0].last_run, None);
}
