//! The workflows of an n8n source as the one list that `n8n import:workflow` takes (contract §3): `{source}/workflows.json`, which no
//! snapshot holds, put together from the file of each.

use std::io::Write;

use chronos_connect::n8n::id_of_file;
use chronos_snapshot::{ByteRange, Error as Failed, ExportReport, NodeKind, Tree, TreePath};

use crate::error::Result;

/// Name of the list.
const LIST: &[u8] = b"workflows.json";
/// The folder beside it that holds the files.
const FOLDER: &[u8] = b"workflows";

/// A list that can be written.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Gathered {
    files: Vec<TreePath>,
}

/// The list that a path means, unless the snapshot holds a file of this name itself.
///
/// # Errors
/// What of the tree cannot be read.
pub fn gathered(tree: &Tree, path: &TreePath) -> Result<Option<Gathered>> {
    let Some(source) = path.parent().filter(|_| path.name() == LIST) else { return Ok(None) };
    let folder = source.join(FOLDER)?;
    let is_folder = tree.get(&folder)?.is_some_and(|node| matches!(node.kind, NodeKind::Dir));
    if !is_folder || tree.get(path)?.is_some() {
        return Ok(None);
    }
    let mut files = Vec::new();
    for entry in tree.children(&folder) {
        let (path, _) = entry?;
        if std::str::from_utf8(path.name()).is_ok_and(|name| id_of_file(name).is_some()) {
            files.push(path);
        }
    }
    Ok(Some(Gathered { files }))
}

impl Gathered {
    /// Writes the list; of each workflow the bytes that are stored.
    ///
    /// # Errors
    /// Damage, and what `out` says.
    pub fn write(&self, tree: &Tree, out: &mut dyn Write) -> chronos_snapshot::Result<ExportReport> {
        let mut put = |bytes: &[u8]| {
            out.write_all(bytes).map_err(|source| Failed::File { path: "the list".to_owned(), source })
        };
        let mut report = ExportReport::default();
        let mut before: &[u8] = b"[\n";
        for path in &self.files {
            let mut workflow = Vec::new();
            report.bytes += tree.cat(path, ByteRange::ALL, &mut workflow)?;
            report.entries += 1;
            put(before)?;
            put(workflow.trim_ascii_end())?;
            before = b",\n";
        }
        put(if self.files.is_empty() { b"[]\n" } else { b"\n]\n" })?;
        Ok(report)
    }
}
