//! A tree and what a source gives now, merged. Files whose times say nothing are compared byte by byte.

use std::cmp::Ordering;
use std::collections::BTreeSet;
use std::ffi::OsStr;
use std::fs::File;
use std::io::{self, Read, Write};
use std::iter::Peekable;
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};

use super::{Aspect, Difference, aspects};
use crate::error::{Error, Result};
use crate::node::NodeKind;
use crate::path::TreePath;
use crate::read::ByteRange;
use crate::source::{Entry, Item, Origin, xattrs_since};
use crate::tree::{RawEntry, Tree, Walk};

impl Tree {
    /// What differs between this tree, at and below `base`, and what a source gives of the same place now.
    ///
    /// `live` gives entries in the order of their paths; those outside `base` are passed over.
    pub fn diff_live<I: Iterator<Item = Item>>(&self, base: &TreePath, live: I) -> LiveDiff<I> {
        let mut stored = self.walk(base);
        LiveDiff {
            tree: self.clone(),
            base: base.clone(),
            ahead: stored.next(),
            stored,
            live: live.peekable(),
            lost: BTreeSet::new(),
            failed: false,
        }
    }
}

/// Differences between a tree and a source. After an error the iterator goes on behind what cannot be read.
#[derive(Debug)]
pub struct LiveDiff<I: Iterator<Item = Item>> {
    tree: Tree,
    base: TreePath,
    stored: Walk,
    /// What `stored` gives next.
    ahead: Option<Result<RawEntry>>,
    live: Peekable<I>,
    /// Places that the source could not read: nothing is known of what is there.
    lost: BTreeSet<Vec<u8>>,
    /// The source has failed: nothing is known of what it has not given.
    failed: bool,
}

impl<I: Iterator<Item = Item>> LiveDiff<I> {
    fn step(&mut self) -> Option<Result<Option<Difference>>> {
        let order = match (&self.ahead, self.live.peek()) {
            (None, None) => return None,
            (Some(Err(_)), _) => Ordering::Less,
            (_, Some(Item::Problem(_) | Item::Failed(_))) | (None, _) => Ordering::Greater,
            (_, None) => Ordering::Less,
            (Some(Ok(stored)), Some(Item::Entry(live))) => stored.path.cmp(&live.path),
        };
        let stored = if order.is_le() { self.next_stored() } else { None };
        let live = if order.is_ge() { self.live.next() } else { None };
        Some(match (stored, live) {
            (Some(Err(error)), _) => Err(error),
            (_, Some(Item::Problem(problem))) => {
                if let Ok(path) = TreePath::from_absolute(Path::new(&problem.path)) {
                    self.lost.insert(path.as_bytes().to_vec());
                }
                Err(Error::file(&problem.path, io::Error::other(problem.error)))
            }
            (_, Some(Item::Failed(why))) => {
                self.failed = true;
                Err(Error::Source { name: "live".to_owned(), why })
            }
            (Some(Ok(stored)), Some(Item::Entry(live))) => self.compare(stored, live),
            (Some(Ok(stored)), None) => {
                let is_unknown = self.failed || self.is_lost(&stored.path);
                Ok((!is_unknown).then(|| Difference::removed(stored)))
            }
            (None, Some(Item::Entry(live))) => Ok(self.added(live)),
            (None, None) => Ok(None),
        })
    }

    fn next_stored(&mut self) -> Option<Result<RawEntry>> {
        std::mem::replace(&mut self.ahead, self.stored.next())
    }

    fn added(&self, live: Entry) -> Option<Difference> {
        live.path.strip(&self.base)?;
        if self.stored.lost().is_some_and(|lost| lost.covers(&live.path)) {
            return None;
        }
        Some(Difference::added(live.path, live.node))
    }

    fn is_lost(&self, path: &TreePath) -> bool {
        let mut at = Some(path.clone());
        while let Some(here) = at {
            if self.lost.contains(here.as_bytes()) {
                return true;
            }
            at = here.parent();
        }
        false
    }

    fn compare(&self, stored: RawEntry, mut live: Entry) -> Result<Option<Difference>> {
        if let Origin::File(folder) = live.origin {
            live.node.xattrs = xattrs_since(&stored.node, &live.node, &live.path, folder)
                .map_err(|e| Error::file(place(&live.path), e))?;
        }
        let mut found = aspects(&stored.node, &live.node);
        if matches!(live.origin, Origin::AboveRoot) {
            found.retain(|a| *a == Aspect::Type);
        }
        let files = matches!((&stored.node.kind, &live.node.kind), (NodeKind::File(_), NodeKind::File(_)));
        if files && self.content_differs(&stored, &live.node, live.origin)? {
            found.insert(0, Aspect::Content);
        }
        Ok(Difference::changed(live.path, stored.node, live.node, found))
    }

    fn content_differs(&self, stored: &RawEntry, live: &crate::node::Node, origin: Origin) -> Result<bool> {
        let mut reader: Box<dyn Read> = match origin {
            Origin::Nothing | Origin::AboveRoot => return Ok(false),
            Origin::Bytes(bytes) => Box::new(io::Cursor::new(bytes)),
            Origin::Stream(stream) | Origin::Part(stream) => stream,
            Origin::File(_) => {
                let stamp = |n: &crate::node::Node| (n.size(), n.mtime, n.ctime, n.inode);
                if stamp(&stored.node) == stamp(live) {
                    return Ok(false);
                }
                if stored.node.size() != live.size() {
                    return Ok(true);
                }
                let place = place(&stored.path);
                Box::new(File::open(&place).map_err(|e| Error::file(&place, e))?)
            }
        };
        let mut compare = Compare { reader: &mut reader, differs: false, failed: None };
        let written = self.tree.write_content(stored, ByteRange::ALL, &mut compare);
        let Compare { differs, failed, .. } = compare;
        if let Some(error) = failed {
            return Err(Error::file(place(&stored.path), error));
        }
        if differs {
            return Ok(true);
        }
        written?;
        let mut more = [0; 1];
        Ok(reader.read(&mut more).map_err(|e| Error::file(place(&stored.path), e))? > 0)
    }
}

/// Where an entry of a tree lies in the file system.
fn place(path: &TreePath) -> PathBuf {
    Path::new("/").join(OsStr::from_bytes(path.as_bytes()))
}

/// Compares what is written to it with what a reader gives; fails at the first difference.
struct Compare<'r> {
    reader: &'r mut dyn Read,
    differs: bool,
    failed: Option<io::Error>,
}

impl Write for Compare<'_> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let mut own = vec![0; bytes.len()];
        match self.reader.read_exact(&mut own) {
            Ok(()) => self.differs = own != bytes,
            Err(e) if e.kind() == io::ErrorKind::UnexpectedEof => self.differs = true,
            Err(e) => self.failed = Some(e),
        }
        if self.differs || self.failed.is_some() {
            return Err(io::Error::other("the comparison has ended"));
        }
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl<I: Iterator<Item = Item>> Iterator for LiveDiff<I> {
    type Item = Result<Difference>;

    fn next(&mut self) -> Option<Self::Item> {
        loop {
            match self.step()? {
                Ok(None) => {}
                Ok(Some(found)) => return Some(Ok(found)),
                Err(error) => return Some(Err(error)),
            }
        }
    }
}
