//! Backups, changes of visibility, prunes and repairs that are stopped everywhere.

use chronos_store::{Change, ErrorKind, PruneOptions, Repository, Result, SessionId};

use super::{Operation, Prepared, stop_everywhere};
use crate::fixture::Fixture;
use crate::pruning::kept::{begin, chunks, forget, snapshot};

/// Two snapshots that stay and one that only its own packs hold.
fn prepared() -> (Prepared, SessionId) {
    let fixture = Fixture::new();
    let repository = fixture.open();
    let kept = vec![snapshot(&repository, 0..30), snapshot(&repository, 20..40)];
    let third = snapshot(&repository, 35..90);
    (Prepared { fixture, kept }, third.session)
}

fn listed(fixture: &Fixture) -> usize {
    fixture.open().view().unwrap().snapshots().count()
}

/// Makes a change; that it was made before the stop is no error.
fn change(repository: &Repository, change: &Change) -> Result<()> {
    match repository.change(&|_| Ok(Some(change.clone()))) {
        Err(e) if e.kind() == ErrorKind::Refused => Ok(()),
        outcome => outcome.map(|_| ()),
    }
}

#[test]
fn a_backup() {
    let (prepared, _) = prepared();
    let run = |repository: &Repository| {
        let session = repository.begin(chronos_store::SessionOptions { client: "test".into(), level: 3 })?;
        try_put(session)
    };
    let done = |fixture: &Fixture| listed(fixture) >= 4;
    stop_everywhere(&prepared, &Operation { calls_min: 10, sound_before: true, run: &run, done: &done });
}

/// Commits new and known chunks, passing errors on.
fn try_put(session: chronos_store::Session) -> Result<()> {
    use chronos_store::{ChunkKind, RefList};
    let mut writer = session.writer(ChunkKind::Data);
    let data = chunks(85..110).iter().map(|c| Ok(writer.put(c)?.id)).collect::<Result<Vec<_>>>()?;
    writer.finish()?;
    let mut refs = session.writer(ChunkKind::Refs);
    let root = refs.put(&RefList { meta: None, children: Vec::new(), data }.encode())?.id;
    refs.finish()?;
    session.commit(&[root], b"{}").map(|_| ())
}

#[test]
fn a_forgetting() {
    let (prepared, third) = prepared();
    let forget = Change::Forget { snapshots: vec![third] };
    let run = |repository: &Repository| change(repository, &forget);
    let done = |fixture: &Fixture| listed(fixture) == 2;
    stop_everywhere(&prepared, &Operation { calls_min: 3, sound_before: true, run: &run, done: &done });
}

#[test]
fn an_undeletion() {
    let (prepared, third) = prepared();
    change(&prepared.fixture.open(), &Change::Forget { snapshots: vec![third.clone()] }).unwrap();
    let back = Change::Undelete { snapshots: vec![third] };
    let run = |repository: &Repository| change(repository, &back);
    let done = |fixture: &Fixture| listed(fixture) == 3;
    stop_everywhere(&prepared, &Operation { calls_min: 3, sound_before: true, run: &run, done: &done });
}

/// A forgotten snapshot, a pack to be repacked, what a dead session has uploaded, and small packs to be joined.
fn with_all_that_prune_does() -> Prepared {
    let fixture = Fixture::new();
    let repository = fixture.open();
    let one = snapshot(&repository, 0..80);
    let mut kept = vec![snapshot(&repository, 60..90)];
    kept.extend((0..6).map(|n| snapshot(&repository, 200 + n..203 + n)));
    forget(&repository, &one);
    let dead = begin(&repository);
    let mut writer = dead.writer(chronos_store::ChunkKind::Data);
    chunks(300..320).iter().for_each(|c| assert!(writer.put(c).unwrap().new));
    writer.finish().unwrap();
    dead.flush().unwrap();
    drop(dead);
    Prepared { fixture, kept }
}

#[test]
fn a_prune() {
    let prepared = with_all_that_prune_does();
    let run = |repository: &Repository| repository.prune(&PruneOptions::default()).map(|_| ());
    let done = |fixture: &Fixture| fixture.open().view().unwrap().trash().count() == 0;
    stop_everywhere(&prepared, &Operation { calls_min: 40, sound_before: true, run: &run, done: &done });
}
