//! AES-256-GCM under keys that seal one object each; nonces are counters.

use aws_lc_rs::aead::{AES_256_GCM, Aad, LessSafeKey, Nonce, UnboundKey};

use crate::error::{Error, Result};

/// What sealing adds to a message, in bytes.
pub(crate) const TAG_BYTES: usize = 16;

/// The key of one object. No number may be sealed twice under it.
#[derive(Debug)]
pub(crate) struct SealKey(LessSafeKey);

impl SealKey {
    /// Takes 32 bytes that were derived for one object.
    pub(crate) fn new(bytes: &[u8; 32]) -> Result<Self> {
        let key =
            UnboundKey::new(&AES_256_GCM, bytes).map_err(|_| Error::Invalid("a key was refused".into()))?;
        Ok(Self(LessSafeKey::new(key)))
    }

    /// Seals `message` in place and appends the tag. `number` becomes the nonce: 8 bytes LE, then four zeros.
    pub(crate) fn seal(&self, number: u64, aad: &[u8], message: &mut Vec<u8>) -> Result<()> {
        self.0
            .seal_in_place_append_tag(nonce(number), Aad::from(aad), message)
            .map_err(|_| Error::Invalid("a message is too long to be sealed".into()))
    }

    /// Opens in place; `None` if it is not what was sealed under this key, number and `aad`.
    pub(crate) fn open<'m>(&self, number: u64, aad: &[u8], sealed: &'m mut [u8]) -> Option<&'m mut [u8]> {
        self.0.open_in_place(nonce(number), Aad::from(aad), sealed).ok()
    }
}

fn nonce(number: u64) -> Nonce {
    let mut bytes = [0; 12];
    for (to, from) in bytes.iter_mut().zip(number.to_le_bytes()) {
        *to = from;
    }
    Nonce::assume_unique_for_key(bytes)
}
