//! Several threads, sessions and processes at once; costs counted in calls.

use std::sync::Arc;
use std::thread;

use crate::fixture::{Fixture, KEY, all_readable, begin, noise, readable, snapshot, try_snapshot};
use crate::parts::readable_in_parts;

use chronos_store::backend::{Backend, LocalBackend, Method, RecordBackend};
use chronos_store::{ChunkKind, CreateOptions, RefList, Repository};

#[test]
fn threads_of_one_session_store_a_chunk_once() {
    let fixture = Fixture::new();
    let session = begin(&fixture.open()).unwrap();
    thread::scope(|scope| {
        for _ in 0..4 {
            scope.spawn(|| {
                let mut writer = session.writer(ChunkKind::Data);
                for n in 0..300 {
                    writer.put(&noise(n, 2000)).unwrap();
                }
                writer.finish().unwrap();
            });
        }
    });
    let stats = session.stats();
    assert_eq!((stats.chunks_new, stats.chunks_reused, stats.bytes_added), (300, 900, 600_000));
    session.close().unwrap();
}

#[test]
fn sessions_at_once_are_all_listed_and_readable() {
    let fixture = Fixture::new();
    thread::scope(|scope| {
        for t in 0..4 {
            let repository = fixture.open();
            scope.spawn(move || {
                for n in 0..5 {
                    snapshot(&repository, &[noise(n, 5000), noise(100 + 10 * t + n, 5000)], "x");
                }
            });
        }
    });
    assert_eq!(all_readable(&fixture.open()), 20);
}

#[test]
fn an_unchanged_session_writes_an_announcement_and_a_decision() {
    let fixture = Fixture::new();
    let chunks: Vec<_> = (0..50).map(|n| noise(n, 10_000)).collect();
    snapshot(&fixture.open(), &chunks, "one");
    let recording = RecordBackend::new(fixture.shared());
    let repository = fixture.open_through(Arc::new(recording.clone()));
    recording.clear();
    let (_, stats) = snapshot(&repository, &chunks, "two");
    assert_eq!((stats.chunks_new, stats.packs_written), (0, 0));
    assert_eq!(recording.count(Method::WriteNew, ""), 2);
    assert_eq!(recording.count(Method::WriteNew, "packs/"), 0);
    assert!(
        recording.bytes(Method::Read, "packs/") <= 128 << 10,
        "the end of the pack, with its table of contents"
    );
    recording.clear();
    snapshot(&fixture.open_through(Arc::new(recording.clone())), &chunks, "three");
    assert_eq!(recording.count(Method::Read, "packs/"), 0, "the catalogue has it");
    assert_eq!(recording.count(Method::Read, "snap/"), 1, "only the newest decision is not in the catalogue");
}

#[test]
fn a_folder_on_disk_works_like_memory() {
    let fixture = Fixture::new();
    let root = tempfile::tempdir().unwrap();
    let backend = || -> Arc<dyn Backend> { Arc::new(LocalBackend::new(root.path().join("repository"))) };
    let repository =
        Repository::create(backend(), &KEY, &CreateOptions::default(), fixture.options()).unwrap();
    let chunks: Vec<_> = (0..100).map(|n| noise(n, 4000 + n as usize * 1000)).collect();
    let (ids, stats) = snapshot(&repository, &chunks, "one");
    assert_eq!(stats.packs_written, 1);
    let again = Repository::open(backend(), &KEY, fixture.options()).unwrap();
    readable(&again, &ids, &chunks);
    let (_, stats) = snapshot(&again, &chunks, "two");
    assert_eq!(stats.chunks_new, 0);
    assert!(Repository::create(backend(), &KEY, &CreateOptions::default(), fixture.options()).is_err());
}

#[test]
fn repositories_made_alike_share_chunk_ids_and_others_do_not() {
    let (one, two) = (Fixture::new(), Fixture::new());
    let like = CreateOptions { like: Some(one.open().chunk_keys()), label: "copy".into() };
    let three = Fixture { backend: crate::place::Place::new(), ..Fixture::new() };
    Repository::create(three.shared(), &KEY, &like, three.options()).unwrap();
    let id = |fixture: &Fixture| try_snapshot(&fixture.open(), &[noise(1, 100)], "x").unwrap().0;
    assert_eq!(id(&one), id(&three));
    assert_ne!(id(&one), id(&two));
    assert_ne!(one.open().keyed_name("a", "b"), three.open().keyed_name("a", "b"));
}

#[test]
fn a_small_snapshot_is_one_pack_and_one_decision() {
    let fixture = Fixture::new();
    let session = begin(&fixture.open()).unwrap();
    let mut data = session.writer(ChunkKind::Data);
    let mut meta = session.writer(ChunkKind::Meta);
    let mut refs = session.writer(ChunkKind::Refs);
    let id = data.put(b"content").unwrap().id;
    let meta_id = meta.put(b"names").unwrap().id;
    let root =
        refs.put(&RefList { meta: Some(meta_id), children: Vec::new(), data: vec![id] }.encode()).unwrap().id;
    data.finish().unwrap();
    meta.finish().unwrap();
    refs.finish().unwrap();
    let (_, stats) = session.commit(&[root], b"{}").unwrap();
    assert_eq!(stats.packs_written, 1);
    let content = fixture.backend.content();
    let names: Vec<_> = content.keys().filter_map(|n| n.split('/').next()).collect();
    assert_eq!(names, ["config", "keys", "packs", "snap"]);
    let reader = fixture.open().view().unwrap().reader();
    assert_eq!(&reader.read(ChunkKind::Data, &id).unwrap()[..], b"content");
    assert_eq!(&reader.read(ChunkKind::Meta, &meta_id).unwrap()[..], b"names");
    assert!(reader.read(ChunkKind::Data, &meta_id).is_err(), "an id is of one kind");
}

#[test]
fn of_two_copies_the_whole_one_is_read() {
    let fixture = Fixture::new();
    let chunks: Vec<_> = (0..5).map(|n| noise(n, 3000)).collect();
    let list = |session: &chronos_store::Session| {
        let mut writer = session.writer(ChunkKind::Data);
        let data: Vec<_> = chunks.iter().map(|c| writer.put(c).unwrap().id).collect();
        writer.finish().unwrap();
        let mut refs = session.writer(ChunkKind::Refs);
        let root =
            refs.put(&RefList { meta: None, children: Vec::new(), data: data.clone() }.encode()).unwrap().id;
        refs.finish().unwrap();
        (root, data)
    };
    let (one, two) = (begin(&fixture.open()).unwrap(), begin(&fixture.open()).unwrap());
    let ((root, ids), _) = (list(&one), list(&two));
    one.commit(&[root], b"{}").unwrap();
    two.commit(&[root], b"{}").unwrap();
    let content = fixture.backend.content();
    let packs: Vec<_> = content.iter().filter(|(name, _)| name.starts_with("packs/")).collect();
    assert_eq!(packs.len(), 2);
    for (name, bytes) in packs {
        for bad in [None, Some([&[0; 600], bytes.get(600..).unwrap()].concat())] {
            let copy = fixture.fork();
            copy.backend.damage(name, bad.as_deref());
            readable(&copy.open(), &ids, &chunks);
            readable_in_parts(&copy.open(), &ids, &chunks);
            assert_eq!(all_readable(&copy.open()), 2);
        }
    }
}

#[test]
fn what_cannot_be_fetched_is_named_and_the_rest_is_handed_out() {
    let fixture = Fixture::new();
    let chunks: Vec<_> = (0..40).map(|n| noise(n, 100_000)).collect();
    let (ids, _) = snapshot(&fixture.open(), &chunks, "one");
    let content = fixture.backend.content();
    let (name, bytes) = content.iter().find(|(name, _)| name.starts_with("packs/")).unwrap();
    let mut bad = bytes.to_vec();
    bad.iter_mut().skip(1 << 20).take(10).for_each(|b| *b ^= 1);
    fixture.backend.damage(name, Some(&bad));
    let wanted: Vec<_> =
        (0..).zip(&ids).map(|(token, id)| chronos_store::Wanted { id: *id, token, part: None }).collect();
    let handed = std::sync::Mutex::new(std::collections::BTreeSet::new());
    let reader = fixture.open().view().unwrap().reader();
    let failed = reader
        .fetch(&wanted, 3, &|token, bytes| {
            assert_eq!(bytes, chunks.get(token as usize).unwrap());
            assert!(handed.lock().unwrap().insert(token));
            Ok(())
        })
        .unwrap();
    assert!([4, 6].contains(&failed.len()), "one of seven frames, whichever lies there: {}", failed.len());
    assert!(failed.iter().all(|(_, e)| e.to_string().contains(name.as_str())));
    assert_eq!(handed.into_inner().unwrap().len(), 40 - failed.len());
    let stopped = reader.fetch(&wanted, 2, &|_, _| Err(chronos_store::Error::Interrupted));
    assert!(matches!(stopped, Err(chronos_store::Error::Interrupted)));
}
