//! Snapshots whose content is known, and what happens to them.

use chronos_store::{
    Change, ChunkId, ChunkKind, PruneOptions, PruneReport, ReadData, RefList, Repository, Result, Session,
    SessionId,
};

use crate::fixture::{self, noise};

/// A snapshot and what must be readable of it.
#[derive(Clone)]
pub(crate) struct Kept {
    pub(crate) session: SessionId,
    root: ChunkId,
    chunks: Vec<(ChunkId, Vec<u8>)>,
}

/// Begins a session.
pub(crate) fn begin(repository: &Repository) -> Session {
    fixture::begin(repository).unwrap()
}

/// Chunks of 10,000 bytes, named by their seeds.
pub(crate) fn chunks(seeds: impl Iterator<Item = u32>) -> Vec<Vec<u8>> {
    seeds.map(|seed| noise(u64::from(seed), 10_000)).collect()
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

/// A check of every byte finds nothing wrong, and so many snapshots.
pub(crate) fn assert_sound(repository: &Repository, snapshots: u64) {
    let report = repository.check(ReadData::All).unwrap();
    assert!(report.errors.is_empty(), "{:?}", report.errors);
    assert_eq!(report.snapshots, snapshots);
}
