//! Packs that are gone are shunned by the next session; looking for them costs one request.

#![expect(clippy::unwrap_used, reason = "tests")]

use std::collections::BTreeSet;
use std::sync::Arc;

use crate::backend::{BackendExt, MemoryBackend, Method, RecordBackend};
use crate::env::Env;
use crate::id::{ChunkId, ChunkKind};
use crate::log::Record;
use crate::monitor::Collect;
use crate::names;
use crate::refs::RefList;
use crate::repository::{CreateOptions, LocalDirs, OpenOptions, Repository, Secret};
use crate::session::{Session, SessionOptions};

const KEY: Secret = Secret::Key([1; 32]);

struct Stage {
    memory: MemoryBackend,
    recorded: RecordBackend,
    told: Arc<Collect>,
    repository: Repository,
    _dir: tempfile::TempDir,
}

fn stage() -> Stage {
    let dir = tempfile::tempdir().unwrap();
    let dirs = LocalDirs { cache: dir.path().join("cache"), state: dir.path().join("state") };
    let told = Arc::new(Collect::default());
    let options = OpenOptions { dirs, env: Env::system(), monitor: told.clone() };
    let memory = MemoryBackend::new();
    let recorded = RecordBackend::new(Arc::new(memory.clone()));
    let create = CreateOptions::default();
    let repository = Repository::create(Arc::new(recorded.clone()), &KEY, &create, options).unwrap();
    Stage { memory, recorded, told, repository, _dir: dir }
}

fn begin(repository: &Repository) -> Session {
    repository.begin(SessionOptions { client: "t".into(), level: 1 }).unwrap()
}

/// Commits a chunk; whether it was stored.
fn commit(session: Session, bytes: &[u8]) -> bool {
    let mut data = session.writer(ChunkKind::Data);
    let put = data.put(bytes).unwrap();
    data.finish().unwrap();
    let mut refs = session.writer(ChunkKind::Refs);
    let list = RefList { data: vec![put.id], ..RefList::default() };
    let root = refs.put(&list.encode()).unwrap().id;
    refs.finish().unwrap();
    session.commit(&[root], b"{}").unwrap();
    put.new
}

fn read(repository: &Repository, bytes: &[u8]) -> bool {
    let id: ChunkId = repository.hash(ChunkKind::Data, bytes).unwrap().id();
    repository.view().unwrap().reader().read(ChunkKind::Data, &id).is_ok()
}

fn packs(stage: &Stage) -> Vec<String> {
    stage.memory.list_all(names::PACKS).unwrap().into_iter().map(|e| e.name).collect()
}

#[test]
fn what_a_lost_or_cut_pack_held_is_stored_anew() {
    for cut in [false, true] {
        let stage = stage();
        assert!(commit(begin(&stage.repository), b"one"));
        let lost = packs(&stage).remove(0);
        assert!(commit(begin(&stage.repository), b"two"));
        let parent = stage.repository.view().unwrap().snapshots().next().unwrap().session.clone();
        let short = stage
            .memory
            .content()
            .get(&lost)
            .and_then(|b| b.split_last())
            .map(|(_, rest)| rest.to_vec())
            .unwrap();
        stage.memory.damage(&lost, cut.then_some(&short[..]));
        let session = begin(&stage.repository);
        assert!(!session.may_reuse(&parent), "each chunk is asked for");
        assert!(commit(session, b"one"));
        assert!(stage.told.problems().iter().any(|p| p.contains(&lost)), "{:?}", stage.told.problems());
        assert!(read(&stage.repository, b"one") && read(&stage.repository, b"two"));
        let length = stage.repository.view().unwrap().log_len();
        assert!(!commit(begin(&stage.repository), b"one"));
        assert_eq!(stage.repository.view().unwrap().log_len(), length, "it is said once");
    }
}

#[test]
fn looking_costs_one_request() {
    let stage = stage();
    commit(begin(&stage.repository), b"one");
    stage.recorded.clear();
    assert!(!commit(begin(&stage.repository), b"one"));
    assert_eq!(stage.recorded.count(Method::List, names::PACKS), 1);
}

#[test]
fn over_many_sessions_every_pack_is_looked_for_and_none_is_missed_wrongly() {
    let stage = stage();
    assert!((0..23_u8).all(|n| commit(begin(&stage.repository), &[n])));
    let inner = &stage.repository.inner;
    let view = inner.view().unwrap();
    let look = |limit| -> BTreeSet<_> {
        (0..24)
            .flat_map(|chance| inner.lost_among(&view, limit, chance).unwrap())
            .map(|p| names::pack(&p))
            .collect()
    };
    // Among them the first and the last one.
    let lost: BTreeSet<_> = packs(&stage).into_iter().step_by(11).collect();
    for limit in [1, 5, 22, 23, 24, 100] {
        assert_eq!(look(limit), BTreeSet::new(), "{limit}");
    }
    lost.iter().for_each(|name| stage.memory.damage(name, None));
    for limit in [5, 22, 23, 24, 100] {
        assert_eq!(look(limit), lost, "{limit}");
    }
    for (limit, chance) in [(23, 7), (23, 23), (24, 11)] {
        assert_eq!(inner.lost_among(&view, limit, chance).unwrap().len(), 3, "as few are looked at whole");
    }
}

#[test]
fn a_pack_that_was_swept_meanwhile_is_not_lost() {
    let stage = stage();
    commit(begin(&stage.repository), b"one");
    commit(begin(&stage.repository), b"two");
    let inner = &stage.repository.inner;
    let view = inner.view().unwrap();
    let gone = view.places().unwrap().packs().first().unwrap().name.clone();
    let packs = BTreeSet::from([gone.clone()]);
    inner
        .append(&mut |_| Ok(Some(Record::Condemn { packs: packs.clone(), roots: BTreeSet::new() })))
        .unwrap();
    let condemned = inner.view().unwrap().state.condemned.first().unwrap().n;
    let sweep = Record::Sweep { condemned, swept: packs.clone(), purged: BTreeSet::new() };
    inner.append(&mut |_| Ok(Some(sweep.clone()))).unwrap();
    stage.memory.damage(&names::pack(&gone), None);
    let lost = inner.lost_packs(&view).unwrap();
    assert_eq!(lost, packs, "as far as an old view tells");
    inner.quarantine_lost(&lost).unwrap();
    assert!(inner.view().unwrap().state.quarantined.is_empty());
}
