//! Repositories in memory, with snapshots whose content is known.

use std::sync::Arc;

use chronos_store::backend::{Backend, MemoryBackend};
use chronos_store::{
    Change, ChunkId, ChunkKind, CreateOptions, Env, LocalDirs, OpenOptions, PruneOptions, PruneReport,
    RefList, Repository, Result, Secret, Session, SessionId, SessionOptions, Silent,
};

const KEY: Secret = Secret::Key([7; 32]);

pub(crate) struct Fixture {
    pub(crate) backend: MemoryBackend,
    dir: tempfile::TempDir,
}

/// A snapshot and what must be readable of it.
#[derive(Clone)]
pub(crate) struct Kept {
    pub(crate) session: SessionId,
    root: ChunkId,
    chunks: Vec<(ChunkId, Vec<u8>)>,
}

impl Fixture {
    pub(crate) fn new() -> Self {
        let fixture = Self { backend: MemoryBackend::new(), dir: tempfile::tempdir().unwrap() };
        let backend = Arc::new(fixture.backend.clone());
        Repository::create(backend, &KEY, &CreateOptions::default(), fixture.options("host")).unwrap();
        fixture
    }

    fn options(&self, host: &str) -> OpenOptions {
        let dir = self.dir.path().join(host);
        let dirs = LocalDirs { cache: dir.join("cache"), state: dir.join("state") };
        OpenOptions { dirs, env: Env::system(), monitor: Arc::new(Silent) }
    }

    /// Opens it as `host` would, with a clock of its own.
    pub(crate) fn open_with(&self, env: Env, host: &str) -> Repository {
        let options = OpenOptions { env, ..self.options(host) };
        Repository::open(Arc::new(self.backend.clone()), &KEY, options).unwrap()
    }

    pub(crate) fn open(&self) -> Repository {
        self.open_on(Arc::new(self.backend.clone()), "host")
    }

    /// Opens it as another host would.
    pub(crate) fn open_elsewhere(&self) -> Repository {
        self.open_on(Arc::new(self.backend.clone()), "elsewhere")
    }

    pub(crate) fn open_on(&self, backend: Arc<dyn Backend>, host: &str) -> Repository {
        Repository::open(backend, &KEY, self.options(host)).unwrap()
    }

    /// The same repository in another storage, so that both may go different ways.
    pub(crate) fn fork(&self) -> Self {
        Self { backend: self.backend.fork(), dir: tempfile::tempdir().unwrap() }
    }

    pub(crate) fn packs(&self) -> usize {
        self.backend.content().keys().filter(|n| n.starts_with("packs/")).count()
    }

    pub(crate) fn pack_bytes(&self) -> usize {
        self.backend.content().iter().filter(|(n, _)| n.starts_with("packs/")).map(|(_, b)| b.len()).sum()
    }
}

pub(crate) fn begin(repository: &Repository) -> Session {
    repository.begin(SessionOptions { client: "test".into(), level: 1 }).unwrap()
}

/// Bytes that do not compress, the same for the same seed.
pub(crate) fn noise(seed: u32, len: usize) -> Vec<u8> {
    let mut bytes = vec![0; len];
    blake3::Hasher::new().update(&seed.to_le_bytes()).finalize_xof().fill(&mut bytes);
    bytes
}

/// Chunks of 10,000 bytes, named by their seeds.
pub(crate) fn chunks(seeds: impl Iterator<Item = u32>) -> Vec<Vec<u8>> {
    seeds.map(|seed| noise(seed, 10_000)).collect()
}

pub(crate) fn commit(session: Session, chunks: &[Vec<u8>]) -> Kept {
    try_commit(session, chunks).unwrap()
}

pub(crate) fn try_commit(session: Session, chunks: &[Vec<u8>]) -> Result<Kept> {
    let id = session.id().clone();
    let mut writer = session.writer(ChunkKind::Data);
    let data: Vec<ChunkId> = chunks.iter().map(|c| writer.put(c).unwrap().id).collect();
    writer.finish().unwrap();
    let mut meta = session.writer(ChunkKind::Meta);
    let names = meta.put(format!("names of {id}").as_bytes()).unwrap().id;
    meta.finish().unwrap();
    let mut refs = session.writer(ChunkKind::Refs);
    let leaf = RefList { meta: Some(names), children: Vec::new(), data: data.clone() };
    let leaf = refs.put(&leaf.encode()).unwrap().id;
    let root = refs.put(&RefList { meta: None, children: vec![leaf], data: Vec::new() }.encode()).unwrap().id;
    refs.finish().unwrap();
    session.commit(&[root], b"{}")?;
    Ok(Kept { session: id, root, chunks: data.into_iter().zip(chunks.iter().cloned()).collect() })
}

pub(crate) fn snapshot(repository: &Repository, seeds: impl Iterator<Item = u32>) -> Kept {
    commit(begin(repository), &chunks(seeds))
}

pub(crate) fn forget(repository: &Repository, kept: &Kept) {
    let change = Change::Forget { snapshots: vec![kept.session.clone()] };
    repository.change(&|_| Ok(Some(change.clone()))).unwrap();
}

pub(crate) fn prune(repository: &Repository) -> PruneReport {
    repository.prune(&PruneOptions::default()).unwrap()
}

/// Every snapshot is listed, and every byte below it is what was put.
pub(crate) fn assert_whole(repository: &Repository, all: &[&Kept]) {
    let view = repository.view().unwrap();
    let reader = view.reader();
    for kept in all {
        assert!(view.snapshots().any(|r| r.session == kept.session), "{} is listed", kept.session);
        for leaf in reader.refs(&kept.root).unwrap().children {
            reader.read(ChunkKind::Meta, &reader.refs(&leaf).unwrap().meta.unwrap()).unwrap();
        }
        for (id, bytes) in &kept.chunks {
            assert_eq!(&reader.read(ChunkKind::Data, id).unwrap()[..], &bytes[..]);
        }
    }
}
