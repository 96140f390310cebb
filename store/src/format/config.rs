//! The object `config`: what a repository is. JSON, then a line with checksum and MAC over every byte before.

use serde::{Deserialize, Serialize};

use crate::crypto::Keys;
use crate::error::{Error, Result};
use crate::id::RepositoryId;

/// Newest format version that this program knows.
const VERSION: u32 = 1;
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

impl Config {
    /// A new repository's config.
    pub(crate) fn new(id: RepositoryId, created_at: String) -> Self {
        Self { version: VERSION, id, suite: crate::crypto::SUITE, features: Vec::new(), created_at }
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
        #[derive(Deserialize)]
        struct Versioned {
            version: u32,
        }
        let versioned: Versioned = serde_json::from_slice(text).map_err(|e| damaged(&e.to_string()))?;
        if versioned.version > VERSION {
            return Err(too_new(format!("format version {}", versioned.version)));
        }
        let expected = format!("{} ", blake3::hash(text).to_hex());
        let mac =
            seal.strip_prefix(expected.as_bytes()).ok_or_else(|| damaged("its checksum does not fit"))?;
        let mac = mac
            .strip_suffix(b"\n")
            .and_then(|m| hex::decode(m).ok())
            .ok_or_else(|| damaged("its MAC is not hex"))?;
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
