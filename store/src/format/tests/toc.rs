//! Tables of contents.

use proptest::collection::vec;
use proptest::prelude::*;

use super::damage;
use crate::format::{Codec, Frame, Origin, Toc, TocChunk};
use crate::id::{ChunkId, ChunkKind};

const FIRST: u64 = 96;

/// A frame's chunk lengths, kind and codec: enough to lay out a table.
fn layout() -> impl Strategy<Value = Vec<(Vec<u32>, u8, bool)>> {
    vec((vec(0_u32..100_000, 1..20), 0_u8..3, any::<bool>()), 0..12)
}

pub(super) fn table(frames: &[(Vec<u32>, u8, bool)]) -> (Toc, u64) {
    let mut toc = Toc { origins: vec![Origin { salt: [1; 32], capsule: [2; 32] }; 2], ..Toc::default() };
    let mut offset = FIRST;
    for (number, (lengths, kind, zstd)) in (0_u32..).zip(frames) {
        let raw = lengths.iter().sum();
        toc.frames.push(Frame {
            offset,
            sealed: raw / 2 + 17,
            raw,
            codec: if *zstd { Codec::Zstd } else { Codec::Raw },
            kind: [ChunkKind::Data, ChunkKind::Refs, ChunkKind::Meta][usize::from(*kind)],
            chunks: lengths.len() as u16,
            origin: (number % 2) as u16,
            number,
        });
        offset += u64::from(raw / 2 + 17);
        toc.chunks.extend(lengths.iter().map(|l| TocChunk { id: ChunkId([number as u8; 32]), length: *l }));
    }
    (toc, offset)
}

proptest! {
    #[test]
    fn tables_round_trip(frames in layout()) {
        let (toc, end) = table(&frames);
        prop_assert_eq!(&Toc::decode("p", &toc.encode(), FIRST, end).unwrap(), &toc);
        let counts: Vec<usize> = toc.iter().map(|(_, _, chunks)| chunks.len()).collect();
        prop_assert_eq!(counts, frames.iter().map(|f| f.0.len()).collect::<Vec<_>>());
        prop_assert!(Toc::decode("p", &toc.encode(), FIRST, end + 1).is_err());
    }

    #[test]
    fn any_bytes_do_not_panic(bytes: Vec<u8>, end: u64) {
        // An empty table is a valid one.
        let read = Toc::decode("p", &bytes, FIRST, end);
        prop_assert!(read.is_err() || bytes.len() == 12 || end == FIRST);
    }
}

#[test]
fn lengths_and_counts_that_do_not_add_up_are_refused() {
    let (toc, end) = table(&[(vec![10, 20], 0, true), (vec![5], 2, false)]);
    let bytes = toc.encode();
    // Salts, capsules and ids are any bytes; the seal around the table covers them.
    let free = |at: usize| {
        let frames = 4 + 2 * 64;
        let chunks = frames + 4 + 2 * 18 + 4;
        (4..frames).contains(&at) || (at >= chunks && (at - chunks) % 36 < 32)
    };
    damage(&bytes, |bad| {
        let changed = (0..bad.len()).find(|at| bad[*at] != bytes[*at]);
        match Toc::decode("p", bad, FIRST, end) {
            Err(_) => true,
            // What no sum can show: codec, kind, origin and number of a frame.
            Ok(read) => changed.is_some_and(free) || read.frames != toc.frames,
        }
    });
}
