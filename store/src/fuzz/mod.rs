//! Every decoder of this crate as a plain function over bytes, for the crate `fuzz`; compiled with the feature `fuzz` alone.
//!
//! A target returns whether the bytes decoded, and panics where something is said to hold and does not. What is sealed is
//! sealed by the target, so that mutations reach the decoder below; targets that take sealed bytes as they are stand beside.

#![expect(
    clippy::unwrap_used,
    clippy::disallowed_methods,
    reason = "what a target seals or encodes itself cannot fail; files are laid out for decoders to read"
)]

mod local;
mod pack;
mod plain;
mod run;
mod sealed;

use std::sync::{Arc, OnceLock};

use crate::crypto::{Keys, Secrets};
use crate::env::{Env, Random};
use crate::error::Result;
use crate::id::{ChunkId, PackName, SessionId};

/// A decoder under test.
#[derive(Clone, Copy, Debug)]
pub struct Target {
    /// Its name, also that of its corpus.
    pub name: &'static str,
    /// Decodes; whether the bytes were taken.
    pub run: fn(&[u8]) -> bool,
    /// Inputs that decode, made by the encoders.
    pub seeds: fn() -> Vec<Vec<u8>>,
    /// Most memory in use at a time: this many bytes for each byte of input …
    pub bytes_per_byte: usize,
    /// … and so many more.
    pub bytes_fixed: usize,
}

impl Target {
    /// A decoder that holds at most 64 bytes for each byte that it is given, and 256 KiB.
    pub const fn new(name: &'static str, run: fn(&[u8]) -> bool, seeds: fn() -> Vec<Vec<u8>>) -> Self {
        Self { name, run, seeds, bytes_per_byte: 64, bytes_fixed: 256 << 10 }
    }

    /// With another bound of memory.
    #[must_use]
    pub const fn within(self, bytes_per_byte: usize, bytes_fixed: usize) -> Self {
        Self { bytes_per_byte, bytes_fixed, ..self }
    }
}

/// The targets of this crate.
pub fn targets() -> Vec<Target> {
    [plain::TARGETS, sealed::TARGETS, pack::TARGETS, run::TARGETS, local::TARGETS].concat()
}

/// The keys that targets seal with.
fn keys() -> &'static Keys {
    static KEYS: OnceLock<Keys> = OnceLock::new();
    KEYS.get_or_init(|| Keys::new(&Secrets { master: [1; 32], chunk: [2; 32] }))
}

/// A clock that stands and random bytes that are always the same: seeds do not differ from run to run.
fn env() -> Env {
    #[derive(Debug)]
    struct Fixed;
    impl Random for Fixed {
        fn fill(&self, bytes: &mut [u8]) -> Result<()> {
            bytes.fill(0x5a);
            Ok(())
        }
    }
    Env { random: Arc::new(Fixed), ..Env::system() }
}

fn session(n: u64) -> SessionId {
    SessionId::new(n, "host", n).unwrap()
}

fn pack_name(seq: u32) -> PackName {
    PackName { session: session(3), seq, attempt: 7 }
}

fn chunk(n: u8) -> ChunkId {
    ChunkId([n; 32])
}

/// Splits off a part whose length, `u16` LE, stands first; what is missing is empty.
fn part<'a>(bytes: &mut &'a [u8]) -> &'a [u8] {
    let Some((length, rest)) = bytes.split_first_chunk::<2>() else { return std::mem::take(bytes) };
    let length = usize::from(u16::from_le_bytes(*length)).min(rest.len());
    let (part, rest) = rest.split_at_checked(length).unwrap_or((rest, &[]));
    *bytes = rest;
    part
}

/// Puts a part in front of what follows, as [`part`] reads it.
fn with_part(part: &[u8], rest: &[u8]) -> Vec<u8> {
    [&(part.len() as u16).to_le_bytes(), part, rest].concat()
}
