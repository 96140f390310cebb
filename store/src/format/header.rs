//! The 64 bytes at the head of every binary object.
//!
//! `magic 8 · version u16 LE · suite u8 · kind u8 · zeros 16 · check 4 · salt 32`; the check is the first 4 bytes of the BLAKE3 hash
//! of the other 60. It tells damage from a later version, in every version.

use crate::crypto::SUITE;
use crate::error::{Error, Result};

/// Length in bytes.
pub(crate) const HEADER_BYTES: usize = 64;
const MAGIC: [u8; 8] = *b"chronos\n";
const VERSION: u16 = 1;
const CHECK_AT: usize = 28;
const SALT_AT: usize = 32;

/// What an object is; part of what is authenticated.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum ObjectKind {
    /// Frames of chunks.
    Pack = 1,
    /// A sorted part of the index.
    Run = 2,
    /// The end of a session.
    Decision = 3,
    /// Everything that the log has said.
    State = 4,
    /// One log record.
    Record = 5,
    /// The announcement of a session.
    Session = 6,
    /// A claim on a name.
    Name = 7,
}

/// A decoded header.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Header {
    /// What the object is.
    pub(crate) kind: ObjectKind,
    /// Random; makes the object's keys its own.
    pub(crate) salt: [u8; 32],
}

impl Header {
    /// The stored bytes.
    pub(crate) fn encode(&self) -> [u8; HEADER_BYTES] {
        let mut bytes = [0; HEADER_BYTES];
        let fields =
            MAGIC.into_iter().chain(VERSION.to_le_bytes()).chain([SUITE, self.kind as u8]).chain([0; 16]);
        for (to, from) in bytes.iter_mut().zip(fields) {
            *to = from;
        }
        let fields = self.salt;
        for (to, from) in bytes.iter_mut().skip(SALT_AT).zip(fields) {
            *to = from;
        }
        let fields = check(&bytes);
        for (to, from) in bytes.iter_mut().skip(CHECK_AT).zip(fields) {
            *to = from;
        }
        bytes
    }

    /// Decodes the head of `object`, which must be of `kind`.
    pub(crate) fn decode(object: &str, kind: ObjectKind, bytes: &[u8]) -> Result<Self> {
        let head =
            bytes.first_chunk::<HEADER_BYTES>().ok_or_else(|| Error::damaged(object, "it is too short"))?;
        let (magic, rest) = head.split_at(8);
        let (fields, salt) = rest.split_at(24);
        if magic != MAGIC {
            return Err(Error::damaged(object, "it does not begin like an object of a chronos repository"));
        }
        let [low, high, suite, found, zeros @ .., a, b, c, d] = fields else {
            return Err(Error::damaged(object, "it is too short"));
        };
        if [*a, *b, *c, *d] != check(head) {
            return Err(Error::damaged(object, "its header does not match its check"));
        }
        let version = u16::from_le_bytes([*low, *high]);
        if version > VERSION || *suite > SUITE {
            return Err(Error::TooNew {
                object: object.to_owned(),
                what: format!("version {version}, suite {suite}"),
            });
        }
        if version != VERSION || *suite != SUITE || *found != kind as u8 || zeros.iter().any(|b| *b != 0) {
            return Err(Error::damaged(object, "its header does not fit"));
        }
        Ok(Self { kind, salt: salt.try_into().map_err(|_| Error::damaged(object, "it is too short"))? })
    }
}

/// First 4 bytes of the hash of everything but the check itself.
fn check(head: &[u8; HEADER_BYTES]) -> [u8; 4] {
    let (before, rest) = head.split_at(CHECK_AT);
    let (_, salt) = rest.split_at(SALT_AT - CHECK_AT);
    let [a, b, c, d, ..] = *blake3::Hasher::new().update(before).update(salt).finalize().as_bytes();
    [a, b, c, d]
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, clippy::indexing_slicing, reason = "tests")]

    use super::*;
    use crate::error::ErrorKind;

    const HEADER: Header = Header { kind: ObjectKind::State, salt: [9; 32] };

    #[test]
    fn a_header_round_trips_and_every_flipped_bit_is_damage() {
        let bytes = HEADER.encode();
        assert_eq!(Header::decode("o", ObjectKind::State, &bytes).unwrap(), HEADER);
        assert_eq!(Header::decode("o", ObjectKind::Run, &bytes).unwrap_err().kind(), ErrorKind::Damaged);
        for bit in 0..HEADER_BYTES * 8 {
            let mut bad = bytes;
            bad[bit / 8] ^= 1 << (bit % 8);
            let error = Header::decode("o", ObjectKind::State, &bad).unwrap_err();
            assert_eq!(error.kind(), ErrorKind::Damaged, "bit {bit}");
        }
        for len in 0..HEADER_BYTES {
            assert!(Header::decode("o", ObjectKind::State, &bytes[..len]).is_err());
        }
    }

    #[test]
    fn a_later_version_or_suite_is_told_from_damage() {
        for (at, value) in [(8, 2), (10, 2)] {
            let mut later = HEADER.encode();
            later[at] = value;
            let sum = check(&later);
            later[CHECK_AT..SALT_AT].copy_from_slice(&sum);
            let error = Header::decode("o", ObjectKind::State, &later).unwrap_err();
            assert_eq!(error.kind(), ErrorKind::TooNew);
        }
    }
}
