//! What stands before the records in `log/`: that a place is a mirror, and what of it does not count yet.
//!
//! A writer lists the first name of `log/` anyway (W2). The names of marks sort before all records, so that a mirror refuses it at no
//! further request, and a place without marks costs nobody anything.
//!
//! - `log/-mirror…`: a *mirror mark*. Only a sync writes here.
//! - `log/-sync-…`: a *curtain*. A sync puts decisions and records behind it one by one; they count all at once, when it is removed.

use std::collections::BTreeSet;

use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};

use crate::backend::{Backend, BackendExt};
use crate::error::{Error, ErrorKind, Result};
use crate::id::{RepositoryId, SessionId};
use crate::names;

/// Where marks are.
const MARKS: &str = "log/-";
/// Mirror marks.
const MIRROR: &str = "log/-mirror";
/// Curtains.
const CURTAIN: &str = "log/-sync-";
/// A mirror mark.
pub(crate) const MIRROR_MARK: &str = "log/-mirror";

/// Name of a mirror mark beside one that is damaged.
pub(crate) fn another_mirror_mark(random: [u8; 4]) -> String {
    format!("{MIRROR}-{}", hex::encode(random))
}

/// Name of a curtain.
pub(crate) fn curtain(random: [u8; 8]) -> String {
    format!("{CURTAIN}{}", hex::encode(random))
}

/// What a place is a mirror of.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct MirrorMark {
    /// The repository.
    pub(crate) repository: RepositoryId,
    /// Where it lies, for people.
    pub(crate) source: String,
}

/// What does not count yet.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Curtain {
    /// Records from this number on.
    pub(crate) from: u64,
    /// How many records there will be.
    pub(crate) to: u64,
    /// Decisions of these sessions.
    pub(crate) hidden: BTreeSet<SessionId>,
}

/// A text with its hash in a second line.
pub(crate) fn encode(value: &impl Serialize) -> Result<Vec<u8>> {
    let mut bytes = serde_json::to_vec(value).map_err(|e| Error::Invalid(e.to_string()))?;
    bytes.push(b'\n');
    let hash = blake3::hash(&bytes).to_hex();
    bytes.extend(format!("{hash}\n").bytes());
    Ok(bytes)
}

/// Reads what [`encode`] wrote.
fn decode<T: DeserializeOwned>(object: &str, bytes: &[u8]) -> Result<T> {
    let cut = bytes.iter().position(|b| *b == b'\n').map_or(bytes.len(), |at| at + 1);
    let (text, hash) = bytes.split_at_checked(cut).unwrap_or_default();
    if hash != format!("{}\n", blake3::hash(text).to_hex()).as_bytes() {
        return Err(Error::damaged(object, "its checksum does not fit"));
    }
    serde_json::from_slice(text).map_err(|e| Error::damaged(object, e))
}

/// The marks of a place.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Marks {
    /// Mirror marks, whole or not.
    pub(crate) mirror: Vec<(String, Option<MirrorMark>)>,
    /// Curtains; `None`: damaged.
    pub(crate) curtains: Vec<(String, Option<Curtain>)>,
}

impl Marks {
    /// Reads the marks of a place.
    pub(crate) fn read(backend: &dyn Backend) -> Result<Self> {
        let mut marks = Self::default();
        for entry in backend.list_all(MARKS)? {
            let bytes = match backend.read(&entry.name, None) {
                // Removed meanwhile.
                Err(crate::backend::BackendError::NotFound(_)) => continue,
                bytes => bytes?,
            };
            if entry.name.starts_with(MIRROR) {
                let mark = whole(decode(&entry.name, &bytes))?;
                marks.mirror.push((entry.name, mark));
            } else if entry.name.starts_with(CURTAIN) {
                let curtain = whole(decode(&entry.name, &bytes))?;
                marks.curtains.push((entry.name, curtain));
            }
        }
        Ok(marks)
    }

    /// Whether only a sync may write here.
    pub(crate) fn is_mirror(&self) -> bool {
        !self.mirror.is_empty()
    }

    /// What all curtains hide together; damaged ones hide nothing here.
    pub(crate) fn curtain(&self) -> Option<Curtain> {
        self.curtains.iter().filter_map(|(_, curtain)| curtain.clone()).reduce(|a, b| Curtain {
            from: a.from.min(b.from),
            to: a.to.max(b.to),
            hidden: a.hidden.into_iter().chain(b.hidden).collect(),
        })
    }

    /// What this is a mirror of, for people.
    fn source(&self) -> String {
        let known = self.mirror.iter().find_map(|(_, mark)| mark.as_ref());
        known.map_or_else(|| "another repository".to_owned(), |mark| mark.source.clone())
    }

    fn is_curtain_damaged(&self) -> Option<&String> {
        self.curtains.iter().find(|(_, curtain)| curtain.is_none()).map(|(name, _)| name)
    }
}

fn whole<T>(outcome: Result<T>) -> Result<Option<T>> {
    match outcome {
        Err(e) if e.kind() == ErrorKind::Damaged => Ok(None),
        outcome => outcome.map(Some),
    }
}

/// What `log/` begins with.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct LogHead {
    /// Number of records that count.
    pub(crate) length: u64,
    /// What this is a mirror of, for people; `None`: it is none.
    pub(crate) mirror_of: Option<String>,
    /// Decisions that do not count yet.
    pub(crate) hidden: BTreeSet<SessionId>,
}

impl LogHead {
    /// Looks at the first names of `log/`: one request, unless there are marks.
    pub(crate) fn read(backend: &dyn Backend) -> Result<Self> {
        let first = backend.list(names::LOG, None, 1)?;
        let Some(entry) = first.first() else { return Ok(Self::default()) };
        if let Some(n) = names::log_number(&entry.name) {
            return Ok(Self { length: n + 1, ..Self::default() });
        }
        if !entry.name.starts_with(MARKS) {
            return Ok(Self { length: length_behind(backend, &entry.name)?, ..Self::default() });
        }
        let marks = Marks::read(backend)?;
        if let Some(name) = marks.is_curtain_damaged() {
            return Err(Error::damaged(name, "the next sync into this mirror replaces it"));
        }
        let curtain = marks.curtain();
        let behind = curtain.as_ref().map_or_else(|| format!("{MARKS}z"), |c| names::log(c.from));
        Ok(Self {
            length: length_behind(backend, &behind)?,
            mirror_of: marks.is_mirror().then(|| marks.source()),
            hidden: curtain.unwrap_or_default().hidden,
        })
    }

    /// [`Error::Mirror`] if only a sync may write here.
    pub(crate) fn writable(&self) -> Result<()> {
        match &self.mirror_of {
            None => Ok(()),
            Some(source) => Err(Error::Mirror(source.clone())),
        }
    }
}

/// Number of records behind a name; things that are no records are left alone, and named by check.
fn length_behind(backend: &dyn Backend, name: &str) -> Result<u64> {
    let number = |found: &[crate::backend::Entry]| found.iter().find_map(|e| names::log_number(&e.name));
    let first = backend.list(names::LOG, Some(name), 1)?;
    if first.is_empty() {
        return Ok(0);
    }
    let n = match number(&first) {
        Some(n) => Some(n),
        None => number(&backend.list_after(names::LOG, Some(name))?),
    };
    Ok(n.map_or(0, |n| n + 1))
}

/// Whether a name in `log/` is a mark.
pub(crate) fn is_mark(name: &str) -> bool {
    name.starts_with(MIRROR) || name.starts_with(CURTAIN)
}

/// Whether a name is a curtain's.
pub(crate) fn is_curtain(name: &str) -> bool {
    name.starts_with(CURTAIN)
}
