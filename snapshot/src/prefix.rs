//! How far two byte strings are equal: asked of neighbouring paths, which are short, and of versions of files.

/// Bytes compared at once as long as they are equal,
const BLOCK: usize = 32;
/// and where they differ.
const WORD: usize = 8;

/// How many bytes two begin with in common.
pub(crate) fn shared(a: &[u8], b: &[u8]) -> usize {
    let blocks = a.as_chunks::<BLOCK>().0.iter().zip(b.as_chunks::<BLOCK>().0);
    let before = BLOCK * blocks.take_while(|(a, b)| a == b).count();
    let (a, b) = (a.get(before..).unwrap_or_default(), b.get(before..).unwrap_or_default());
    let mut at = 0;
    for (a, b) in a.as_chunks::<WORD>().0.iter().zip(b.as_chunks::<WORD>().0) {
        let difference = u64::from_le_bytes(*a) ^ u64::from_le_bytes(*b);
        if difference != 0 {
            return before + at + (difference.trailing_zeros() / u8::BITS) as usize;
        }
        at += WORD;
    }
    let (a, b) = (a.get(at..).unwrap_or_default(), b.get(at..).unwrap_or_default());
    before + at + a.iter().zip(b).take_while(|(a, b)| a == b).count()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_difference_ends_it_wherever_it_is() {
        let one = [7; 100];
        for len in 0..=one.len() {
            let (short, _) = one.split_at(len);
            assert_eq!((shared(&one, short), shared(short, &one)), (len, len));
            for (at, bit) in (0..len).flat_map(|at| [(at, 1), (at, 128)]) {
                let mut other = short.to_vec();
                for byte in other.iter_mut().skip(at).step_by(3) {
                    *byte ^= bit;
                }
                assert_eq!((shared(&one, &other), shared(&other, &one)), (at, at));
            }
        }
    }
}
