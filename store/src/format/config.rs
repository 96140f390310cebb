//! The object `config`: what a repository is. JSON, then a line with checksum and MAC over every byte before.

use serde::{Deserialize, Serialize};

use crate::crypto::Keys;
use crate::error::{Error, Result};
use crate::id::RepositoryId;

/// Version of the format that this program writes, and the newest that it knows.
pub const FORMAT_VERSION: u32 = 1;
/// Features that this program knows; none yet.
const FEATURES: [&str; 0] = [];
/// Largest config in bytes.
const CONFIG_BYTES_MAX: usize = 64 << 10;

/// What a repository is.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Config {
    /// Format version.
    pub(crate) version: u32,
    /// Identity.
    pub(crate) id: RepositoryId,
    /// Suite of ids and seals.
    pub(crate) suite: u8,
    /// Features that a reader must know, or refuse.
    pub(crate) features: Vec<String>,
    /// When it was created, for people.
    pub(crate) created_at: String,
}

/// The one field of every version's config.
#[derive(Deserialize)]
struct Versioned {
    version: u32,
}

impl Config {
    /// A new repository's config.
    pub(crate) fn new(id: RepositoryId, created_at: String) -> Self {
        Self { version: FORMAT_VERSION, id, suite: crate::crypto::SUITE, features: Vec::new(), created_at }
    }

    /// The stored bytes.
    pub(crate) fn encode(&self, keys: &Keys) -> Result<Vec<u8>> {
        let mut bytes = serde_json::to_vec(self).map_err(|e| Error::Invalid(e.to_string()))?;
        bytes.push(b'\n');
        let seal = format!("{} {}\n", blake3::hash(&bytes).to_hex(), hex::encode(keys.config_mac(&bytes)));
        bytes.extend(seal.bytes());
        Ok(bytes)
    }

    /// Decodes, checks the checksum, and refuses what this program does not know.
    pub(crate) fn decode(bytes: &[u8]) -> Result<(Self, ConfigSeal)> {
        let damaged = |what: &str| Error::damaged("config", what);
        if bytes.len() > CONFIG_BYTES_MAX {
            return Err(damaged("it is too long"));
        }
        let cut = bytes.iter().position(|b| *b == b'\n').ok_or_else(|| damaged("it has one line only"))? + 1;
        let (text, seal) = bytes.split_at_checked(cut).ok_or_else(|| damaged("it is too short"))?;
        let expected = format!("{} ", blake3::hash(text).to_hex());
        let mac =
            seal.strip_prefix(expected.as_bytes()).ok_or_else(|| damaged("its checksum does not fit"))?;
        let mac = mac
            .strip_suffix(b"\n")
            .and_then(|m| hex::decode(m).ok())
            .ok_or_else(|| damaged("its MAC is not hex"))?;
        // The checksum stands like this in every version, so a flipped digit is no later version.
        let versioned: Versioned = serde_json::from_slice(text).map_err(|e| damaged(&e.to_string()))?;
        if versioned.version > FORMAT_VERSION {
            return Err(too_new(format!("format version {}", versioned.version)));
        }
        let config: Self = serde_json::from_slice(text).map_err(|e| damaged(&e.to_string()))?;
        if let Some(feature) = config.features.iter().find(|f| !FEATURES.contains(&f.as_str())) {
            return Err(too_new(format!("feature {feature:?}")));
        }
        if config.suite != crate::crypto::SUITE {
            return Err(too_new(format!("suite {}", config.suite)));
        }
        Ok((config, ConfigSeal { text: text.to_vec(), mac }))
    }
}

fn too_new(what: String) -> Error {
    Error::TooNew { object: "config".into(), what }
}

/// What is left to check of a config once the keys are known.
#[derive(Debug)]
pub(crate) struct ConfigSeal {
    text: Vec<u8>,
    mac: Vec<u8>,
}

impl ConfigSeal {
    /// Checks the MAC.
    pub(crate) fn check(&self, keys: &Keys) -> Result<()> {
        // Constant time is not needed: whoever can try has the keys.
        if self.mac == keys.config_mac(&self.text) {
            Ok(())
        } else {
            Err(Error::damaged("config", "it was changed"))
        }
    }
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, clippy::indexing_slicing, reason = "tests")]

    use super::*;
    use crate::crypto::Secrets;
    use crate::error::ErrorKind;

    fn keys(n: u8) -> Keys {
        Keys::new(&Secrets { master: [n; 32], chunk: [7; 32] })
    }

    fn config() -> Config {
        Config::new(RepositoryId([3; 16]), "0".to_owned())
    }

    #[test]
    fn a_config_round_trips_under_its_own_keys_only() {
        let bytes = config().encode(&keys(1)).unwrap();
        let (read, seal) = Config::decode(&bytes).unwrap();
        assert_eq!(read, config());
        seal.check(&keys(1)).unwrap();
        assert_eq!(seal.check(&keys(2)).unwrap_err().kind(), ErrorKind::Damaged);
    }

    #[test]
    fn every_flipped_bit_and_every_lost_end_is_damage() {
        let bytes = config().encode(&keys(1)).unwrap();
        let read = |bytes: &[u8]| Config::decode(bytes).and_then(|(_, seal)| seal.check(&keys(1)));
        for bit in 0..bytes.len() * 8 {
            let mut bad = bytes.clone();
            bad[bit / 8] ^= 1 << (bit % 8);
            // The case of a hex digit is no part of its value.
            if bad.eq_ignore_ascii_case(&bytes) && bit / 8 > bytes.len() - 66 {
                continue;
            }
            assert_eq!(read(&bad).unwrap_err().kind(), ErrorKind::Damaged, "bit {bit}");
        }
        for len in 0..bytes.len() {
            assert!(read(&bytes[..len]).is_err(), "{len} bytes");
        }
    }

    #[test]
    fn later_versions_and_unknown_features_are_refused() {
        let later = Config { version: 2, ..config() };
        let other = Config { features: vec!["parity".to_owned()], ..config() };
        for config in [later, other] {
            let error = Config::decode(&config.encode(&keys(1)).unwrap()).unwrap_err();
            assert_eq!(error.kind(), ErrorKind::TooNew);
        }
    }
}
