//! The kernel for processors with AVX-512 VBMI: tells of 1,024 bytes at a time in which 64 of them a cut may lie.
//!
//! It proposes; the rule, byte by byte, decides. What must hold is that no cut is missed. The 1,024 bytes are 16 rows of 64, and
//! each lane of a vector walks along its row: a step is `hash = 2 hash + value`, as the rule has it. A row begins with
//! the hash that the row before it ends with, for which its last 32 bytes suffice. Values are looked up for 64 bytes at
//! once, a byte plane at a time: two look-ups in 128 entries each, of which the top bit of the byte chooses one.

use std::arch::x86_64::{
    __m512i, _mm512_add_epi32, _mm512_alignr_epi32, _mm512_cmple_epu32_mask, _mm512_mask_blend_epi8,
    _mm512_mask_mov_epi32, _mm512_min_epu32, _mm512_movepi8_mask, _mm512_permutex2var_epi8,
    _mm512_set1_epi32, _mm512_setr_epi64, _mm512_setzero_si512, _mm512_shuffle_epi8, _mm512_shuffle_i32x4,
    _mm512_unpackhi_epi8, _mm512_unpackhi_epi16, _mm512_unpackhi_epi32, _mm512_unpackhi_epi64,
    _mm512_unpacklo_epi8, _mm512_unpacklo_epi16, _mm512_unpacklo_epi32, _mm512_unpacklo_epi64,
};

use crate::{Rule, Table, mask};

/// Bytes of a row, and of a vector.
const ROW: usize = 64;
/// Rows of a block: lanes of a vector.
const ROWS: usize = 16;
const BLOCK: usize = ROW * ROWS;
/// Four groups of four rows.
type Block = [[[u8; ROW]; 4]; 4];
/// Bytes that a hash depends on.
const WINDOW: usize = 32;

/// The byte planes of a table, in four parts each.
type Planes = [[[u8; ROW]; 4]; 4];

/// A table for this processor: exists only where the processor has what it needs.
pub(crate) struct Kernel {
    /// Byte `p` of the value of each byte.
    planes: Planes,
    /// The low 32 bits of the values.
    values: [u32; 256],
}

impl Kernel {
    /// `None` on a processor without the instructions.
    pub(crate) fn new(table: &Table) -> Option<Self> {
        let able = is_x86_feature_detected!("avx512f")
            && is_x86_feature_detected!("avx512bw")
            && is_x86_feature_detected!("avx512vbmi");
        able.then(|| Self { planes: planes(table), values: table.map(|value| value as u32) })
    }

    /// As [`crate::Gear::cut`].
    pub(crate) fn cut(&self, bytes: &[u8], rule: &Rule) -> usize {
        let end = bytes.len().min(rule.max);
        // The last byte of an odd number is not looked at.
        let Some(bytes) = bytes.get(rule.min..end & !1) else { return end };
        let hard_bytes = rule.avg.saturating_sub(rule.min);
        let scan = Scan { bytes, hard_bytes, hard: mask(rule.hard_bits), easy: mask(rule.easy_bits) };
        #[expect(unsafe_code, reason = "its instructions are not of every processor")]
        // SAFETY: `first` is safe but for the instructions that it needs. A `Kernel` is only made by `new`, after it has
        // found that the processor (and the system, which saves the registers) has them.
        let found = unsafe { first(self, &scan) };
        found.map_or(end, |at| rule.min + at)
    }
}

fn planes(table: &Table) -> Planes {
    let value = |at: usize| table.get(at).map_or([0; 8], |value| value.to_le_bytes());
    let byte = |plane: usize, at: usize| value(at).get(plane).copied().unwrap_or_default();
    std::array::from_fn(|plane| {
        std::array::from_fn(|part| std::array::from_fn(|at| byte(plane, ROW * part + at)))
    })
}

/// What is looked at: everything behind the least length.
struct Scan<'b> {
    bytes: &'b [u8],
    /// So many of them are under the hard mask, the others under the easy one.
    hard_bytes: usize,
    hard: u32,
    easy: u32,
}

impl Scan<'_> {
    fn mask(&self, at: usize) -> u32 {
        if at < self.hard_bytes { self.hard } else { self.easy }
    }

    /// The first cut of the row that begins at `row`, by the rule.
    fn decide(&self, values: &[u32; 256], row: usize) -> Option<usize> {
        let mut hash = 0_u32;
        let mut step = |byte: &u8| {
            hash = (hash << 1).wrapping_add(values.get(usize::from(*byte)).copied().unwrap_or_default());
            hash
        };
        let before = self.bytes.get(row.saturating_sub(WINDOW)..row).unwrap_or_default();
        for byte in before {
            step(byte);
        }
        let bytes = self.bytes.get(row..).unwrap_or_default().iter().take(ROW);
        bytes.zip(row..).find(|(byte, at)| step(byte) & self.mask(*at) == 0).map(|(_, at)| at)
    }

    /// For each row of the block at `at` all hashes that are a cut in it, or more: those up to a bound, since masks end at the
    /// top bit. The row in which the masks change gets the bits that both have.
    #[target_feature(enable = "avx512f,avx512bw,avx512vbmi")]
    fn bounds(&self, at: usize) -> __m512i {
        let bound = |mask: u32| _mm512_set1_epi32((!mask).cast_signed());
        let hard = self.hard_bytes.saturating_sub(at);
        let (easy_rows, mixed_rows) = (rows_from(hard.div_ceil(ROW)), rows_from(hard / ROW));
        let bounds = _mm512_mask_mov_epi32(bound(self.hard), mixed_rows, bound(self.hard & self.easy));
        _mm512_mask_mov_epi32(bounds, easy_rows, bound(self.easy))
    }
}

/// Ones for all rows but the first so many.
fn rows_from(row: usize) -> u16 {
    u16::MAX.checked_shl(row.min(ROWS) as u32).unwrap_or(0)
}

/// The first cut.
#[target_feature(enable = "avx512f,avx512bw,avx512vbmi")]
fn first(kernel: &Kernel, scan: &Scan<'_>) -> Option<usize> {
    let [p, q, r, s] = &kernel.planes;
    let planes = [plane(p), plane(q), plane(r), plane(s)];
    let mut carry = _mm512_setzero_si512();
    let blocks = scan.bytes.as_chunks::<ROW>().0.as_chunks::<4>().0.as_chunks::<4>().0;
    let rest = scan.bytes.get(BLOCK * blocks.len()..).unwrap_or_default();
    let last = (!rest.is_empty()).then(|| padded(rest));
    for (block, at) in blocks.iter().chain(&last).zip((0..).step_by(BLOCK)) {
        let least = least(&planes, block, &mut carry);
        let mut rows = _mm512_cmple_epu32_mask(least, scan.bounds(at));
        while rows != 0 {
            let row = at + ROW * rows.trailing_zeros() as usize;
            if let Some(cut) = scan.decide(&kernel.values, row) {
                return Some(cut);
            }
            rows &= rows - 1;
        }
    }
    None
}

/// A block of what is left at the end.
fn padded(rest: &[u8]) -> Block {
    let mut block = [[[0; ROW]; 4]; 4];
    block.as_flattened_mut().as_flattened_mut().iter_mut().zip(rest).for_each(|(to, from)| *to = *from);
    block
}

/// The least hash of each row. `carry` is what the rows before end with; the last of them leads to the first of these.
#[inline]
#[target_feature(enable = "avx512f,avx512bw,avx512vbmi")]
fn least(planes: &[[__m512i; 4]; 4], block: &Block, carry: &mut __m512i) -> __m512i {
    let [front, back] = columns(block);
    let zero = _mm512_setzero_si512();
    let (mut end, mut kept) = (zero, [[zero; 4]; 8]);
    for (kept, column) in kept.iter_mut().zip(&back) {
        *kept = values(planes, *column);
        for value in &*kept {
            end = step(end, *value);
        }
    }
    let mut hash = _mm512_alignr_epi32::<15>(end, *carry);
    *carry = end;
    let mut least = _mm512_set1_epi32(-1);
    for column in &front {
        for value in &values(planes, *column) {
            hash = step(hash, *value);
            least = _mm512_min_epu32(least, hash);
        }
    }
    for kept in &kept {
        for value in kept {
            hash = step(hash, *value);
            least = _mm512_min_epu32(least, hash);
        }
    }
    least
}

#[inline]
#[target_feature(enable = "avx512f")]
fn step(hash: __m512i, value: __m512i) -> __m512i {
    _mm512_add_epi32(_mm512_add_epi32(hash, hash), value)
}

/// A block by columns of four bytes: lane `r` of column `c` holds bytes `4 c …` of row `r`. The first eight, and the others.
#[inline]
#[target_feature(enable = "avx512f,avx512bw,avx512vbmi")]
fn columns(block: &Block) -> [[__m512i; 8]; 2] {
    let [a, b, c, d] = block;
    let ([a0, a1, a2, a3], [b0, b1, b2, b3]) = (four(a), four(b));
    let ([c0, c1, c2, c3], [d0, d1, d2, d3]) = (four(c), four(d));
    let [e0, e4, e8, e12] = quarters(a0, b0, c0, d0);
    let [e1, e5, e9, e13] = quarters(a1, b1, c1, d1);
    let [e2, e6, e10, e14] = quarters(a2, b2, c2, d2);
    let [e3, e7, e11, e15] = quarters(a3, b3, c3, d3);
    [[e0, e1, e2, e3, e4, e5, e6, e7], [e8, e9, e10, e11, e12, e13, e14, e15]]
}

/// Within each quarter of a vector: four rows by four columns.
#[inline]
#[target_feature(enable = "avx512f")]
fn four([a, b, c, d]: &[[u8; ROW]; 4]) -> [__m512i; 4] {
    let (a, b, c, d) = (load(a), load(b), load(c), load(d));
    let (ab, cd) = (_mm512_unpacklo_epi32(a, b), _mm512_unpacklo_epi32(c, d));
    let (ab_high, cd_high) = (_mm512_unpackhi_epi32(a, b), _mm512_unpackhi_epi32(c, d));
    [
        _mm512_unpacklo_epi64(ab, cd),
        _mm512_unpackhi_epi64(ab, cd),
        _mm512_unpacklo_epi64(ab_high, cd_high),
        _mm512_unpackhi_epi64(ab_high, cd_high),
    ]
}

/// Then quarters: four groups of rows by four groups of columns.
#[inline]
#[target_feature(enable = "avx512f")]
fn quarters(a: __m512i, b: __m512i, c: __m512i, d: __m512i) -> [__m512i; 4] {
    let (ab, cd) = (_mm512_shuffle_i32x4::<0x44>(a, b), _mm512_shuffle_i32x4::<0x44>(c, d));
    let (ab_high, cd_high) = (_mm512_shuffle_i32x4::<0xee>(a, b), _mm512_shuffle_i32x4::<0xee>(c, d));
    [
        _mm512_shuffle_i32x4::<0x88>(ab, cd),
        _mm512_shuffle_i32x4::<0xdd>(ab, cd),
        _mm512_shuffle_i32x4::<0x88>(ab_high, cd_high),
        _mm512_shuffle_i32x4::<0xdd>(ab_high, cd_high),
    ]
}

/// The parts of a plane, in vectors.
#[inline]
#[target_feature(enable = "avx512f")]
fn plane([a, b, c, d]: &[[u8; ROW]; 4]) -> [__m512i; 4] {
    [load(a), load(b), load(c), load(d)]
}

/// What a plane has for each byte; `upper` are the bytes of 128 and more.
#[inline]
#[target_feature(enable = "avx512f,avx512bw,avx512vbmi")]
fn looked_up([a, b, c, d]: &[__m512i; 4], bytes: __m512i, upper: u64) -> __m512i {
    let low = _mm512_permutex2var_epi8(*a, bytes, *b);
    let high = _mm512_permutex2var_epi8(*c, bytes, *d);
    _mm512_mask_blend_epi8(upper, low, high)
}

/// The values of the bytes of a column: of the first byte of each row, of the second, …
#[inline]
#[target_feature(enable = "avx512f,avx512bw,avx512vbmi")]
fn values(planes: &[[__m512i; 4]; 4], column: __m512i) -> [__m512i; 4] {
    let bytes = _mm512_shuffle_epi8(column, load(&ORDER));
    let upper = _mm512_movepi8_mask(bytes);
    let [p, q, r, s] = planes;
    let (b0, b1) = (looked_up(p, bytes, upper), looked_up(q, bytes, upper));
    let (b2, b3) = (looked_up(r, bytes, upper), looked_up(s, bytes, upper));
    let (low, high) = (_mm512_unpacklo_epi8(b0, b1), _mm512_unpackhi_epi8(b0, b1));
    let (low_upper, high_upper) = (_mm512_unpacklo_epi8(b2, b3), _mm512_unpackhi_epi8(b2, b3));
    [
        _mm512_unpacklo_epi16(low, low_upper),
        _mm512_unpackhi_epi16(low, low_upper),
        _mm512_unpacklo_epi16(high, high_upper),
        _mm512_unpackhi_epi16(high, high_upper),
    ]
}

#[inline]
#[target_feature(enable = "avx512f")]
fn load(bytes: &[u8; ROW]) -> __m512i {
    let (words, _) = bytes.as_chunks::<8>();
    let word = |at: usize| words.get(at).map_or(0, |word| i64::from_le_bytes(*word));
    _mm512_setr_epi64(word(0), word(1), word(2), word(3), word(4), word(5), word(6), word(7))
}

/// The order in which unpacking, which works in quarters of a vector, gives lane by lane: in each quarter first the first
/// bytes of its four lanes, then the second bytes, …
#[expect(clippy::indexing_slicing, reason = "an index out of range would not compile")]
const ORDER: [u8; ROW] = {
    let mut order = [0; ROW];
    let mut at = 0;
    while at < ROW {
        order[at] = (at % 4 * 4 + at / 4 % 4) as u8;
        at += 1;
    }
    order
};
