//! Patterns over paths of a tree, with gitignore semantics, and what fits them.

use std::ffi::OsStr;
use std::os::unix::ffi::OsStrExt;
use std::path::Path;

use ignore::gitignore::{Gitignore, GitignoreBuilder};

use crate::error::{Error, Result};
use crate::node::Node;
use crate::path::TreePath;
use crate::tree::{RawEntry, Tree};

/// Whether upper and lower case differ.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Case {
    /// They do.
    #[default]
    Sensitive,
    /// They do not.
    Insensitive,
}

/// Patterns: without `/` one fits a name at any depth, with one it fits the path from the root; a later one
/// that begins with `!` takes back an earlier one.
#[derive(Clone, Debug)]
pub struct Patterns(Gitignore);

impl Patterns {
    /// Compiles patterns.
    pub fn new<S: AsRef<str>>(patterns: impl IntoIterator<Item = S>, case: Case) -> Result<Self> {
        let mut builder = GitignoreBuilder::new("");
        let bad = |text: &str, e: ignore::Error| Error::Invalid(format!("{text:?} is not a pattern: {e}"));
        builder.case_insensitive(case == Case::Insensitive).map_err(|e| bad("", e))?;
        for pattern in patterns {
            let text = pattern.as_ref();
            // A comment makes sense in a file, not among patterns that are given one by one.
            let escaped = if text.starts_with('#') { format!("\\{text}") } else { text.to_owned() };
            builder.add_line(None, &escaped).map_err(|e| bad(text, e))?;
        }
        Ok(Self(builder.build().map_err(|e| bad("", e))?))
    }

    /// Whether an entry itself fits.
    pub fn fits(&self, path: &TreePath, node: &Node) -> bool {
        self.0.matched(Path::new(OsStr::from_bytes(path.as_bytes())), node.is_dir()).is_ignore()
    }

    /// Whether a path, which is taken for no folder, or one of the folders that it lies in fits.
    pub fn covers(&self, path: &TreePath) -> bool {
        let path = Path::new(OsStr::from_bytes(path.as_bytes()));
        self.0.matched_path_or_any_parents(path, false).is_ignore()
    }
}

impl Tree {
    /// The entries at and below `base` that fit, in the order of paths; without the extents of large files.
    pub fn search<'p>(
        &self,
        base: &TreePath,
        patterns: &'p Patterns,
    ) -> impl Iterator<Item = Result<(TreePath, Node)>> + use<'p> {
        self.walk(base)
            .filter(|entry| entry.as_ref().map_or(true, |e| patterns.fits(&e.path, &e.node)))
            .map(|entry| entry.map(|RawEntry { path, node, .. }| (path, node)))
    }
}
