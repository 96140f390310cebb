//! Where content is cut: keyed gear chunking by class.
//!
//! Cut points are part of what makes versions deduplicate: the tests pin them.

mod class;
mod stream;

use std::sync::Arc;

use chronos_gear::{Gear, Rule};

pub use class::{ChunkClass, DETECT_BYTES};
pub use stream::ChunkStream;

/// Bits by which cutting is harder before the average length and easier after it (normalisation level 2).
const NORMALISATION: u32 = 2;

/// Cuts a stream of one class.
#[derive(Clone, Debug)]
pub struct Chunker {
    rule: Rule,
    /// `None` where chunks are pages, all of the greatest length.
    gear: Option<Arc<Gear>>,
}

impl Chunker {
    /// A chunker of `class` with a repository's secret table.
    pub(crate) fn new(class: ChunkClass, gear: Arc<Gear>) -> Self {
        let (min, avg, max) = class.lengths();
        let bits = avg.ilog2();
        let rule = Rule {
            min,
            avg,
            max,
            hard_bits: bits + NORMALISATION,
            easy_bits: bits.saturating_sub(NORMALISATION),
        };
        Self { rule, gear: (min < max).then_some(gear) }
    }

    /// Length of the longest chunk in bytes.
    pub fn max(&self) -> usize {
        self.rule.max
    }

    /// Nearly all chunks are shorter: to look no further keeps buffers small, and little is moved in them.
    fn usual(&self) -> usize {
        (2 * self.rule.avg).min(self.rule.max)
    }

    /// Length of the first chunk of `bytes`, which holds at least [`Chunker::max`] bytes or the rest of the stream, or else
    /// more than the returned length.
    pub fn cut(&self, bytes: &[u8]) -> usize {
        match &self.gear {
            Some(gear) => gear.cut(bytes, &self.rule),
            None => bytes.len().min(self.rule.max),
        }
    }
}

#[cfg(test)]
mod tests;
