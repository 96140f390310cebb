//! Tests of restore: from trees held in memory, so that each step can be stopped and each chunk lost.

#![expect(clippy::unwrap_used, clippy::indexing_slicing, reason = "a failed step fails its test")]

mod content;
mod exchange;
mod hostile;
mod journals;
mod meanwhile;
mod pieces;
mod random;
mod repository;
mod strategies;
mod undo;

#[expect(unreachable_pub, reason = "shared with the tests of the whole system")]
#[path = "../../../../tests/support/compare.rs"]
mod compare;

use std::collections::{BTreeMap, HashMap, HashSet};
use std::fs;
use std::os::fd::AsFd;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use chronos_store::{ChunkClass, ChunkId, ChunkMark, Silent, Wanted};
use rustix::fs::{SeekFrom, seek};

use super::job::Job;
use super::options::{RestoreOptions, Strategy};
use super::place::Steps;
use super::report::RestoreReport;
use super::supply::{EntryIter, Sink, Supply};
use crate::error::Result;
use crate::node::{Content, Extent, Node, NodeKind, Time};
use crate::path::TreePath;
use crate::source::{Names, look};

/// Bytes of one chunk of a tree in memory; small, so that files have several.
const CHUNK: u64 = 5000;

/// A tree and its chunks.
#[derive(Debug, Default)]
struct Memory {
    entries: Vec<(TreePath, Node)>,
    chunks: HashMap<ChunkId, Vec<u8>>,
    lost: HashSet<ChunkId>,
}

fn path(text: &str) -> TreePath {
    TreePath::new(text).unwrap()
}

impl Memory {
    /// What lies below a folder; its paths are relative to it.
    fn of_folder(root: &Path) -> Self {
        let mut memory = Self::default();
        let names = Names::empty();
        let mut found = BTreeMap::new();
        let mut waiting = vec![root.to_owned()];
        while let Some(folder) = waiting.pop() {
            let open = fs::File::open(&folder).unwrap();
            for entry in fs::read_dir(&folder).unwrap() {
                let entry = entry.unwrap();
                let full = entry.path();
                let mut node = look(open.as_fd(), entry.file_name().as_bytes(), &names).unwrap();
                if node.is_dir() {
                    waiting.push(full.clone());
                }
                if let NodeKind::File(_) = node.kind {
                    node.kind = NodeKind::File(memory.content(&full));
                }
                let relative = full.strip_prefix(root).unwrap().as_os_str().as_encoded_bytes().to_vec();
                found.insert(TreePath::new(relative).unwrap(), node);
            }
        }
        memory.entries = found.into_iter().collect();
        memory
    }

    fn content(&mut self, file: &Path) -> Content {
        let file = fs::File::open(file).unwrap();
        let size = file.metadata().unwrap().len();
        let (mut at, mut extents) = (0, Vec::new());
        while at < size {
            let data = seek(&file, SeekFrom::Data(at)).unwrap_or(size);
            if data > at {
                extents.push(Extent::Hole { len: data - at });
            }
            let end = if data < size { seek(&file, SeekFrom::Hole(data)).unwrap() } else { size };
            at = data;
            while at < end {
                let len = CHUNK.min(end - at);
                let mut bytes = vec![0; usize::try_from(len).unwrap()];
                file.read_exact_at(&mut bytes, at).unwrap();
                extents.push(self.chunk(&bytes));
                at += len;
            }
        }
        Content { class: ChunkClass::Std, size, extents }
    }

    fn chunk(&mut self, bytes: &[u8]) -> Extent {
        let id = ChunkId(*blake3::hash(bytes).as_bytes());
        self.chunks.insert(id, bytes.to_vec());
        Extent::Data { id, len: u32::try_from(bytes.len()).unwrap() }
    }

    /// Adds an entry as it is, whether that makes sense or not.
    fn add(&mut self, at: &str, kind: NodeKind) -> &mut Node {
        let time = Time { seconds: 1_600_000_000, nanos: 7 };
        self.entries.push((path(at), Node { mode: 0o644, ..crate::source::made(kind, 0o755, time) }));
        let node = &mut self.entries.last_mut().unwrap().1;
        if node.is_dir() {
            node.mode = 0o755;
        }
        node
    }

    fn add_file(&mut self, at: &str, bytes: &[u8]) -> &mut Node {
        let extents = if bytes.is_empty() { Vec::new() } else { vec![self.chunk(bytes)] };
        let content = Content { class: ChunkClass::Std, size: bytes.len() as u64, extents };
        self.add(at, NodeKind::File(content))
    }
}

impl Supply for Memory {
    fn entries(&self, base: &TreePath) -> EntryIter<'_> {
        let base = base.clone();
        Box::new(self.entries.iter().filter(move |(p, _)| p.strip(&base).is_some()).cloned().map(Ok))
    }

    fn has_mark(&self, mark: ChunkMark, bytes: &[u8]) -> bool {
        ChunkId(*blake3::hash(bytes).as_bytes()).mark() == mark
    }

    fn fetch(
        &self,
        wanted: &[Wanted],
        _threads: usize,
        sink: &Sink<'_>,
    ) -> chronos_store::Result<Vec<(Wanted, chronos_store::Error)>> {
        let mut lost = Vec::new();
        // Backwards: chunks come in any order.
        for wanted in wanted.iter().rev() {
            match self.chunks.get(&wanted.id) {
                Some(bytes) if !self.lost.contains(&wanted.id) => match wanted.part {
                    None => sink(wanted.token, bytes)?,
                    Some(part) => {
                        let is_good = |b: &&[u8]| part.mark.is_none_or(|mark| self.has_mark(mark, b));
                        match part.of(bytes).filter(is_good) {
                            Some(bytes) => sink(wanted.token, bytes)?,
                            None => {
                                lost.push((*wanted, chronos_store::Error::damaged("a chunk", "its part")));
                            }
                        }
                    }
                },
                _ => lost.push((*wanted, chronos_store::Error::Missing { object: "a chunk".to_owned() })),
            }
        }
        Ok(lost)
    }
}

/// A scratch folder with a target in it, and a state folder.
struct Scratch {
    folder: tempfile::TempDir,
}

impl Scratch {
    fn new() -> Self {
        Self { folder: tempfile::tempdir().unwrap() }
    }

    fn at(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    /// A folder that is there.
    fn made(&self, name: &str) -> PathBuf {
        let path = self.at(name);
        fs::create_dir_all(&path).unwrap();
        path
    }

    fn restore(&self, supply: &Memory, options: &RestoreOptions) -> Result<RestoreReport> {
        self.restore_by_steps(supply, options, Steps::default())
    }

    fn restore_by_steps(
        &self,
        supply: &Memory,
        options: &RestoreOptions,
        steps: Steps,
    ) -> Result<RestoreReport> {
        self.job(supply, options, steps, &self.at("state"))
    }

    fn job(
        &self,
        supply: &Memory,
        options: &RestoreOptions,
        steps: Steps,
        state: &Path,
    ) -> Result<RestoreReport> {
        let is_folder = super::is_folder(supply, &options.path)?;
        let job = Job {
            supply,
            options,
            manifest: None,
            roots: Vec::new(),
            unread: Vec::new(),
            is_folder,
            default: self.at("default"),
            state,
            id: "0123".to_owned(),
            own: Vec::new(),
            monitor: &Silent,
            steps: Arc::new(steps),
        };
        job.run()
    }
}

fn options(strategy: Strategy, to: &Path) -> RestoreOptions {
    RestoreOptions { strategy, to: Some(to.to_owned()), threads: 2, ..RestoreOptions::default() }
}
