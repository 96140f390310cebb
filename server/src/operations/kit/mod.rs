//! The recovery kit: what, beside the repository itself, has to survive for everything to come back.
//!
//! What always holds: a kit is worth nothing without its password. It has a key of its own, which opens the repository until the key is
//! removed there, also when every other key was changed since; sealed with the password it stands in the kit.

mod export;
mod mend;
mod open;
mod page;
mod place;

use std::fs::File;
use std::io::Read;
use std::path::Path;

use chronos_store::unseal_key;
use serde::{Deserialize, Serialize};
use zeroize::Zeroizing;

use crate::error::{Error, Result};
use crate::values::shown;
use crate::workplace::key_file::Key;

pub use export::{ExportRequest, Exported, export};
pub use open::{Newest, OpenRequest, OpenedKit, open};
pub use page::quoted;

/// What a kit says that it is.
const KIND: &str = "chronos recovery kit";
/// Version of this structure.
const VERSION: u32 = 1;
/// Longest kit that is read, in bytes.
const KIT_BYTES_MAX: u64 = 4 << 20;
/// Where a repository has its key slots.
const SLOTS: &str = "keys/";

/// A recovery kit.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Kit {
    kind: String,
    version: u32,
    /// Version of the repository's format.
    pub format_version: u32,
    /// When it was made, RFC 3339.
    pub created_at: String,
    /// Where it was made.
    pub host: String,
    /// Id of the repository, hex.
    pub repository: String,
    /// Where the repository is, and copies of it.
    pub locations: Vec<String>,
    /// Name of the key slot that the kit's key opens.
    pub slot: String,
    /// The kit's key, sealed: the text of a key slot.
    sealed_key: String,
    /// Copies of the repository's config and key slots; none in the text of a QR code.
    objects: Vec<Copied>,
    /// BLAKE3 over the JSON of all fields without white space, this one empty.
    checksum: String,
}

/// A copy of an object of the repository.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Copied {
    name: String,
    text: String,
}

/// What every version of a kit says.
#[derive(Deserialize)]
struct Versioned {
    kind: String,
    version: u32,
}

impl Kit {
    /// Reads a kit: its page, or the text of its QR code.
    ///
    /// # Errors
    /// [`Error::NotAKit`]; damage; a version that is not known.
    pub fn read(path: &Path) -> Result<Self> {
        let mut bytes = Vec::new();
        let file = File::open(path).map_err(|e| Error::local(path, e))?;
        file.take(KIT_BYTES_MAX + 1).read_to_end(&mut bytes).map_err(|e| Error::local(path, e))?;
        let none = |why: &str| Error::NotAKit { path: shown(path), why: why.to_owned() };
        if bytes.len() as u64 > KIT_BYTES_MAX {
            return Err(none("it is too long"));
        }
        let text = std::str::from_utf8(&bytes).map_err(|_| none("it is no text"))?;
        Self::parse(page::data(text).unwrap_or(text), path)
    }

    fn parse(text: &str, path: &Path) -> Result<Self> {
        let damaged = |why: String| Error::KitDamaged { path: shown(path), why };
        let said: Versioned = serde_json::from_str(text).map_err(|e| Error::NotAKit {
            path: shown(path),
            why: format!("nothing in it reads as one ({e})"),
        })?;
        if said.kind != KIND {
            return Err(Error::NotAKit {
                path: shown(path),
                why: format!("it says that it is a {:?}", said.kind),
            });
        }
        if said.version > VERSION {
            let why = format!(
                "the kit is of version {}, which a newer chronos wrote: open it with that",
                said.version
            );
            return Err(Error::Value { place: shown(path), why });
        }
        let kit: Self = serde_json::from_str(text).map_err(|e| damaged(e.to_string()))?;
        if kit.checksum != kit.sum() {
            return Err(damaged("its checksum does not fit".to_owned()));
        }
        // They become names of files. Whoever can change a page can make its checksum fit.
        let slots = kit.objects.iter().filter_map(|object| object.name.strip_prefix(SLOTS));
        if !slots.chain([&*kit.slot, &*kit.repository]).all(is_plain) {
            return Err(damaged("it has a name that no key or repository has".to_owned()));
        }
        Ok(kit)
    }

    /// The key of the kit.
    ///
    /// # Errors
    /// [`Error::KitPassword`].
    pub fn unseal(&self, password: &str) -> Result<Zeroizing<Key>> {
        let key = unseal_key(self.sealed_key.as_bytes(), password)?;
        key.map(Zeroizing::new).ok_or(Error::KitPassword)
    }

    /// Its JSON text.
    fn text(&self) -> String {
        // Texts and numbers can always be written.
        serde_json::to_string(self).unwrap_or_default()
    }

    /// With the checksum that fits.
    fn summed(mut self) -> Self {
        self.checksum = self.sum();
        self
    }

    fn sum(&self) -> String {
        let bare = Self { checksum: String::new(), ..self.clone() };
        blake3::hash(bare.text().as_bytes()).to_hex().to_string()
    }
}

/// Whether it is hex and nothing else.
fn is_plain(name: &str) -> bool {
    !name.is_empty() && name.bytes().all(|b| b.is_ascii_hexdigit())
}
