//! Names of snapshots: each is taken once and for ever.

use chronos_store::{Repository, Session, View};
use memchr::memmem::Finder;
use serde::Deserialize;

use crate::error::{Error, Result};

/// Most snapshots of one beginning of a name, such as one target, tier and second; beyond it something is wrong with the clock.
const IDS_MAX: u32 = 10_000;

/// The one field of a manifest that is asked for here.
#[derive(Deserialize)]
struct Named {
    backup_id: String,
}

/// Takes the first free name among `base` and `base_2`, `base_3`, … for ever; not `base` itself for a successor.
pub(crate) fn claim(
    repository: &Repository,
    session: &Session,
    base: &str,
    is_successor: bool,
) -> Result<String> {
    for n in 1 + u32::from(is_successor)..=IDS_MAX {
        let id = if n == 1 { base.to_owned() } else { format!("{base}_{n}") };
        // A claim may be lost while its snapshot is there: two of one name could not be told apart.
        if repository.claim_name(&id)? && !is_listed(session.view(), &id)? {
            return Ok(id);
        }
    }
    Err(Error::Refused(format!("all names {base}, {base}_2, … are taken; nothing was committed")))
}

/// Takes this very name for ever; if it is taken, the first free one that a successor may have.
pub(crate) fn claim_same(repository: &Repository, session: &Session, id: &str) -> Result<String> {
    if repository.claim_name(id)? && !is_listed(session.view(), id)? {
        return Ok(id.to_owned());
    }
    claim(repository, session, base(id), true)
}

/// The name without its number.
pub(crate) fn base(id: &str) -> &str {
    let is_count = |n: &str| (1..6).contains(&n.len()) && n.bytes().all(|b| b.is_ascii_digit());
    match id.rsplit_once('_') {
        Some((base, n)) if is_count(n) => base,
        _ => id,
    }
}

/// Whether a snapshot that can be listed, or undeleted, has this name.
fn is_listed(view: &View, id: &str) -> Result<bool> {
    let quoted = serde_json::to_vec(id).map_err(|e| Error::Invalid(format!("{id}: {e}")))?;
    let quoted = Finder::new(&quoted);
    let is_it = |manifest: &[u8]| {
        // Few manifests have the name at all, so few are parsed. One that is none names nothing.
        quoted.find(manifest).is_some()
            && serde_json::from_slice::<Named>(manifest).is_ok_and(|named| named.backup_id == id)
    };
    Ok(view.snapshots().chain(view.trash()).any(|row| is_it(&row.manifest)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_short_numbers_are_counts() {
        assert_eq!(base("files_manual_20260101_000000_2"), "files_manual_20260101_000000");
        assert_eq!(base("files_manual_20260101_000000"), "files_manual_20260101_000000");
        assert_eq!(base("plain"), "plain");
    }
}
