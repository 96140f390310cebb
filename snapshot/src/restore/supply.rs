//! What a restore reads from: the entries of a tree, and chunks.

use std::fmt::Debug;

use chronos_store::{ChunkMark, Reader, Wanted};

use crate::error::Result;
use crate::node::Node;
use crate::path::TreePath;
use crate::tree::Tree;

/// Takes one chunk: its token and its bytes.
pub(crate) type Sink<'s> = dyn Fn(u64, &[u8]) -> chronos_store::Result<()> + Sync + 's;

/// Entries in the order of their paths, as often as they are asked for.
pub(crate) type EntryIter<'e> = Box<dyn Iterator<Item = Result<(TreePath, Node)>> + 'e>;

/// Gives entries and chunks.
pub(crate) trait Supply: Debug + Sync {
    /// The entries at and below `base`; goes on after an error.
    fn entries(&self, base: &TreePath) -> EntryIter<'_>;

    /// Whether these bytes are those of a chunk of that mark.
    fn has_mark(&self, mark: ChunkMark, bytes: &[u8]) -> bool;

    /// See [`Reader::fetch`].
    fn fetch(
        &self,
        wanted: &[Wanted],
        threads: usize,
        sink: &Sink<'_>,
    ) -> chronos_store::Result<Vec<(Wanted, chronos_store::Error)>>;
}

/// A snapshot in a repository.
#[derive(Debug)]
pub(crate) struct Stored {
    pub(crate) tree: Tree,
    pub(crate) reader: Reader,
}

impl Supply for Stored {
    fn entries(&self, base: &TreePath) -> EntryIter<'_> {
        Box::new(self.tree.range(base))
    }

    fn has_mark(&self, mark: ChunkMark, bytes: &[u8]) -> bool {
        self.reader.has_mark(mark, bytes)
    }

    fn fetch(
        &self,
        wanted: &[Wanted],
        threads: usize,
        sink: &Sink<'_>,
    ) -> chronos_store::Result<Vec<(Wanted, chronos_store::Error)>> {
        self.reader.fetch(wanted, threads, sink)
    }
}
