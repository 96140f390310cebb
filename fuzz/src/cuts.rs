//! The target of cut points: what the kernel finds is what the portable code finds.

use chronos_gear::{Gear, Rule, Table};

use crate::Target;

pub(crate) const TARGETS: &[Target] = &[Target::new("cuts", cuts, seeds)];

/// Bytes before the content: lengths, bits, the table.
const HEAD: usize = 16;

/// The rule and the table that the first bytes stand for. Tables of few values are among them.
fn head(bytes: &[u8; HEAD]) -> (Rule, Table) {
    let [m, n, a, b, x, y, hard, easy, values, seed @ ..] = *bytes;
    let (min, avg) =
        (2 * usize::from(u16::from_le_bytes([m, n % 8])), 2 * usize::from(u16::from_le_bytes([a, b % 32])));
    let max = min + avg + 2 * usize::from(u16::from_le_bytes([x, y]));
    let rule =
        Rule { min, avg: min + avg, max, hard_bits: u32::from(hard % 33), easy_bits: u32::from(easy % 33) };
    let mut stream = blake3::Hasher::new().update(&seed).finalize_xof();
    let mut random = [[0; 8]; 256];
    random.iter_mut().for_each(|value| stream.fill(value));
    let mut table = random.map(u64::from_le_bytes);
    if values != 0 {
        let few: Vec<u64> = table.iter().copied().take(usize::from(values)).collect();
        table.iter_mut().zip(few.iter().cycle()).for_each(|(value, one)| *value = *one);
    }
    (rule, table)
}

fn cuts(bytes: &[u8]) -> bool {
    let Some((first, mut rest)) = bytes.split_first_chunk() else { return false };
    let (rule, table) = head(first);
    let (fast, portable) = (Gear::new(&table), Gear::portable(&table));
    while !rest.is_empty() {
        let cut = fast.cut(rest, &rule);
        assert_eq!(cut, portable.cut(rest, &rule), "{rule:?}, {} bytes", rest.len());
        rest = rest.get(cut.max(1)..).unwrap_or_default();
    }
    true
}

fn seeds() -> Vec<Vec<u8>> {
    let text: Vec<u8> =
        b"INSERT INTO orders VALUES (1, 'Ada', 1815);\n".iter().copied().cycle().take(3001).collect();
    let mut noise = vec![0; 4000];
    blake3::Hasher::new().finalize_xof().fill(&mut noise);
    let heads: [[u8; HEAD]; 4] = [
        [32, 0, 64, 0, 0, 1, 9, 5, 0, 1, 2, 3, 4, 5, 6, 7],
        [0, 0, 33, 0, 200, 0, 6, 2, 0, 9, 9, 9, 9, 9, 9, 9],
        [7, 0, 100, 1, 0, 8, 32, 12, 3, 0, 0, 0, 0, 0, 0, 0],
        [1, 0, 1, 0, 0, 0, 1, 0, 1, 0, 0, 0, 0, 0, 0, 0],
    ];
    let contents = [text, noise, vec![0; 700]];
    heads
        .iter()
        .flat_map(|head| contents.iter().map(move |content| [head, content.as_slice()].concat()))
        .collect()
}
