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
    let dir = tempfile::tempdir().unwrap();
    let dirs = LocalDirs { cache: dir.path().join("cache"), state: dir.path().join("state") };
    let options = OpenOptions { dirs, env: Env::system(), monitor: Arc::new(Silent) };
    let (secret, create) = (Secret::Key([1; 32]), CreateOptions::default());
    let repository = Repository::create(Arc::new(MemoryBackend::new()), &secret, &create, options).unwrap();
    let session = repository.begin(SessionOptions { client: "t".into(), level: 1 }).unwrap();
    let name = session.id().clone();
    let mut writer = session.writer(kind);
    chunks.for_each(|chunk| assert!(writer.put(&chunk).unwrap().new));
    writer.finish().unwrap();
    session.close().unwrap();
    let state = repository.view().unwrap();
    let packs: Vec<_> = own_packs(&name, &state.state.rows.get(&name).unwrap().packs).collect();
    let [(pack, size)] = &packs[..] else { panic!("{} packs", packs.len()) };
    repository.inner.packs.toc(pack, Some(*size)).unwrap()
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
    let data = (0..6).map(|seed| noise(seed, 512 * KIB));
    assert_eq!(chunks_of_frames(&stored(ChunkKind::Data, data)), [4, 2]);
}

#[test]
fn all_frames_of_a_writer_are_sealed_under_one_salt_and_numbered() {
    let toc = stored(ChunkKind::Refs, (0..4).map(|seed| noise(seed, 512 << 10)));
    assert_eq!((toc.toc.frames.len(), toc.toc.origins.len()), (4, 1));
    let mut numbers: Vec<_> = toc.toc.frames.iter().map(|f| f.number).collect();
    numbers.sort_unstable();
    assert_eq!(numbers, [0, 1, 2, 3]);
}
