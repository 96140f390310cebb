//! The kernel and the portable code find the same cuts: on every kind of content, at every length around the edges.
//!
//! On a processor without the instructions both are the portable code, which is then compared with the rule written plainly;
//! the test says so in its output, and fails if `CHRONOS_REQUIRE_VECTORS` is set.

#![expect(clippy::indexing_slicing, clippy::print_stderr, reason = "tests")]

use chronos_gear::{Gear, Rule, Table};
use proptest::prelude::*;

const KIB: usize = 1 << 10;

/// The classes of `store` that are cut by content, and rules for which nothing is a multiple of anything.
const RULES: [Rule; 9] = [
    rule(4 * KIB, 16 * KIB, 64 * KIB, 14),
    rule(8 * KIB, 32 * KIB, 128 * KIB, 15),
    rule(16 * KIB, 64 * KIB, 256 * KIB, 16),
    rule(256 * KIB, 1024 * KIB, 4096 * KIB, 20),
    rule(64, 256, 1024, 8),
    rule(2, 46, 600, 5),
    rule(0, 100, 202, 4),
    Rule { min: 30, avg: 34, max: 4000, hard_bits: 32, easy_bits: 9 },
    Rule { min: 10, avg: 2000, max: 4000, hard_bits: 11, easy_bits: 0 },
];

const fn rule(min: usize, avg: usize, max: usize, bits: u32) -> Rule {
    Rule { min, avg, max, hard_bits: bits + 2, easy_bits: bits - 2 }
}

/// Bytes that follow from a seed (splitmix64).
fn noise(seed: u64, len: usize) -> Vec<u8> {
    let mut state = seed;
    let mut next = move || {
        state = state.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mixed = (state ^ state >> 30).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let mixed = (mixed ^ mixed >> 27).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ mixed >> 31
    };
    let mut bytes: Vec<u8> = (0..len.div_ceil(8)).flat_map(|_| next().to_le_bytes()).collect();
    bytes.truncate(len);
    bytes
}

fn table(seed: u64) -> Table {
    let bytes = noise(seed, 2048);
    std::array::from_fn(|at| u64::from_le_bytes(std::array::from_fn(|byte| bytes[8 * at + byte])))
}

/// The rule of `docs/format.md`, a byte at a time.
fn plain(table: &Table, bytes: &[u8], rule: &Rule) -> usize {
    let mask = |bits: u32| ((1_u64 << bits) - 1) << (32 - bits);
    let end = bytes.len().min(rule.max);
    let mut hash = 0_u64;
    for at in rule.min..end & !1 {
        hash = (hash << 1).wrapping_add(table[usize::from(bytes[at])]);
        let bits = if at < rule.avg & !1 { rule.hard_bits } else { rule.easy_bits };
        if hash & mask(bits) == 0 {
            return at;
        }
    }
    end
}

/// The table, both ways.
struct Both {
    table: Table,
    fast: Gear,
    portable: Gear,
}

impl Both {
    fn new(table: &Table) -> Self {
        let both = Self { table: *table, fast: Gear::new(table), portable: Gear::portable(table) };
        if !both.fast.has_vectors() {
            let wanted = std::env::var_os("CHRONOS_REQUIRE_VECTORS").is_some();
            assert!(!wanted, "CHRONOS_REQUIRE_VECTORS is set, and this processor has no AVX-512 VBMI");
            eprintln!("no AVX-512 VBMI here: only the portable code is tested");
        }
        assert!(!both.portable.has_vectors());
        both
    }

    /// One cut, compared.
    fn cut(&self, bytes: &[u8], rule: &Rule) -> usize {
        let cut = self.fast.cut(bytes, rule);
        assert_eq!(cut, self.portable.cut(bytes, rule), "{rule:?}, {} bytes", bytes.len());
        cut
    }

    /// Cuts all of it, by the rule written plainly too. The buffer ends where the data ends.
    fn cuts(&self, mut bytes: &[u8], rule: &Rule) -> Vec<usize> {
        let mut cuts = Vec::new();
        while !bytes.is_empty() {
            let cut = self.cut(bytes, rule);
            assert_eq!(cut, plain(&self.table, bytes, rule), "{rule:?}, {} bytes", bytes.len());
            // A buffer that ends at the cut, one before it or one after.
            for end in [cut.saturating_sub(1), cut, cut + 1, cut + 2] {
                self.cut(&bytes[..end.min(bytes.len())], rule);
            }
            cuts.push(cut);
            bytes = &bytes[cut.max(1)..];
        }
        cuts
    }
}

/// Content of every kind, `len` bytes each.
fn corpora(len: usize) -> Vec<(&'static str, Vec<u8>)> {
    let lines = |line: &dyn Fn(usize) -> String| {
        let mut bytes = Vec::with_capacity(len + 200);
        for number in 0.. {
            if bytes.len() >= len {
                break;
            }
            bytes.extend_from_slice(line(number).as_bytes());
        }
        bytes.truncate(len);
        bytes
    };
    let word = |n: usize| noise(n as u64, 4).iter().map(|b| char::from(b'a' + b % 26)).collect::<String>();
    let periodic = |period: usize| noise(period as u64, period).into_iter().cycle().take(len).collect();
    vec![
        ("noise", noise(1, len)),
        ("text", lines(&|n| format!("{} {}, ", word(n % 977), word(n * 7 % 1499)))),
        ("sql", lines(&|n| format!("INSERT INTO orders VALUES ({n}, '{}', {}.99);\n", word(n), n % 1000))),
        ("zeros", vec![0; len]),
        ("ones", vec![255; len]),
        ("period 2", periodic(2)),
        ("period 31", periodic(31)),
        ("period 64", periodic(64)),
        ("period 97", periodic(97)),
        ("counting", (0..len).map(|at| (at >> 8) as u8).collect()),
        ("sparse", noise(5, len).into_iter().map(|b| if b < 250 { 0 } else { b }).collect()),
    ]
}

#[test]
fn every_kind_of_content_is_cut_alike_by_every_class() {
    let both = Both::new(&table(1));
    for (name, bytes) in corpora(1_500_001) {
        for rule in &RULES {
            // Short chunks are shown by less.
            let len = bytes.len().min(200 * rule.max);
            let cuts = both.cuts(&bytes[..len], rule);
            assert_eq!(cuts.iter().sum::<usize>().max(len), len, "{name}, {rule:?}");
            // A chunk of length 0 (the rule with no least length) counts as the byte that was skipped.
            assert!(cuts.len() >= len / rule.max, "{name}, {rule:?}");
        }
    }
    // The long class with normalisation as it is: cuts in the middle, not by length alone.
    let cuts = both.cuts(&noise(3, 20 << 20), &RULES[3]);
    assert!(cuts.iter().filter(|cut| **cut < RULES[3].max).count() > 10, "{cuts:?}");
}

#[test]
fn every_length_around_the_edges_is_cut_alike() {
    let both = Both::new(&table(2));
    for (name, bytes) in corpora(300 * KIB) {
        for rule in RULES.iter().filter(|rule| rule.max <= 128 * KIB) {
            let around = |edge: usize| edge.saturating_sub(150)..edge + 150;
            let lengths = [0, rule.min, rule.avg, rule.max].into_iter().flat_map(around);
            for len in lengths.chain(0..2_300) {
                let cut = both.cut(&bytes[..len], rule);
                assert!(cut <= len, "{name}, {rule:?}, {len} bytes");
            }
        }
    }
}

/// With one bit under the mask nearly every place is a cut: each lane, and each place of the switch of masks, is looked at.
#[test]
fn a_cut_is_found_in_every_lane() {
    let both = Both::new(&table(3));
    let bytes = noise(4, 4096);
    for (min, avg) in (0..70).flat_map(|half| [(2 * half, 2 * half + 64), (64, 64 + 2 * half)]) {
        for (hard_bits, easy_bits) in [(1, 1), (4, 1), (7, 2), (32, 1), (32, 6), (1, 0), (0, 0), (0, 32)] {
            let rule = Rule { min, avg, max: 1000, hard_bits, easy_bits };
            for from in [0, 1, 3, 700, 1501] {
                let cut = both.cut(&bytes[from..], &rule);
                assert_eq!(cut, plain(&both.table, &bytes[from..], &rule), "{rule:?} from {from}");
            }
        }
    }
}

/// Values that carry through every bit, or through none.
#[test]
fn extreme_tables_are_followed() {
    let last_only = std::array::from_fn(|byte| if byte == 255 { u64::MAX } else { 0 });
    let high_bytes = std::array::from_fn(|byte| (byte as u64) << 24 | 0xffff_ffff_00ff_ffff);
    for table in
        [[0; 256], [u64::MAX; 256], [1; 256], [1 << 31; 256], [0x1_0000_0000; 256], last_only, high_bytes]
    {
        let both = Both::new(&table);
        for (_, bytes) in corpora(3000) {
            for rule in &RULES {
                both.cuts(&bytes, rule);
            }
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2000))]

    #[test]
    fn any_content_is_cut_alike(
        seed: u64,
        alphabet in 1_u8..=255,
        len in 0_usize..5000,
        at in 0_usize..64,
        steps in (0_usize..400, 0_usize..800, 0_usize..1200),
        bits in (0_u32..=32, 0_u32..=32),
    ) {
        let both = Both::new(&table(seed));
        let bytes: Vec<u8> = noise(!seed, len + at).into_iter().map(|byte| byte % alphabet).collect();
        let (min, avg) = (2 * steps.0, 2 * (steps.0 + steps.1));
        let max = avg + 2 * steps.2;
        let bytes = &bytes[at..];
        for bits in [bits, (bits.0 % 12, bits.1 % 8)] {
            let rule = Rule { min, avg, max, hard_bits: bits.0, easy_bits: bits.1 };
            both.cut(bytes, &rule);
        }
    }
}
