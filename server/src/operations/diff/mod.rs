//! What differs between two snapshots, or between a snapshot and what is there now: the files of its places, the workflows of its n8n.
//!
//! Differences come one by one, in the order of their paths within a source; whoever asks stops when there are enough.

mod live;
mod part;

use std::vec::IntoIter;

use chronos_snapshot::{
    Aspect, ByteRange, Change, Difference, JSON_BYTES_MAX, JsonChange, Snapshot, Tree, TreePath, json_diff,
    parse_path,
};
use serde::Serialize;
use serde_json::Value;
use utoipa::ToSchema;

use crate::catalog::{Catalog, Entry};
use crate::error::{Error, Result};
use crate::operations::diff::part::{Opened, Part};
use crate::workplace::Workplace;

/// The name of what is there now.
pub const LIVE: &str = "live";
/// What is compared.
#[derive(Clone, Debug)]
pub struct DiffRequest {
    /// The older side: a snapshot, `SNAP:PATH`, or `live`.
    pub from: String,
    /// The newer side.
    pub to: String,
    /// Only at and below this path.
    pub path: Option<String>,
    /// Which JSON files are compared value by value.
    pub values: Values,
    /// Where `live` looks.
    pub reach: Reach,
}

/// Which JSON files are compared value by value.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Values {
    /// The one that is named by its path.
    Named,
    /// All that changed, until they come to as much as is held in memory for one.
    All,
}

/// Where `live` looks for files.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Reach {
    /// Wherever the snapshot was made of.
    Anywhere,
    /// At the configured places of its target.
    Configured,
}

/// One difference.
#[derive(Clone, Debug, Serialize, ToSchema)]
#[schema(as = Difference)]
pub struct Row {
    /// `added`, `removed` or `changed`.
    #[schema(value_type = String)]
    pub change: Change,
    /// Where, as it stands in snapshots.
    pub path: String,
    /// How the two differ: `type`, `content`, `target`, `device`, `mode`, `owner`, `mtime`, `xattrs`.
    #[schema(value_type = Vec<String>)]
    pub aspects: Vec<Aspect>,
    /// The older one.
    pub before: Option<Entry>,
    /// The newer one.
    pub after: Option<Entry>,
    /// Of a JSON file: what differs inside.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub values: Option<Vec<ValueChange>>,
    /// Of a JSON file: it was not compared inside, since that would be too much to hold. Named by its path it is, up to 16 MiB.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub values_omitted: bool,
}

/// One value of a JSON file that differs.
#[derive(Clone, Debug, PartialEq, Serialize, ToSchema)]
pub struct ValueChange {
    /// Where, as a JSON pointer: in the newer file, or in the older one for what was removed.
    pub pointer: String,
    /// The older value, if there is one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub before: Option<Value>,
    /// The newer value, if there is one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub after: Option<Value>,
}

impl From<JsonChange> for ValueChange {
    fn from(change: JsonChange) -> Self {
        Self { pointer: change.pointer, before: change.before, after: change.after }
    }
}

/// Differences, and what was compared. After an error it goes on behind what cannot be read.
#[derive(Debug)]
pub struct Comparison {
    /// Name of the older side.
    pub from: String,
    /// Name of the newer side.
    pub to: String,
    /// What must be known of the names: which fitted several, and what was taken.
    pub notes: Vec<String>,
    /// What cannot be compared with what is there, and why.
    pub not_compared: Vec<String>,
    /// One side is what is there now.
    pub is_live: bool,
    /// How many things are compared, each by itself: two trees, a folder, an n8n.
    pub parts: usize,
    tree: Tree,
    waiting: IntoIter<Part>,
    current: Option<Opened>,
    /// The snapshot is the newer side.
    is_turned: bool,
    is_compared_inside: Values,
    base: TreePath,
    /// Bytes of JSON that may yet be compared value by value.
    inside_left: u64,
}

/// One side of a comparison.
struct Side(Option<(Snapshot, Option<TreePath>)>);

impl Side {
    fn named(catalog: &Catalog, name: &str, notes: &mut Vec<String>) -> Result<Self> {
        if name == LIVE {
            return Ok(Self(None));
        }
        let (found, path) = catalog.locate(name)?;
        notes.extend(found.note);
        Ok(Self(Some((found.snapshot, path))))
    }

    fn shown(&self) -> String {
        self.0.as_ref().map_or_else(|| LIVE.to_owned(), |(snapshot, _)| snapshot.manifest.backup_id.clone())
    }
}

/// Begins to compare.
///
/// # Errors
/// What is wrong with the names; [`Error::Value`] if nothing of the snapshot can be compared with what is there.
pub fn diff(workplace: &Workplace, catalog: &Catalog, request: &DiffRequest) -> Result<Comparison> {
    let mut notes = Vec::new();
    let from = Side::named(catalog, &request.from, &mut notes)?;
    let to = Side::named(catalog, &request.to, &mut notes)?;
    let names = (from.shown(), to.shown());
    let is_turned = from.0.is_none();
    let (stored, other) = match (from.0, to.0) {
        (Some(stored), other) => (stored, other),
        (None, Some(stored)) => (stored, None),
        (None, None) => return Err(refused("from and to", "at least one side must be a snapshot")),
    };
    let tree = catalog.tree(&stored.0);
    let mut paths: Vec<TreePath> = [stored.1, other.as_ref().and_then(|(_, path)| path.clone())]
        .into_iter()
        .chain([request.path.as_deref().map(|path| tree.meant(parse_path(path)?)).transpose()?])
        .flatten()
        .collect();
    paths.dedup();
    let base = match <[TreePath; 1]>::try_from(paths) {
        Ok([one]) => one,
        Err(none) if none.is_empty() => TreePath::root(),
        Err(_) => return Err(refused("path", "both sides must name the same path")),
    };
    let is_live = other.is_none();
    let (parts, not_compared) = match other {
        Some((other, _)) => (vec![Part::tree(base.clone(), catalog.tree(&other))], Vec::new()),
        None => live::parts(workplace, &tree, &stored.0.manifest, &base, request.reach)?,
    };
    Ok(Comparison {
        from: names.0,
        to: names.1,
        notes,
        not_compared,
        is_live,
        parts: parts.len(),
        tree,
        waiting: parts.into_iter(),
        current: None,
        is_turned,
        is_compared_inside: request.values,
        base,
        inside_left: JSON_BYTES_MAX,
    })
}

fn refused(place: &str, why: &str) -> Error {
    Error::Value { place: place.to_owned(), why: why.to_owned() }
}

impl Iterator for Comparison {
    type Item = Result<Row>;

    fn next(&mut self) -> Option<Self::Item> {
        loop {
            if let Some(opened) = &mut self.current {
                match opened.found.next() {
                    Some(Ok(found)) => return Some(self.row(found)),
                    Some(Err(error)) => return Some(Err(error.into())),
                    None => self.current = None,
                }
            }
            match self.waiting.next()?.open(&self.tree) {
                Ok(opened) => self.current = Some(opened),
                Err(error) => return Some(Err(error)),
            }
        }
    }
}

impl Comparison {
    fn row(&mut self, found: Difference) -> Result<Row> {
        let is_wanted = self.is_wanted_inside(&found);
        let values_omitted = is_wanted && !self.has_room(&found);
        let values = if is_wanted && !values_omitted { self.inside(&found)? } else { None };
        let found = if self.is_turned { turned(found) } else { found };
        let entry = |node: &Option<chronos_snapshot::Node>| node.as_ref().map(|n| Entry::new(&found.path, n));
        Ok(Row {
            change: found.change,
            path: found.path.to_string(),
            before: entry(&found.before),
            after: entry(&found.after),
            aspects: found.aspects.clone(),
            values,
            values_omitted,
        })
    }

    /// Whether a file may be held to be compared; takes the room for it.
    fn has_room(&mut self, found: &Difference) -> bool {
        let size =
            |node: &Option<chronos_snapshot::Node>| node.as_ref().map_or(0, chronos_snapshot::Node::size);
        let left = self.inside_left.checked_sub(size(&found.before).max(size(&found.after)));
        self.inside_left = left.unwrap_or(self.inside_left);
        left.is_some()
    }

    /// Whether a JSON file is to be compared value by value.
    fn is_wanted_inside(&self, found: &Difference) -> bool {
        found.aspects.contains(&Aspect::Content)
            && found.path.name().ends_with(b".json")
            && (self.is_compared_inside == Values::All || found.path == self.base)
    }

    /// What differs inside a file of both sides; `None` if it has become too long meanwhile, or is no JSON.
    fn inside(&self, found: &Difference) -> Result<Option<Vec<ValueChange>>> {
        let mut stored = Vec::new();
        self.tree.cat(&found.path, ByteRange::ALL, &mut stored)?;
        let opened = self.current.as_ref();
        let Some(other) = opened.map(|o| o.content(&found.path)).transpose()?.flatten() else {
            return Ok(None);
        };
        let (before, after) = if self.is_turned { (other, stored) } else { (stored, other) };
        // What is not JSON has no values to compare.
        let changes = json_diff(&before, &after).ok();
        Ok(changes.map(|changes| changes.into_iter().map(ValueChange::from).collect()))
    }
}

/// The same difference, seen from the other side.
fn turned(found: Difference) -> Difference {
    let change = match found.change {
        Change::Added => Change::Removed,
        Change::Removed => Change::Added,
        Change::Changed => Change::Changed,
    };
    Difference { change, before: found.after, after: found.before, ..found }
}
