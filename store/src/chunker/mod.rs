//! Where content is cut: keyed gear chunking by class.
//!
//! Cut points are part of what makes versions deduplicate: the tests pin them.

mod class;
mod stream;

use std::fmt;
use std::sync::Arc;

use fastcdc::v2020::cut_gear;

use crate::crypto::GearTable;

pub use class::{ChunkClass, DETECT_BYTES};
pub use stream::ChunkStream;

/// Bits by which cutting is harder before the average length and easier after it (normalisation level 2).
const NORMALISATION: u32 = 2;

/// Cuts a stream of one class.
#[derive(Clone)]
pub struct Chunker {
    min: usize,
    avg: usize,
    max: usize,
    tables: Option<Arc<Tables>>,
}

struct Tables {
    gear: Arc<GearTable>,
    shifted: GearTable,
}

impl fmt::Debug for Chunker {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Chunker({} / {} / {})", self.min, self.avg, self.max)
    }
}

impl Chunker {
    /// A chunker of `class` with a repository's secret table.
    pub(crate) fn new(class: ChunkClass, gear: Arc<GearTable>) -> Self {
        let (min, avg, max) = class.lengths();
        let tables = (min < max).then(|| Arc::new(Tables { shifted: gear.map(|g| g << 1), gear }));
        Self { min, avg, max, tables }
    }

    /// Length of the longest chunk in bytes.
    pub fn max(&self) -> usize {
        self.max
    }

    /// Length of the first chunk of `bytes`, which holds at least [`Chunker::max`] bytes or the rest of the stream.
    pub fn cut(&self, bytes: &[u8]) -> usize {
        let Some(tables) = &self.tables else { return bytes.len().min(self.max) };
        // Masks in the low 32 bits: the window is 32 bytes, and a vector kernel can find the same cuts.
        let mask = |bits: u32| ((1_u64 << bits) - 1) << (32 - bits);
        let bits = self.avg.ilog2();
        let (hard, easy) = (mask(bits + NORMALISATION), mask(bits - NORMALISATION));
        let (_, length) = cut_gear(
            bytes,
            self.min,
            self.avg,
            self.max,
            hard,
            easy,
            hard << 1,
            easy << 1,
            tables.gear.as_slice(),
            &tables.shifted,
        );
        length
    }
}

#[cfg(test)]
mod tests;
