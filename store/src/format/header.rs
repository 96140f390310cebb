//! The 64 bytes at the head of every binary object.
//!
//! `magic 8 · version u16 LE · suite u8 · kind u8 · zeros 20 · salt 32`

use crate::crypto::SUITE;
use crate::error::{Error, Result};

/// Length in bytes.
pub(crate) const HEADER_BYTES: usize = 64;
const MAGIC: [u8; 8] = *b"chronos\n";
const VERSION: u16 = 1;

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
        let fields = MAGIC
            .into_iter()
            .chain(VERSION.to_le_bytes())
            .chain([SUITE, self.kind as u8])
            .chain([0; 20])
            .chain(self.salt);
        for (to, from) in bytes.iter_mut().zip(fields) {
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
        let [low, high, suite, found, zeros @ ..] = fields else {
            return Err(Error::damaged(object, "it is too short"));
        };
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
