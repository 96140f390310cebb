//! How the chunks of a session lie in its pack.

#![expect(clippy::unwrap_used, reason = "tests")]

use std::sync::Arc;

use super::*;
use crate::backend::MemoryBackend;
use crate::decision::own_packs;
use crate::env::Env;
use crate::monitor::Silent;
use crate::repository::{CreateOptions, LocalDirs, OpenOptions, Repository, Secret};

/// Stores chunks with one writer; the table of contents of the one pack that holds them.
fn stored(kind: ChunkKind, chunks: impl Iterator<Item = Vec<u8>>) -> Arc<PackToc> {
    stored_pack(kind, chunks).0
}

/// The same, and the bytes of the pack.
fn stored_pack(kind: ChunkKind, chunks: impl Iterator<Item = Vec<u8>>) -> (Arc<PackToc>, Vec<u8>) {
    let dir = tempfile::tempdir().unwrap();
    let (repository, session) = begun(dir.path());
    let name = session.id().clone();
    let mut writer = session.writer(kind);
    chunks.for_each(|chunk| assert!(writer.put(&chunk).unwrap().new));
    writer.finish().unwrap();
    session.close().unwrap();
    let state = repository.view().unwrap();
    let packs: Vec<_> = own_packs(&name, &state.state.rows.get(&name).unwrap().packs).collect();
    let [(pack, size)] = &packs[..] else { panic!("{} packs", packs.len()) };
    let toc = repository.inner.packs.toc(pack, Some(*size)).unwrap();
    let bytes = repository.inner.packs.read(&toc.object, None).unwrap();
    (toc, bytes)
}

/// A session in a new repository in memory.
fn begun(dir: &std::path::Path) -> (Repository, Session) {
    let dirs = LocalDirs { cache: dir.join("cache"), state: dir.join("state") };
    let options = OpenOptions { dirs, env: Env::system(), monitor: Arc::new(Silent) };
    let (secret, create) = (Secret::Key([1; 32]), CreateOptions::default());
    let repository = Repository::create(Arc::new(MemoryBackend::new()), &secret, &create, options).unwrap();
    let session = repository.begin(SessionOptions { client: "t".into(), level: 1 }).unwrap();
    (repository, session)
}

fn noise(seed: u64, len: usize) -> Vec<u8> {
    let mut bytes = vec![0; len];
    blake3::Hasher::new().update(&seed.to_le_bytes()).finalize_xof().fill(&mut bytes);
    bytes
}

/// How many chunks each frame has, in the order in which they were sealed.
fn chunks_of_frames(toc: &PackToc) -> Vec<u16> {
    let mut frames: Vec<_> = toc.toc.frames.iter().map(|f| (f.number, f.chunks)).collect();
    frames.sort_unstable();
    frames.into_iter().map(|(_, chunks)| chunks).collect()
}

#[test]
fn a_frame_ends_once_it_is_full_and_a_longer_chunk_is_a_frame_of_its_own() {
    const KIB: usize = 1 << 10;
    let tree = |sizes: &[usize]| {
        let chunks = (0..).zip(sizes).map(|(seed, kib)| noise(seed, kib * KIB));
        chunks_of_frames(&stored(ChunkKind::Meta, chunks))
    };
    assert_eq!(tree(&[1; 300]), [300]);
    assert_eq!(tree(&[100; 12]), [6, 6]);
    assert_eq!(tree(&[256, 256, 256]), [2, 1]);
    assert_eq!(tree(&[100, 511, 100]), [2, 1]);
    assert_eq!(tree(&[100, 512, 100]), [1, 1, 1]);
    assert_eq!(tree(&[512, 513, 100]), [1, 1, 1]);
    let text = (0..6).map(|seed| noise(seed, 512 * KIB).into_iter().map(|byte| b'a' + byte % 16).collect());
    assert_eq!(chunks_of_frames(&stored(ChunkKind::Data, text)), [4, 2]);
}

#[test]
fn a_frame_of_content_that_does_not_compress_ends_earlier() {
    let data = |sizes: &[usize]| {
        let chunks = (0..).zip(sizes).map(|(seed, kib)| noise(seed, kib << 10));
        chunks_of_frames(&stored(ChunkKind::Data, chunks))
    };
    assert_eq!(data(&[100; 12]), [6, 6]);
    assert_eq!(data(&[512; 4]), [1; 4]);
    assert_eq!(data(&[100, 3000, 100]), [1, 1, 1]);
}

#[test]
fn a_pack_that_is_hashed_while_it_grows_has_the_hash_of_its_bytes() {
    for sizes in [&[10][..], &[512; 5], &[1, 127, 128, 129, 1, 700, 300]] {
        let chunks = (0..).zip(sizes).map(|(seed, kib)| noise(seed, kib << 10));
        let (pack, bytes) = stored_pack(ChunkKind::Data, chunks);
        assert_eq!(pack.footer.check_whole(&pack.object, &bytes).map_err(|e| e.to_string()), Ok(()));
    }
}

#[test]
fn all_frames_of_a_writer_are_sealed_under_one_salt_and_numbered() {
    let toc = stored(ChunkKind::Refs, (0..4).map(|seed| noise(seed, 512 << 10)));
    assert_eq!((toc.toc.frames.len(), toc.toc.origins.len()), (4, 1));
    let mut numbers: Vec<_> = toc.toc.frames.iter().map(|f| f.number).collect();
    numbers.sort_unstable();
    assert_eq!(numbers, [0, 1, 2, 3]);
}

#[test]
fn runs_of_a_session_are_read_once_it_is_asked_what_it_holds() {
    let dir = tempfile::tempdir().unwrap();
    let (repository, session) = begun(dir.path());
    let mut writer = session.writer(ChunkKind::Data);
    let chunk = writer.put(b"once").unwrap();
    writer.finish().unwrap();
    session.flush().unwrap();
    let packs = &repository.inner.packs;
    let before = packs.bytes_read();
    session.works.own.write_run(&repository.inner, session.id()).unwrap();
    assert_eq!(packs.bytes_read(), before, "a session that only copies asks for nothing");
    assert!(session.works.own.holds(packs, &chunk.id).unwrap());
    let opened = packs.bytes_read();
    assert!(opened > before);
    assert!(!session.works.own.holds(packs, &ChunkId([7; 32])).unwrap());
    assert_eq!(packs.bytes_read(), opened, "it is opened once");
    session.close().unwrap();
}
