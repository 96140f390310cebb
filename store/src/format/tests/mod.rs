//! Round trips of the larger structures, and what every decoder does with damaged bytes: an error, never a panic.

#![expect(clippy::unwrap_used, clippy::indexing_slicing, reason = "tests")]

mod limits;
mod pack;
mod run;
mod sealed;
mod toc;

use crate::crypto::{Keys, Secrets};

fn keys() -> Keys {
    Keys::new(&Secrets { master: [1; 32], chunk: [2; 32] })
}

/// `len` bytes that do not compress, different for each `seed`.
fn noise(seed: u64, len: usize) -> Vec<u8> {
    let mut bytes = vec![0; len];
    blake3::Hasher::new().update(&seed.to_le_bytes()).finalize_xof().fill(&mut bytes);
    bytes
}

/// Hands every copy of `bytes` with one flipped bit in each byte, and every shorter copy, to `refuses`.
fn damage(bytes: &[u8], refuses: impl Fn(&[u8]) -> bool) {
    for at in 0..bytes.len() {
        let mut bad = bytes.to_vec();
        bad[at] ^= 1 << (at % 8);
        assert!(refuses(&bad), "a flip in byte {at} of {} passes", bytes.len());
    }
    for len in 0..bytes.len() {
        assert!(refuses(&bytes[..len]), "the first {len} of {} bytes pass", bytes.len());
    }
}
