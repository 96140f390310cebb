//! Key slots: who can open the repository, and the keys that another one may share.

use std::fmt;

use serde::{Deserialize, Serialize};

use crate::backend::{Backend, BackendExt, Durability};
use crate::crypto::{Kdf, KeySlot, Secrets};
use crate::env::Env;
use crate::error::{Error, ErrorKind, Result};
use crate::format::Config;
use crate::monitor::Monitor;
use crate::names;
use crate::repository::{Repository, Secret};

/// Most key slots of a repository: each wrong password costs an Argon2id pass for every one.
const SLOTS_MAX: usize = 64;

/// What a sealed key is called where it is named.
const SEALED: &str = "the sealed key";

/// The keys that decide chunk ids and cut points; what `init --like` carries over.
#[derive(Clone)]
pub struct ChunkKeys([u8; 32]);

impl ChunkKeys {
    pub(crate) fn secret(&self) -> [u8; 32] {
        self.0
    }
}

impl fmt::Debug for ChunkKeys {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("ChunkKeys(..)")
    }
}

/// One way to open a repository.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct SlotInfo {
    /// Name of the slot.
    pub slot: String,
    /// `password` or `key-file`.
    pub kind: String,
    /// What the user called it.
    pub label: String,
    /// When it was made, nanoseconds since 1970.
    pub created_at: String,
    /// Whether the present secret opens it.
    pub current: bool,
}

/// The clock's time as text.
pub(crate) fn timestamp(env: &Env) -> String {
    env.clock.now().to_string()
}

/// A fresh name for a slot.
pub(crate) fn slot_name(env: &Env) -> Result<String> {
    Ok(format!("{}{}", names::KEYS, hex::encode(env.random_bytes::<4>()?)))
}

/// Finds the slot that `secret` opens and whose keys `fit` the config. A slot whose keys do not was left by an attempt
/// to make the repository that was interrupted, or lost against another one. A damaged slot is reported and passed over;
/// if nothing opens, damage is told first.
pub(crate) fn unlock(
    backend: &dyn Backend,
    secret: &Secret,
    fit: &dyn Fn(&Secrets) -> Result<()>,
    monitor: &dyn Monitor,
) -> Result<(String, Secrets)> {
    let mut tried = 0;
    let mut damage = None;
    let mut misfit = None;
    for entry in backend.list(names::KEYS, None, SLOTS_MAX)? {
        let opened = backend
            .read(&entry.name, None)
            .map_err(Error::from)
            .and_then(|bytes| KeySlot::decode(&entry.name, &bytes))
            .and_then(|slot| slot.unwrap(&entry.name, secret));
        match opened {
            Ok(Some(secrets)) => match fit(&secrets) {
                Ok(()) => return Ok((entry.name, secrets)),
                Err(e) if e.kind() == ErrorKind::Damaged => misfit = Some(e),
                Err(e) => return Err(e),
            },
            Ok(None) => tried += 1,
            Err(e) if e.kind() == ErrorKind::Damaged => {
                monitor.problem(&e.to_string());
                damage = Some(e);
            }
            Err(e) => return Err(e),
        }
    }
    match misfit.or(damage) {
        // With whole slots left, the secret is wrong for all of them: the damaged one may be the one it opens.
        Some(damage) => Err(damage),
        None if tried == 0 => Err(Error::missing("every key slot")),
        None => Err(Error::WrongKey { slots: tried }),
    }
}

/// A key that opens a repository, sealed with a password: the JSON of a key slot that wraps the key and 32 zero bytes.
///
/// # Errors
/// No randomness is to be had, or no memory for Argon2id.
pub fn seal_key(env: &Env, key: &[u8; 32], password: &str) -> Result<Vec<u8>> {
    let secret = Secret::Password(password.to_owned());
    let sealed = Secrets { master: *key, chunk: [0; 32] };
    KeySlot::wrap(env, &sealed, &secret, Kdf::for_secret(&secret), SEALED, &timestamp(env))?.encode()
}

/// The key that [`seal_key`] sealed; `None` for another password.
///
/// # Errors
/// [`Error::Damaged`] for what is not whole.
pub fn unseal_key(sealed: &[u8], password: &str) -> Result<Option<[u8; 32]>> {
    let slot = KeySlot::decode(SEALED, sealed)?;
    let opened = slot.unwrap(SEALED, &Secret::Password(password.to_owned()))?;
    Ok(opened.map(|secrets| secrets.master))
}

/// What of a repository's config or a key slot can be seen to be wrong without its keys.
///
/// # Errors
/// [`Error::Damaged`]; [`Error::TooNew`].
pub fn check_opener(object: &str, bytes: &[u8]) -> Result<()> {
    if object == names::CONFIG {
        Config::decode(bytes).map(drop)
    } else {
        KeySlot::decode(object, bytes).map(drop)
    }
}

impl Repository {
    /// All key slots.
    pub fn key_slots(&self) -> Result<Vec<SlotInfo>> {
        let inner = &self.inner;
        let mut slots = Vec::new();
        for entry in inner.backend.list(names::KEYS, None, SLOTS_MAX)? {
            let slot = KeySlot::decode(&entry.name, &inner.read(&entry.name)?)?;
            slots.push(SlotInfo {
                slot: entry.name.trim_start_matches(names::KEYS).to_owned(),
                kind: match slot.kdf {
                    Kdf::Password { .. } => "password".to_owned(),
                    Kdf::KeyFile => "key-file".to_owned(),
                },
                label: slot.label,
                created_at: slot.created_at,
                current: entry.name == inner.slot,
            });
        }
        Ok(slots)
    }

    /// Adds a slot and returns its name.
    pub fn add_key(&self, secret: &Secret, label: &str) -> Result<String> {
        let inner = &self.inner;
        inner.writable()?;
        if inner.backend.list(names::KEYS, None, SLOTS_MAX)?.len() >= SLOTS_MAX {
            return Err(Error::Refused(format!("there are {SLOTS_MAX} key slots already: remove one first")));
        }
        let name = slot_name(&inner.env)?;
        let now = timestamp(&inner.env);
        let slot = KeySlot::wrap(&inner.env, &inner.secrets, secret, Kdf::for_secret(secret), label, &now)?;
        inner.backend.create(&name, &slot.encode()?, Durability::Now)?;
        Ok(name.trim_start_matches(names::KEYS).to_owned())
    }

    /// Removes a slot, durably; the last one that can be read stays, and the error then names what cannot.
    pub fn remove_key(&self, slot: &str) -> Result<()> {
        let inner = &self.inner;
        inner.writable()?;
        let name = format!("{}{slot}", names::KEYS);
        let slots = inner.backend.list(names::KEYS, None, SLOTS_MAX)?;
        if !slots.iter().any(|e| e.name == name) {
            return Err(Error::Refused(format!("there is no key slot {slot:?}")));
        }
        // A slot that cannot be read does not count as one that is left.
        let (mut others, mut unreadable) = (0, None);
        for entry in slots.iter().filter(|e| e.name != name) {
            match inner.read(&entry.name).and_then(|bytes| KeySlot::decode(&entry.name, &bytes)) {
                Ok(_) => others += 1,
                Err(e) => unreadable = Some(e),
            }
        }
        if others == 0 {
            return Err(unreadable.unwrap_or_else(|| {
                Error::Refused("this is the last key slot: without it nothing could be restored".into())
            }));
        }
        inner.backend.remove(&name)?;
        Ok(inner.backend.sync()?)
    }

    /// Whether both give a chunk the same name: one was made like the other.
    pub fn names_chunks_like(&self, other: &Self) -> bool {
        self.inner.secrets.chunk == other.inner.secrets.chunk
    }

    /// The keys for `init --like`.
    pub fn chunk_keys(&self) -> ChunkKeys {
        ChunkKeys(self.inner.secrets.chunk)
    }
}
