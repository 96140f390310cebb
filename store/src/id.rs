//! Names of the things a repository holds, one type per thing; hex and text only at the edges.
//!
//! Every name that another object refers to is made here, so that no two kinds can be mixed up.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

/// Identifies a chunk: the keyed BLAKE3 hash of its plain bytes, 32 bytes, shown as 64 hex digits.
///
/// The key differs by [`ChunkKind`], so one id is never both data and tree.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ChunkId(pub [u8; 32]);

/// Tells contents apart where no chunk is fetched by it: the first half of the id that they have as one chunk of data.
///
/// Two contents of the same mark are as hard to make as two of a hash of 128 bits whose key one does not know.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ChunkMark(pub [u8; 16]);

impl ChunkId {
    /// Its mark.
    pub fn mark(&self) -> ChunkMark {
        let [mark, _] = self.0.as_chunks::<16>().0 else { return ChunkMark([0; 16]) };
        ChunkMark(*mark)
    }
}

/// What a chunk holds; decides the key of its id and the key that seals its frame.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum ChunkKind {
    /// A piece of a file's content.
    Data,
    /// A [`crate::RefList`]: ids only, readable by whoever may mark and prune.
    Refs,
    /// Names and attributes that belong to a reference list.
    Meta,
}

/// Identifies a repository; random, fixed when it is created.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct RepositoryId(pub [u8; 16]);

/// The content id of a snapshot: the unkeyed BLAKE3 hash of its manifest.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct SnapshotId(pub [u8; 32]);

/// A text that does not name what it should.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{text:?} is not a {what}")]
pub struct BadName {
    /// What was expected.
    pub what: &'static str,
    /// What was given.
    pub text: String,
}

impl BadName {
    fn new(what: &'static str, text: &str) -> Self {
        Self { what, text: text.to_owned() }
    }
}

macro_rules! hex_id {
    ($name:ident, $bytes:literal, $what:literal) => {
        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(&hex::encode(self.0))
            }
        }
        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                write!(f, "{}({})", stringify!($name), hex::encode(self.0))
            }
        }
        impl FromStr for $name {
            type Err = BadName;
            fn from_str(text: &str) -> Result<Self, BadName> {
                let mut bytes = [0; $bytes];
                hex::decode_to_slice(text, &mut bytes).map_err(|_| BadName::new($what, text))?;
                Ok(Self(bytes))
            }
        }
        impl Serialize for $name {
            fn serialize<S: serde::Serializer>(&self, s: S) -> Result<S::Ok, S::Error> {
                s.collect_str(self)
            }
        }
        impl<'de> Deserialize<'de> for $name {
            fn deserialize<D: serde::Deserializer<'de>>(d: D) -> Result<Self, D::Error> {
                String::deserialize(d)?.parse().map_err(serde::de::Error::custom)
            }
        }
    };
}
hex_id!(ChunkId, 32, "chunk id");
hex_id!(ChunkMark, 16, "chunk mark");
hex_id!(RepositoryId, 16, "repository id");
hex_id!(SnapshotId, 32, "snapshot id");

/// Identifies a session: `<gen: 10 hex>-<client>-<random: 16 hex>`.
///
/// `gen` is the number of log records when the session began, so session ids sort by the
/// repository's own order of events. `client` is a pseudonym of 1 to 32 characters `[0-9a-z]`.
/// A session id is never used twice.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct SessionId(String);

impl SessionId {
    /// Longest client pseudonym in characters; keeps object names short on every backend.
    pub const CLIENT_LEN_MAX: usize = 32;

    /// Makes the id of a session that begins after `generation` log records.
    pub fn new(generation: u64, client: &str, random: u64) -> Result<Self, BadName> {
        format!("{generation:010x}-{client}-{random:016x}").parse()
    }

    /// Number of log records when the session began.
    pub fn generation(&self) -> u64 {
        self.0.get(..10).and_then(|h| u64::from_str_radix(h, 16).ok()).unwrap_or(u64::MAX)
    }

    /// The client's pseudonym.
    pub fn client(&self) -> &str {
        self.0.split('-').nth(1).unwrap_or_default()
    }

    /// The id as text, as it stands in object names.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl FromStr for SessionId {
    type Err = BadName;
    fn from_str(text: &str) -> Result<Self, BadName> {
        let bad = || BadName::new("session id", text);
        let mut parts = text.split('-');
        let (Some(generation), Some(client), Some(random), None) =
            (parts.next(), parts.next(), parts.next(), parts.next())
        else {
            return Err(bad());
        };
        let hex = |s: &str, n| s.len() == n && s.bytes().all(|b| matches!(b, b'0'..=b'9' | b'a'..=b'f'));
        let client_ok = (1..=Self::CLIENT_LEN_MAX).contains(&client.len())
            && client.bytes().all(|b| matches!(b, b'0'..=b'9' | b'a'..=b'z'));
        if hex(generation, 10) && hex(random, 16) && client_ok {
            Ok(Self(text.to_owned()))
        } else {
            Err(bad())
        }
    }
}

impl TryFrom<String> for SessionId {
    type Error = BadName;
    fn try_from(text: String) -> Result<Self, BadName> {
        text.parse()
    }
}

impl From<SessionId> for String {
    fn from(id: SessionId) -> Self {
        id.0
    }
}

impl fmt::Display for SessionId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl fmt::Debug for SessionId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "SessionId({})", self.0)
    }
}

/// Names a pack: the session that wrote it, its number there, and 32 random bits per attempt.
///
/// Never a content hash: unique for ever, so a late delete cannot hit a pack made anew, and an
/// orphan names its owner. As text `<sid>/<seq: 8 hex>-<attempt: 8 hex>`.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct PackName {
    /// The session that wrote the pack.
    pub session: SessionId,
    /// Number of the pack in its session, from 0.
    pub seq: u32,
    /// Random, so that a repeated attempt never meets the remains of an earlier one.
    pub attempt: u32,
}

impl fmt::Display for PackName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{:08x}-{:08x}", self.session, self.seq, self.attempt)
    }
}

impl fmt::Debug for PackName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "PackName({self})")
    }
}

impl FromStr for PackName {
    type Err = BadName;
    fn from_str(text: &str) -> Result<Self, BadName> {
        let bad = || BadName::new("pack name", text);
        let (session, rest) = text.split_once('/').ok_or_else(bad)?;
        let (seq, attempt) = rest.split_once('-').ok_or_else(bad)?;
        if seq.len() != 8 || attempt.len() != 8 {
            return Err(bad());
        }
        let name = Self {
            session: session.parse()?,
            seq: u32::from_str_radix(seq, 16).map_err(|_| bad())?,
            attempt: u32::from_str_radix(attempt, 16).map_err(|_| bad())?,
        };
        if name.to_string() == text { Ok(name) } else { Err(bad()) }
    }
}

impl TryFrom<String> for PackName {
    type Error = BadName;
    fn try_from(text: String) -> Result<Self, BadName> {
        text.parse()
    }
}

impl From<PackName> for String {
    fn from(name: PackName) -> Self {
        name.to_string()
    }
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "tests")]

    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn names_round_trip(generation in 0_u64..1 << 40, random: u64, seq: u32, attempt: u32) {
            let session = SessionId::new(generation, "host1", random).unwrap();
            prop_assert_eq!(session.generation(), generation);
            prop_assert_eq!(session.client(), "host1");
            prop_assert_eq!(&session.to_string().parse::<SessionId>().unwrap(), &session);
            let pack = PackName { session, seq, attempt };
            prop_assert_eq!(pack.to_string().parse::<PackName>().unwrap(), pack);
        }

        #[test]
        fn sessions_sort_by_when_they_began(a in 0_u64..1 << 40, b in 0_u64..1 << 40) {
            let id = |n| SessionId::new(n, "h", 0).unwrap();
            prop_assert_eq!(id(a).cmp(&id(b)), a.cmp(&b));
            prop_assert_eq!(id(a).as_str().cmp(id(b).as_str()), a.cmp(&b));
        }

        #[test]
        fn any_text_is_a_name_or_not(text: String) {
            if let Ok(id) = text.parse::<SessionId>() {
                prop_assert_eq!(id.as_str(), text.as_str());
            }
            if let Ok(name) = text.parse::<PackName>() {
                prop_assert_eq!(name.to_string(), text);
            }
        }
    }

    #[test]
    fn what_is_nearly_a_name_is_none() {
        for text in [
            "",
            "0000000000-h-000000000000000",
            "0000000000-H-0000000000000000",
            "0000000000--0000000000000000",
            "000000000G-h-0000000000000000",
            "0000000000-h-0000000000000000-",
            "0000000000-h/../x-0000000000000000",
        ] {
            assert!(text.parse::<SessionId>().is_err(), "{text}");
        }
        let long = "x".repeat(SessionId::CLIENT_LEN_MAX + 1);
        assert!(SessionId::new(0, &long, 0).is_err());
        assert!(SessionId::new(1 << 40, "h", 0).is_err());
        for tail in ["0000000a-0000000A", "+000000a-00000001", "0000000a", "0000000a-00000001-"] {
            assert!(format!("0000000000-h-0000000000000000/{tail}").parse::<PackName>().is_err(), "{tail}");
        }
        assert!("00".repeat(31).parse::<ChunkId>().is_err());
        assert_eq!("0A".repeat(32).parse::<ChunkId>().unwrap().to_string(), "0a".repeat(32));
    }
}
