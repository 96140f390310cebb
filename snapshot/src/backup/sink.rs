//! Where cut content goes: into a session, or nowhere in a dry run.

use std::collections::HashSet;
use std::sync::{Arc, Mutex, PoisonError};

use chronos_store::{ChunkId, ChunkKind, ChunkWriter, Repository, Session, SessionStats, View};

use crate::error::Result;
use crate::node::Node;
use crate::path::TreePath;
use crate::tree::TreeBuilder;

/// Takes chunks of file content.
#[derive(Debug)]
pub(crate) enum Sink<'s> {
    /// Into a session.
    Session(&'s Session),
    /// Only counted.
    Dry(Dry),
}

/// Counts what a backup would store, against what the repository holds.
#[derive(Debug)]
pub(crate) struct Dry {
    repository: Repository,
    view: Arc<View>,
    seen: Mutex<(HashSet<ChunkId>, SessionStats)>,
}

impl Dry {
    pub(crate) fn new(repository: &Repository, view: Arc<View>) -> Self {
        Self { repository: repository.clone(), view, seen: Mutex::default() }
    }

    fn put(&self, bytes: &[u8]) -> Result<ChunkId> {
        let id = self.repository.chunk_id(ChunkKind::Data, bytes);
        let held = self.view.holds(ChunkKind::Data, &id)?;
        let mut seen = self.seen.lock().unwrap_or_else(PoisonError::into_inner);
        let (ids, stats) = &mut *seen;
        if !held && ids.insert(id) {
            stats.chunks_new += 1;
            stats.bytes_added += bytes.len() as u64;
        } else {
            stats.chunks_reused += 1;
        }
        Ok(id)
    }
}

/// Where finished entries go.
pub(crate) enum Output<'s> {
    /// Into a tree.
    Tree(Box<TreeBuilder<'s>>),
    /// Nowhere.
    Dry,
}

impl Output<'_> {
    /// The next entry, its path greater than the last one's.
    pub(crate) fn add(&mut self, path: &TreePath, node: &Node, recipe: Option<ChunkId>) -> Result<()> {
        match self {
            Self::Tree(builder) => builder.add_stored(path, node, recipe),
            Self::Dry => Ok(()),
        }
    }
}

/// One thread's way into a sink.
#[derive(Debug)]
pub(crate) enum SinkWriter<'s> {
    Session(ChunkWriter<'s>),
    Dry(&'s Dry),
}

impl<'s> Sink<'s> {
    /// A writer for one thread.
    pub(crate) fn writer(&'s self) -> SinkWriter<'s> {
        match self {
            Self::Session(session) => SinkWriter::Session(session.writer(ChunkKind::Data)),
            Self::Dry(dry) => SinkWriter::Dry(dry),
        }
    }

    /// What was done until now.
    pub(crate) fn stats(&self) -> SessionStats {
        match self {
            Self::Session(session) => session.stats(),
            Self::Dry(dry) => dry.seen.lock().unwrap_or_else(PoisonError::into_inner).1,
        }
    }
}

impl SinkWriter<'_> {
    /// Takes one chunk.
    pub(crate) fn put(&mut self, bytes: &[u8]) -> Result<ChunkId> {
        match self {
            Self::Session(writer) => Ok(writer.put(bytes)?.id),
            Self::Dry(dry) => dry.put(bytes),
        }
    }

    /// Seals what is left.
    pub(crate) fn finish(self) -> Result<()> {
        match self {
            Self::Session(writer) => Ok(writer.finish()?),
            Self::Dry(_) => Ok(()),
        }
    }
}
