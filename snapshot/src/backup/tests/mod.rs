//! Tests of backups into real repositories in memory.
#![expect(clippy::unwrap_used, clippy::indexing_slicing, clippy::panic, reason = "tests")]

mod broken;
mod changes;
mod content;
mod edits;
mod failing;
mod faults;
mod links;
mod parts;
mod reports;
mod required;
mod successive;
mod successors;
mod together;

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;
use std::sync::Arc;

use chronos_store::backend::{Backend, MemoryBackend};
use chronos_store::{
    ChunkKind, Collect, CreateOptions, Env, LocalDirs, Monitor, OpenOptions, Repository, Secret, Silent,
};
use tempfile::TempDir;

use super::{BackupOptions, BackupReport, backup};
use crate::error::Result;
use crate::node::{Extent, Node, NodeKind};
use crate::record::Snapshot;
use crate::source::{FileOptions, FileSource, Source};
use crate::{Tree, TreePath};

/// A repository in memory, a folder to back up, and the program's own folders.
pub(super) struct Stage {
    pub(super) memory: MemoryBackend,
    pub(super) dir: Arc<TempDir>,
    local: TempDir,
}

const KEY: Secret = Secret::Key([7; 32]);

impl Stage {
    pub(super) fn new() -> Self {
        let stage = Self {
            memory: MemoryBackend::new(),
            dir: Arc::new(tempfile::tempdir().unwrap()),
            local: tempfile::tempdir().unwrap(),
        };
        let backend = Arc::new(stage.memory.clone());
        Repository::create(backend, &KEY, &CreateOptions::default(), stage.options(Arc::new(Silent)))
            .unwrap();
        stage
    }

    /// A copy of the repository as it is now, with the same folder to back up and nothing known locally.
    pub(super) fn fork(&self) -> Self {
        let local = tempfile::tempdir().unwrap();
        Self { memory: self.memory.fork(), dir: Arc::clone(&self.dir), local }
    }

    fn options(&self, monitor: Arc<dyn Monitor>) -> OpenOptions {
        let dirs =
            LocalDirs { cache: self.local.path().join("cache"), state: self.local.path().join("state") };
        OpenOptions { dirs, env: Env::system(), monitor }
    }

    /// The repository through `backend`.
    pub(super) fn over(&self, backend: Arc<dyn Backend>, monitor: Arc<dyn Monitor>) -> Result<Repository> {
        Ok(Repository::open(backend, &KEY, self.options(monitor))?)
    }

    pub(super) fn open(&self) -> Repository {
        self.over(Arc::new(self.memory.clone()), Arc::new(Collect::default())).unwrap()
    }

    pub(super) fn path(&self, name: &str) -> std::path::PathBuf {
        self.dir.path().join(name)
    }

    pub(super) fn write(&self, name: &str, bytes: impl AsRef<[u8]>) {
        let path = self.path(name);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, bytes).unwrap();
    }

    /// The folder as a source.
    pub(super) fn files(&self) -> Vec<Box<dyn Source>> {
        files_of(self.dir.path())
    }

    /// Backs the folder up.
    pub(super) fn run(&self) -> BackupReport {
        self.run_with(&BackupOptions::default())
    }

    pub(super) fn run_with(&self, options: &BackupOptions) -> BackupReport {
        backup(&self.open(), self.files(), options).unwrap()
    }

    /// The name of a path of the folder in a snapshot.
    pub(super) fn inside(&self, name: &str) -> TreePath {
        TreePath::from_absolute(&self.path(name)).unwrap()
    }
}

pub(super) fn files_of(root: &Path) -> Vec<Box<dyn Source>> {
    let options = FileOptions { roots: vec![root.to_owned()], threads: 1, ..FileOptions::default() };
    vec![Box::new(FileSource::new(options).unwrap())]
}

/// The newest snapshot.
pub(super) fn newest(repository: &Repository) -> Snapshot {
    let (snapshots, errors) = crate::listed(&repository.view().unwrap());
    assert!(errors.is_empty(), "{errors:?}");
    snapshots.into_iter().max_by_key(Snapshot::taken_at).unwrap()
}

/// All entries of a snapshot.
pub(super) fn nodes(repository: &Repository, snapshot: &Snapshot) -> BTreeMap<TreePath, Node> {
    let reader = repository.view().unwrap().reader();
    Tree::new(reader, snapshot.manifest.tree).range(&TreePath::root()).map(Result::unwrap).collect()
}

/// The bytes of one file.
pub(super) fn bytes(repository: &Repository, node: &Node) -> Vec<u8> {
    let NodeKind::File(content) = &node.kind else { panic!("not a file") };
    let reader = repository.view().unwrap().reader();
    let mut bytes = Vec::new();
    for extent in &content.extents {
        match extent {
            Extent::Data { id, len } => {
                let chunk = reader.read(ChunkKind::Data, id).unwrap();
                assert_eq!(chunk.len(), *len as usize);
                bytes.extend_from_slice(&chunk);
            }
            Extent::Assembled(made) => {
                let mut whole = Vec::new();
                for piece in &made.pieces {
                    let chunk = reader.read(ChunkKind::Data, &piece.chunk).unwrap();
                    whole.extend_from_slice(&chunk[piece.start as usize..][..piece.len as usize]);
                }
                assert_eq!(whole.len(), made.len as usize);
                assert!(reader.has_mark(made.mark, &whole));
                bytes.extend(whole);
            }
            Extent::Hole { len } | Extent::Zero { len } => bytes.resize(bytes.len() + *len as usize, 0),
        }
    }
    assert_eq!(bytes.len() as u64, content.size);
    bytes
}

/// Asserts that every file of the folder is in the newest snapshot, byte for byte.
pub(super) fn assert_whole(stage: &Stage) {
    let repository = stage.open();
    let found = nodes(&repository, &newest(&repository));
    let base = stage.inside("");
    for (path, node) in &found {
        if let (Some(rest), NodeKind::File(_)) = (path.strip(&base), &node.kind) {
            let live = fs::read(stage.path(std::str::from_utf8(rest).unwrap())).unwrap();
            assert!(bytes(&repository, node) == live, "{path}");
        }
    }
}

/// Bytes that repeat nowhere.
pub(super) fn noise(seed: u8, len: usize) -> Vec<u8> {
    let mut bytes = vec![0; len];
    blake3::Hasher::new().update(&[seed]).finalize_xof().fill(&mut bytes);
    bytes
}
