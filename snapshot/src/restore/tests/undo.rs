//! A restore stopped at every step: an error is undone at once, a crash by the next call; nothing is left.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use super::compare::{between, capture};
use super::{Memory, Scratch, options};
use crate::error::Error;
use crate::restore::options::{Overwrite, RestoreOptions, Strategy};
use crate::restore::place::Steps;
use crate::restore::recover::recover;
use crate::restore::report::{Recovered, RecoveredOutcome};
use crate::restore::resume_or_undo;

/// The snapshot and the target differ in every way that a plan knows.
fn prepare(scratch: &Scratch) -> (Memory, PathBuf) {
    let from = scratch.made("from");
    let to = scratch.made("to");
    for root in [&from, &to] {
        fs::create_dir_all(root.join("both/deep")).unwrap();
        fs::write(root.join("both/changed"), root.to_str().unwrap()).unwrap();
        xattr::set(root.join("both"), "user.which", root.to_str().unwrap().as_bytes()).unwrap();
    }
    fs::create_dir_all(from.join("both/new/sub")).unwrap();
    fs::write(from.join("both/new/sub/file"), vec![3; 12_000]).unwrap();
    fs::hard_link(from.join("both/new/sub/file"), from.join("second name")).unwrap();
    fs::write(from.join("was folder"), "x").unwrap();
    fs::create_dir_all(from.join("was file")).unwrap();
    fs::write(to.join("was file"), "old").unwrap();
    fs::create_dir_all(to.join("was folder/full")).unwrap();
    fs::write(to.join("was folder/full/x"), "y").unwrap();
    fs::create_dir_all(to.join("extra/sub")).unwrap();
    fs::write(to.join("extra/sub/file"), "z").unwrap();
    fs::write(to.join("both/deep/extra"), "z").unwrap();
    (Memory::of_folder(&from), to)
}

/// Fails one step, or it and all later ones.
fn failing(at: u64, all_later: bool) -> Steps {
    Steps::with_hook(Box::new(move |step| {
        let fails = step == at || (all_later && step > at);
        if fails { Err(io::Error::other("stopped")) } else { Ok(()) }
    }))
}

fn replace(to: &Path) -> RestoreOptions {
    RestoreOptions { overwrite: Some(Overwrite::IfChanged), ..options(Strategy::Replace, to) }
}

fn settled(scratch: &Scratch) -> Vec<Recovered> {
    repeated(|| resume_or_undo(&scratch.at("state")))
}

/// Another test may just start a program; until that program runs it shares the lock on a journal.
fn repeated(mut end: impl FnMut() -> crate::Result<Vec<Recovered>>) -> Vec<Recovered> {
    loop {
        let ended = end().unwrap();
        if ended.iter().all(|r| r.outcome != RecoveredOutcome::Running) {
            return ended;
        }
        std::thread::yield_now();
    }
}

/// How many steps an undisturbed restore takes.
fn steps_of(options: impl Fn(&Path) -> RestoreOptions, absent: bool) -> u64 {
    let scratch = Scratch::new();
    let (memory, mut to) = prepare(&scratch);
    if absent {
        to = scratch.at("new/place");
    }
    let count = Arc::new(std::sync::atomic::AtomicU64::new(0));
    let seen = Arc::clone(&count);
    let steps = Steps::with_hook(Box::new(move |_| {
        seen.fetch_add(1, std::sync::atomic::Ordering::Relaxed);
        Ok(())
    }));
    scratch.restore_by_steps(&memory, &options(&to), steps).unwrap();
    assert_eq!(super::content::differs(&scratch.at("from"), &to), [""; 0]);
    let steps = count.load(std::sync::atomic::Ordering::Relaxed);
    assert!(steps > 10, "{steps}");
    steps
}

#[test]
fn an_error_at_any_step_leaves_the_target_as_it_was() {
    for step in 0..steps_of(replace, false) {
        let scratch = Scratch::new();
        let (memory, to) = prepare(&scratch);
        let before = capture(&to);
        match scratch.restore_by_steps(&memory, &replace(&to), failing(step, false)) {
            Err(Error::Undone(_)) => {
                assert_eq!(between(&before, &capture(&to)), [""; 0], "step {step}");
                assert!(settled(&scratch).is_empty());
            }
            Ok(report) => {
                assert_eq!(report.errors.len(), 1, "only tidying up may fail, step {step}");
                assert_eq!(settled(&scratch)[0].outcome, RecoveredOutcome::Finished);
                assert_eq!(super::content::differs(&scratch.at("from"), &to), [""; 0], "step {step}");
            }
            Err(e) => panic!("step {step}: {e}"),
        }
    }
}

#[test]
fn a_crash_at_any_step_is_undone_or_finished_by_the_next_call() {
    let steps = steps_of(replace, false);
    for step in 0..steps {
        let scratch = Scratch::new();
        let (memory, to) = prepare(&scratch);
        let before = capture(&to);
        // The process ends here: nothing after this step happens, neither undoing.
        let ended = scratch.restore_by_steps(&memory, &replace(&to), failing(step, true));
        // The next process is stopped too, somewhere.
        let again = repeated(|| recover(&scratch.at("state"), &Arc::new(failing(step % 7, true))));
        let last = settled(&scratch);
        let outcome = last.first().or(again.first()).map(|r| r.outcome.clone());
        match (&ended, outcome) {
            (Err(_), Some(RecoveredOutcome::Undone)) => {
                assert_eq!(between(&before, &capture(&to)), [""; 0], "step {step}");
            }
            (Ok(_), Some(RecoveredOutcome::Finished)) => {
                assert_eq!(super::content::differs(&scratch.at("from"), &to), [""; 0], "step {step}");
            }
            // The very last steps are those of undoing itself, done before the journal went.
            (_, outcome) => panic!("step {step}: {ended:?} {outcome:?}"),
        }
        assert!(settled(&scratch).is_empty());
    }
}

#[test]
fn a_new_place_that_fails_is_gone_again() {
    let new = |to: &Path| options(Strategy::NewLocation, to);
    for step in 0..steps_of(new, true) {
        for crash in [false, true] {
            let scratch = Scratch::new();
            let (memory, _) = prepare(&scratch);
            let to = scratch.at("new/place");
            let ended = scratch.restore_by_steps(&memory, &new(&to), failing(step, crash));
            settled(&scratch);
            assert_eq!(ended.is_err(), !scratch.at("new").exists(), "step {step}: {ended:?}");
        }
    }
}

#[test]
fn a_torn_journal_is_undone_as_far_as_it_was_relied_on() {
    let scratch = Scratch::new();
    let (memory, to) = prepare(&scratch);
    let before = capture(&to);
    let steps = steps_of(replace, false);
    scratch.restore_by_steps(&memory, &replace(&to), failing(steps / 2, true)).unwrap_err();
    let journal = fs::read_dir(scratch.at("state/restores")).unwrap().next().unwrap().unwrap().path();
    let mut bytes = fs::read(&journal).unwrap();
    bytes.extend_from_slice(b"0123456789abcdef {\"Built\":{\"inod");
    fs::write(&journal, bytes).unwrap();
    assert_eq!(settled(&scratch)[0].outcome, RecoveredOutcome::Undone);
    assert_eq!(between(&before, &capture(&to)), [""; 0]);
}

#[test]
fn a_new_place_needs_no_state_folder() {
    let scratch = Scratch::new();
    let (memory, to) = prepare(&scratch);
    // Nobody, not even root, can make a folder in /sys.
    let run =
        |options: &RestoreOptions| scratch.job(&memory, options, Steps::default(), Path::new("/sys/state"));
    let new = scratch.at("new");
    run(&options(Strategy::NewLocation, &new)).unwrap();
    assert_eq!(super::content::differs(&scratch.at("from"), &new), [""; 0]);
    let before = capture(&to);
    assert!(run(&replace(&to)).is_err());
    assert_eq!(between(&before, &capture(&to)), [""; 0]);
}
