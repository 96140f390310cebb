//! What no decision and no record names goes, and only that; nothing goes that may still come to count.

use std::io;
use std::sync::Arc;
use std::sync::mpsc::channel;

use chronos_store::backend::{BackendExt, Fault, FaultBackend, FaultRule, Method};
use chronos_store::{
    Change, ChunkKind, Error, ErrorKind, Marks, PruneOptions, Repository, Session, SessionId,
};

use super::kept::{Kept, assert_whole, begin, chunks, commit, prune, snapshot, try_commit};
use crate::fixture::Fixture;
use crate::meanwhile::Meanwhile;

/// A pack of this session that no decision names: `number` packs have lower numbers.
fn orphan(fixture: &Fixture, session: &SessionId, number: u32) -> String {
    let name = format!("packs/{session}/{number:08x}-00000001");
    fixture.backend.damage(&name, Some(&vec![7; 1000 + number as usize]));
    name
}

fn upload(session: &Session, seeds: std::ops::Range<u32>) {
    let mut writer = session.writer(ChunkKind::Data);
    chunks(seeds).iter().for_each(|chunk| assert!(writer.put(chunk).unwrap().new));
    writer.finish().unwrap();
    session.flush().unwrap();
}

/// Makes the log one record longer.
fn mark(repository: &Repository, kept: &Kept, held: bool) {
    let marks = Marks { held, ..Marks::default() };
    let change = Change::Mark { marks: vec![(kept.session.clone(), marks)] };
    repository.change(&|_| Ok(Some(change.clone()))).unwrap();
}

fn lose_announcements(fixture: &Fixture) {
    let announced = fixture.backend.list_all("sess/").unwrap();
    announced.iter().for_each(|entry| fixture.backend.damage(&entry.name, None));
}

/// Names of log records and of the states that they name, the oldest first.
fn log(fixture: &Fixture) -> Vec<String> {
    fixture.backend.content().into_keys().filter(|name| name.starts_with("log/")).rev().collect()
}

fn states(fixture: &Fixture) -> usize {
    fixture.backend.list_all("state/").unwrap().len()
}

#[test]
fn a_pack_that_its_session_does_not_name_goes_though_nothing_else_does() {
    let fixture = Fixture::new();
    let one = snapshot(&fixture.open(), 0..50);
    let before = fixture.pack_bytes();
    orphan(&fixture, &one.session, 15);
    orphan(&fixture, &one.session, 16);
    let report = prune(&fixture.open());
    assert_eq!((report.packs_deleted, report.bytes_freed), (2, 1015 + 1016));
    assert_eq!((fixture.packs(), fixture.pack_bytes()), (1, before));
    assert_eq!(fixture.open().view().unwrap().log_len(), 0);
    assert_whole(&fixture.open(), &[&one]);
}

#[test]
fn packs_of_a_closed_session_of_which_nothing_else_is_left_go() {
    let fixture = Fixture::new();
    let repository = fixture.open();
    let one = snapshot(&repository, 0..50);
    let closed = begin(&repository);
    let id = closed.id().clone();
    upload(&closed, 100..150);
    closed.close().unwrap();
    (0..3).for_each(|n| mark(&repository, &one, n == 0));
    prune(&repository);
    // The index is in one run, so the table has no use for that session.
    repository.repair_index(false).unwrap();
    let orphan = orphan(&fixture, &id, 9);
    prune(&repository);
    assert!(!fixture.backend.exists(&orphan).unwrap());
    assert_whole(&fixture.open(), &[&one]);
}

#[test]
fn a_session_whose_announcement_was_lost_is_ended_before_its_packs_go() {
    let fixture = Fixture::new();
    let one = snapshot(&fixture.open(), 0..50);
    let running = begin(&fixture.open_elsewhere());
    upload(&running, 100..150);
    assert_eq!(prune(&fixture.open()).packs_deleted, 0, "it is announced");
    lose_announcements(&fixture);
    assert_eq!(prune(&fixture.open()).packs_deleted, 1);
    upload(&running, 200..250);
    assert_eq!(fixture.packs(), 2);
    assert_eq!(prune(&fixture.open()).packs_deleted, 1, "it counts for nobody any more");
    let late = try_commit(running, &chunks(100..150));
    assert!(matches!(late, Err(Error::SessionLost(_))), "{:?}", late.err());
    assert_eq!(fixture.open().view().unwrap().snapshots().count(), 1);
    assert_whole(&fixture.open(), &[&one]);
}

#[test]
fn a_session_that_decides_while_its_packs_are_looked_at_keeps_them() {
    let fixture = Fixture::new();
    let running = begin(&fixture.open_elsewhere());
    upload(&running, 0..50);
    lose_announcements(&fixture);
    let decision = format!("snap/{}", running.id());
    let (sender, receiver) = channel();
    let commits = move || sender.send(commit(running, &chunks(0..50))).unwrap();
    let backend = Meanwhile::new(fixture.shared(), Method::Read, &decision, 0, commits);
    prune(&fixture.open_through(backend));
    assert_whole(&fixture.open(), &[&receiver.recv().unwrap()]);
}

#[test]
fn a_session_of_which_the_decision_was_lost_is_not_revoked_while_packs_of_it_count() {
    let fixture = Fixture::new();
    let repository = fixture.open();
    let closed = begin(&repository);
    let decision = format!("snap/{}", closed.id());
    let id = closed.id().clone();
    upload(&closed, 100..150);
    closed.close().unwrap();
    let one = snapshot(&repository, 100..150);
    (0..3).for_each(|n| mark(&repository, &one, n == 0));
    repository.repair_index(false).unwrap();
    fixture.backend.damage(&decision, None);
    orphan(&fixture, &id, 9);
    prune(&fixture.open());
    assert!(!fixture.backend.exists(&decision).unwrap());
    fixture.open().repair_index(false).unwrap();
    assert_whole(&fixture.open(), &[&one]);
}

#[test]
fn replaced_runs_go_once_no_session_may_look_into_them() {
    let fixture = Fixture::new();
    let repository = fixture.open();
    let kept = [snapshot(&repository, 0..50), snapshot(&repository, 50..90)];
    let runs = || fixture.backend.list_all("index/").unwrap();
    repository.repair_index(false).unwrap();
    let replaced = runs();
    repository.repair_index(false).unwrap();
    let newest: Vec<_> = runs().into_iter().filter(|run| !replaced.contains(run)).collect();
    assert_eq!((replaced.len(), newest.len()), (1, 1));
    let running = begin(&fixture.open());
    prune(&repository);
    assert_eq!(runs().len(), 2, "a session runs");
    let third = commit(running, &chunks(30..100));
    prune(&repository);
    assert_eq!(runs(), newest);
    assert_whole(&fixture.open(), &[&kept[0], &kept[1], &third]);
}

#[test]
fn only_runs_whose_names_are_ours_go() {
    let fixture = Fixture::new();
    let one = snapshot(&fixture.open(), 0..50);
    let [hex, other] = ["0123456789abcdef0123456789abcdef", "0123456789abcdef0123456789abcdeg"];
    let run_of = |session: &str| format!("index/{session}-00000000");
    let ours = [format!("index/m-{hex}"), run_of(&one.session.to_string())];
    let foreign = [
        "index/notes".to_owned(),
        "index/m-0123".to_owned(),
        format!("index/m-{other}"),
        format!("index/m-{hex}0"),
        format!("index/{hex}"),
        run_of("nobody"),
    ];
    ours.iter().chain(&foreign).for_each(|name| fixture.backend.damage(name, Some(b"a run")));
    prune(&fixture.open());
    let left: Vec<_> = fixture.backend.list_all("index/").unwrap().into_iter().map(|e| e.name).collect();
    let mut expected = foreign.to_vec();
    expected.sort();
    assert_eq!(left, expected);
    assert_whole(&fixture.open(), &[&one]);
}

#[test]
fn the_state_of_a_record_that_cannot_be_read_stays_and_older_ones_go() {
    let fixture = Fixture::new();
    let repository = fixture.open();
    let one = snapshot(&repository, 0..5);
    (0..80).for_each(|n| mark(&repository, &one, n % 2 == 0));
    fixture.backend.damage(&log(&fixture)[10], Some(b"damaged"));
    prune(&fixture.open());
    assert_eq!(states(&fixture), 64 + 1);
    assert_whole(&fixture.open(), &[&one]);
}

#[test]
fn a_prune_that_cannot_read_an_old_record_says_so() {
    let fixture = Fixture::new();
    let repository = fixture.open();
    let one = snapshot(&repository, 0..5);
    (0..80).for_each(|n| mark(&repository, &one, n % 2 == 0));
    let fault = Fault::Error(io::ErrorKind::Other);
    let rule = FaultRule::always(Method::Read, &log(&fixture)[10], fault);
    let repository = fixture.open_through(Arc::new(FaultBackend::with_rule(fixture.shared(), rule)));
    let error = repository.prune(&PruneOptions::default()).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Io, "{error}");
}

#[test]
fn old_states_that_a_stopped_prune_left_go_with_the_next() {
    let fixture = Fixture::new();
    let repository = fixture.open();
    let one = snapshot(&repository, 0..5);
    (0..80).for_each(|n| mark(&repository, &one, n % 2 == 0));
    for removed in [1, 7, 15] {
        let fork = fixture.fork();
        let stop =
            FaultRule { skip: removed, ..FaultRule::always(Method::Remove, "state/", Fault::StopBefore) };
        let faulty = FaultBackend::with_rule(fork.shared(), stop);
        // It fails, or had removed all of them.
        let _ = fork.open_through(Arc::new(faulty)).prune(&PruneOptions::default());
        assert_eq!(states(&fork), 80 - removed as usize);
        prune(&fork.open());
        assert_eq!(states(&fork), 64);
        assert_whole(&fork.open(), &[&one]);
    }
}
