//! A small sealed object: header, then sections `u32 LE length · sealed bytes`.
//!
//! Section *i* is zstd-compressed and sealed with nonce *i*, under the key of its purpose and the object's salt; header and
//! object name are authenticated with it, so an object cannot stand in for another.

use super::header::{HEADER_BYTES, Header, ObjectKind};
use super::wire::Wire;
use crate::compress;
use crate::crypto::{Keys, Purpose};
use crate::error::{Error, Result};

/// Largest section in plain bytes: a state with 10^6 snapshots still fits.
const SECTION_BYTES_MAX: usize = 1 << 30;
/// zstd level of sections; they are small.
const LEVEL: i32 = 3;

/// Seals and opens small objects.
#[derive(Debug)]
pub(crate) struct Sealed<'k> {
    /// The repository's keys.
    pub(crate) keys: &'k Keys,
    /// What the object is.
    pub(crate) kind: ObjectKind,
    /// Its name.
    pub(crate) name: &'k str,
}

impl Sealed<'_> {
    /// The object's bytes. `salt` must be fresh.
    pub(crate) fn seal(&self, salt: [u8; 32], sections: &[(Purpose, &[u8])]) -> Result<Vec<u8>> {
        let mut out = Header { kind: self.kind, salt }.encode().to_vec();
        let aad = self.aad(&out);
        for (number, (purpose, plain)) in (0_u64..).zip(sections) {
            let mut section = (plain.len() as u32).to_le_bytes().to_vec();
            section.extend(compress::compress(plain, LEVEL)?);
            self.keys.object_key(*purpose, &salt)?.seal(number, &aad, &mut section)?;
            out.extend((section.len() as u32).to_le_bytes());
            out.extend(section);
        }
        Ok(out)
    }

    /// The plain sections.
    pub(crate) fn open(&self, bytes: &[u8], purposes: &[Purpose]) -> Result<Vec<Vec<u8>>> {
        let header = Header::decode(self.name, self.kind, bytes)?;
        let mut wire = Wire::new(self.name, bytes);
        let aad = self.aad(wire.take(HEADER_BYTES)?);
        let mut sections = Vec::with_capacity(purposes.len());
        for (number, purpose) in (0_u64..).zip(purposes) {
            let length = wire.u32()? as usize;
            let mut sealed = wire.take(length)?.to_vec();
            let key = self.keys.object_key(*purpose, &header.salt)?;
            let plain = key
                .open(number, &aad, &mut sealed)
                .ok_or_else(|| Error::damaged(self.name, "it does not authenticate"))?;
            let mut inner = Wire::new(self.name, plain);
            let length = inner.u32()? as usize;
            if length > SECTION_BYTES_MAX {
                return Err(Error::damaged(self.name, "a section is too large"));
            }
            let packed = plain.get(4..).unwrap_or_default();
            sections.push(
                compress::expand(packed, length)
                    .ok_or_else(|| Error::damaged(self.name, "a section does not expand"))?,
            );
        }
        wire.end()?;
        Ok(sections)
    }

    fn aad(&self, header: &[u8]) -> Vec<u8> {
        [header, self.name.as_bytes()].concat()
    }
}
