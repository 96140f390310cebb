//! What follows when a job's work has come back.

use chronos_store::Error as StoreError;

use super::*;
use crate::error::{Error, Upstream};
use crate::jobs::live::Stop;
use crate::jobs::perform::Done;
use crate::jobs::verdict::{Attempted, Verdict, verdict};
use crate::state::Attempt;

fn busy() -> Error {
    StoreError::Busy("session".to_owned()).into()
}

fn failed(upstream: Option<Upstream>, cause: Error) -> Error {
    Error::Failed { backup_id: "x".to_owned(), upstream, cause: Box::new(cause) }
}

/// What follows from an attempt at a job that nobody waits for.
fn after(
    outcome: Result<Done, Error>,
    stop: Option<Stop>,
    attempts: u32,
    options: &RunnerOptions,
) -> Verdict {
    verdict(outcome, Attempted { attempts, awaited: false, stop }, options, &WORDS, 5)
}

fn source() -> Error {
    chronos_snapshot::Error::Source { name: "n8n".to_owned(), why: "no".to_owned() }.into()
}

#[test]
fn what_is_busy_or_out_of_reach_is_transient_and_nothing_else() {
    let answered = |status| failed(Some(Upstream { status, timed_out: false }), source());
    for error in [
        busy(),
        failed(None, busy()),
        answered(None),
        answered(Some(503)),
        answered(Some(429)),
        failed(Some(Upstream { status: Some(200), timed_out: true }), source()),
    ] {
        assert!(error.is_transient(), "{error:?}");
    }
    let full = std::io::Error::from(std::io::ErrorKind::StorageFull);
    for error in [
        answered(Some(401)),
        answered(Some(404)),
        failed(None, source()),
        failed(None, StoreError::damaged("packs/x", "hash").into()),
        failed(None, Error::Local { path: "/x".to_owned(), source: full }),
        Error::UnknownTarget { target: "x".to_owned() },
        StoreError::Interrupted.into(),
    ] {
        assert!(!error.is_transient(), "{error:?}");
    }
}

#[test]
fn pauses_grow_and_have_an_end() {
    let first = Duration::from_secs(30);
    let pauses: Vec<u64> = (1..=6).map(|n| pause(n, first).as_secs()).collect();
    assert_eq!(pauses, [30, 120, 480, 1920, 3600, 3600]);
    assert_eq!(pause(u32::MAX, first).as_secs(), 3600);
}

#[test]
fn a_transient_failure_is_tried_again_as_often_as_is_allowed() {
    let options =
        RunnerOptions { attempts_max: 2, pause: Duration::from_secs(10), ..RunnerOptions::default() };
    let again = after(Err(busy()), None, 1, &options);
    let Verdict::Again { ready, attempt, .. } = again else { panic!("{again:?}") };
    assert_eq!((ready, attempt), (10_000_000_005, Attempt::Counts));
    let end = after(Err(busy()), None, 2, &options);
    assert!(matches!(&end, Verdict::End(done) if done.status == JobStatus::Failed), "{end:?}");
    let end = after(Err(source()), None, 1, &options);
    assert!(matches!(&end, Verdict::End(done) if done.status == JobStatus::Failed), "{end:?}");
}

#[test]
fn who_was_stopped_ends_as_the_reason_says() {
    let options = RunnerOptions::default();
    let stopped = |stop| after(Err(StoreError::Interrupted.into()), Some(stop), 1, &options);
    let status = |verdict: Verdict| match verdict {
        Verdict::End(done) => Some(done.status),
        Verdict::Again { attempt, .. } => {
            assert_eq!(attempt, Attempt::CountsNot);
            None
        }
    };
    assert_eq!(status(stopped(Stop::Cancelled)), Some(JobStatus::Cancelled));
    assert_eq!(status(stopped(Stop::TooLong)), Some(JobStatus::Failed));
    assert_eq!(status(stopped(Stop::Ending)), None);
    let done = Done { status: JobStatus::Completed, result: None, error: None };
    let ended = after(Ok(done.clone()), Some(Stop::Cancelled), 1, &options);
    assert_eq!(ended, Verdict::End(done), "it had come to its end");
}

#[test]
fn a_job_that_somebody_waits_for_is_begun_once() {
    let options = RunnerOptions::default();
    for (error, stop, status) in [
        (busy(), None, JobStatus::Failed),
        (StoreError::Interrupted.into(), Some(Stop::Ending), JobStatus::Interrupted),
    ] {
        let attempted = Attempted { attempts: 1, awaited: true, stop };
        let end = verdict(Err(error), attempted, &options, &WORDS, 5);
        assert!(matches!(&end, Verdict::End(done) if done.status == status), "{end:?}");
    }
}

#[test]
fn a_failed_job_leaves_what_the_service_says_of_the_error() {
    let error = failed(None, source());
    let said = (WORDS.document)(&error);
    let Verdict::End(done) = after(Err(error), None, 1, &RunnerOptions::default()) else { panic!() };
    assert_eq!(done.result, Some(said));
}

#[test]
fn a_task_comes_back_from_the_queue_as_it_went_in() {
    let task = Task::Backup(Box::new(BackupTask {
        metadata: [("k".to_owned(), "v".to_owned())].into(),
        exclude_patterns: vec!["*.o".to_owned()],
        on_change: true,
        ..match backup("shop") {
            Task::Backup(task) => *task,
            _ => unreachable!(),
        }
    }));
    let text = serde_json::to_string(&task).unwrap();
    assert_eq!(serde_json::from_str::<Task>(&text).unwrap(), task);
    let Task::Backup(task) = task else { panic!() };
    let again = BackupTask::new(task.targets.clone(), task.request());
    assert_eq!(again, *task);
    let verify = Task::Verify(VerifyTask { share: Some(0.25), ..VerifyTask::default() });
    assert_eq!(serde_json::from_str::<Task>(&serde_json::to_string(&verify).unwrap()).unwrap(), verify);
}
