//! Sets of places, and which copy of a chunk is kept.

#![expect(clippy::unwrap_used, clippy::indexing_slicing, reason = "tests")]

mod copies;

use super::*;
use crate::backend::MemoryBackend;
use crate::env::Env;
use crate::id::ChunkKind;
use crate::monitor::Silent;
use crate::refs::RefList;
use crate::repository::{CreateOptions, LocalDirs, OpenOptions, Repository, Secret};
use crate::session::SessionOptions;

/// A snapshot of one chunk, which is always the same.
fn snapshot(repository: &Repository) -> SessionId {
    let session = repository.begin(SessionOptions { client: "t".into(), level: 1 }).unwrap();
    let id = session.id().clone();
    let (mut data, mut refs) = (session.writer(ChunkKind::Data), session.writer(ChunkKind::Refs));
    let data_id = data.put(b"content").unwrap().id;
    let list = RefList { meta: None, children: Vec::new(), data: vec![data_id] };
    let root = refs.put(&list.encode()).unwrap().id;
    data.finish().unwrap();
    refs.finish().unwrap();
    session.commit(&[root], b"{}").unwrap();
    id
}

#[test]
fn a_copy_of_a_session_whose_end_is_not_known_stands_for_no_other() {
    let dir = tempfile::tempdir().unwrap();
    let backend = MemoryBackend::new();
    let options = |host: &str| {
        let dirs = LocalDirs {
            cache: dir.path().join(host).join("cache"),
            state: dir.path().join(host).join("state"),
        };
        OpenOptions { dirs, env: Env::system(), monitor: Arc::new(Silent) }
    };
    let secret = Secret::Key([1; 32]);
    let stored = Arc::new(backend.clone());
    let create = CreateOptions::default();
    let one = snapshot(&Repository::create(stored, &secret, &create, options("one")).unwrap());
    backend.damage(&names::decision(&one), Some(b"damaged"));
    let repository = Repository::open(Arc::new(backend), &secret, options("other")).unwrap();
    repository.repair_index(false).unwrap();
    let two = snapshot(&repository);
    let view = repository.view().unwrap();
    let avoid = |pack: &PackName| pack.session == two;
    let marked = Marks::default().mark(&view, std::slice::from_ref(&two), &avoid).unwrap();
    let used: Vec<_> = view.index().unwrap().packs().iter().zip(&marked.live).collect();
    assert_eq!(used.len(), 2, "the chunk was stored anew");
    assert!(used.iter().all(|(pack, live)| (pack.name.session == two) == (**live > 0)), "{used:?}");
}

#[test]
fn a_place_is_needed_only_where_it_was_put_in() {
    let mut live = LivePlaces::default();
    let put = [(0, 0, 0), (0, 0, 63), (0, 1, 64), (7, 0, u16::MAX), (u32::MAX, u16::MAX, 65)];
    for (pack, frame, index) in put {
        assert!(!live.contains(pack, frame, index));
        live.insert(Place { pack, frame, index, length: 1 });
        live.insert(Place { pack, frame, index, length: 1 });
    }
    for pack in [0, 1, 7, u32::MAX] {
        for frame in [0, 1, u16::MAX] {
            for index in [0, 1, 62, 63, 64, 65, 127, u16::MAX - 1, u16::MAX] {
                assert_eq!(live.contains(pack, frame, index), put.contains(&(pack, frame, index)));
            }
        }
    }
}
