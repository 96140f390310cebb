//! What counts for whom: rules R1 and W3 under condemned, swept and quarantined packs.

#![expect(clippy::unwrap_used, reason = "tests")]

use std::collections::BTreeSet;
use std::sync::Arc;

use super::*;
use crate::backend::{Backend, MemoryBackend};
use crate::env::Env;
use crate::id::PackName;
use crate::log::Record;
use crate::monitor::Silent;
use crate::refs::RefList;
use crate::repository::{CreateOptions, LocalDirs, OpenOptions, Repository, Secret};
use crate::session::{Session, SessionOptions};

struct Fixture {
    _dir: tempfile::TempDir,
    backend: MemoryBackend,
    repository: Repository,
}

fn fixture() -> Fixture {
    let dir = tempfile::tempdir().unwrap();
    let backend = MemoryBackend::new();
    let dirs = LocalDirs { cache: dir.path().join("cache"), state: dir.path().join("state") };
    let options = OpenOptions { dirs, env: Env::system(), monitor: Arc::new(Silent) };
    let secret = Secret::Key([1; 32]);
    let create = CreateOptions::default();
    let repository = Repository::create(Arc::new(backend.clone()), &secret, &create, options).unwrap();
    Fixture { _dir: dir, backend, repository }
}

fn begin(fixture: &Fixture) -> Session {
    fixture.repository.begin(SessionOptions { client: "t".into(), level: 1 }).unwrap()
}

/// A snapshot of one chunk: its session, the chunk, its pack.
fn snapshot(fixture: &Fixture, content: &[u8]) -> (SessionId, ChunkId, PackName) {
    let session = begin(fixture);
    let name = session.id().clone();
    let mut data = session.writer(ChunkKind::Data);
    let chunk = data.put(content).unwrap().id;
    data.finish().unwrap();
    let mut refs = session.writer(ChunkKind::Refs);
    let list = RefList { meta: None, children: Vec::new(), data: vec![chunk] };
    let root = refs.put(&list.encode()).unwrap().id;
    refs.finish().unwrap();
    session.commit(&[root], b"{}").unwrap();
    let view = fixture.repository.view().unwrap();
    let (pack, _) = own_packs(&name, &view.state.rows.get(&name).unwrap().packs).next().unwrap();
    (name, chunk, pack)
}

fn append(fixture: &Fixture, record: Record) {
    fixture.repository.inner.append(&mut |_| Ok(Some(record.clone()))).unwrap();
}

fn condemn(pack: &PackName, roots: &[&SessionId]) -> Record {
    Record::Condemn { packs: [pack.clone()].into(), roots: roots.iter().map(|s| (*s).clone()).collect() }
}

#[test]
fn condemned_packs_are_read_but_not_referred_to_anew() {
    let fixture = fixture();
    let (old, chunk, pack) = snapshot(&fixture, b"content");
    append(&fixture, condemn(&pack, &[]));
    let session = begin(&fixture);
    assert!(!session.usable(ChunkKind::Data, &chunk).unwrap());
    assert!(!session.may_reuse(&old));
    assert!(session.view().reader().read(ChunkKind::Data, &chunk).is_ok());
    let mut writer = session.writer(ChunkKind::Data);
    assert!(writer.put(b"content").unwrap().new, "stored once more");
    writer.finish().unwrap();
    assert!(session.usable(ChunkKind::Data, &chunk).unwrap(), "its own copy");
    session.close().unwrap();
    assert!(begin(&fixture).usable(ChunkKind::Data, &chunk).unwrap());
}

#[test]
fn a_parent_is_reused_if_the_condemnation_kept_it_or_came_before_it() {
    let fixture = fixture();
    let (kept, ..) = snapshot(&fixture, b"kept");
    let (other, _, pack) = snapshot(&fixture, b"other");
    append(&fixture, condemn(&pack, &[&kept]));
    let (later, ..) = snapshot(&fixture, b"later");
    let session = begin(&fixture);
    assert_eq!(later.generation(), 1);
    assert!(session.may_reuse(&kept) && session.may_reuse(&later) && !session.may_reuse(&other));
    session.close().unwrap();
    append(&fixture, Record::Forget { snapshots: vec![kept.clone()], at: 1 });
    assert!(!begin(&fixture).may_reuse(&kept), "it is forgotten");
}

#[test]
fn quarantined_packs_are_stored_anew_and_no_parent_is_trusted() {
    let fixture = fixture();
    let (old, chunk, pack) = snapshot(&fixture, b"content");
    append(&fixture, Record::Quarantine { packs: [pack.clone()].into() });
    let session = begin(&fixture);
    assert!(!session.may_reuse(&old) && !session.usable(ChunkKind::Data, &chunk).unwrap());
    assert!(session.view().holds(ChunkKind::Data, &chunk).unwrap());
    session.close().unwrap();
    append(&fixture, Record::Heal { packs: [pack].into() });
    assert!(begin(&fixture).may_reuse(&old));
}

#[test]
fn swept_packs_are_gone_for_everybody() {
    let fixture = fixture();
    let (_, chunk, pack) = snapshot(&fixture, b"content");
    append(&fixture, condemn(&pack, &[]));
    append(&fixture, Record::Sweep { condemned: 0, swept: [pack].into(), purged: BTreeSet::new() });
    let view = fixture.repository.view().unwrap();
    assert!(!view.holds(ChunkKind::Data, &chunk).unwrap());
    assert!(matches!(view.reader().read(ChunkKind::Data, &chunk), Err(Error::Missing { .. })));
}

#[test]
fn what_no_decision_names_has_no_effect() {
    let fixture = fixture();
    let session = begin(&fixture);
    let mut writer = session.writer(ChunkKind::Data);
    for n in 0..20_u8 {
        let mut bytes = vec![0; 1 << 20];
        blake3::Hasher::new().update(&[n]).finalize_xof().fill(&mut bytes);
        writer.put(&bytes).unwrap();
    }
    let id = writer.put(b"last").unwrap().id;
    writer.finish().unwrap();
    assert!(session.usable(ChunkKind::Data, &id).unwrap());
    let other = begin(&fixture);
    assert!(!other.usable(ChunkKind::Data, &id).unwrap());
    assert!(!fixture.repository.view().unwrap().holds(ChunkKind::Data, &id).unwrap());
    other.close().unwrap();
    session.close().unwrap();
    assert!(fixture.repository.view().unwrap().holds(ChunkKind::Data, &id).unwrap(), "closed sessions count");
}

#[test]
fn a_reader_of_an_older_view_finds_what_was_moved() {
    let fixture = fixture();
    let (_, chunk, pack) = snapshot(&fixture, b"content");
    let reader = fixture.repository.view().unwrap().reader();
    append(&fixture, condemn(&pack, &[]));
    snapshot(&fixture, b"content");
    append(&fixture, Record::Sweep { condemned: 0, swept: [pack.clone()].into(), purged: BTreeSet::new() });
    fixture.backend.remove(&crate::names::pack(&pack)).unwrap();
    assert_eq!(&reader.read(ChunkKind::Data, &chunk).unwrap()[..], b"content");
}

#[test]
fn an_older_view_whose_runs_were_merged_away_asks_a_newer_one() {
    use crate::backend::BackendExt;
    let fixture = fixture();
    let inner = &fixture.repository.inner;
    let (_, chunk, _) = snapshot(&fixture, b"content");
    crate::merge::merge(inner, &inner.view().unwrap(), true).unwrap();
    let older = fixture.repository.view().unwrap();
    assert!(older.holds(ChunkKind::Data, &chunk).unwrap());
    let before = fixture.backend.list_all(names::RUNS).unwrap();
    snapshot(&fixture, b"other content");
    crate::merge::merge(inner, &inner.view().unwrap(), true).unwrap();
    before.iter().for_each(|run| fixture.backend.remove(&run.name).unwrap());
    older.index().unwrap().forget();
    assert!(older.holds(ChunkKind::Data, &chunk).unwrap());
    assert_eq!(older.length(&chunk).unwrap(), Some(7));
}
