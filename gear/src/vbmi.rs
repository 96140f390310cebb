//! The kernel for processors with AVX-512 VBMI: the hashes of 64 bytes at a time.
//!
//! A hash is the sum of the last 32 values, each shifted by its age. The low 32 bits of the values of 64 bytes are looked up at
//! once, a byte plane at a time: two look-ups in 128 entries each, of which the top bit of the byte chooses one. Sums over
//! 2, 4, 8, 16 and 32 bytes follow from each other: to each lane is added the lane 1, 2, 4, 8, 16 places before, shifted by as
//! many bits. What reaches into the next 64 bytes is carried; carries begin at zero, as the hash does at the least length.

use std::arch::x86_64::{
    __m512i, _mm512_add_epi32, _mm512_alignr_epi32, _mm512_mask_blend_epi8, _mm512_movepi8_mask,
    _mm512_permutex2var_epi8, _mm512_permutexvar_epi8, _mm512_set1_epi32, _mm512_setr_epi64,
    _mm512_setzero_si512, _mm512_slli_epi32, _mm512_testn_epi32_mask, _mm512_unpackhi_epi8,
    _mm512_unpackhi_epi16, _mm512_unpacklo_epi8, _mm512_unpacklo_epi16,
};

use crate::{Rule, Table, mask};

/// Bytes hashed at a time.
const BLOCK: usize = 64;

/// Four vectors of 16 lanes: a value for each byte of a block, in order.
type Lanes = [__m512i; 4];

/// The order of a block's bytes in which unpacking gives [`Lanes`]: unpacking works in quarters of a vector, and takes
/// bytes `16 q + 4 k …` of it to quarter `q` of vector `k`.
#[expect(
    clippy::indexing_slicing,
    reason = "constants have no closures; an index out of range would not compile"
)]
const ORDER: [u8; BLOCK] = {
    let mut order = [0; BLOCK];
    let mut at = 0;
    while at < BLOCK {
        let (quarter, vector, byte) = (at / 16, at / 4 % 4, at % 4);
        order[at] = (16 * vector + 4 * quarter + byte) as u8;
        at += 1;
    }
    order
};

/// A table for this processor: exists only where the processor has what it needs.
pub(crate) struct Kernel {
    /// Byte `p` of the value of each byte, in four vectors.
    planes: [[[u8; BLOCK]; 4]; 4],
}

impl Kernel {
    /// `None` on a processor without the instructions.
    pub(crate) fn new(table: &Table) -> Option<Self> {
        let able = is_x86_feature_detected!("avx512f")
            && is_x86_feature_detected!("avx512bw")
            && is_x86_feature_detected!("avx512vbmi");
        able.then(|| Self { planes: planes(table) })
    }

    /// As [`crate::Gear::cut`].
    pub(crate) fn cut(&self, bytes: &[u8], rule: &Rule) -> usize {
        let end = bytes.len().min(rule.max);
        // The last byte of an odd number is not looked at.
        let Some(scanned) = bytes.get(rule.min..end & !1) else { return end };
        let hard_end = (rule.avg.min(end) & !1).saturating_sub(rule.min);
        let masks = [mask(rule.hard_bits), mask(rule.easy_bits)];
        #[expect(unsafe_code, reason = "its instructions are not of every processor")]
        // SAFETY: `scan` is safe but for the instructions that it needs. A `Kernel` is only made by `new`, after it has
        // found that the processor (and the system, which saves the registers) has them.
        let found = unsafe { scan(&self.planes, scanned, hard_end, masks) };
        found.map_or(end, |at| rule.min + at)
    }
}

fn planes(table: &Table) -> [[[u8; BLOCK]; 4]; 4] {
    let value = |at: usize| table.get(at).map_or([0; 8], |value| value.to_le_bytes());
    let byte = |plane: usize, at: usize| value(at).get(plane).copied().unwrap_or_default();
    std::array::from_fn(|plane| {
        std::array::from_fn(|part| std::array::from_fn(|at| byte(plane, BLOCK * part + at)))
    })
}

/// The first place where the hash has zeros under the first mask before `hard_end`, under the second from there on.
#[target_feature(enable = "avx512f,avx512bw,avx512vbmi")]
fn scan(planes: &[[[u8; BLOCK]; 4]; 4], bytes: &[u8], hard_end: usize, masks: [u32; 2]) -> Option<usize> {
    let planes = planes.map(|plane| plane.map(|part| load(&part)));
    let [hard, easy] = masks.map(|mask| _mm512_set1_epi32(mask.cast_signed()));
    let order = load(&ORDER);
    let mut carry = [_mm512_setzero_si512(); 5];
    let (blocks, rest) = bytes.as_chunks::<BLOCK>();
    let mut at = 0;
    for block in blocks {
        let hashes = hashes(&planes, _mm512_permutexvar_epi8(order, load(block)), &mut carry);
        let zeros = if at + BLOCK <= hard_end {
            zeros(hashes, hard)
        } else {
            choose(zeros(hashes, hard), zeros(hashes, easy), hard_end.saturating_sub(at))
        };
        if zeros != 0 {
            return Some(at + zeros.trailing_zeros() as usize);
        }
        at += BLOCK;
    }
    let mut block = [0; BLOCK];
    for (to, from) in block.iter_mut().zip(rest) {
        *to = *from;
    }
    let hashes = hashes(&planes, _mm512_permutexvar_epi8(order, load(&block)), &mut carry);
    let zeros = choose(zeros(hashes, hard), zeros(hashes, easy), hard_end.saturating_sub(at));
    let first = zeros.trailing_zeros() as usize;
    (first < rest.len()).then_some(at + first)
}

/// The first `count` bits of one, the others of the other.
fn choose(before: u64, after: u64, count: usize) -> u64 {
    let after_bits = u64::MAX.checked_shl(count.min(BLOCK) as u32).unwrap_or(0);
    before & !after_bits | after & after_bits
}

#[target_feature(enable = "avx512f")]
fn load(bytes: &[u8; BLOCK]) -> __m512i {
    let (words, _) = bytes.as_chunks::<8>();
    let word = |at: usize| words.get(at).map_or(0, |word| i64::from_le_bytes(*word));
    _mm512_setr_epi64(word(0), word(1), word(2), word(3), word(4), word(5), word(6), word(7))
}

/// The hash after each byte of a block, whose bytes come in [`ORDER`].
#[target_feature(enable = "avx512f,avx512bw,avx512vbmi")]
fn hashes(planes: &[Lanes; 4], bytes: __m512i, carry: &mut [__m512i; 5]) -> Lanes {
    let upper = _mm512_movepi8_mask(bytes);
    let [b0, b1, b2, b3] = planes.map(|[p, q, r, s]| {
        let low = _mm512_permutex2var_epi8(p, bytes, q);
        let high = _mm512_permutex2var_epi8(r, bytes, s);
        _mm512_mask_blend_epi8(upper, low, high)
    });
    let (even, odd) = (_mm512_unpacklo_epi8(b0, b1), _mm512_unpackhi_epi8(b0, b1));
    let (even_high, odd_high) = (_mm512_unpacklo_epi8(b2, b3), _mm512_unpackhi_epi8(b2, b3));
    let values = [
        _mm512_unpacklo_epi16(even, even_high),
        _mm512_unpackhi_epi16(even, even_high),
        _mm512_unpacklo_epi16(odd, odd_high),
        _mm512_unpackhi_epi16(odd, odd_high),
    ];
    let [c1, c2, c4, c8, c16] = carry;
    let sums = doubled::<15, 1>(values, c1);
    let sums = doubled::<14, 2>(sums, c2);
    let sums = doubled::<12, 4>(sums, c4);
    let sums = doubled::<8, 8>(sums, c8);
    doubled::<0, 16>(sums, c16)
}

/// To each lane the lane `AGE` places before, `AGE` bits to the left; `FROM` is 16 − `AGE`.
#[target_feature(enable = "avx512f")]
fn doubled<const FROM: i32, const AGE: u32>(lanes: Lanes, carry: &mut __m512i) -> Lanes {
    lanes.map(|lane| {
        let before = _mm512_alignr_epi32::<FROM>(lane, *carry);
        *carry = lane;
        _mm512_add_epi32(lane, _mm512_slli_epi32::<AGE>(before))
    })
}

/// A bit for each lane that has zeros under the mask.
#[target_feature(enable = "avx512f")]
fn zeros(lanes: Lanes, mask: __m512i) -> u64 {
    let [a, b, c, d] = lanes.map(|lane| u64::from(_mm512_testn_epi32_mask(lane, mask)));
    a | b << 16 | c << 32 | d << 48
}
