//! What schedules ask for.

use std::sync::atomic::{AtomicI64, Ordering};

use chronos_store::Clock;
use jiff::Timestamp;

use super::*;
use crate::jobs::due::{ended, look};
use crate::jobs::keeper::now_of;
use crate::operations::schedules::{self, NewSchedule, ScheduleState};
use crate::schedule::Job;
use crate::state::{Choice, JobEnding};

const TARGETS: &str =
    "[[target]]\nname = \"shop\"\npaths = [\"HOME\"]\n[[target]]\nname = \"site\"\npaths = [\"HOME\"]\n";

/// A clock that is set, in seconds.
#[derive(Debug)]
struct SetClock(AtomicI64);

impl Clock for SetClock {
    fn now(&self) -> i128 {
        i128::from(self.0.load(Ordering::SeqCst)) * 1_000_000_000
    }

    fn uptime(&self) -> Duration {
        Duration::ZERO
    }
}

/// A home whose clock is set.
struct Day {
    home: Home,
    clock: Arc<SetClock>,
}

impl Day {
    fn new(time: &str) -> Self {
        let mut home = Home::new(TARGETS);
        let clock = Arc::new(SetClock(AtomicI64::new(seconds(time))));
        home.workplace.env = Env { clock: Arc::clone(&clock) as _, ..Env::system() };
        let day = Self { home, clock };
        for schedule in schedules::list(&day.home.workplace).unwrap() {
            schedules::change(&day.home.workplace, &schedule.id, &schedules::ScheduleChange::switch(false))
                .unwrap();
        }
        day
    }

    fn add(&self, id: &str, job: Job, target: Option<&str>, cron: &str) {
        let new = NewSchedule {
            id: Some(id.to_owned()),
            job,
            target: target.map(str::to_owned),
            tier: (job == Job::Backup).then(|| "daily".to_owned()),
            backup_type: None,
            on_change: false,
            cron: cron.to_owned(),
            timezone: None,
            jitter: None,
            enabled: true,
        };
        schedules::add(&self.home.workplace, &new).unwrap();
    }

    /// What is queued at a time; when to look again.
    fn at(&self, time: &str) -> (Vec<JobView>, Option<Timestamp>) {
        self.clock.0.store(seconds(time), Ordering::SeqCst);
        let state = self.home.state();
        let now = now_of(&self.home.workplace).unwrap();
        let wake =
            look(&self.home.workplace, &state, &RunnerOptions::default(), now, &|_| Some("run".to_owned()));
        let queued = JobFilter { status: Some(JobStatus::Queued), ..JobFilter::default() };
        (list(&self.home.workplace, &queued, 100).unwrap(), wake.unwrap())
    }

    /// Every job that is queued ends so.
    fn end_all(&self, status: JobStatus) {
        let state = self.home.state();
        let repository = schedules::key(&self.home.workplace);
        while let Some(job) = state.begin_job(&repository, Choice::All, i64::MAX).unwrap() {
            let ending = JobEnding { status, result: None, error: None, ended: 9 };
            state.end_job(&repository, job.number, &ending).unwrap();
            if let (Some(schedule), Some(due)) = (&job.schedule, job.due) {
                ended(&self.home.workplace, &state, schedule, due).unwrap();
            }
        }
    }

    fn schedule(&self, id: &str) -> ScheduleState {
        let all = schedules::list(&self.home.workplace).unwrap();
        all.into_iter().find(|s| s.id == id).unwrap()
    }
}

fn seconds(time: &str) -> i64 {
    format!("2026-06-{time}:00Z").parse::<Timestamp>().unwrap().as_second()
}

#[test]
fn a_due_time_gives_a_job_for_each_target_under_one_run() {
    let day = Day::new("01T00:00");
    day.add("at-night", Job::Backup, None, "0 2 * * *");
    let (queued, wake) = day.at("01T01:59");
    assert!(queued.is_empty());
    assert_eq!(wake.unwrap().as_second(), seconds("01T02:00"));
    let (queued, _) = day.at("01T02:00");
    let targets: Vec<_> = queued.iter().map(|job| job.target.clone().unwrap()).collect();
    assert_eq!(targets, ["site", "shop"]);
    assert!(queued.iter().all(|job| job.request["run_id"] == "run" && job.request["tier"] == "daily"));
    assert_eq!(queued[0].due.as_deref(), Some("2026-06-01T02:00:00Z"));
    assert_eq!(day.at("01T02:00").0.len(), 2, "once");
    assert_eq!(day.schedule("at-night").last_status.as_deref(), Some("running"));
    day.end_all(JobStatus::Partial);
    assert_eq!(day.schedule("at-night").last_status.as_deref(), Some("partial"));
}

#[test]
fn the_next_waits_for_the_one_before_and_what_was_missed_is_done_once() {
    let day = Day::new("01T00:00");
    day.add("each-hour", Job::Backup, Some("shop"), "0 * * * *");
    assert_eq!(day.at("01T01:00").0.len(), 1);
    assert_eq!(day.at("01T02:00").0.len(), 1, "the first has not ended");
    day.end_all(JobStatus::Completed);
    let (queued, _) = day.at("01T09:30");
    assert_eq!(queued.len(), 1);
    assert_eq!(queued[0].due.as_deref(), Some("2026-06-01T09:00:00Z"));
    day.end_all(JobStatus::Completed);
    assert!(day.at("01T09:31").0.is_empty());
}

#[test]
fn a_due_time_that_was_queued_before_the_process_died_is_not_queued_again() {
    let day = Day::new("01T00:00");
    day.add("at-night", Job::Backup, None, "0 2 * * *");
    day.clock.0.store(seconds("01T02:00"), Ordering::SeqCst);
    let due = day.clock.now() as i64;
    let state = day.home.state();
    let task = serde_json::to_string(&backup("shop")).unwrap();
    let left = crate::state::NewJob {
        id: "left",
        repository: &schedules::key(&day.home.workplace),
        kind: "backup",
        target: Some("shop"),
        lane: "backup shop",
        priority: 1,
        task: &task,
        schedule: Some(("at-night", due)),
        awaited: false,
        created: due,
    };
    let job = state.add_job(&left).unwrap();
    let ending = JobEnding { status: JobStatus::Completed, result: None, error: None, ended: due };
    state.begin_job(left.repository, Choice::All, due).unwrap();
    state.end_job(left.repository, job.number, &ending).unwrap();
    let (queued, _) = day.at("01T02:00");
    assert_eq!(queued.iter().map(|job| job.target.as_deref()).collect::<Vec<_>>(), [Some("site")]);
}

#[test]
fn verifications_read_everything_within_the_time_that_is_set() {
    let day = Day::new("01T04:00");
    day.add("each-week", Job::Verify, None, "0 3 * * MON");
    day.add("each-year", Job::Verify, Some("shop"), "@yearly");
    let (queued, _) = day.at("08T03:00");
    let [job] = &*queued else { panic!("{queued:?}") };
    assert_eq!((&*job.kind, &job.request["share"]), ("verify", &0.25.into()));
    day.end_all(JobStatus::Completed);
    let (queued, _) = day.at("22T04:00");
    assert_eq!(queued[0].request["share"], 0.5, "the week before was missed");
    let cleanup = Day::new("01T00:00");
    cleanup.add("tidy", Job::Cleanup, None, "0 5 * * *");
    assert_eq!(cleanup.at("01T05:00").0[0].request["scheduled"], true);
}
