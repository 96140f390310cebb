//! From what a person types to a snapshot and a path inside it.
//!
//! Knows every way in which a snapshot can be named, and which snapshots `latest` may mean. Works on a list
//! of snapshots, so that one listing serves a whole command.

use chronos_store::View;
use jiff::{Timestamp, tz::TimeZone};

use crate::error::{Error, Result};
use crate::path::TreePath;
use crate::record::Snapshot;

/// A snapshot that was found by a name.
#[derive(Clone, Debug, PartialEq)]
pub struct Resolved {
    /// The snapshot.
    pub snapshot: Snapshot,
    /// What the user must know: the name fitted several snapshots, and which was taken.
    pub note: Option<String>,
}

/// The snapshots of a view that are not forgotten, oldest first, and those whose manifests cannot be read.
pub fn listed(view: &View) -> (Vec<Snapshot>, Vec<Error>) {
    let (mut snapshots, mut errors) = (Vec::new(), Vec::new());
    for row in view.snapshots() {
        match Snapshot::from_row(row) {
            Ok(snapshot) => snapshots.push(snapshot),
            Err(error) => errors.push(error),
        }
    }
    // A view has them in the order in which they were noted, which is another one where several were made at once.
    snapshots.sort_by_cached_key(Snapshot::taken_at);
    (snapshots, errors)
}

impl Snapshot {
    /// When it was taken; the least time if its manifest does not say it properly.
    pub fn taken_at(&self) -> Timestamp {
        self.manifest.created_at.parse().unwrap_or(Timestamp::MIN)
    }

    /// When it was taken, as it stands in names: `YYYYMMDD_HHMMSS`, UTC.
    pub fn timestamp(&self) -> String {
        self.taken_at().to_zoned(TimeZone::UTC).strftime("%Y%m%d_%H%M%S").to_string()
    }

    /// Whether `latest` may mean it: good, all of its target, and not the state before a rollback.
    pub fn is_latest_candidate(&self) -> bool {
        self.is_good() && self.manifest.scope.is_empty() && !self.is_before_rollback()
    }

    /// Whether it holds the state before a rollback.
    pub fn is_before_rollback(&self) -> bool {
        matches!(&*self.manifest.tier.replace('_', "-"), "emergency" | "restore-point")
    }
}

/// Finds the snapshot that `name` means.
///
/// In this order: `latest`, `latest:{target}`, a `backup_id`, an export file's name, `{name}_{timestamp}`,
/// `{timestamp}` or `backup_{timestamp}`, a unique prefix of a content id.
pub fn resolve(snapshots: &[Snapshot], name: &str) -> Result<Resolved> {
    if name == "latest" {
        return latest(snapshots, None);
    }
    if let Some(target) = name.strip_prefix("latest:") {
        return latest(snapshots, Some(target));
    }
    for stem in [Some(name), export_stem(name)].into_iter().flatten() {
        if let Some(found) = by_name(snapshots, stem) {
            return Ok(found);
        }
    }
    by_prefix(snapshots, name)
}

/// The newest snapshot that `latest` may mean, of one target or of all.
pub fn latest(snapshots: &[Snapshot], target: Option<&str>) -> Result<Resolved> {
    let of_target = |s: &&Snapshot| target.is_none_or(|t| s.manifest.target == t);
    let found = newest(snapshots.iter().filter(of_target).filter(|s| s.is_latest_candidate()));
    match found {
        Some(snapshot) => Ok(Resolved { snapshot: snapshot.clone(), note: None }),
        None if target.is_none() && !snapshots.is_empty() => {
            let newest = newest(snapshots.iter()).map(|s| (s.manifest.backup_id.clone(), s.status()));
            let (id, status) = newest.unwrap_or_default();
            Err(Error::Refused(format!(
                "no snapshot is whole, so none is the latest; {id} is the newest and {status}: name it to use it"
            )))
        }
        None => Err(match target {
            Some(target) => Error::NotFound { what: "a good snapshot of target", name: target.into() },
            None => Error::NotFound { what: "a good snapshot for", name: "latest".into() },
        }),
    }
}

/// The newest; of several of one moment the one that was committed last.
fn newest<'a>(snapshots: impl Iterator<Item = &'a Snapshot>) -> Option<&'a Snapshot> {
    snapshots.max_by_key(|s| s.taken_at())
}

fn export_stem(name: &str) -> Option<&str> {
    let file = name.rsplit('/').next().unwrap_or(name);
    let stem = [".tar.zst", ".tar", ".zip"].iter().find_map(|e| file.strip_suffix(e));
    stem.or_else(|| (file != name).then_some(file))
}

/// Whether `text` is `YYYYMMDD_HHMMSS`.
fn is_timestamp(text: &str) -> bool {
    text.len() == 15
        && text.bytes().enumerate().all(|(i, b)| if i == 8 { b == b'_' } else { b.is_ascii_digit() })
}

fn by_name(snapshots: &[Snapshot], name: &str) -> Option<Resolved> {
    if let Some(exact) = snapshots.iter().rev().find(|s| s.manifest.backup_id == name) {
        return Some(Resolved { snapshot: exact.clone(), note: None });
    }
    let (label, stamp) = match name.len().checked_sub(15).and_then(|at| name.split_at_checked(at)) {
        Some((label, stamp)) if is_timestamp(stamp) => (label, stamp),
        _ => return None,
    };
    let at_moment: Vec<_> = snapshots.iter().filter(|s| has_stamp(s, stamp)).collect();
    let fits = |s: &&&Snapshot| match label.strip_suffix('_') {
        None => label.is_empty(),
        Some(label) => {
            let own = s.manifest.name.as_deref();
            own == Some(label) || own.is_some_and(|own| is_export_label(label, s, own))
        }
    };
    let mut matches: Vec<_> = at_moment.iter().filter(fits).copied().collect();
    if matches.is_empty() && label == "backup_" {
        matches = at_moment;
    }
    let taken = newest(matches.iter().copied())?;
    let note = (matches.len() > 1)
        .then(|| format!("{name:?} fits {} snapshots; taken: {}", matches.len(), taken.manifest.backup_id));
    Some(Resolved { snapshot: taken.clone(), note })
}

/// Whether `label` is `{project}_backup_{type}_{name}`, as exported project trees are named.
fn is_export_label(label: &str, snapshot: &Snapshot, name: &str) -> bool {
    let kind = label.strip_suffix(name).and_then(|l| l.strip_suffix('_'));
    let Some((_project, kind)) = kind.and_then(|l| l.rsplit_once("_backup_")) else { return false };
    kind.replace('_', "-") == snapshot.manifest.tier.replace('_', "-")
}

/// Whether a snapshot is of this second, by its time or by its `backup_id`.
fn has_stamp(snapshot: &Snapshot, stamp: &str) -> bool {
    let named = |id: &str| {
        let id = match id.rsplit_once('_') {
            Some((rest, n)) if n.len() < 6 && n.bytes().all(|b| b.is_ascii_digit()) => rest,
            _ => id,
        };
        id.strip_suffix(stamp).is_some_and(|rest| rest.ends_with('_'))
    };
    named(&snapshot.manifest.backup_id) || snapshot.timestamp() == stamp
}

fn by_prefix(snapshots: &[Snapshot], name: &str) -> Result<Resolved> {
    let not_found = || Error::NotFound { what: "snapshot", name: name.to_owned() };
    if name.is_empty() || name.len() > 64 || !name.bytes().all(|b| b.is_ascii_hexdigit()) {
        return Err(not_found());
    }
    let prefix = name.to_ascii_lowercase();
    let matches: Vec<_> = snapshots.iter().filter(|s| s.id.to_string().starts_with(&prefix)).collect();
    match matches.as_slice() {
        [] => Err(not_found()),
        [one] => Ok(Resolved { snapshot: (*one).clone(), note: None }),
        [first, rest @ ..] if rest.iter().all(|s| s.id == first.id) => {
            Ok(Resolved { snapshot: (*first).clone(), note: None })
        }
        several => Err(Error::Ambiguous {
            name: name.to_owned(),
            matches: several.iter().map(|s| s.manifest.backup_id.clone()).collect(),
        }),
    }
}

/// Finds what `SNAP` or `SNAP:PATH` means: the snapshot, and the path if one is given.
///
/// The whole text is tried as a snapshot's name first, since names may hold a colon; then what stands before
/// each colon. `latest:` and something that can be a target's name always means that target.
pub fn locate(snapshots: &[Snapshot], text: &str) -> Result<(Resolved, Option<TreePath>)> {
    let whole = match resolve(snapshots, text) {
        Ok(found) => return Ok((found, None)),
        Err(error) => error,
    };
    if matches!(whole, Error::Ambiguous { .. }) {
        return Err(whole);
    }
    let mut first = None;
    for (at, _) in text.match_indices(':') {
        let (name, rest) = text.split_at(at);
        let rest = rest.strip_prefix(':').unwrap_or(rest);
        if name == "latest" && may_be_target(rest.split(':').next().unwrap_or_default()) {
            continue;
        }
        match resolve(snapshots, name) {
            Ok(found) => return Ok((found, Some(parse_path(rest)?))),
            Err(error @ Error::Ambiguous { .. }) => return Err(error),
            Err(error) => first = first.or(Some(error)),
        }
    }
    Err(first.unwrap_or(whole))
}

fn may_be_target(text: &str) -> bool {
    text.starts_with(|c: char| c.is_ascii_lowercase() || c.is_ascii_digit())
        && text.chars().all(|c| matches!(c, 'a'..='z' | '0'..='9' | '.' | '_' | '-'))
}

/// A path inside a snapshot as people type it: a leading or trailing `/`, doubled ones and `.` do not matter.
pub fn parse_path(text: &str) -> Result<TreePath> {
    let parts: Vec<_> = text.split('/').filter(|part| !matches!(*part, "" | ".")).collect();
    TreePath::new(parts.join("/"))
}

#[cfg(test)]
mod tests;
