//! Session keys, sealed to the repository's public keys by one ephemeral X25519 key.
//!
//! A session makes a fresh key; its public half, the capsule, stands in every pack of the session. Whoever holds the
//! secret half of a pair gets that kind's key back; a writer needs public halves only.

use std::fmt;

use aws_lc_rs::agreement::{PrivateKey, UnparsedPublicKey, X25519, agree};
use zeroize::Zeroize;

use super::aead::SealKey;
use super::derive::Keys;
use crate::env::Env;
use crate::error::{Error, Result};
use crate::id::ChunkKind;

/// The public half of a session's ephemeral key.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(crate) struct Capsule(pub(crate) [u8; 32]);

/// The three frame keys of one session, by kind of chunk.
#[derive(Clone)]
pub(crate) struct SessionKeys {
    capsule: Capsule,
    keys: [[u8; 32]; 3],
}

impl fmt::Debug for SessionKeys {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("SessionKeys(..)")
    }
}

impl Drop for SessionKeys {
    fn drop(&mut self) {
        self.keys.zeroize();
    }
}

const KINDS: [ChunkKind; 3] = [ChunkKind::Data, ChunkKind::Refs, ChunkKind::Meta];

impl SessionKeys {
    /// Makes the keys of a new session.
    pub(crate) fn new(env: &Env, repository: &Keys) -> Result<Self> {
        let mut secret: [u8; 32] = env.random_bytes()?;
        let ephemeral = private(&secret)?;
        secret.zeroize();
        let capsule = Capsule(public(&ephemeral)?);
        Self::derive(capsule, |kind| {
            let theirs = public(&private(repository.pair(kind))?)?;
            Ok((agreed(&ephemeral, &theirs)?, theirs))
        })
    }

    /// Gets the keys of a session back from its capsule.
    pub(crate) fn open(capsule: Capsule, repository: &Keys) -> Result<Self> {
        Self::derive(capsule, |kind| {
            let secret = private(repository.pair(kind))?;
            Ok((agreed(&secret, &capsule.0)?, public(&secret)?))
        })
    }

    fn derive(capsule: Capsule, shared: impl Fn(ChunkKind) -> Result<([u8; 32], [u8; 32])>) -> Result<Self> {
        let mut keys = [[0; 32]; 3];
        for (key, kind) in keys.iter_mut().zip(KINDS) {
            let (mut secret, public) = shared(kind)?;
            let mut hasher = blake3::Hasher::new_derive_key("chronos v1 session");
            hasher.update(&secret).update(&capsule.0).update(&public).update(&[kind as u8]);
            *key = *hasher.finalize().as_bytes();
            secret.zeroize();
        }
        Ok(Self { capsule, keys })
    }

    /// The public half.
    pub(crate) fn capsule(&self) -> Capsule {
        self.capsule
    }

    /// The key of the frames of one kind in the pack with this salt.
    pub(crate) fn frame_key(&self, kind: ChunkKind, salt: &[u8; 32]) -> Result<SealKey> {
        let [data, refs, meta] = &self.keys;
        let base = match kind {
            ChunkKind::Data => data,
            ChunkKind::Refs => refs,
            ChunkKind::Meta => meta,
        };
        SealKey::new(blake3::keyed_hash(base, salt).as_bytes())
    }
}

fn private(secret: &[u8; 32]) -> Result<PrivateKey> {
    PrivateKey::from_private_key(&X25519, secret).map_err(|_| refused())
}

fn public(private: &PrivateKey) -> Result<[u8; 32]> {
    let key = private.compute_public_key().map_err(|_| refused())?;
    key.as_ref().try_into().map_err(|_| refused())
}

fn agreed(private: &PrivateKey, public: &[u8; 32]) -> Result<[u8; 32]> {
    agree(private, UnparsedPublicKey::new(&X25519, public), refused(), |secret| {
        secret.try_into().map_err(|_| refused())
    })
}

fn refused() -> Error {
    Error::Invalid("a key agreement was refused".into())
}
