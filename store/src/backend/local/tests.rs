//! What only a folder of files can show: modes, leftovers, durability calls, read-only use.
#![expect(clippy::unwrap_used, reason = "tests")]

use std::os::unix::fs::PermissionsExt;

use super::*;
use crate::backend::{BackendExt, MemoryBackend};

fn mode(path: &Path) -> u32 {
    fs::metadata(path).unwrap().permissions().mode() & 0o777
}

#[test]
fn files_and_folders_belong_to_their_owner_alone() {
    let dir = tempfile::tempdir().unwrap();
    let backend = LocalBackend::new(dir.path().join("a/repo"));
    backend.write_new("packs/x/y", b"1", Durability::Now).unwrap();
    for folder in ["", "packs", "packs/x", TMP] {
        assert_eq!(mode(&backend.path(folder)), 0o700, "{folder}");
    }
    assert_eq!(mode(&backend.path("packs/x/y")), 0o600);
}

#[test]
fn names_come_in_byte_order_across_folders() {
    let dir = tempfile::tempdir().unwrap();
    let local = LocalBackend::new(dir.path());
    let memory = MemoryBackend::new();
    for name in ["a/b/c", "a/b-c", "a/b.c", "a/b0", "a-b", "a0", "b/x/1", "b/x/0", "b/w", "config"] {
        local.write_new(name, name.as_bytes(), Durability::Relaxed).unwrap();
        memory.write_new(name, name.as_bytes(), Durability::Relaxed).unwrap();
    }
    for prefix in ["", "a", "a/", "a/b", "a/b/", "b/x/", "b/x/1", "c", "zz/"] {
        for after in
            [None, Some(""), Some("a/b"), Some("a/b.c"), Some("a0"), Some("b/x"), Some("b/x/0"), Some("zz")]
        {
            for limit in [0, 1, 3, 100] {
                assert_eq!(
                    local.list(prefix, after, limit).unwrap(),
                    memory.list(prefix, after, limit).unwrap(),
                    "{prefix} {after:?} {limit}"
                );
            }
        }
    }
}

#[test]
fn reading_writes_nothing() {
    let dir = tempfile::tempdir().unwrap();
    let backend = LocalBackend::new(dir.path().join("none"));
    assert!(backend.list_all("").unwrap().is_empty());
    assert!(!backend.exists("config").unwrap());
    backend.sync().unwrap();
    backend.remove("packs/a/b").unwrap();
    assert_eq!(backend.maintain(Upkeep::RemoveLeftovers).unwrap(), 0);
    assert!(!dir.path().join("none").exists());
}
