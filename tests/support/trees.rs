//! Real trees and tools that `scripts/test` puts in place.

use std::path::{Path, PathBuf};

/// The top folder of the checkout.
pub fn repository_root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().expect("tests/ lies in the checkout").to_owned()
}

/// A fixture by name (`source-tree`).
pub fn fixture(name: &str) -> PathBuf {
    let path = repository_root().join("target/fixtures").join(name);
    assert!(path.join(".complete").exists(), "{} is missing: run scripts/test", path.display());
    path
}

/// The Python interpreter that has what the independent reader needs.
pub fn reader_python() -> PathBuf {
    fixture("python").join("bin/python")
}
