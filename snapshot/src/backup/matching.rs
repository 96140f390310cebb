//! Finds what of new bytes is in old ones: long equal stretches, found by anchors and extended byte by byte.
//!
//! An anchor is a place where the rolling hash of the last [`WINDOW`] bytes has its top bits zero, which depends on
//! these bytes alone (gear hashing, as in content-defined chunking). Hashes only propose; what is returned was compared.

use std::ops::Range;
use std::sync::LazyLock;

use crate::prefix::shared;

/// Bytes that an anchor depends on: one for each bit of the hash.
const WINDOW: usize = 32;
/// An anchor has so many zero bits: one in 64 bytes on average, so that a change costs about a window and this much
/// to get past, most of which extending backwards wins back.
const ANCHOR_BITS: u32 = 6;
/// Shorter stretches cost more to name than they save.
const MATCH_MIN: usize = 24;
/// Most differences are small: equal bytes are looked for so many bytes further on, and only then in all of the old ones.
const NEAR: usize = 4 << 10;

/// Equal bytes: `old[old_start..][..len] == new[new_start..][..len]`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Match {
    pub(super) old: usize,
    pub(super) new: usize,
    pub(super) len: usize,
}

/// A random number for each value of a byte: splitmix64 counted from 1.
static GEAR: LazyLock<[u32; 256]> = LazyLock::new(|| {
    std::array::from_fn(|value| {
        let mut z = (value as u64 + 1).wrapping_mul(0x9e37_79b9_7f4a_7c15);
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        ((z ^ (z >> 31)) >> 32) as u32
    })
});

/// Where the anchors of the old bytes are; the memory is used again.
#[derive(Debug, Default)]
pub(super) struct Matcher {
    /// End of an anchor's window in the old bytes; 0 is none. Its length is a power of two.
    places: Vec<u32>,
}

impl Matcher {
    /// Stretches of `new` that are in `old` too, in the order of `new` and without overlap. The first bytes of both
    /// are compared first. `old` is shorter than 4 GiB.
    pub(super) fn matches(&mut self, old: &[u8], new: &[u8]) -> Vec<Match> {
        let mut found: Vec<Match> = Vec::new();
        let start = shared(old, new);
        let mut reached = Match { old: 0, new: 0, len: 0 };
        if start >= MATCH_MIN {
            reached.len = start;
            found.push(reached);
        }
        if start == new.len() {
            return found;
        }
        self.clear(old);
        self.index(old, reached.len..reached.len + NEAR);
        let mut is_near = true;
        let mut anchors = Anchors::new(new, start);
        loop {
            let from = reached.new + reached.len;
            let anchor = anchors.next();
            if is_near && anchor.is_none_or(|(end, _)| end > from + NEAR) {
                is_near = false;
                self.index(old, 0..old.len());
                anchors = Anchors::new(new, from);
                continue;
            }
            let Some((end, hash)) = anchor else { return found };
            let straight = Some(end + reached.old - reached.new);
            let mut proposed = [straight, self.place(hash)].into_iter().flatten();
            if let Some(one) = proposed.find_map(|place| around(old, new, place, end, from)) {
                reached = one;
                found.push(one);
                anchors = Anchors::new(new, one.new + one.len);
                if one.new + one.len == new.len() {
                    return found;
                }
                if is_near {
                    let behind = one.old + one.len;
                    self.index(old, behind..behind + NEAR);
                }
            }
        }
    }

    fn clear(&mut self, old: &[u8]) {
        let slots = (old.len() >> (ANCHOR_BITS - 1)).next_power_of_two().max(WINDOW);
        self.places.clear();
        self.places.resize(slots, 0);
    }

    /// Enters the anchors of a part of `old`. Of equal ones the first counts; those before the part are forgotten.
    fn index(&mut self, old: &[u8], part: Range<usize>) {
        let old = old.get(..part.end).unwrap_or(old);
        for (end, hash) in Anchors::new(old, part.start) {
            let slot = self.slot(hash);
            if let Some(place) = self.places.get_mut(slot)
                && *place as usize <= part.start
            {
                *place = end as u32;
            }
        }
    }

    fn place(&self, hash: u32) -> Option<usize> {
        self.places.get(self.slot(hash)).map(|place| *place as usize).filter(|place| *place > 0)
    }

    fn slot(&self, hash: u32) -> usize {
        // The top bits are zero at every anchor.
        hash.wrapping_mul(0x9e37_79b1) as usize >> 4 & (self.places.len() - 1)
    }
}

/// The anchors in some bytes: the end of each one's window, and its hash.
struct Anchors<'b> {
    bytes: &'b [u8],
    at: usize,
    /// Anchors end behind this.
    first: usize,
    hash: u32,
}

impl<'b> Anchors<'b> {
    /// Those whose windows begin at `from` or later.
    fn new(bytes: &'b [u8], from: usize) -> Self {
        Self { bytes, at: from, first: from + WINDOW, hash: 0 }
    }
}

impl Iterator for Anchors<'_> {
    type Item = (usize, u32);

    fn next(&mut self) -> Option<Self::Item> {
        let gear: &[u32; 256] = &GEAR;
        for byte in self.bytes.get(self.at..)? {
            self.at += 1;
            let step = gear.get(usize::from(*byte)).copied().unwrap_or(0);
            self.hash = (self.hash << 1).wrapping_add(step);
            if self.hash >> (u32::BITS - ANCHOR_BITS) == 0 && self.at >= self.first {
                return Some((self.at, self.hash));
            }
        }
        None
    }
}

/// The equal bytes around the end of two windows; none of the new ones before `from`.
fn around(old: &[u8], new: &[u8], place: usize, end: usize, from: usize) -> Option<Match> {
    let (old_before, old_after) = old.split_at_checked(place)?;
    let (new_before, new_after) = new.split_at_checked(end)?;
    let behind = suffix(old_before, new_before.get(from..)?);
    if behind < MATCH_MIN {
        return None;
    }
    let len = behind + shared(old_after, new_after);
    Some(Match { old: place - behind, new: end - behind, len })
}

/// How many bytes at the end are equal.
fn suffix(a: &[u8], b: &[u8]) -> usize {
    a.iter().rev().zip(b.iter().rev()).take_while(|(a, b)| a == b).count()
}

#[cfg(test)]
mod tests {
    #![expect(clippy::indexing_slicing, reason = "tests")]

    use proptest::prelude::*;

    use super::*;

    fn noise(seed: u64, len: usize) -> Vec<u8> {
        let mut bytes = vec![0; len];
        blake3::Hasher::new().update(&seed.to_le_bytes()).finalize_xof().fill(&mut bytes);
        bytes
    }

    /// Checks what is found and returns how many bytes of `new` are not covered.
    fn missed(old: &[u8], new: &[u8]) -> usize {
        let mut at = 0;
        let mut missed = 0;
        for found in Matcher::default().matches(old, new) {
            assert!(found.new >= at && found.len >= MATCH_MIN);
            assert_eq!(old[found.old..][..found.len], new[found.new..][..found.len]);
            missed += found.new - at;
            at = found.new + found.len;
        }
        missed + new.len() - at
    }

    #[test]
    fn what_is_equal_is_found_whatever_stands_before_it() {
        let old = noise(1, 200_000);
        assert_eq!(missed(&old, &old), 0);
        assert_eq!(missed(&old, &old[70_000..]), 0);
        assert_eq!(missed(&old, &[&noise(2, 100)[..], &old].concat()), 100);
        let turned = [&old[100_000..], &old[..100_000]].concat();
        assert!(missed(&old, &turned) < 500);
        assert_eq!(missed(&old, &noise(3, 50_000)), 50_000);
        assert_eq!(missed(&old, b""), 0);
        assert_eq!(missed(b"", &old), old.len());
    }

    #[test]
    fn single_changes_cost_little_more_than_themselves() {
        let old = noise(1, 1 << 20);
        let mut new = old.clone();
        for at in (5_000..new.len()).step_by(10_000) {
            new[at] ^= 1;
        }
        let changes = new.len() / 10_000;
        assert!(missed(&old, &new) <= 4 * changes, "{}", missed(&old, &new));
    }

    proptest! {
        #[test]
        fn matches_are_true_in_order_and_apart(
            old in prop::collection::vec(0..3_u8, 0..3_000),
            new in prop::collection::vec(0..3_u8, 0..3_000),
            copies in prop::collection::vec((0..3_000_usize, 0..500_usize), 0..6),
        ) {
            let mut new = new;
            for (from, len) in copies {
                let piece = old.get(from..).unwrap_or_default();
                new.extend_from_slice(&piece[..len.min(piece.len())]);
            }
            missed(&old, &new);
        }
    }
}
