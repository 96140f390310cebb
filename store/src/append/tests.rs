//! The log: watermarks never pass an undecided session, races lose nothing, listings cost a fixed number of calls.

#![expect(clippy::unwrap_used, reason = "tests")]

use std::sync::Arc;
use std::thread;

use crate::backend::{Backend, MemoryBackend, Method, RecordBackend};
use crate::decision::{Core, Decision, Outcome};
use crate::env::Env;
use crate::id::{ChunkKind, SessionId};
use crate::log::{Change, Record};
use crate::monitor::Silent;
use crate::refs::RefList;
use crate::repository::{CreateOptions, LocalDirs, OpenOptions, Repository, Secret};
use crate::session::{Session, SessionOptions};
use crate::view::Marks;

const KEY: Secret = Secret::Key([1; 32]);

fn options(dir: &tempfile::TempDir) -> OpenOptions {
    let dirs = LocalDirs { cache: dir.path().join("cache"), state: dir.path().join("state") };
    OpenOptions { dirs, env: Env::system(), monitor: Arc::new(Silent) }
}

fn fresh(dir: &tempfile::TempDir) -> (MemoryBackend, Repository) {
    let backend = MemoryBackend::new();
    let repository =
        Repository::create(Arc::new(backend.clone()), &KEY, &CreateOptions::default(), options(dir)).unwrap();
    (backend, repository)
}

fn begin(repository: &Repository) -> Session {
    repository.begin(SessionOptions { client: "t".into(), level: 1 }).unwrap()
}

fn commit(session: Session) -> SessionId {
    let id = session.id().clone();
    let mut writer = session.writer(ChunkKind::Refs);
    let root = writer.put(&RefList::default().encode()).unwrap().id;
    writer.finish().unwrap();
    session.commit(&[root], b"{}").unwrap();
    id
}

fn checkpoint(repository: &Repository) -> u64 {
    repository.inner.append(&mut |_| Ok(Some(Record::Checkpoint))).unwrap().state.watermark
}

#[test]
fn the_watermark_waits_for_every_undecided_session() {
    let dir = tempfile::tempdir().unwrap();
    let (_backend, repository) = fresh(&dir);
    let slow = begin(&repository);
    for _ in 0..3 {
        assert_eq!(checkpoint(&repository), 0);
    }
    let fast = commit(begin(&repository));
    assert_eq!(fast.generation(), 3);
    assert_eq!(checkpoint(&repository), 0);
    let slow = commit(slow);
    let listed: Vec<_> = repository.view().unwrap().snapshots().map(|r| r.session.clone()).collect();
    assert_eq!(listed, [slow.clone(), fast.clone()]);
    assert_eq!(checkpoint(&repository), 4);
    let listed: Vec<_> = repository.view().unwrap().snapshots().map(|r| r.session.clone()).collect();
    assert_eq!(listed, [slow, fast]);
}

#[test]
fn a_session_in_which_the_log_grows_before_it_reads_takes_another_id() {
    let dir = tempfile::tempdir().unwrap();
    let (_backend, repository) = fresh(&dir);
    for n in 0..5 {
        assert_eq!(begin(&repository).id().generation(), n);
        checkpoint(&repository);
    }
}

#[test]
fn of_changes_at_once_none_is_lost() {
    let dir = tempfile::tempdir().unwrap();
    let (_backend, repository) = fresh(&dir);
    let ids: Vec<_> = (0..8).map(|_| commit(begin(&repository))).collect();
    thread::scope(|scope| {
        for id in &ids {
            let repository = repository.clone();
            scope.spawn(move || {
                repository.change(&|_| Ok(Some(Change::Forget { snapshots: vec![id.clone()] }))).unwrap();
                repository.change(&|_| Ok(Some(Change::Undelete { snapshots: vec![id.clone()] }))).unwrap();
                let marks = Marks { held: true, ..Marks::default() };
                repository
                    .change(&|_| Ok(Some(Change::Mark { marks: vec![(id.clone(), marks.clone())] })))
                    .unwrap();
            });
        }
    });
    let view = repository.view().unwrap();
    assert_eq!(view.log_len(), 24);
    assert_eq!(view.snapshots().filter(|r| r.marks.held).count(), 8);
}

#[test]
fn sessions_beside_changes_are_all_listed() {
    let dir = tempfile::tempdir().unwrap();
    let (_backend, repository) = fresh(&dir);
    thread::scope(|scope| {
        for _ in 0..3 {
            scope.spawn(|| (0..10).for_each(|_| drop(commit(begin(&repository)))));
        }
        scope.spawn(|| {
            (0..20).for_each(|_| {
                checkpoint(&repository);
            });
        });
    });
    assert_eq!(repository.view().unwrap().snapshots().count(), 30);
    checkpoint(&repository);
    checkpoint(&repository);
    assert_eq!(repository.view().unwrap().snapshots().count(), 30);
}

#[test]
fn nothing_is_deleted_while_a_decision_cannot_be_read() {
    let dir = tempfile::tempdir().unwrap();
    let (backend, repository) = fresh(&dir);
    let id = commit(begin(&repository));
    let bytes = backend.read(&crate::names::decision(&id), None).unwrap();
    backend.damage(&crate::names::decision(&id), Some(bytes.get(1..).unwrap()));
    let other = tempfile::tempdir().unwrap();
    let repository = Repository::open(Arc::new(backend), &KEY, options(&other)).unwrap();
    let condemn =
        Record::Condemn { packs: std::iter::empty().collect(), roots: std::iter::empty().collect() };
    assert!(repository.inner.append(&mut |_| Ok(Some(condemn.clone()))).is_err());
    assert!(repository.view().unwrap().index().is_err());
    assert_eq!(checkpoint(&repository), 0);
    assert_eq!(checkpoint(&repository), 0, "the watermark waits for it");
}

#[test]
fn ten_thousand_snapshots_are_listed_with_a_handful_of_calls() {
    let dir = tempfile::tempdir().unwrap();
    let (backend, repository) = fresh(&dir);
    for n in 0..10_000 {
        let session = SessionId::new(0, "t", n).unwrap();
        let core =
            Core { outcome: Outcome::Committed, roots: Vec::new(), packs: Vec::new(), runs: Vec::new() };
        let decision = Decision { session, core, manifest: format!("{{\"n\":{n}}}").into_bytes() };
        repository.inner.decide(&decision).unwrap();
    }
    checkpoint(&repository);
    checkpoint(&repository);
    let recording = RecordBackend::new(Arc::new(backend));
    let other = tempfile::tempdir().unwrap();
    let repository = Repository::open(Arc::new(recording.clone()), &KEY, options(&other)).unwrap();
    recording.clear();
    assert_eq!(repository.view().unwrap().snapshots().count(), 10_000);
    assert_eq!((recording.count(Method::List, ""), recording.count(Method::Read, "")), (2, 2));
    assert_eq!(recording.calls().len(), 4);
}
