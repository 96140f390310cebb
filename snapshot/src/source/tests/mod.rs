//! Tests of the file source: what the walk gives, and what the rules leave out.
#![expect(clippy::unwrap_used, clippy::indexing_slicing, clippy::panic, reason = "tests")]

mod ignore;
mod rules;
mod walk;

use std::fs;
use std::path::Path;

use crate::source::{Entry, FileOptions, FileSource, Item, Source};

/// All entries of a source; a problem fails the test.
pub(super) fn entries(options: FileOptions) -> Vec<Entry> {
    let mut source = FileSource::new(options).unwrap();
    source
        .open()
        .unwrap()
        .map(|item| match item {
            Item::Entry(entry) => entry,
            other => panic!("{other:?}"),
        })
        .collect()
}

/// The paths below `root`, relative to it.
pub(super) fn paths(root: &Path, options: FileOptions) -> Vec<String> {
    let base = crate::TreePath::from_absolute(root).unwrap();
    let inside = |e: Entry| e.path.strip(&base).filter(|p| !p.is_empty()).map(crate::printable);
    entries(FileOptions { roots: vec![root.to_owned()], ..options }).into_iter().filter_map(inside).collect()
}

/// Writes a file and the folders above it.
pub(super) fn write(root: &Path, path: &str, content: &str) {
    let path = root.join(path);
    fs::create_dir_all(path.parent().unwrap()).unwrap();
    fs::write(path, content).unwrap();
}
