//! Entries of a snapshot that an n8n source makes, and where they lie.

use chronos_snapshot::{Content, Entry, Item, NodeKind, Origin, Time, TreePath};
use chronos_store::ChunkClass;

use crate::entry::{Attributes, node};
use crate::n8n::error::{Error, Result};
use crate::n8n::options::Parts;

/// The folder of a source.
pub(super) fn folder(name: &str) -> Result<TreePath> {
    match TreePath::new(name) {
        Ok(path) if !path.is_root() => Ok(path),
        _ => Err(Error::Invalid(format!("{name:?} is no name of a source"))),
    }
}

/// A path below a source's folder.
pub(super) fn below(folder: &TreePath, name: &str) -> Result<TreePath> {
    folder.join(name.as_bytes()).map_err(|e| Error::Invalid(e.to_string()))
}

/// What a source covers, for people and for finding the snapshot before it.
pub(super) fn label(folder: &TreePath, workflow: Option<&str>, parts: Parts) -> String {
    match (workflow, parts) {
        (Some(id), _) => format!("/{folder}/workflows/{id}"),
        (None, Parts::Credentials) => format!("/{folder}/credentials_metadata.json"),
        (None, Parts::Workflows) => format!("/{folder}/workflows"),
        (None, Parts::All) => format!("/{folder}"),
    }
}

/// A folder.
pub(super) fn dir(path: TreePath) -> Item {
    let node = node(NodeKind::Dir, Attributes { mode: 0o700, ..Attributes::private(Time::default()) });
    Item::Entry(Entry { path, node, origin: Origin::AboveRoot })
}

/// A file whose content is here.
pub(super) fn file(path: TreePath, bytes: Vec<u8>, mtime: Time) -> Item {
    let content = Content { class: ChunkClass::Std, size: bytes.len() as u64, extents: Vec::new() };
    let node = node(NodeKind::File(content), Attributes::private(mtime));
    Item::Entry(Entry { path, node, origin: Origin::Bytes(bytes) })
}
