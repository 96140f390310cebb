//! The queue: who begins what, and what a job ends as.
#![expect(clippy::unwrap_used, clippy::indexing_slicing, reason = "tests")]

use super::*;

fn state() -> (tempfile::TempDir, State) {
    let dir = tempfile::tempdir().unwrap();
    let state = State::open(dir.path()).unwrap();
    (dir, state)
}

fn add(state: &State, id: &str, lane: &str, priority: u8) -> JobRow {
    state.add_job(&new(id, lane, priority)).unwrap()
}

fn new<'a>(id: &'a str, lane: &'a str, priority: u8) -> NewJob<'a> {
    NewJob {
        id,
        repository: "r",
        kind: "backup",
        target: Some(lane),
        lane,
        priority,
        task: "{}",
        schedule: Some(("daily", 7)),
        awaited: false,
        created: 1,
    }
}

#[test]
fn what_somebody_waits_for_is_begun_alone_if_asked_so_and_once() {
    let (_dir, state) = state();
    add(&state, "queued", "a", 0);
    state.add_job(&NewJob { awaited: true, ..new("awaited", "b", 1) }).unwrap();
    let begin = |choice| state.begin_job("r", choice, 2).unwrap().map(|job| job.id);
    assert_eq!(begin(Choice::Beside).as_deref(), Some("awaited"));
    assert_eq!(begin(Choice::Beside), None);
    assert_eq!(begin(Choice::All).as_deref(), Some("queued"));
    state.recover_jobs("r", 3, 5).unwrap();
    assert_eq!(status(&state, "awaited"), JobStatus::Interrupted);
    assert_eq!(status(&state, "queued"), JobStatus::Queued);
}

fn begun(state: &State, now: i64) -> Option<String> {
    state.begin_job("r", Choice::All, now).unwrap().map(|job| job.id)
}

fn status(state: &State, id: &str) -> JobStatus {
    state.job("r", id).unwrap().unwrap().status
}

fn end(state: &State, job: &JobRow, status: JobStatus) {
    let ending = JobEnding { status, result: Some("{}"), error: None, ended: 9 };
    state.end_job("r", job.number, &ending).unwrap();
}

#[test]
fn the_urgent_begin_first_and_one_of_a_lane_at_a_time() {
    let (_dir, state) = state();
    let first = add(&state, "a1", "a", 1);
    for (id, lane, priority) in [("a2", "a", 1), ("b1", "b", 1), ("c1", "c", 0)] {
        add(&state, id, lane, priority);
    }
    assert_eq!(begun(&state, 2).as_deref(), Some("c1"));
    assert_eq!(begun(&state, 2).as_deref(), Some("a1"));
    assert_eq!(begun(&state, 2).as_deref(), Some("b1"));
    assert_eq!(begun(&state, 2), None, "a2 waits for a1");
    assert_eq!(state.begin_job("other", Choice::All, 2).unwrap(), None);
    end(&state, &first, JobStatus::Completed);
    assert_eq!(begun(&state, 2).as_deref(), Some("a2"));
    assert_eq!(state.busy_schedules("r").unwrap(), ["daily"]);
    assert_eq!(state.jobs_due("r", "daily", 7).unwrap().len(), 4);
}

#[test]
fn what_waits_for_another_try_begins_when_it_may() {
    let (_dir, state) = state();
    add(&state, "a", "a", 1);
    let job = state.begin_job("r", Choice::All, 2).unwrap().unwrap();
    state.requeue_job(job.number, 50, Attempt::Counts, "busy").unwrap();
    assert_eq!((begun(&state, 49), state.next_job("r", 49).unwrap()), (None, Some(50)));
    let again = state.begin_job("r", Choice::All, 50).unwrap().unwrap();
    assert_eq!((again.attempts, again.error.as_deref()), (2, Some("busy")));
    state.requeue_job(job.number, 50, Attempt::CountsNot, "stopped").unwrap();
    assert_eq!(state.begin_job("r", Choice::All, 50).unwrap().unwrap().attempts, 2);
}

#[test]
fn progress_is_kept_and_brings_the_wish_to_cancel() {
    let (_dir, state) = state();
    let job = add(&state, "a", "a", 1);
    begun(&state, 2);
    let progress = JobProgress { phase: "read".into(), items: 1, items_total: 4, bytes: 10, bytes_total: 40 };
    assert!(!state.progress_job(job.number, &progress).unwrap());
    let seen = state.job("r", "a").unwrap().unwrap();
    assert_eq!(seen.progress, progress);
    state.progress_job(job.number, &progress).unwrap();
    assert_eq!(state.job("r", "a").unwrap().unwrap().revision, seen.revision, "nothing new");
    assert!(matches!(state.cancel_job("r", "a", 5).unwrap(), Some(Cancelled::Asked(_))));
    assert!(state.progress_job(job.number, &progress).unwrap());
    end(&state, &job, JobStatus::Cancelled);
    assert!(matches!(state.cancel_job("r", "a", 5).unwrap(), Some(Cancelled::TooLate(_))));
    end(&state, &job, JobStatus::Completed);
    assert_eq!(status(&state, "a"), JobStatus::Cancelled, "an end stays");
}

#[test]
fn one_that_waits_is_cancelled_at_once() {
    let (_dir, state) = state();
    add(&state, "a", "a", 1);
    let Some(Cancelled::Now(job)) = state.cancel_job("r", "a", 5).unwrap() else { panic!() };
    assert_eq!((job.status, job.ended), (JobStatus::Cancelled, Some(5)));
    assert_eq!(begun(&state, 6), None);
    assert_eq!(state.cancel_job("r", "b", 5).unwrap(), None);
}

#[test]
fn what_a_dead_process_was_doing_is_begun_again_but_not_for_ever() {
    let (_dir, state) = state();
    for id in ["a", "b", "c"] {
        add(&state, id, id, 1);
    }
    (0..3).for_each(|_| drop(begun(&state, 2)));
    state.cancel_job("r", "b", 3).unwrap();
    let recovered = state.recover_jobs("r", 2, 4).unwrap();
    assert_eq!(recovered.len(), 3);
    assert_eq!((status(&state, "a"), status(&state, "b")), (JobStatus::Queued, JobStatus::Cancelled));
    assert_eq!(begun(&state, 4).as_deref(), Some("a"));
    state.recover_jobs("r", 2, 5).unwrap();
    let job = state.job("r", "a").unwrap().unwrap();
    assert_eq!((job.status, job.ended), (JobStatus::Interrupted, Some(5)));
    assert!(job.error.unwrap().contains("without a word"));
}

#[test]
fn old_ends_are_let_go_and_nothing_else() {
    let (_dir, state) = state();
    for n in 0..ENDED_MAX + 5 {
        let job = add(&state, &n.to_string(), "a", 1);
        state
            .connection()
            .execute("UPDATE jobs SET status = 'failed', ended = 1 WHERE number = ?1", [job.number])
            .unwrap();
    }
    add(&state, "waits", "b", 1);
    let last = add(&state, "last", "a", 0);
    begun(&state, 2);
    end(&state, &last, JobStatus::Completed);
    let jobs = state.jobs("r", &JobFilter::default(), ENDED_MAX * 2).unwrap();
    assert_eq!(jobs.len(), ENDED_MAX as usize + 1);
    assert_eq!((&*jobs[0].id, &*jobs[1].id), ("last", "waits"));
    let ending =
        JobEnding { status: JobStatus::Completed, result: None, error: None, ended: ENDED_AGE_MAX + 5 };
    begun(&state, 2);
    state.end_job("r", jobs[1].number, &ending).unwrap();
    assert_eq!(state.jobs("r", &JobFilter::default(), 10).unwrap().len(), 2, "those of 90 days ago are gone");
}

#[test]
fn a_look_that_found_nothing_new_is_kept_for_a_day() {
    let (_dir, state) = state();
    let look = |id: &str, ended: i64, found: &str| {
        let job = NewJob { task: r#"{"on_change":true}"#, ..new(id, "a", 1) };
        let job = state.add_job(&job).unwrap();
        begun(&state, 2);
        let result = format!(r#"{{"status":"{found}"}}"#);
        let (status, result) = (JobStatus::Completed, Some(&*result));
        state.end_job("r", job.number, &JobEnding { status, result, error: None, ended }).unwrap();
    };
    look("old", 1, "unchanged");
    look("found", 1, "completed");
    look("new", UNEVENTFUL_AGE_MAX + 2, "unchanged");
    let jobs = state.jobs("r", &JobFilter::default(), 10).unwrap();
    assert_eq!(jobs.iter().map(|job| &*job.id).collect::<Vec<_>>(), ["new", "found"]);
}

#[test]
fn several_processes_begin_each_job_once() {
    let (dir, state) = state();
    for n in 0..40 {
        add(&state, &n.to_string(), &n.to_string(), 1);
    }
    let mut all: Vec<String> = std::thread::scope(|scope| {
        let workers: Vec<_> = (0..4)
            .map(|_| {
                let folder = dir.path();
                scope.spawn(move || {
                    let state = State::open(folder).unwrap();
                    std::iter::from_fn(|| begun(&state, 2)).collect::<Vec<_>>()
                })
            })
            .collect();
        workers.into_iter().flat_map(|w| w.join().unwrap()).collect()
    });
    all.sort_by_key(|id| id.parse::<u32>().unwrap());
    assert_eq!(all, (0..40).map(|n| n.to_string()).collect::<Vec<_>>());
}
