//! Whether two files of trees have the same bytes, however they are stored.
//!
//! A chunk has the same id whether it is stored as one or put together, so where two files are cut alike their ids
//! decide and nothing but their recipes is read; nodes of recipes that both have are passed over. Bytes are read only
//! where the files are as long as each other and cut in different places.

use std::sync::Arc;

use super::codec::damaged;
use super::recipe::{Branch, Part, Recipe};
use super::{Nodes, RawEntry, Tree};
use crate::error::Result;
use crate::node::{Extent, NodeKind};

/// Most nodes of recipes that are read to compare two files: an honest one has at least eight ids, so more than any file
/// needs; a tree that lies can name the same nodes over and over.
const NODES_MAX: usize = 1 << 22;

/// Whether two entries are files with the same bytes.
pub(crate) fn same_bytes(one: (&Tree, &RawEntry), other: (&Tree, &RawEntry)) -> Result<bool> {
    let (NodeKind::File(a), NodeKind::File(b)) = (&one.1.node.kind, &other.1.node.kind) else {
        return Ok(false);
    };
    if a.size != b.size {
        return Ok(false);
    }
    if one.1.recipe.is_some() && one.1.recipe == other.1.recipe {
        return Ok(true);
    }
    let mut nodes_left = NODES_MAX;
    let (mut left, mut right) = (Side::new(one.0, one.1), Side::new(other.0, other.1));
    loop {
        left.fill();
        right.fill();
        let step = match (left.head.take(), right.head.take()) {
            (None, None) => return Ok(true),
            (Some(a), Some(b)) => compare(&mut left, &mut right, a, b, &mut nodes_left)?,
            // Honest trees have as many bytes as they say.
            _ => Step::Differ,
        };
        if matches!(step, Step::Differ) {
            return Ok(false);
        }
    }
}

/// What one comparison found.
enum Step {
    /// Nothing that differs.
    Same,
    /// Bytes that differ.
    Differ,
}

/// What is left of a file's next part.
#[derive(Debug)]
enum Head {
    /// A node that has not been read.
    Branch(Branch),
    /// So many zeros.
    Blank(u64),
    /// An extent, how much of it has been compared, and its bytes once they are read.
    Data(Extent, u64, Option<Arc<[u8]>>),
}

impl Head {
    fn left(&self) -> u64 {
        match self {
            Self::Branch(branch) => branch.size,
            Self::Blank(len) => *len,
            Self::Data(extent, from, _) => extent.len() - from,
        }
    }
}

/// One file from the position on.
struct Side {
    nodes: Arc<dyn Nodes>,
    recipe: Recipe,
    head: Option<Head>,
}

impl Side {
    fn new(tree: &Tree, entry: &RawEntry) -> Self {
        Self { nodes: tree.shared_nodes(), recipe: tree.recipe(entry), head: None }
    }

    fn fill(&mut self) {
        if self.head.is_none() {
            self.head = self.recipe.part().map(|part| match part {
                Part::Branch(branch) => Head::Branch(branch),
                Part::Extent(extent) if extent.is_blank() => Head::Blank(extent.len()),
                Part::Extent(extent) => Head::Data(extent, 0, None),
            });
        }
    }

    /// Reads a node.
    fn enter(&mut self, branch: Branch, nodes_left: &mut usize) -> Result<()> {
        *nodes_left = nodes_left.checked_sub(1).ok_or_else(|| damaged("its recipe has too many nodes"))?;
        self.recipe.enter(branch)
    }

    /// Puts back what is left of a part behind its next `count` bytes.
    fn keep(&mut self, head: Head, count: u64) {
        self.head = match head {
            _ if head.left() == count => None,
            Head::Branch(branch) => Some(Head::Branch(branch)),
            Head::Blank(len) => Some(Head::Blank(len - count)),
            Head::Data(extent, from, bytes) => Some(Head::Data(extent, from + count, bytes)),
        };
    }

    /// The next `count` bytes of a part; `None` for zeros.
    fn bytes<'h>(&self, head: &'h mut Head, count: u64) -> Result<Option<&'h [u8]>> {
        let Head::Data(extent, from, bytes) = head else { return Ok(None) };
        let bytes = match bytes {
            Some(bytes) => bytes,
            none => none.insert(self.nodes.bytes(extent)?),
        };
        let (start, end) = (*from as usize, (*from + count) as usize);
        bytes.get(start..end).map(Some).ok_or_else(|| damaged("a chunk is shorter than it should be"))
    }
}

/// Compares two parts that begin at the same place.
fn compare(
    left: &mut Side,
    right: &mut Side,
    mut a: Head,
    mut b: Head,
    nodes_left: &mut usize,
) -> Result<Step> {
    match (&a, &b) {
        (Head::Branch(x), Head::Branch(y)) if x.id == y.id && x.size == y.size => return Ok(Step::Same),
        // Of two nodes the larger one is read first, so that both sides come to the same ones.
        (Head::Branch(x), other) if other.left() <= x.size || !matches!(other, Head::Branch(_)) => {
            left.enter(*x, nodes_left)?;
            right.head = Some(b);
            return Ok(Step::Same);
        }
        (_, Head::Branch(y)) => {
            right.enter(*y, nodes_left)?;
            left.head = Some(a);
            return Ok(Step::Same);
        }
        (Head::Data(x, 0, _), Head::Data(y, 0, _)) if x.len() == y.len() => {
            return Ok(if x.mark() == y.mark() { Step::Same } else { Step::Differ });
        }
        _ => {}
    }
    let count = a.left().min(b.left());
    let same = match (left.bytes(&mut a, count)?, right.bytes(&mut b, count)?) {
        (Some(x), Some(y)) => x == y,
        (Some(bytes), None) | (None, Some(bytes)) => bytes.iter().all(|b| *b == 0),
        (None, None) => true,
    };
    left.keep(a, count);
    right.keep(b, count);
    Ok(if same { Step::Same } else { Step::Differ })
}
