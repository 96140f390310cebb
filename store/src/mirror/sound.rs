//! Whether an object is what was written, as far as that can be told: with the keys of all but claims, without them of packs, runs,
//! key slots and the config.

use crate::backend::{BackendError, Entry};
use crate::crypto::{KeySlot, Keys, Purpose};
use crate::error::{Error, Result};
use crate::format::{Config, Footer, HEADER_BYTES, Header, ObjectKind, Sealed, check_run};
use crate::id::PackName;
use crate::names;

/// Whether an object is one that a mirror holds: of a form that the format knows.
pub(super) fn is_ours(name: &str) -> bool {
    let session = |area| names::session_of(area, name).is_some();
    if let Some(pack) = name.strip_prefix(names::PACKS) {
        return pack.parse::<PackName>().is_ok();
    }
    match name.split_once('/').map(|(area, _)| area) {
        Some("snap") => session(names::DECISIONS),
        Some("amend") => session(names::AMENDED),
        Some("log") => names::log_number(name).is_some(),
        _ => true,
    }
}

/// [`Error::Damaged`] if the bytes of `entry` are not what was written.
pub(super) fn sound(keys: Option<&Keys>, entry: &Entry, bytes: &[u8]) -> Result<()> {
    let name = entry.name.as_str();
    if bytes.len() as u64 != entry.size {
        return Err(Error::damaged(name, "it has another length than is listed"));
    }
    let sealed = |kind, purposes: &[Purpose]| match keys {
        Some(keys) => Sealed { keys, kind, name }.open(bytes, purposes).map(|_| ()),
        None => framed(name, kind, bytes),
    };
    match name.split_once('/').map_or(name, |(area, _)| area) {
        "config" => Config::decode(bytes).and_then(|(_, seal)| keys.map_or(Ok(()), |keys| seal.check(keys))),
        "keys" => KeySlot::decode(name, bytes).map(|_| ()),
        "packs" => Footer::decode(name, entry.size, bytes)?.check_whole(name, bytes),
        "index" => check_run(name, bytes),
        "snap" | "amend" => sealed(ObjectKind::Decision, &[Purpose::Index, Purpose::Manifest]),
        "state" => sealed(ObjectKind::State, &[Purpose::Index, Purpose::Manifest]),
        "log" => sealed(ObjectKind::Record, &[Purpose::Index]),
        "name" => Header::decode(name, ObjectKind::Name, bytes).map(|_| ()),
        _ => Err(BackendError::Invalid(format!("{name} is no object of a repository")).into()),
    }
}

/// What can be seen of a sealed object without keys: its header fits, and its sections end where it does.
fn framed(name: &str, kind: ObjectKind, bytes: &[u8]) -> Result<()> {
    Header::decode(name, kind, bytes)?;
    let mut rest = bytes.get(HEADER_BYTES..).unwrap_or_default();
    while let Some((length, behind)) = rest.split_first_chunk::<4>() {
        let section = behind.get(u32::from_le_bytes(*length) as usize..);
        rest = section.ok_or_else(|| Error::damaged(name, "a section is cut short"))?;
    }
    if rest.is_empty() { Ok(()) } else { Err(Error::damaged(name, "it does not end with a section")) }
}
