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

#[test]
fn what_is_synced_is_counted() {
    let dir = tempfile::tempdir().unwrap();
    let backend = LocalBackend::new(dir.path());
    backend.write_new("snap/a", b"1", Durability::Now).unwrap();
    assert_eq!(backend.counters().fsyncs, 4, "file, its folder, and the two above once");
    backend.write_new("snap/b", b"1", Durability::Now).unwrap();
    assert_eq!(backend.counters().fsyncs, 6, "file and its folder");
    for n in 0..10 {
        backend.write_new(&format!("packs/s/{n}"), b"1", Durability::Deferred).unwrap();
    }
    backend.write_new("name/x", b"1", Durability::Relaxed).unwrap();
    assert_eq!(backend.counters().fsyncs, 6, "nothing is waited for yet");
    backend.sync().unwrap();
    assert_eq!(backend.counters().fsyncs, 6 + 10 + 4, "packs/s, packs, the root above it, snap, each once");
    let before = backend.counters().fsyncs;
    backend.sync().unwrap();
    assert_eq!(backend.counters().fsyncs - before, 1, "the folder of decisions, whoever wrote there");
    backend.remove("sess/a").unwrap();
    backend.remove("keys/a").unwrap();
    backend.write_new("log/a", b"1", Durability::Relaxed).unwrap();
    backend.write_new("keys/b", b"1", Durability::Relaxed).unwrap();
    let before = backend.counters().fsyncs;
    backend.sync().unwrap();
    let why = "decisions, records, where something was removed, and the root above the new folders";
    assert_eq!(backend.counters().fsyncs - before, 4, "{why}");
    assert_eq!(backend.counters().writes, 15);
}

#[test]
fn an_object_of_a_dead_writer_is_synced_by_who_takes_it_over() {
    let dir = tempfile::tempdir().unwrap();
    let dead = LocalBackend::new(dir.path());
    dead.write_new("packs/s/1", b"1", Durability::Deferred).unwrap();
    drop(dead);
    let backend = LocalBackend::new(dir.path());
    backend.maintain(Upkeep::TakeOver("packs/s/1")).unwrap();
    assert_eq!(backend.counters().fsyncs, 0, "nothing is waited for yet");
    backend.sync().unwrap();
    assert_eq!(backend.counters().fsyncs, 5, "file, packs/s, packs, and the two above");
    assert_eq!(backend.read("packs/s/1", None).unwrap(), b"1");
    let absent = backend.maintain(Upkeep::TakeOver("packs/s/2"));
    assert!(matches!(absent, Err(BackendError::NotFound(name)) if name == "packs/s/2"));
    assert!(matches!(backend.maintain(Upkeep::TakeOver("../x")), Err(BackendError::Invalid(_))));
}

#[test]
fn many_deferred_files_do_not_stay_open() {
    let dir = tempfile::tempdir().unwrap();
    let backend = LocalBackend::new(dir.path());
    for n in 0..200 {
        backend.write_new(&format!("packs/s/{n}"), b"1", Durability::Deferred).unwrap();
    }
    assert_eq!(lock(&backend.pending).files.len(), 64);
    backend.sync().unwrap();
    assert!(lock(&backend.pending).files.is_empty() && lock(&backend.pending).folders.is_empty());
}

#[test]
fn only_old_unfinished_files_without_a_writer_are_leftovers() {
    let dir = tempfile::tempdir().unwrap();
    let backend = LocalBackend::new(dir.path());
    backend.write_new("config", b"1", Durability::Now).unwrap();
    let old = std::time::SystemTime::now() - std::time::Duration::from_hours(48);
    let make = |name: &str| {
        let file = File::create(backend.tmp().join(name)).unwrap();
        file.set_len(10).unwrap();
        file
    };
    make("young");
    make("old").set_modified(old).unwrap();
    let running = make("running");
    running.set_modified(old).unwrap();
    running.lock().unwrap();
    assert_eq!(backend.list_all("").unwrap().len(), 1, "unfinished files are not shown");
    assert_eq!(backend.maintain(Upkeep::RemoveLeftovers).unwrap(), 10);
    assert!(backend.tmp().join("young").exists() && backend.tmp().join("running").exists());
    assert!(!backend.tmp().join("old").exists());
}

#[test]
fn the_reserve_is_set_aside_and_given_back() {
    let dir = tempfile::tempdir().unwrap();
    let backend = LocalBackend::new(dir.path());
    assert_eq!(backend.maintain(Upkeep::ReleaseReserve).unwrap(), 0);
    assert_eq!(backend.maintain(Upkeep::RefillReserve).unwrap(), 2 << 20);
    assert_eq!(backend.maintain(Upkeep::RefillReserve).unwrap(), 0, "it is there already");
    assert_eq!(backend.maintain(Upkeep::RemoveLeftovers).unwrap(), 0);
    assert!(backend.list_all("").unwrap().is_empty());
    assert_eq!(backend.maintain(Upkeep::ReleaseReserve).unwrap(), 2 << 20);
}

#[test]
fn files_that_are_no_objects_are_not_shown() {
    let dir = tempfile::tempdir().unwrap();
    let backend = LocalBackend::new(dir.path());
    backend.write_new("snap/a", b"1", Durability::Now).unwrap();
    for name in ["snap/.hidden", "snap/Upper", "README.TXT", "snap/b~"] {
        File::create(dir.path().join(name)).unwrap();
    }
    fs::create_dir(dir.path().join("lost+found")).unwrap();
    assert_eq!(backend.list_all("").unwrap().len(), 1);
}

#[test]
fn folders_that_vanish_under_a_writer_are_made_again() {
    let dir = tempfile::tempdir().unwrap();
    let (a, b) = (LocalBackend::new(dir.path()), LocalBackend::new(dir.path()));
    std::thread::scope(|scope| {
        let remover = scope.spawn(|| {
            for n in 0..300 {
                b.remove(&format!("packs/s/{n}")).unwrap();
            }
        });
        for n in 0..300 {
            a.write_new(&format!("packs/s/x{n}"), b"1", Durability::Relaxed).unwrap();
            a.remove(&format!("packs/s/x{n}")).unwrap();
        }
        remover.join().unwrap();
    });
    assert!(!dir.path().join("packs/s").exists(), "empty folders go");
}
