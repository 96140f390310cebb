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
/// Least memory that Argon2id works with, in KiB.
const MEMORY_KIB_MIN: u32 = 8;
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

    /// Whether a slot may ask for this.
    fn is_acceptable(self) -> bool {
        match self {
            Self::Password { memory_kib, passes } => {
                (MEMORY_KIB_MIN..=MEMORY_KIB_MAX).contains(&memory_kib) && (1..=PASSES_MAX).contains(&passes)
            }
            Self::KeyFile => true,
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
        if !self.kdf.is_acceptable() {
            return Err(damaged("it asks for too much memory or too many passes"));
        }
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
        let slot: Self = match serde_json::from_slice(bytes) {
            Ok(slot) => slot,
            Err(e) => {
                // A later version may have other fields.
                let versioned: Versioned =
                    serde_json::from_slice(bytes).map_err(|e| Error::damaged(object, e))?;
                return Err(if versioned.v > 1 {
                    too_new(object, versioned.v)
                } else {
                    Error::damaged(object, e)
                });
            }
        };
        if slot.checksum != slot.sum() {
            return Err(Error::damaged(object, "its checksum does not fit"));
        }
        if slot.v == 1 { Ok(slot) } else { Err(too_new(object, slot.v)) }
    }

    /// With the checksum that fits its fields, whatever they are.
    #[cfg(feature = "fuzz")]
    pub(crate) fn with_sum(mut self) -> Self {
        self.checksum = self.sum();
        self
    }

    fn sum(&self) -> String {
        let bare = Self { checksum: String::new(), ..self.clone() };
        let bytes = serde_json::to_vec(&bare).unwrap_or_default();
        blake3::hash(&bytes).to_hex().to_string()
    }
}

fn too_new(object: &str, v: u32) -> Error {
    Error::TooNew { object: object.to_owned(), what: format!("version {v}") }
}

/// The wrapping key and the commitment to it; `None` if the secret is of the other kind.
fn wrapping_key(secret: &Secret, kdf: Kdf, salt: &[u8; 32]) -> Result<Option<(SealKey, [u8; 32])>> {
    let mut stretched = [0; 32];
    match (secret, kdf) {
        (Secret::Key(key), Kdf::KeyFile) => stretched = *key,
        (Secret::Password(password), Kdf::Password { memory_kib, passes }) => {
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

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, clippy::indexing_slicing, reason = "tests")]

    use super::*;
    use crate::error::ErrorKind;

    const CHEAP: Kdf = Kdf::Password { memory_kib: 64, passes: 1 };

    fn secrets() -> Secrets {
        Secrets { master: [1; 32], chunk: [2; 32] }
    }

    fn slot(secret: &Secret, kdf: Kdf) -> KeySlot {
        KeySlot::wrap(&Env::system(), &secrets(), secret, kdf, "label", "0").unwrap()
    }

    fn password(text: &str) -> Secret {
        Secret::Password(text.to_owned())
    }

    #[test]
    fn a_slot_opens_with_its_own_secret_only() {
        let slots = [slot(&password("right"), CHEAP), slot(&Secret::Key([5; 32]), Kdf::KeyFile)]
            .map(|s| s.encode().unwrap());
        let own = [password("right"), Secret::Key([5; 32])];
        let others = [password("wrong"), Secret::Key([6; 32]), password("")];
        for (bytes, own) in slots.iter().zip(&own) {
            let slot = KeySlot::decode("keys/a", bytes).unwrap();
            let opened = slot.unwrap("keys/a", own).unwrap().unwrap();
            assert_eq!((opened.master, opened.chunk), ([1; 32], [2; 32]));
            assert!(others.iter().all(|o| slot.unwrap("keys/a", o).unwrap().is_none()));
        }
    }

    #[test]
    fn a_damaged_slot_is_never_taken_for_a_wrong_password() {
        let whole = slot(&Secret::Key([5; 32]), Kdf::KeyFile);
        let bytes = whole.encode().unwrap();
        for bit in 0..bytes.len() * 8 {
            let mut bad = bytes.clone();
            bad[bit / 8] ^= 1 << (bit % 8);
            match KeySlot::decode("keys/a", &bad) {
                // One white space for another changes nothing.
                Ok(read) => assert_eq!(read, whole, "bit {bit}"),
                Err(e) => assert_eq!(e.kind(), ErrorKind::Damaged, "bit {bit}: {e}"),
            }
        }
        for len in 0..bytes.len() {
            assert!(KeySlot::decode("keys/a", &bytes[..len]).is_err());
        }
    }

    #[test]
    fn a_planted_slot_cannot_ask_for_all_memory() {
        let mut planted = slot(&password("x"), CHEAP);
        planted.kdf = Kdf::Password { memory_kib: u32::MAX, passes: 1 };
        planted.checksum = planted.sum();
        let read = KeySlot::decode("keys/a", &planted.encode().unwrap()).unwrap();
        assert_eq!(read.unwrap("keys/a", &password("x")).unwrap_err().kind(), ErrorKind::Damaged);
    }

    #[test]
    fn later_versions_are_refused() {
        let mut later = slot(&Secret::Key([5; 32]), Kdf::KeyFile);
        later.v = 2;
        later.checksum = later.sum();
        let bytes = later.encode().unwrap();
        assert_eq!(KeySlot::decode("keys/a", &bytes).unwrap_err().kind(), ErrorKind::TooNew);
        let other = br#"{"v": 2, "something": "else"}"#;
        assert_eq!(KeySlot::decode("keys/a", other).unwrap_err().kind(), ErrorKind::TooNew);
    }
}
