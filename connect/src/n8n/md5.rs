//! MD5 (RFC 1321), for what others have made with it; nothing here relies on it.

/// How far each of the four rounds turns.
const TURNS: [[u32; 4]; 4] = [[7, 12, 17, 22], [5, 9, 14, 20], [4, 11, 16, 23], [6, 10, 15, 21]];
/// Bytes of a block, and of the length at the end of the last.
const BLOCK: usize = 64;
const LENGTH: usize = 8;

/// The digest of some bytes.
pub(super) fn md5(input: &[u8]) -> [u8; 16] {
    let mut padded = input.to_vec();
    padded.push(0x80);
    while padded.len() % BLOCK != BLOCK - LENGTH {
        padded.push(0);
    }
    padded.extend_from_slice(&(input.len() as u64).wrapping_mul(8).to_le_bytes());
    let mut state = [0x6745_2301_u32, 0xefcd_ab89, 0x98ba_dcfe, 0x1032_5476];
    for block in padded.chunks_exact(BLOCK) {
        let words: Vec<u32> = block
            .chunks_exact(4)
            .map(|four| four.iter().rev().fold(0, |word, byte| (word << 8) | u32::from(*byte)))
            .collect();
        state = turned(state, &words);
    }
    let mut digest = [0; 16];
    for (place, byte) in digest.iter_mut().zip(state.iter().flat_map(|word| word.to_le_bytes())) {
        *place = byte;
    }
    digest
}

/// The state after a block.
fn turned(before: [u32; 4], words: &[u32]) -> [u32; 4] {
    let [mut a, mut b, mut c, mut d] = before;
    for step in 0..64_usize {
        let (mixed, word) = match step / 16 {
            0 => ((b & c) | (!b & d), step),
            1 => ((d & b) | (!d & c), (5 * step + 1) % 16),
            2 => (b ^ c ^ d, (3 * step + 5) % 16),
            _ => (c ^ (b | !d), (7 * step) % 16),
        };
        let turn = TURNS.get(step / 16).and_then(|round| round.get(step % 4)).copied().unwrap_or_default();
        // The whole part of 2^32 times the sine, as the RFC has it.
        let sine = ((step + 1) as f64).sin().abs() * 4_294_967_296.0;
        let sum = a
            .wrapping_add(mixed)
            .wrapping_add(sine as u32)
            .wrapping_add(words.get(word).copied().unwrap_or_default());
        (a, d, c, b) = (d, c, b, b.wrapping_add(sum.rotate_left(turn)));
    }
    let [a0, b0, c0, d0] = before;
    [a0.wrapping_add(a), b0.wrapping_add(b), c0.wrapping_add(c), d0.wrapping_add(d)]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_digests_are_those_of_the_rfc() {
        let hex = |text: &str| md5(text.as_bytes()).iter().map(|b| format!("{b:02x}")).collect::<String>();
        for (text, digest) in [
            ("", "d41d8cd98f00b204e9800998ecf8427e"),
            ("abc", "900150983cd24fb0d6963f7d28e17f72"),
            ("message digest", "f96b697d7cb7938d525a2f31aaf161d0"),
            (
                "12345678901234567890123456789012345678901234567890123456789012345678901234567890",
                "57edf4a22be3c955ac49da2e2107b67a",
            ),
        ] {
            assert_eq!(hex(text), digest, "{text}");
        }
    }
}
