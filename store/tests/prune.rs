//! Pruning: frees what nothing needs, keeps everything else, beside running sessions and after being stopped anywhere.

#![expect(clippy::unwrap_used, reason = "a failed step fails its test")]

use std::sync::Arc;

use chronos_store::backend::{Backend, BackendExt, MemoryBackend};
use chronos_store::{
    Change, ChunkId, ChunkKind, CreateOptions, Env, LocalDirs, OpenOptions, PruneOptions, ReadData, RefList,
    Repository, Secret, Session, SessionId, SessionOptions, Silent,
};

const KEY: Secret = Secret::Key([7; 32]);

struct Fixture {
    backend: MemoryBackend,
    dir: tempfile::TempDir,
}

impl Fixture {
    fn new() -> Self {
        let fixture = Self { backend: MemoryBackend::new(), dir: tempfile::tempdir().unwrap() };
        Repository::create(
            Arc::new(fixture.backend.clone()),
            &KEY,
            &CreateOptions::default(),
            fixture.options(),
        )
        .unwrap();
        fixture
    }

    fn options(&self) -> OpenOptions {
        let dirs = LocalDirs { cache: self.dir.path().join("cache"), state: self.dir.path().join("state") };
        OpenOptions { dirs, env: Env::system(), monitor: Arc::new(Silent) }
    }

    fn open(&self) -> Repository {
        Repository::open(Arc::new(self.backend.clone()), &KEY, self.options()).unwrap()
    }

    fn packs(&self) -> usize {
        self.backend.list_all("packs/").unwrap().len()
    }
}

fn begin(repository: &Repository) -> Session {
    repository.begin(SessionOptions { client: "test".into(), level: 3 }).unwrap()
}

fn noise(seed: u32, len: usize) -> Vec<u8> {
    let mut bytes = vec![0; len];
    blake3::Hasher::new().update(&seed.to_le_bytes()).finalize_xof().fill(&mut bytes);
    bytes
}

fn put(session: &Session, seeds: std::ops::Range<u32>, len: usize) -> ChunkId {
    let mut writer = session.writer(ChunkKind::Data);
    let data = seeds.map(|seed| writer.put(&noise(seed, len)).unwrap().id).collect();
    writer.finish().unwrap();
    let mut refs = session.writer(ChunkKind::Refs);
    let root = refs.put(&RefList { meta: None, children: Vec::new(), data }.encode()).unwrap().id;
    refs.finish().unwrap();
    root
}

fn commit(session: Session, root: ChunkId, name: &str) -> SessionId {
    let id = session.id().clone();
    session.commit(&[root], format!("{{\"name\": \"{name}\"}}").as_bytes()).unwrap();
    id
}

fn snapshot(repository: &Repository, seeds: std::ops::Range<u32>) -> SessionId {
    let session = begin(repository);
    let root = put(&session, seeds.clone(), 200_000);
    commit(session, root, &format!("{seeds:?}"))
}

fn forget(repository: &Repository, id: &SessionId) {
    repository.change(&|_| Ok(Some(Change::Forget { snapshots: vec![id.clone()] }))).unwrap();
}

fn sound(repository: &Repository, snapshots: usize) {
    let report = repository.check(ReadData::All).unwrap();
    assert!(report.errors.is_empty(), "{:?}", report.errors);
    assert_eq!(report.snapshots as usize, snapshots);
}

#[test]
fn forgotten_data_goes_and_the_rest_stays() {
    let fixture = Fixture::new();
    let repository = fixture.open();
    let gone = snapshot(&repository, 0..50);
    snapshot(&repository, 40..60);
    forget(&repository, &gone);
    let before = fixture.packs();
    let report = repository.prune(&PruneOptions::default()).unwrap();
    assert!(report.bytes_freed > 40 * 190_000, "{report:?}");
    assert_eq!(report.snapshots_purged, 1);
    assert!(fixture.packs() <= before);
    sound(&fixture.open(), 1);
    let again = fixture.open().prune(&PruneOptions::default()).unwrap();
    assert_eq!((again.bytes_freed, again.packs_repacked), (0, 0), "{again:?}");
}

#[test]
fn a_dry_run_writes_nothing() {
    let fixture = Fixture::new();
    let repository = fixture.open();
    let gone = snapshot(&repository, 0..20);
    forget(&repository, &gone);
    let before = fixture.backend.list_all("").unwrap();
    let report = repository.prune(&PruneOptions { dry_run: true, ..PruneOptions::default() }).unwrap();
    assert!(report.bytes_freed > 0);
    assert_eq!(fixture.backend.list_all("").unwrap(), before);
}

#[test]
fn the_trash_is_kept_as_long_as_asked() {
    let fixture = Fixture::new();
    let repository = fixture.open();
    let id = snapshot(&repository, 0..20);
    forget(&repository, &id);
    repository.prune(&PruneOptions { keep_deleted: i64::MAX / 2, ..PruneOptions::default() }).unwrap();
    repository.change(&|_| Ok(Some(Change::Undelete { snapshots: vec![id.clone()] }))).unwrap();
    sound(&repository, 1);
    forget(&repository, &id);
    repository.prune(&PruneOptions::default()).unwrap();
    let late = repository.change(&|_| Ok(Some(Change::Undelete { snapshots: vec![id.clone()] })));
    assert!(late.is_err());
}

#[test]
fn a_running_session_keeps_what_it_found() {
    let fixture = Fixture::new();
    let repository = fixture.open();
    let gone = snapshot(&repository, 0..20);
    let session = begin(&repository);
    let root = put(&session, 0..20, 200_000);
    assert_eq!(session.stats().chunks_new, 0, "everything was known");
    forget(&repository, &gone);
    let report = fixture.open().prune(&PruneOptions::default()).unwrap();
    assert_eq!(report.packs_deleted, 0);
    assert!(report.bytes_pending > 0, "{report:?}");
    commit(session, root, "late");
    let report = fixture.open().prune(&PruneOptions::default()).unwrap();
    assert_eq!((report.packs_deleted, report.bytes_pending), (0, 0), "{report:?}");
    sound(&fixture.open(), 1);
}

#[test]
fn a_session_after_the_condemnation_writes_anew() {
    let fixture = Fixture::new();
    let repository = fixture.open();
    let gone = snapshot(&repository, 0..20);
    let blocker = begin(&repository);
    put(&blocker, 100..101, 1000);
    forget(&repository, &gone);
    repository.prune(&PruneOptions::default()).unwrap();
    let session = begin(&repository);
    let root = put(&session, 0..20, 200_000);
    assert_eq!(session.stats().chunks_new, 20 + 1, "condemned packs are shunned");
    commit(session, root, "anew");
    blocker.close().unwrap();
    let report = repository.prune(&PruneOptions::default()).unwrap();
    assert!(report.packs_deleted > 0);
    sound(&fixture.open(), 1);
}

#[test]
fn held_snapshots_are_not_forgotten() {
    let fixture = Fixture::new();
    let repository = fixture.open();
    let id = snapshot(&repository, 0..5);
    repository
        .change(&|view| {
            let marks = view
                .snapshots()
                .map(|r| (r.session.clone(), chronos_store::Marks { held: true, ..r.marks.clone() }))
                .collect();
            Ok(Some(Change::Mark { marks }))
        })
        .unwrap();
    assert!(repository.change(&|_| Ok(Some(Change::Forget { snapshots: vec![id.clone()] }))).is_err());
}

#[test]
fn damage_is_found_named_and_written_anew() {
    let fixture = Fixture::new();
    let repository = fixture.open();
    let session = begin(&repository);
    let root = put(&session, 0..20, 200_000);
    commit(session, root, "one");
    let pack = fixture.backend.list_all("packs/").unwrap().remove(0);
    let mut bytes = fixture.backend.read(&pack.name, None).unwrap();
    if let Some(byte) = bytes.get_mut(300_000) {
        *byte ^= 1;
    }
    fixture.backend.remove(&pack.name).unwrap();
    fixture.backend.write_new(&pack.name, &bytes, chronos_store::backend::Durability::Now).unwrap();
    let report = fixture.open().check(ReadData::All).unwrap();
    assert!(report.errors.iter().any(|f| f.object == pack.name), "{:?}", report.errors);
    let session = begin(&fixture.open());
    let root = put(&session, 0..20, 200_000);
    assert_eq!(session.stats().chunks_new, 21, "quarantined packs are shunned");
    commit(session, root, "two");
    let repository = fixture.open();
    repository.prune(&PruneOptions::default()).unwrap();
    sound(&fixture.open(), 2);
}

#[test]
fn many_small_packs_are_joined_and_runs_merged() {
    let fixture = Fixture::new();
    let repository = fixture.open();
    for i in 0..40 {
        snapshot(&repository, i..i + 2);
    }
    assert!(fixture.packs() >= 40);
    repository.prune(&PruneOptions::default()).unwrap();
    assert!(fixture.packs() <= 4, "{}", fixture.packs());
    assert!(!fixture.backend.list_all("index/").unwrap().is_empty());
    sound(&fixture.open(), 40);
    assert!(fixture.open().repair_index(false).unwrap().errors.is_empty());
    sound(&fixture.open(), 40);
    for run in fixture.backend.list_all("index/").unwrap() {
        fixture.backend.remove(&run.name).unwrap();
    }
    assert!(!fixture.open().check(ReadData::None).unwrap().errors.is_empty());
    fixture.open().repair_index(false).unwrap();
    sound(&fixture.open(), 40);
}
