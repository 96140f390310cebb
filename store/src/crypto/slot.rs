//! Key slots: the secrets of a repository, wrapped by a passphrase or by a key file.
//!
//! A slot is JSON with a plain checksum over its other fields, so damage is told from a wrong password. The wrap commits to its
//! key: a slot never opens to two different secrets.

use argon2::{Algorithm, Argon2, Params, Version};
use serde::{Deserialize, Serialize};
use zeroize::Zeroize;

use super::aead::SealKey;
use super::derive::Secrets;
use crate::env::Env;
use crate::error::{Error, Result};
use crate::repository::Secret;

/// Most memory that a slot may ask for, in KiB: a hostile slot must not exhaust the machine.
const MEMORY_KIB_MAX: u32 = 4 << 20;
/// Most passes that a slot may ask for.
const PASSES_MAX: u32 = 64;
/// Largest slot object in bytes.
pub(crate) const SLOT_BYTES_MAX: usize = 16 << 10;

/// How a secret becomes the wrapping key.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "kebab-case", deny_unknown_fields)]
pub(crate) enum Kdf {
    /// A passphrase, by Argon2id version 0x13 with one lane.
    Password {
        /// Memory in KiB.
        memory_kib: u32,
        /// Passes.
        passes: u32,
    },
    /// 32 random bytes: no stretching needed.
    KeyFile,
}

impl Kdf {
    /// What a new slot for `secret` uses: 256 MiB and three passes take about a second.
    pub(crate) fn for_secret(secret: &Secret) -> Self {
        match secret {
            Secret::Password(_) => Self::Password { memory_kib: 256 << 10, passes: 3 },
            Secret::Key(_) => Self::KeyFile,
        }
    }
}

/// One key slot as it is stored.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct KeySlot {
    /// Version of this structure: 1.
    v: u32,
    /// How the secret becomes the wrapping key.
    pub(crate) kdf: Kdf,
    /// Salt of the wrapping key, hex.
    salt: String,
    /// Commitment to the wrapping key, hex.
    commit: String,
    /// The sealed secrets, hex.
    wrapped: String,
    /// What the user called it.
    pub(crate) label: String,
    /// RFC 3339 or nanoseconds since 1970, for people.
    pub(crate) created_at: String,
    /// BLAKE3 over the JSON of all other fields with this one empty, hex.
    checksum: String,
}

impl KeySlot {
    /// Wraps `secrets` for `secret`.
    pub(crate) fn wrap(
        env: &Env,
        secrets: &Secrets,
        secret: &Secret,
        kdf: Kdf,
        label: &str,
        created_at: &str,
    ) -> Result<Self> {
        let salt: [u8; 32] = env.random_bytes()?;
        let (key, commit) = wrapping_key(secret, kdf, &salt)?
            .ok_or_else(|| Error::Invalid("the key slot's kind does not fit the secret".into()))?;
        let mut wrapped = [secrets.master, secrets.chunk].concat();
        key.seal(0, &salt, &mut wrapped)?;
        let mut slot = Self {
            v: 1,
            kdf,
            salt: hex::encode(salt),
            commit: hex::encode(commit),
            wrapped: hex::encode(wrapped),
            label: label.to_owned(),
            created_at: created_at.to_owned(),
            checksum: String::new(),
        };
        slot.checksum = slot.sum();
        Ok(slot)
    }

    /// Opens the slot; `None` if the secret is not its own.
    pub(crate) fn unwrap(&self, object: &str, secret: &Secret) -> Result<Option<Secrets>> {
        let damaged = |what: &str| Error::damaged(object, what);
        let mut salt = [0; 32];
        hex::decode_to_slice(&self.salt, &mut salt).map_err(|_| damaged("its salt is not hex"))?;
        let Some((key, commit)) = wrapping_key(secret, self.kdf, &salt)? else { return Ok(None) };
        if hex::encode(commit) != self.commit {
            return Ok(None);
        }
        let mut wrapped = hex::decode(&self.wrapped).map_err(|_| damaged("its content is not hex"))?;
        let plain = key.open(0, &salt, &mut wrapped).ok_or_else(|| damaged("its content does not open"))?;
        let (Some((master, rest)), mut secrets) =
            (plain.split_first_chunk::<32>(), Secrets { master: [0; 32], chunk: [0; 32] })
        else {
            return Err(damaged("its content is too short"));
        };
        secrets.master = *master;
        secrets.chunk = rest.try_into().map_err(|_| damaged("its content has a wrong length"))?;
        plain.zeroize();
        Ok(Some(secrets))
    }

    /// The stored bytes.
    pub(crate) fn encode(&self) -> Result<Vec<u8>> {
        serde_json::to_vec_pretty(self).map_err(|e| Error::Invalid(e.to_string()))
    }

    /// Decodes and checks a slot.
    pub(crate) fn decode(object: &str, bytes: &[u8]) -> Result<Self> {
        #[derive(Deserialize)]
        struct Versioned {
            v: u32,
        }
        if bytes.len() > SLOT_BYTES_MAX {
            return Err(Error::damaged(object, "it is too long for a key slot"));
        }
        let versioned: Versioned = serde_json::from_slice(bytes).map_err(|e| Error::damaged(object, e))?;
        if versioned.v > 1 {
            return Err(Error::TooNew {
                object: object.to_owned(),
                what: format!("version {}", versioned.v),
            });
        }
        let slot: Self = serde_json::from_slice(bytes).map_err(|e| Error::damaged(object, e))?;
        if slot.checksum != slot.sum() {
            return Err(Error::damaged(object, "its checksum does not fit"));
        }
        Ok(slot)
    }

    fn sum(&self) -> String {
        let bare = Self { checksum: String::new(), ..self.clone() };
        let bytes = serde_json::to_vec(&bare).unwrap_or_default();
        blake3::hash(&bytes).to_hex().to_string()
    }
}

/// The wrapping key and the commitment to it; `None` if the secret is of the other kind.
fn wrapping_key(secret: &Secret, kdf: Kdf, salt: &[u8; 32]) -> Result<Option<(SealKey, [u8; 32])>> {
    let mut stretched = [0; 32];
    match (secret, kdf) {
        (Secret::Key(key), Kdf::KeyFile) => stretched = *key,
        (Secret::Password(password), Kdf::Password { memory_kib, passes }) => {
            if memory_kib > MEMORY_KIB_MAX || passes > PASSES_MAX {
                return Err(Error::Invalid(format!(
                    "a key slot asks for {memory_kib} KiB of memory and {passes} passes: too much"
                )));
            }
            let invalid = |e: argon2::Error| Error::Invalid(format!("Argon2id: {e}"));
            let params = Params::new(memory_kib, passes, 1, Some(32)).map_err(invalid)?;
            Argon2::new(Algorithm::Argon2id, Version::V0x13, params)
                .hash_password_into(password.as_bytes(), salt, &mut stretched)
                .map_err(invalid)?;
        }
        _ => return Ok(None),
    }
    let derive = |context: &str| {
        let mut hasher = blake3::Hasher::new_derive_key(context);
        hasher.update(&stretched).update(salt);
        *hasher.finalize().as_bytes()
    };
    let (key, commit) = (derive("chronos v1 slot wrap"), derive("chronos v1 slot commitment"));
    stretched.zeroize();
    Ok(Some((SealKey::new(&key)?, commit)))
}
