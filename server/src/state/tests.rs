//! The state file: made, shared, brought to a newer version, refused.
#![expect(clippy::unwrap_used, clippy::disallowed_methods, reason = "tests")]

use std::fs;
use std::sync::Barrier;

use super::*;

fn begin(state: &State, target: &str, began: i64) -> RunNumber {
    let (tier, backup_type) = ("manual", "full");
    state.begin_run(&NewRun { run_id: None, repository: "r", target, tier, backup_type, began }).unwrap()
}

fn failed(why: &str) -> Ending<'_> {
    let (backup_id, status) = (Some("shop_manual_20260101_000000"), RunStatus::Failed);
    Ending { status, backup_id, snapshot: None, error: Some(why), ended: 9, files: 0, bytes: 0 }
}

fn silent() -> Telling<'static> {
    Telling { repository: "r", now: 9, alert: Alert::Untouched, letters: &|_| Vec::new() }
}

#[test]
fn a_failed_run_is_listed_with_its_name_and_its_reason() {
    let dir = tempfile::tempdir().unwrap();
    let state = State::open(dir.path()).unwrap();
    let number = begin(&state, "shop", 1);
    begin(&state, "other", 2);
    state.end_run(number, &failed("no route"), &silent()).unwrap();
    let filter = RunFilter { status: Some(RunStatus::Failed), ..RunFilter::default() };
    let runs = State::open(dir.path()).unwrap().runs(&filter, 10).unwrap();
    let [run] = &*runs else { panic!("{runs:?}") };
    assert_eq!((run.target.as_str(), run.error.as_deref(), run.ended), ("shop", Some("no route"), Some(9)));
    assert_eq!(run.backup_id.as_deref(), Some("shop_manual_20260101_000000"));
}

#[test]
fn a_run_whose_process_died_is_marked_by_the_next_of_its_target() {
    let dir = tempfile::tempdir().unwrap();
    let state = State::open(dir.path()).unwrap();
    begin(&state, "shop", 1);
    begin(&state, "other", 2);
    begin(&state, "shop", 3);
    let of = |status| state.runs(&RunFilter { status: Some(status), ..RunFilter::default() }, 10).unwrap();
    assert_eq!(of(RunStatus::Interrupted).iter().map(|r| r.began).collect::<Vec<_>>(), [1]);
    assert_eq!(of(RunStatus::Running).iter().map(|r| r.began).collect::<Vec<_>>(), [3, 2]);
}

#[test]
fn several_at_once_lose_no_run() {
    let dir = tempfile::tempdir().unwrap();
    std::thread::scope(|scope| {
        for target in ["a", "b", "c", "d"] {
            let folder = dir.path();
            scope.spawn(move || {
                for began in 0..10 {
                    begin(&State::open(folder).unwrap(), target, began);
                }
            });
        }
    });
    let state = State::open(dir.path()).unwrap();
    assert_eq!(state.runs(&RunFilter::default(), 1000).unwrap().len(), 40);
}

#[test]
fn several_that_find_no_file_make_one() {
    const AT_ONCE: usize = 8;
    for _ in 0..20 {
        let dir = tempfile::tempdir().unwrap();
        let together = Barrier::new(AT_ONCE);
        std::thread::scope(|scope| {
            for _ in 0..AT_ONCE {
                scope.spawn(|| {
                    together.wait();
                    State::open(dir.path()).unwrap()
                });
            }
        });
    }
}

#[test]
fn a_newer_or_damaged_file_is_told_and_left_alone() {
    let dir = tempfile::tempdir().unwrap();
    let state = State::open(dir.path()).unwrap();
    state.connection().pragma_update(None, "user_version", 99).unwrap();
    drop(state);
    assert!(matches!(State::open(dir.path()).unwrap_err(), Error::StateTooNew { version: 99, .. }));

    let path = dir.path().join(FILE);
    for ending in ["-wal", "-shm"] {
        // There only while somebody has it open.
        drop(fs::remove_file(dir.path().join(format!("{FILE}{ending}"))));
    }
    fs::write(&path, vec![b'x'; 8192]).unwrap();
    let error = State::open(dir.path()).unwrap_err();
    assert!(matches!(error, Error::StateDamaged { .. }), "{error}");
    assert_eq!(fs::read(&path).unwrap(), vec![b'x'; 8192]);
}
