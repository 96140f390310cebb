//! Journals that an earlier process left: of whom, of what version, and of a target that is no longer there.

use std::fs;
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};

use rustix::fs::{FlockOperation, flock};

use super::Scratch;
use crate::restore::journal::{Journal, Record, line};
use crate::restore::report::RecoveredOutcome;
use crate::restore::resume_or_undo;

/// Leaves a journal of these records.
fn leave(scratch: &Scratch, records: &[Record]) -> PathBuf {
    let folder = scratch.made("state/restores");
    let lines: Vec<u8> = records.iter().flat_map(|r| line(&serde_json::to_vec(r).unwrap())).collect();
    let journal = folder.join("left.journal");
    fs::write(&journal, lines).unwrap();
    journal
}

fn begin(version: u32, target: &Path) -> Record {
    Record::Begin { version, target: target.as_os_str().as_bytes().to_vec(), made: Vec::new() }
}

fn outcome(scratch: &Scratch) -> RecoveredOutcome {
    let mut all = resume_or_undo(&scratch.at("state")).unwrap();
    assert_eq!(all.len(), 1);
    all.remove(0).outcome
}

#[test]
fn a_journal_that_somebody_holds_is_left_to_him() {
    let scratch = Scratch::new();
    let target = scratch.made("to");
    let journal = leave(&scratch, &[begin(1, &target)]);
    let holder = fs::File::open(&journal).unwrap();
    flock(&holder, FlockOperation::NonBlockingLockExclusive).unwrap();
    assert_eq!(outcome(&scratch), RecoveredOutcome::Running);
    assert!(journal.exists());
}

#[test]
fn a_running_restore_holds_its_journal() {
    let scratch = Scratch::new();
    let target = scratch.made("to");
    let journal = Journal::create(&scratch.at("state"), "mine", &target, &[]).unwrap();
    assert_eq!(outcome(&scratch), RecoveredOutcome::Running);
    journal.remove().unwrap();
    assert!(resume_or_undo(&scratch.at("state")).unwrap().is_empty());
}

#[test]
fn a_journal_of_a_newer_program_is_not_touched() {
    let scratch = Scratch::new();
    let target = scratch.made("to");
    let journal = leave(&scratch, &[begin(2, &target)]);
    match outcome(&scratch) {
        RecoveredOutcome::Failed(why) => assert!(why.contains("newer"), "{why}"),
        other => panic!("{other:?}"),
    }
    assert!(journal.exists());
}

#[test]
fn a_target_that_is_gone_was_undone_unless_it_was_committed() {
    let scratch = Scratch::new();
    let gone = scratch.at("gone");
    fs::write(scratch.at("file"), "x").unwrap();
    let below = scratch.at("file/below");
    for (records, undone) in [
        (vec![begin(1, &gone)], true),
        (vec![begin(1, &gone), Record::Committed], false),
        (vec![begin(1, &below)], false),
    ] {
        let journal = leave(&scratch, &records);
        assert_eq!(outcome(&scratch) == RecoveredOutcome::Undone, undone, "{records:?}");
        assert_eq!(journal.exists(), !undone, "what is not settled stays to be settled");
    }
}

#[test]
fn a_state_folder_that_cannot_be_read_is_an_error() {
    let scratch = Scratch::new();
    assert!(resume_or_undo(&scratch.at("state")).unwrap().is_empty(), "none is none");
    scratch.made("state");
    fs::write(scratch.at("state/restores"), "no folder").unwrap();
    resume_or_undo(&scratch.at("state")).unwrap_err();
}
