//! The whole life of jobs: carried out, waiting for each other, cancelled, stopped, found after a crash.

use std::fs::OpenOptions;
use std::io::Write;
use std::process::Command;

use chronos_tests::targets::{ENDLESS, QUIET, WAITS};

use super::*;
use crate::operations::schedules::key;

/// A folder, and a command that fails.
const TARGETS: &str = r#"
[[target]]
name = "shop"
paths = ["HOME/srv"]
[[target]]
name = "broken"
[[target.source]]
name = "dump"
kind = "command"
component = "database"
command = "exit 7"
"#;

fn home() -> Home {
    let home = Home::new(&[QUIET, TARGETS, WAITS, ENDLESS].concat());
    fs::create_dir(home.path("srv")).unwrap();
    fs::write(home.path("srv/page"), "page").unwrap();
    assert!(Command::new("mkfifo").arg(home.path("pipe")).status().unwrap().success());
    home
}

/// Lets the command that waits go on: it has begun when this can be opened.
fn let_go(home: &Home) {
    OpenOptions::new().write(true).open(home.path("pipe")).unwrap().write_all(b"rows").unwrap();
}

#[test]
fn a_job_is_carried_out_and_its_observers_are_told() {
    let home = home();
    let queued = home.backup("shop");
    assert_eq!((queued.status, queued.attempts, queued.result), (JobStatus::Queued, 0, None));
    let (runner, told) = home.start(RunnerOptions::default());
    until(&runner, || home.job(&queued.id).status.is_end());
    let job = home.job(&queued.id);
    assert_eq!((job.status, job.attempts, job.error.as_deref()), (JobStatus::Completed, 1, None), "{job:?}");
    assert!(job.result.as_ref().unwrap()["backup_id"].as_str().unwrap().starts_with("shop_manual_"));
    assert_eq!(told.0.lock().unwrap()[0].id, job.id);
    let broken = home.backup("broken");
    runner.look();
    until(&runner, || home.job(&broken.id).status.is_end());
    let job = home.job(&broken.id);
    assert_eq!((job.status, job.attempts), (JobStatus::Failed, 1), "a command that fails is not tried again");
    assert!(job.error.unwrap().contains('7'), "{:?}", job.result);
    assert!(job.result.unwrap()["backup_id"].as_str().unwrap().starts_with("broken_manual_"));
}

#[test]
fn a_cleanup_and_verifications_are_jobs_too() {
    let home = home();
    let (runner, _) = home.start(RunnerOptions::default());
    home.backup("shop");
    runner.look();
    let ended = |n| {
        list(&home.workplace, &JobFilter { status: Some(JobStatus::Completed), ..JobFilter::default() }, 9)
            .unwrap()
            .len()
            == n
    };
    until(&runner, || ended(1));
    let tasks = [
        Task::Cleanup(CleanupTask { dry_run: true, ..CleanupTask::default() }),
        Task::Verify(VerifyTask { backup_id: Some("latest:shop".to_owned()), ..VerifyTask::default() }),
        Task::Verify(VerifyTask {
            target: Some("shop".to_owned()),
            share: Some(0.1),
            ..VerifyTask::default()
        }),
        Task::Verify(VerifyTask { share: Some(0.25), ..VerifyTask::default() }),
    ];
    for task in &tasks {
        enqueue(&home.workplace, task, Patience::Queued).unwrap();
    }
    runner.look();
    until(&runner, || ended(5));
    let jobs = list(&home.workplace, &JobFilter { kind: Some("verify"), ..JobFilter::default() }, 9).unwrap();
    let results: Vec<_> = jobs.iter().map(|job| job.result.clone().unwrap()).collect();
    assert!(results[0]["packs_read"].as_u64().unwrap() >= 1, "{results:?}");
    assert_eq!(results[1]["verified"][0]["status"], "verified");
    assert_eq!(results[2]["valid"], true);
}

#[test]
fn one_job_of_a_target_waits_for_the_other_and_one_of_another_does_not() {
    let home = home();
    let (first, second, other) = (home.backup("waits"), home.backup("waits"), home.backup("shop"));
    let (runner, _) = home.start(RunnerOptions { workers: 3, ..RunnerOptions::default() });
    until(&runner, || home.job(&other.id).status.is_end());
    until(&runner, || home.job(&first.id).status == JobStatus::Running);
    assert_eq!(home.job(&second.id).status, JobStatus::Queued);
    let_go(&home);
    until(&runner, || home.job(&first.id).status.is_end());
    until(&runner, || home.job(&second.id).status == JobStatus::Running);
    let_go(&home);
    until(&runner, || home.job(&second.id).status.is_end());
    assert_eq!(home.job(&second.id).status, JobStatus::Completed);
}

#[test]
fn what_somebody_waits_for_does_not_wait_for_workers() {
    let home = home();
    let busy = home.backup("endless");
    let (runner, _) = home.start(RunnerOptions { workers: 1, ..RunnerOptions::default() });
    until(&runner, || home.job(&busy.id).status == JobStatus::Running);
    let waits = home.backup("shop");
    let awaited = enqueue(&home.workplace, &backup("shop"), Patience::Awaited).unwrap();
    runner.look();
    until(&runner, || home.job(&awaited.id).status.is_end());
    assert_eq!(home.job(&awaited.id).status, JobStatus::Completed);
    assert_eq!(home.job(&waits.id).status, JobStatus::Queued);
    cancel(&home.workplace, &busy.id).unwrap();
    until(&runner, || home.job(&waits.id).status.is_end());
}

#[test]
fn a_job_that_runs_is_cancelled_and_one_that_waits_never_begins() {
    let home = home();
    let (runs, waits) = (home.backup("endless"), home.backup("endless"));
    let (runner, told) = home.start(RunnerOptions::default());
    until(&runner, || home.job(&runs.id).bytes_done > 0);
    assert_eq!(cancel(&home.workplace, &waits.id).unwrap().0, Cancelling::Done);
    assert_eq!(cancel(&home.workplace, &runs.id).unwrap().0, Cancelling::Asked);
    until(&runner, || home.job(&runs.id).status.is_end());
    assert_eq!(home.job(&runs.id).status, JobStatus::Cancelled);
    let job = home.job(&waits.id);
    assert_eq!((job.status, job.attempts), (JobStatus::Cancelled, 0));
    assert_eq!(cancel(&home.workplace, &runs.id).unwrap().0, Cancelling::TooLate);
    assert_eq!(told.0.lock().unwrap().len(), 1);
}

#[test]
fn a_job_whose_command_says_nothing_is_cancelled_too() {
    let home = home();
    let job = home.backup("waits");
    let (runner, _) = home.start(RunnerOptions::default());
    until(&runner, || home.job(&job.id).phase.is_some());
    cancel(&home.workplace, &job.id).unwrap();
    runner.look();
    until(&runner, || home.job(&job.id).status.is_end());
    assert_eq!(home.job(&job.id).status, JobStatus::Cancelled);
}

#[test]
fn a_job_that_takes_too_long_fails() {
    let home = home();
    let job = home.backup("endless");
    let (runner, _) =
        home.start(RunnerOptions { time_max: Duration::from_millis(200), ..RunnerOptions::default() });
    until(&runner, || home.job(&job.id).status.is_end());
    let job = home.job(&job.id);
    assert_eq!(job.status, JobStatus::Failed);
    assert!(job.error.unwrap().contains("limits.job_timeout"));
}

#[test]
fn what_the_end_of_the_service_stopped_goes_on_with_the_next() {
    let home = home();
    let job = home.backup("endless");
    let (runner, _) = home.start(RunnerOptions::default());
    until(&runner, || home.job(&job.id).bytes_done > 0);
    runner.stop();
    runner.interrupt();
    let seen = runner.seen();
    until(&runner, || seen.borrow().is_over);
    let stopped = home.job(&job.id);
    assert_eq!((stopped.status, stopped.attempts), (JobStatus::Queued, 0), "{stopped:?}");
    drop(runner);
    let (runner, _) = home.start(RunnerOptions::default());
    until(&runner, || home.job(&job.id).status == JobStatus::Running);
    cancel(&home.workplace, &job.id).unwrap();
    until(&runner, || home.job(&job.id).status.is_end());
}

#[test]
fn only_one_has_the_duty_and_the_other_takes_it_over() {
    let home = home();
    let (first, _) = home.start(RunnerOptions::default());
    until(&first, || first.seen().borrow().revision > 0);
    let (second, _) = home.start(RunnerOptions::default());
    until(&second, || second.seen().borrow().revision > 1);
    first.stop();
    until(&first, || first.seen().borrow().is_over);
    let job = home.backup("shop");
    second.look();
    until(&second, || home.job(&job.id).status.is_end());
}

#[test]
fn a_job_whose_process_died_is_begun_again_by_the_next() {
    let home = home();
    let job = home.backup("shop");
    home.state().begin_job(&key(&home.workplace), crate::state::Choice::All, i64::MAX).unwrap();
    assert_eq!(home.job(&job.id).status, JobStatus::Running);
    let (runner, _) = home.start(RunnerOptions::default());
    until(&runner, || home.job(&job.id).status.is_end());
    let job = home.job(&job.id);
    assert_eq!((job.status, job.attempts), (JobStatus::Completed, 2));
}

#[test]
fn what_could_not_be_done_is_refused_before_it_is_queued() {
    let home = home();
    assert!(enqueue(&home.workplace, &backup("nowhere"), Patience::Queued).is_err());
    let Task::Backup(task) = backup("shop") else { panic!() };
    let task = BackupTask { backup_type: "database".to_owned(), ..*task };
    assert!(enqueue(&home.workplace, &Task::Backup(Box::new(task)), Patience::Queued).is_err());
    assert!(show(&home.workplace, "x").is_err() && cancel(&home.workplace, "x").is_err());
    assert!(list(&home.workplace, &JobFilter::default(), 9).unwrap().is_empty());
}
