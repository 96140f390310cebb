//! What verification calls good restores: trees that lie about their contents are told.
#![expect(clippy::unwrap_used, reason = "tests")]

use std::collections::BTreeMap;
use std::sync::Arc;

use chronos_store::backend::MemoryBackend;
use chronos_store::{
    ChunkKind, CreateOptions, Env, LocalDirs, OpenOptions, Repository, Secret, SessionOptions, Silent,
};

use super::*;
use crate::backup::{BackupOptions, backup};
use crate::node::Assembled;
use crate::read::ByteRange;
use crate::source::MemorySource;
use crate::tree::TreeBuilder;
use crate::tree::tests::{file, node, path};

const KEY: Secret = Secret::Key([7; 32]);

fn open() -> (Repository, MemoryBackend, tempfile::TempDir) {
    let dir = tempfile::tempdir().unwrap();
    let dirs = LocalDirs { cache: dir.path().join("cache"), state: dir.path().join("state") };
    let options = OpenOptions { dirs, env: Env::system(), monitor: Arc::new(Silent) };
    let backend = MemoryBackend::new();
    let create = CreateOptions::default();
    let repository = Repository::create(Arc::new(backend.clone()), &KEY, &create, options).unwrap();
    (repository, backend, dir)
}

/// Stores a chunk.
type Put<'p> = dyn FnMut(&[u8]) -> ChunkId + 'p;
/// A file that lies about what it is made of.
type Lie<'l> = &'l dyn Fn(&mut Put<'_>) -> Vec<Extent>;

/// Commits a tree of files with these extents, made of stored chunks.
fn commit(
    repository: &Repository,
    files: &dyn Fn(&mut Put<'_>) -> BTreeMap<TreePath, Vec<Extent>>,
) -> Snapshot {
    let session = repository.begin(SessionOptions { client: "test".into(), level: 3 }).unwrap();
    let mut data = session.writer(ChunkKind::Data);
    let files = files(&mut |bytes| data.put(bytes).unwrap().id);
    data.finish().unwrap();
    let mut builder = TreeBuilder::new(&session);
    for (path, extents) in files {
        builder.add(&path, &node(file(extents))).unwrap();
    }
    let root = builder.finish().unwrap();
    let mut manifest = sample(repository).manifest;
    manifest.tree = root;
    let (id, _) = session.commit(&[root], &serde_json::to_vec(&manifest).unwrap()).unwrap();
    let (all, _) = crate::listed(&repository.view().unwrap());
    all.into_iter().find(|s| s.id == id).unwrap()
}

/// An honest snapshot.
fn sample(repository: &Repository) -> Snapshot {
    let mut source = MemorySource::new("memory", "files");
    source.add_file(path("a"), "a", crate::node::Time::default());
    let report = backup(repository, vec![Box::new(source)], &BackupOptions::default()).unwrap();
    let (all, _) = crate::listed(&repository.view().unwrap());
    all.into_iter().find(|s| Some(s.id) == report.snapshot).unwrap()
}

fn look(repository: &Repository, snapshot: &Snapshot) -> VerifyReport {
    verify(repository, &repository.view().unwrap(), snapshot, Depth::Everything).unwrap()
}

fn restores(repository: &Repository, snapshot: &Snapshot) -> bool {
    let tree = Tree::new(repository.view().unwrap().reader(), snapshot.manifest.tree);
    let paths: Vec<_> = tree.walk(&TreePath::root()).map(|e| e.unwrap().path).collect();
    paths.iter().all(|path| tree.cat(path, ByteRange::ALL, &mut std::io::sink()).is_ok())
}

fn made(id: ChunkId, len: u32, pieces: &[(ChunkId, u32, u32)]) -> Extent {
    let pieces = pieces.iter().map(|(chunk, start, len)| Piece { chunk: *chunk, start: *start, len: *len });
    Extent::Assembled(Arc::new(Assembled { mark: id.mark(), len, pieces: pieces.collect() }))
}

#[test]
fn a_snapshot_is_good_only_if_what_it_puts_together_is() {
    let (repository, ..) = open();
    let name = |bytes: &[u8]| repository.hash(ChunkKind::Data, bytes).unwrap().id();
    let one = |extents| BTreeMap::from([(path("x"), extents)]);
    let good = commit(&repository, &|put| {
        let (a, b) = (put(b"some bytes"), put(b"others"));
        let mut files = one(vec![made(name(b"bytesother"), 10, &[(a, 5, 5), (b, 0, 5)])]);
        // Groups of small files, and one of so many extents that they are in nodes of their own.
        files.insert(path("y"), vec![made(name(b"some"), 4, &[(a, 0, 4)])]);
        let many = |n: u8| {
            if n.is_multiple_of(3) {
                made(name(b"ot"), 2, &[(b, 0, 2)])
            } else {
                Extent::Data { id: b, len: 6 }
            }
        };
        files.insert(path("z"), (0..200).map(many).collect());
        files
    });
    let report = look(&repository, &good);
    assert_eq!((report.verdict, report.errors.as_slice()), (Verdict::Verified, [].as_slice()));
    assert!(restores(&repository, &good) && report.bytes >= 20);

    let lies: [Lie<'_>; 5] = [
        // The pieces make something else than the id says.
        &|put| vec![made(name(b"other"), 4, &[(put(b"some bytes"), 0, 4)])],
        // A piece ends behind its chunk.
        &|put| vec![made(name(b"bytes!"), 6, &[(put(b"some bytes"), 5, 6)])],
        // A chunk is not as long as the tree says.
        &|put| vec![Extent::Data { id: put(b"some bytes"), len: 9 }],
        // The second time only.
        &|put| {
            let id = put(b"some bytes");
            vec![Extent::Data { id, len: 10 }, Extent::Data { id, len: 11 }]
        },
        // Deep in a large file.
        &|put| {
            let id = put(b"others");
            let honest = Extent::Data { id, len: 6 };
            (0..300)
                .map(|n| if n == 222 { made(name(b"x"), 2, &[(id, 0, 2)]) } else { honest.clone() })
                .collect()
        },
    ];
    for (number, lie) in lies.iter().enumerate() {
        let bad = commit(&repository, &|put| one(lie(put)));
        let report = look(&repository, &bad);
        assert_eq!(report.verdict, Verdict::Corrupted, "lie {number}");
        assert!(!report.errors.is_empty() && !restores(&repository, &bad), "lie {number}");
    }
}

#[test]
fn what_is_damaged_or_missing_is_told_apart() {
    let (repository, backend, _dir) = open();
    let snapshot = sample(&repository);
    let quick = |depth| verify(&repository, &repository.view().unwrap(), &snapshot, depth).unwrap().verdict;
    assert_eq!((quick(Depth::Presence), quick(Depth::Everything)), (Verdict::Verified, Verdict::Verified));
    let pack = backend.content().into_keys().find(|name| name.starts_with("packs/")).unwrap();
    backend.damage(&pack, None);
    assert_ne!(quick(Depth::Everything), Verdict::Verified);
}

#[test]
fn files_without_bytes_are_good() {
    let (repository, ..) = open();
    let empty = commit(&repository, &|_| BTreeMap::from([(path("e"), vec![Extent::Hole { len: 1 << 40 }])]));
    assert_eq!(look(&repository, &empty).verdict, Verdict::Verified);
}
