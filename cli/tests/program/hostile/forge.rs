//! Writes snapshots with the keys of a repository and no regard for its rules: leaves byte by byte (`docs/format-tree.md`),
//! manifests field by field.

use std::sync::Arc;

use chronos_store::backend::LocalBackend;
use chronos_store::{
    ChunkId, ChunkKind, Env, LocalDirs, OpenOptions, RefList, Repository, Secret, Session, SessionOptions,
    Silent,
};
use serde_json::{Value, json};

use crate::support::Home;

/// What an entry is, with the bytes that say so.
pub(crate) enum Kind {
    File(Vec<Extent>),
    Dir,
    Symlink(Vec<u8>),
    CharDevice(u64),
    /// A type that there is not.
    Unknown(u8),
}

/// A piece of a file, with the length that is claimed.
pub(crate) enum Extent {
    Data(Vec<u8>, u64),
    Hole(u64),
    Zero(u64),
}

/// An entry, as its bytes say it.
pub(crate) struct Entry {
    pub(crate) path: Vec<u8>,
    pub(crate) kind: Kind,
    pub(crate) mode: u64,
    /// Inode and number of links.
    pub(crate) same: (u64, u64),
}

/// A file of these bytes.
pub(crate) fn file(path: impl Into<Vec<u8>>, bytes: &[u8]) -> Entry {
    of(path, Kind::File(vec![Extent::Data(bytes.to_vec(), bytes.len() as u64)]))
}

/// An entry without further attributes.
pub(crate) fn of(path: impl Into<Vec<u8>>, kind: Kind) -> Entry {
    Entry { path: path.into(), kind, mode: 0o755, same: (0, 1) }
}

fn int(out: &mut Vec<u8>, mut value: u64) {
    while value >= 0x80 {
        out.push(value as u8 | 0x80);
        value >>= 7;
    }
    out.push(value as u8);
}

fn bytes(out: &mut Vec<u8>, value: &[u8]) {
    int(out, value.len() as u64);
    out.extend_from_slice(value);
}

/// The repository of a home, opened by its key file.
pub(crate) fn open(home: &Home) -> Repository {
    let folder = home.path(".config/chronos/keys");
    let file = std::fs::read_dir(folder).unwrap().next().unwrap().unwrap().path();
    let text = std::fs::read_to_string(file).unwrap();
    let digits = text.lines().find(|line| line.len() == 64).unwrap();
    let mut key = [0; 32];
    hex::decode_to_slice(digits, &mut key).unwrap();
    let dirs = LocalDirs { cache: home.path("forger/cache"), state: home.path("forger/state") };
    let options = OpenOptions { dirs, env: Env::system(), monitor: Arc::new(Silent) };
    Repository::open(Arc::new(LocalBackend::new(home.repository())), &Secret::Key(key), options).unwrap()
}

/// A session that forges.
pub(crate) struct Forge {
    pub(crate) session: Session,
}

impl Forge {
    pub(crate) fn new(home: &Home) -> Self {
        let options = SessionOptions { client: "forger".into(), level: 3 };
        Self { session: open(home).begin(options).unwrap() }
    }

    /// Stores a chunk.
    pub(crate) fn put(&self, kind: ChunkKind, bytes: &[u8]) -> ChunkId {
        let mut writer = self.session.writer(kind);
        let id = writer.put(bytes).unwrap().id;
        writer.finish().unwrap();
        id
    }

    /// Stores a node of these bytes.
    pub(crate) fn node(&self, meta: &[u8], children: Vec<ChunkId>, data: Vec<ChunkId>) -> ChunkId {
        let meta = Some(self.put(ChunkKind::Meta, meta));
        self.put(ChunkKind::Refs, &RefList { meta, children, data }.encode())
    }

    /// Stores a leaf of entries in the order given; names, too, as they are given. Attributes and owners' names are `named`.
    pub(crate) fn leaf(&self, entries: &[Entry], named: &[u8]) -> ChunkId {
        let mut meta = vec![1, 0];
        int(&mut meta, entries.len() as u64);
        int(&mut meta, 1);
        bytes(&mut meta, named);
        int(&mut meta, 1);
        int(&mut meta, 1);
        bytes(&mut meta, &[b"user.", named].concat());
        bytes(&mut meta, named);
        let mut data = Vec::new();
        for entry in entries {
            self.entry(&mut meta, &mut data, entry);
        }
        self.node(&meta, Vec::new(), data)
    }

    fn entry(&self, meta: &mut Vec<u8>, data: &mut Vec<ChunkId>, entry: &Entry) {
        int(meta, 0);
        bytes(meta, &entry.path);
        meta.push(match entry.kind {
            Kind::File(_) => 0,
            Kind::Dir => 1,
            Kind::Symlink(_) => 2,
            Kind::CharDevice(_) => 5,
            Kind::Unknown(tag) => tag,
        });
        int(meta, entry.mode);
        // Owner 0:0 with a name of its own; times; device 1, inode, links; the one set of attributes.
        for value in [0, 0, 1, 1, 0, 0, 0, 0, 1, entry.same.0, entry.same.1, 1] {
            int(meta, value);
        }
        match &entry.kind {
            Kind::File(extents) => self.content(meta, data, extents),
            Kind::Symlink(to) => bytes(meta, to),
            Kind::CharDevice(number) => int(meta, *number),
            Kind::Dir | Kind::Unknown(_) => {}
        }
    }

    fn content(&self, meta: &mut Vec<u8>, data: &mut Vec<ChunkId>, extents: &[Extent]) {
        let length = |extent: &Extent| match extent {
            Extent::Data(_, len) | Extent::Hole(len) | Extent::Zero(len) => *len,
        };
        meta.push(0);
        int(meta, extents.iter().map(length).fold(0, u64::wrapping_add));
        int(meta, extents.len() as u64 + 1);
        for extent in extents {
            match extent {
                Extent::Data(content, claimed) => {
                    int(meta, claimed + 1);
                    data.push(self.put(ChunkKind::Data, content));
                }
                Extent::Hole(len) => {
                    meta.push(0);
                    int(meta, *len);
                }
                Extent::Zero(len) => {
                    meta.push(1);
                    int(meta, *len);
                }
            }
        }
    }

    /// Commits a snapshot of this tree whose manifest says what `fields` say, besides what every manifest must.
    pub(crate) fn commit(self, tree: ChunkId, fields: Value) {
        let mut manifest = json!({
            "v": 1, "backup_id": "forged", "target": "files", "tier": "manual", "backup_type": "full",
            "created_at": "2026-01-02T03:04:05Z", "host": "vm", "paths": ["/"], "status": "completed",
            "tree": tree.to_string(), "files": 1, "dirs": 0, "size_bytes": 1, "added_bytes": 1, "program": "forger",
        });
        let Value::Object(fields) = fields else { panic!("fields are an object") };
        manifest.as_object_mut().unwrap().extend(fields);
        self.session.commit(&[tree], manifest.to_string().as_bytes()).unwrap();
    }
}

/// A home with one honest snapshot.
pub(crate) fn honest() -> Home {
    let home = Home::in_memory();
    home.file("data/a.txt", b"first\n");
    home.file("data/sub/b.json", b"{\"v\": 1}");
    home.run(["backup", "data"]).code(0);
    home
}

/// A home with one honest snapshot and one of these entries, called `forged`.
pub(crate) fn home_with(entries: &[Entry]) -> Home {
    let home = honest();
    let forge = Forge::new(&home);
    let tree = forge.leaf(entries, b"name");
    forge.commit(tree, json!({}));
    home
}
