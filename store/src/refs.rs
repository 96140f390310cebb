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

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, clippy::indexing_slicing, reason = "tests")]

    use proptest::collection::vec;
    use proptest::option;
    use proptest::prelude::*;

    use super::*;

    fn ids() -> impl Strategy<Value = Vec<ChunkId>> {
        vec(any::<[u8; 32]>().prop_map(ChunkId), 0..20)
    }

    proptest! {
        #[test]
        fn lists_round_trip_and_no_other_length_decodes(
            meta in option::of(any::<[u8; 32]>().prop_map(ChunkId)), children in ids(), data in ids(),
        ) {
            let list = RefList { meta, children, data };
            let mut bytes = list.encode();
            prop_assert_eq!(RefList::decode(&bytes).unwrap(), list);
            for len in 0..bytes.len() {
                prop_assert!(RefList::decode(&bytes[..len]).is_err());
            }
            bytes.push(0);
            prop_assert!(RefList::decode(&bytes).is_err());
        }

        #[test]
        fn any_bytes_decode_to_what_they_encode_or_not_at_all(bytes: Vec<u8>) {
            if let Ok(list) = RefList::decode(&bytes) {
                prop_assert_eq!(list.encode(), bytes);
            }
        }
    }

    #[test]
    fn counts_beyond_the_limit_are_refused_before_anything_is_allocated() {
        let mut bytes = vec![1, 0];
        bytes.extend([0xff; 8]);
        assert!(RefList::decode(&bytes).is_err());
        assert!(RefList::decode(&[2, 0, 0, 0, 0, 0, 0, 0, 0, 0]).is_err());
        assert!(RefList::decode(&[1, 2, 0, 0, 0, 0, 0, 0, 0, 0]).is_err());
    }
}
