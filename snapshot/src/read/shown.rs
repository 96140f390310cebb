//! From what people see and type to the paths of a tree.

use crate::error::Result;
use crate::path::TreePath;
use crate::record::Manifest;
use crate::tree::Tree;

impl Tree {
    /// The path that is meant by one that somebody typed: as it is spelled if the tree has that, else the one that is
    /// shown like that (see [`crate::printable`]), if the tree has that.
    pub fn meant(&self, typed: TreePath) -> Result<TreePath> {
        let Some(text) = std::str::from_utf8(typed.as_bytes()).ok().filter(|t| t.contains('\\')) else {
            return Ok(typed);
        };
        for path in TreePath::of_shown(text) {
            if self.has(&path)? {
                return Ok(path);
            }
        }
        Ok(typed)
    }

    /// The roots that a manifest names, as far as the tree has them; none if it names only some of them.
    pub fn roots(&self, manifest: &Manifest) -> Vec<TreePath> {
        if !manifest.names_all_roots() {
            return Vec::new();
        }
        // What cannot be read shows when it is needed.
        let is_there = |path: &TreePath| path.is_root() || self.has(path).unwrap_or(true);
        let named = manifest.paths.iter().filter(|p| p.starts_with('/'));
        named.flat_map(|p| TreePath::of_shown(p)).filter(is_there).collect()
    }

    /// Whether there is anything at or below a path.
    fn has(&self, path: &TreePath) -> Result<bool> {
        self.range(path).next().transpose().map(|first| first.is_some())
    }
}
