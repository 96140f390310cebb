//! Where cut content goes: into a session, or nowhere in a dry run.

use std::collections::HashSet;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use chronos_store::{ChunkId, ChunkKind, ChunkWriter, Hashed, Repository, Session, SessionStats, View};

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

    fn seen(&self) -> MutexGuard<'_, (HashSet<ChunkId>, SessionStats)> {
        self.seen.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn usable(&self, id: &ChunkId) -> Result<bool> {
        Ok(self.seen().0.contains(id) || self.view.holds(ChunkKind::Data, id)?)
    }

    fn refer(&self, id: &ChunkId) -> Result<bool> {
        let usable = self.usable(id)?;
        self.seen().1.chunks_reused += u64::from(usable);
        Ok(usable)
    }

    fn store(&self, chunk: Hashed<'_>) {
        let mut seen = self.seen();
        let (ids, stats) = &mut *seen;
        if ids.insert(chunk.id()) {
            stats.chunks_new += 1;
            stats.bytes_added += chunk.bytes().len() as u64;
        } else {
            stats.chunks_reused += 1;
        }
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
            Self::Dry(dry) => dry.seen().1,
        }
    }
}

impl SinkWriter<'_> {
    /// A chunk with its id.
    pub(crate) fn hash<'b>(&self, bytes: &'b [u8]) -> Result<Hashed<'b>> {
        match self {
            Self::Session(writer) => Ok(writer.hash(bytes)?),
            Self::Dry(dry) => Ok(dry.repository.hash(ChunkKind::Data, bytes)?),
        }
    }

    /// Whether a chunk may be referred to as it is.
    pub(crate) fn usable(&self, id: &ChunkId) -> Result<bool> {
        match self {
            Self::Session(writer) => Ok(writer.usable(id)?),
            Self::Dry(dry) => dry.usable(id),
        }
    }

    /// The same; if it may, it counts as reused.
    pub(crate) fn refer(&self, id: &ChunkId) -> Result<bool> {
        match self {
            Self::Session(writer) => Ok(writer.refer(id)?),
            Self::Dry(dry) => dry.refer(id),
        }
    }

    /// Takes a chunk that may not be referred to.
    pub(crate) fn store(&mut self, chunk: Hashed<'_>) -> Result<()> {
        match self {
            Self::Session(writer) => Ok(writer.store(chunk).map(drop)?),
            Self::Dry(dry) => {
                dry.store(chunk);
                Ok(())
            }
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
