//! zstd with reused contexts, bounded output, and the test that spares incompressible bytes.

use std::cell::RefCell;

use zstd::bulk::{Compressor, Decompressor};

use crate::error::{Error, Result};

/// Strips that the entropy test looks at, and their length in bytes: 4 KiB in all, spread evenly.
const STRIPS: usize = 16;
const STRIP_BYTES: usize = 256;
/// Order-0 entropy in bits a byte above which compressing is not tried; random bytes reach 7.95, compiled programs 6.5.
const ENTROPY_MAX: f64 = 7.85;

thread_local! {
    static COMPRESSOR: RefCell<Option<(i32, Compressor<'static>)>> = const { RefCell::new(None) };
    static DECOMPRESSOR: RefCell<Option<Decompressor<'static>>> = const { RefCell::new(None) };
}

/// Compresses as one zstd frame.
pub(crate) fn compress(bytes: &[u8], level: i32) -> Result<Vec<u8>> {
    let mut packed = Vec::new();
    compress_into(bytes, level, &mut packed)?;
    packed.shrink_to_fit();
    Ok(packed)
}

/// The same into memory whose content is given up.
pub(crate) fn compress_into(bytes: &[u8], level: i32, packed: &mut Vec<u8>) -> Result<()> {
    let failed = |e: std::io::Error| Error::Invalid(format!("zstd: {e}"));
    COMPRESSOR.with_borrow_mut(|slot| {
        if slot.as_ref().is_none_or(|(l, _)| *l != level) {
            *slot = Some((level, Compressor::new(level).map_err(failed)?));
        }
        let Some((_, compressor)) = slot.as_mut() else {
            return Err(Error::Invalid("zstd: no context".into()));
        };
        packed.clear();
        packed.reserve(zstd::zstd_safe::compress_bound(bytes.len()));
        compressor.compress_to_buffer(bytes, packed).map(drop).map_err(failed)
    })
}

/// Expands one zstd frame to exactly `length` bytes; `None` if that is not what it holds.
pub(crate) fn expand(bytes: &[u8], length: usize) -> Option<Vec<u8>> {
    expand_into(bytes, length, Vec::new())
}

/// The same into memory whose content is given up.
pub(crate) fn expand_into(bytes: &[u8], length: usize, mut plain: Vec<u8>) -> Option<Vec<u8>> {
    // A frame that claims to be longer than it may be is refused before anything is allocated.
    if zstd::zstd_safe::get_frame_content_size(bytes).ok()?? != length as u64 {
        return None;
    }
    DECOMPRESSOR.with_borrow_mut(|slot| {
        if slot.is_none() {
            *slot = Some(Decompressor::new().ok()?);
        }
        plain.clear();
        plain.reserve_exact(length);
        slot.as_mut()?.decompress_to_buffer(bytes, &mut plain).ok()?;
        (plain.len() == length).then_some(plain)
    })
}

/// Whether bytes look as random as encrypted or compressed ones.
pub(crate) fn is_incompressible(bytes: &[u8]) -> bool {
    if bytes.len() < STRIPS * STRIP_BYTES {
        return false;
    }
    entropy(bytes) > ENTROPY_MAX
}

/// Order-0 entropy in bits a byte of 16 strips of 256 bytes, spread evenly.
pub(crate) fn entropy(bytes: &[u8]) -> f64 {
    let mut counts = [0_u32; 256];
    let step = (bytes.len() / STRIPS).max(1);
    let mut seen = 0_u32;
    for strip in bytes.chunks(step).take(STRIPS) {
        for byte in strip.iter().take(STRIP_BYTES) {
            if let Some(count) = counts.get_mut(usize::from(*byte)) {
                *count += 1;
            }
            seen += 1;
        }
    }
    let total = f64::from(seen.max(1));
    counts.iter().filter(|c| **c > 0).map(|c| f64::from(*c) / total).map(|p| -p * p.log2()).sum()
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "tests")]

    use super::*;

    #[test]
    fn what_is_compressed_expands_to_its_exact_length_only() {
        let plain = b"abcabcabc".repeat(1000);
        let packed = compress(&plain, 3).unwrap();
        assert!(packed.len() < plain.len() / 10);
        assert_eq!(expand(&packed, plain.len()).unwrap(), plain);
        assert_eq!(expand(&packed, plain.len() - 1), None);
        assert_eq!(expand(&packed, plain.len() + 1), None);
        assert_eq!(expand(b"garbage", 7), None);
    }

    #[test]
    fn random_bytes_are_incompressible_and_text_is_not() {
        let mut random = vec![0; 1 << 16];
        blake3::Hasher::new().finalize_xof().fill(&mut random);
        assert!(is_incompressible(&random));
        assert!(!is_incompressible(&b"some text of a kind ".repeat(1000)));
        assert!(!is_incompressible(b"short"));
    }
}
