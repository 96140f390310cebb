//! The reference list: the only thing the store knows about what its users build.
//!
//! Whoever builds a structure (a tree, a list of chunks) splits each node in two chunks: a
//! [`ChunkKind::Refs`](crate::ChunkKind) chunk holding a [`RefList`], and a
//! [`ChunkKind::Meta`](crate::ChunkKind) chunk holding everything else. Marking walks reference
//! lists only, so it needs neither names nor contents.

use crate::error::{Error, Result};
use crate::id::ChunkId;

/// Most references in one list; a reader refuses more.
pub const REFS_MAX: usize = 1 << 16;

/// What one node refers to. The order within each list belongs to whoever built the node.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct RefList {
    /// The node's own `Meta` chunk, if it has one.
    pub meta: Option<ChunkId>,
    /// Other nodes: ids of `Refs` chunks.
    pub children: Vec<ChunkId>,
    /// Ids of `Data` chunks.
    pub data: Vec<ChunkId>,
}

impl RefList {
    /// Encodes: version byte 1, flag byte (bit 0: has meta), `u32` LE number of children, `u32` LE
    /// number of data ids, then meta, children and data ids of 32 bytes each.
    pub fn encode(&self) -> Vec<u8> {
        let mut out = Vec::with_capacity(10 + 32 * (1 + self.children.len() + self.data.len()));
        out.extend([1, u8::from(self.meta.is_some())]);
        out.extend((self.children.len() as u32).to_le_bytes());
        out.extend((self.data.len() as u32).to_le_bytes());
        for id in self.meta.iter().chain(&self.children).chain(&self.data) {
            out.extend(id.0);
        }
        out
    }

    /// Decodes what [`RefList::encode`] made; anything else is [`Error::Damaged`].
    pub fn decode(bytes: &[u8]) -> Result<Self> {
        let bad = |what: &str| Error::damaged("a reference list", what);
        let (head, mut rest) = bytes.split_first_chunk::<10>().ok_or_else(|| bad("too short"))?;
        let [version, flags, c0, c1, c2, c3, d0, d1, d2, d3] = *head;
        if version != 1 || flags > 1 {
            return Err(bad("unknown version or flags"));
        }
        let children = u32::from_le_bytes([c0, c1, c2, c3]) as usize;
        let data = u32::from_le_bytes([d0, d1, d2, d3]) as usize;
        let metas = usize::from(flags);
        if children > REFS_MAX || data > REFS_MAX || rest.len() != 32 * (metas + children + data) {
            return Err(bad("its length does not fit its counts"));
        }
        let mut take = |n: usize| -> Vec<ChunkId> {
            let mut ids = Vec::with_capacity(n);
            while ids.len() < n {
                let Some((id, after)) = rest.split_first_chunk::<32>() else { break };
                ids.push(ChunkId(*id));
                rest = after;
            }
            ids
        };
        let meta = take(metas).pop();
        Ok(Self { meta, children: take(children), data: take(data) })
    }
}
