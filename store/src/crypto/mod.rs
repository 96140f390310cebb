//! Keys and seals: everything secret is derived from one master key, every sealed object has a key of its own.
//!
//! Pure computation; no I/O.

mod aead;
mod capsule;
mod derive;
mod slot;

pub(crate) use aead::{SealKey, TAG_BYTES};
pub(crate) use capsule::{Capsule, SessionKeys};
pub(crate) use derive::{Keys, Purpose, Secrets};
pub(crate) use slot::{Kdf, KeySlot};

/// Suite 1: BLAKE3 keyed ids and derivation, AES-256-GCM, X25519.
pub(crate) const SUITE: u8 = 1;
