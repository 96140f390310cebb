//! Where cut content goes: into a session, or nowhere in a dry run.

use std::collections::HashSet;
use std::sync::{Mutex, PoisonError};

use chronos_store::{ChunkId, ChunkKind, ChunkWriter, Session, SessionStats};

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

/// Counts what a backup would find; what the repository holds already is not known to it.
#[derive(Debug, Default)]
pub(crate) struct Dry {
    seen: Mutex<(HashSet<[u8; 32]>, SessionStats)>,
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
            Self::Dry(dry) => {
                let hash = *blake3::hash(bytes).as_bytes();
                let mut seen = dry.seen.lock().unwrap_or_else(PoisonError::into_inner);
                let (hashes, stats) = &mut *seen;
                if hashes.insert(hash) {
                    stats.chunks_new += 1;
                    stats.bytes_added += bytes.len() as u64;
                } else {
                    stats.chunks_reused += 1;
                }
                Ok(ChunkId(hash))
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
