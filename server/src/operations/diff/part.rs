//! One thing that is laid beside the tree of a snapshot: another tree, folders, an n8n, or that nothing is there.

use std::cell::RefCell;
use std::ffi::OsStr;
use std::fs::File;
use std::io::Read;
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};
use std::rc::Rc;

use chronos_snapshot::{
    Aspect, ByteRange, Change, Difference, FileOptions, FileSource, Item, JSON_BYTES_MAX, MemorySource,
    Origin, Result as SnapshotResult, Source, Tree, TreePath,
};

use crate::error::{Error, Result};

/// What is compared, and below which path.
#[derive(Debug)]
pub(super) struct Part {
    base: TreePath,
    other: Other,
}

#[derive(Debug)]
enum Other {
    Tree(Tree),
    Files(Box<FileOptions>),
    /// Its bytes alone count: owners and times are the program's own.
    Given(Box<dyn Source>),
    Nothing,
}

/// A comparison that goes on.
pub(super) struct Opened {
    pub(super) found: Box<dyn Iterator<Item = SnapshotResult<Difference>>>,
    content: Content,
}

/// Where the content of the other side is.
enum Content {
    Tree(Tree),
    Disk,
    /// The file that came last.
    Kept(Kept),
    Nothing,
}

/// A file, and its bytes.
type Kept = Rc<RefCell<Option<(TreePath, Vec<u8>)>>>;

impl std::fmt::Debug for Opened {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Opened")
    }
}

impl Part {
    /// Another tree.
    pub(super) fn tree(base: TreePath, tree: Tree) -> Self {
        Self { base, other: Other::Tree(tree) }
    }

    /// Files on disk.
    pub(super) fn files(base: TreePath, options: FileOptions) -> Self {
        Self { base, other: Other::Files(Box::new(options)) }
    }

    /// What a source gives.
    pub(super) fn given(base: TreePath, source: Box<dyn Source>) -> Self {
        Self { base, other: Other::Given(source) }
    }

    /// Nothing: all that is stored is gone.
    pub(super) fn nothing(base: TreePath) -> Self {
        Self { base, other: Other::Nothing }
    }

    /// Begins to compare it with a stored tree.
    pub(super) fn open(self, stored: &Tree) -> Result<Opened> {
        let base = &self.base;
        Ok(match self.other {
            Other::Tree(tree) => {
                Opened { found: Box::new(stored.diff(&tree, base)), content: Content::Tree(tree) }
            }
            Other::Files(options) => {
                let items = FileSource::new(*options)?.open()?;
                Opened { found: Box::new(stored.diff_live(base, items)), content: Content::Disk }
            }
            Other::Given(mut source) => {
                let kept = Kept::default();
                let note = Rc::clone(&kept);
                let items = source.open()?.inspect(move |item| keep(item, &note));
                let found = stored.diff_live(base, items).filter_map(of_bytes);
                Opened { found: Box::new(found), content: Content::Kept(kept) }
            }
            Other::Nothing => {
                let nothing = MemorySource::new("files", "files").open()?;
                Opened { found: Box::new(stored.diff_live(base, nothing)), content: Content::Nothing }
            }
        })
    }
}

/// Keeps the bytes of a JSON file until the next one comes.
fn keep(item: &Item, kept: &Kept) {
    if let Item::Entry(entry) = item
        && let Origin::Bytes(bytes) = &entry.origin
        && entry.path.name().ends_with(b".json")
    {
        kept.replace(Some((entry.path.clone(), bytes.clone())));
    }
}

/// The difference, if it is one of what is there or of its bytes.
fn of_bytes(found: SnapshotResult<Difference>) -> Option<SnapshotResult<Difference>> {
    let mut found = match found {
        Ok(found) => found,
        error => return Some(error),
    };
    found.aspects.retain(|aspect| matches!(aspect, Aspect::Content | Aspect::Type));
    (found.change != Change::Changed || !found.aspects.is_empty()).then_some(Ok(found))
}

impl Opened {
    /// The content of a file of the other side, if it is short enough to be compared by its values.
    pub(super) fn content(&self, path: &TreePath) -> Result<Option<Vec<u8>>> {
        let mut bytes = Vec::new();
        match &self.content {
            Content::Tree(tree) => {
                tree.cat(path, ByteRange::ALL, &mut bytes)?;
            }
            Content::Disk => {
                let path = on_disk(path);
                let failed = |e| Error::local(&path, e);
                File::open(&path)
                    .map_err(failed)?
                    .take(JSON_BYTES_MAX)
                    .read_to_end(&mut bytes)
                    .map_err(failed)?;
            }
            Content::Kept(kept) => {
                let kept = kept.borrow();
                return Ok(kept.as_ref().filter(|(of, _)| of == path).map(|(_, bytes)| bytes.clone()));
            }
            Content::Nothing => return Ok(None),
        }
        Ok(Some(bytes))
    }
}

/// Where a path of a snapshot lies on this host.
pub(super) fn on_disk(path: &TreePath) -> PathBuf {
    Path::new("/").join(OsStr::from_bytes(path.as_bytes()))
}
