//! Filters of a run: binary fuse filters with 8-bit fingerprints over the first 8 bytes of ids, in segments by the first byte.
//!
//! A filter never denies an id that was put in. Segments are built one after the other while sorted ids come, so that building takes
//! the memory of one of them.

use xorf::{BinaryFuse8, BinaryFuse8Ref, DmaSerializable, Filter, FilterRef};

use crate::error::{Error, Result};
use crate::format::wire::Wire;
use crate::id::ChunkId;

/// Ids of one segment, about: building takes some 30 bytes for each, and its tables fit into the caches of a processor.
const SEGMENT_KEYS: u64 = 1 << 17;
/// Most segments of a run: one for each first byte.
const SEGMENTS_MAX: u64 = 256;
/// Seed and lengths of a filter: `u64 seed · u32 segment length · u32 its mask · u32 length of all segments`, LE.
const DESCRIPTOR_BYTES: usize = 20;

/// The first 8 bytes of an id, most significant first, so that numbers sort like ids.
pub(super) fn prefix(id: &ChunkId) -> u64 {
    id.0.iter().take(8).fold(0, |number, byte| number << 8 | u64::from(*byte))
}

fn segment_of(id: &ChunkId, segments: usize) -> usize {
    let [first, ..] = id.0;
    usize::from(first) * segments / 256
}

/// Builds the filters of a run from its ids in order.
#[derive(Debug)]
pub(super) struct FilterBuilder {
    segments: usize,
    /// The segment that is being gathered.
    segment: usize,
    keys: Vec<u64>,
    encoded: Vec<u8>,
}

impl FilterBuilder {
    /// For about `ids` ids.
    pub(super) fn new(ids: u64) -> Self {
        let segments = ids.div_ceil(SEGMENT_KEYS).next_power_of_two().min(SEGMENTS_MAX);
        let encoded = (segments as u32).to_le_bytes().to_vec();
        Self { segments: segments as usize, segment: 0, keys: Vec::new(), encoded }
    }

    /// Takes the next id in; not smaller than the one before.
    pub(super) fn push(&mut self, id: &ChunkId) -> Result<()> {
        let segment = segment_of(id, self.segments);
        while self.segment < segment {
            self.close()?;
        }
        let key = prefix(id);
        if self.keys.last() != Some(&key) {
            self.keys.push(key);
        }
        Ok(())
    }

    /// The filters as they are stored.
    pub(super) fn finish(mut self) -> Result<Vec<u8>> {
        while self.segment < self.segments {
            self.close()?;
        }
        Ok(self.encoded)
    }

    fn close(&mut self) -> Result<()> {
        let filter = BinaryFuse8::try_from(&self.keys)
            .map_err(|e| Error::Invalid(format!("no filter could be built: {e}")))?;
        let mut descriptor = [0; DESCRIPTOR_BYTES];
        filter.dma_copy_descriptor_to(&mut descriptor);
        self.encoded.extend(descriptor);
        self.encoded.extend((filter.fingerprints.len() as u32).to_le_bytes());
        self.encoded.extend(&*filter.fingerprints);
        self.keys.clear();
        self.segment += 1;
        Ok(())
    }
}

/// The filters of a run.
#[derive(Debug)]
pub(super) struct Filters(Vec<Segment>);

/// The filter of one segment.
#[derive(Debug)]
struct Segment {
    descriptor: [u8; DESCRIPTOR_BYTES],
    fingerprints: Box<[u8]>,
}

impl Filters {
    /// Decodes and checks that no look-up can reach beyond the fingerprints.
    pub(super) fn decode(wire: &mut Wire<'_>) -> Result<Self> {
        let segments = (0..wire.count(24)?).map(|_| Segment::decode(wire)).collect::<Result<Vec<_>>>()?;
        if segments.len().is_power_of_two() {
            Ok(Self(segments))
        } else {
            Err(wire.damaged("it has a wrong number of filters"))
        }
    }

    /// `false` if the id is certainly not there; wrong in 0.4 % of cases otherwise.
    pub(super) fn may_hold(&self, id: &ChunkId) -> bool {
        self.0.get(segment_of(id, self.0.len())).is_some_and(|segment| segment.may_hold(prefix(id)))
    }
}

impl Segment {
    fn decode(wire: &mut Wire<'_>) -> Result<Self> {
        let descriptor: [u8; DESCRIPTOR_BYTES] = wire.array()?;
        let mut fields = Wire::new("a filter", &descriptor);
        fields.u64()?;
        let (length, mask, all) = (fields.u32()?, fields.u32()?, fields.u32()?);
        let n = wire.count(1)?;
        let fits = u64::from(all) + 2 * u64::from(length) <= n as u64
            && length.is_power_of_two()
            && mask == length - 1
            && all.is_multiple_of(length);
        if n > 0 && !fits {
            Err(wire.damaged("a filter does not fit"))
        } else {
            Ok(Self { descriptor, fingerprints: wire.take(n)?.into() })
        }
    }

    fn may_hold(&self, key: u64) -> bool {
        !self.fingerprints.is_empty()
            && BinaryFuse8Ref::from_dma(&self.descriptor, &self.fingerprints).contains(&key)
    }
}
