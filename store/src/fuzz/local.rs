//! Targets of what lies on this host: the memory of checks and of running sessions, lock files, the catalogue.

use std::collections::BTreeMap;
use std::fs;

use super::{Target, pack_name, session};
use crate::catalogue::Catalogue;
use crate::id::RepositoryId;
use crate::local::{CheckMemory, Folders, Host, Silence, check_memory, silence};

pub(super) const TARGETS: &[Target] = &[
    Target::new("check_memory", checks, checks_seeds),
    Target::new("silence", silences, silences_seeds),
    Target::new("lock_file", lock_file, lock_file_seeds),
    // The database allocates for itself: its cache, and regions of its file.
    Target::new("catalogue", catalogue, catalogue_seeds).within(64, 64 << 20),
];

/// The records of a file, under their right sum.
fn checks(bytes: &[u8]) -> bool {
    // As it is: no sum of 32 bytes fits by chance.
    drop(check_memory::decode(bytes));
    let whole = [bytes, blake3::hash(bytes).as_bytes()].concat();
    let Some(read) = check_memory::decode(&whole) else { return false };
    assert!(read.len() <= bytes.len() / 24);
    true
}

fn checks_seeds() -> Vec<Vec<u8>> {
    let dir = tempfile::tempdir().unwrap();
    let folders = Folders::new(dir.path(), dir.path(), RepositoryId([2; 16]));
    let mut memory = CheckMemory::load(&folders).unwrap();
    let mut seeds = Vec::new();
    for n in 0..3 {
        memory.save().unwrap();
        let bytes = fs::read(folders.state().join("checked")).unwrap();
        seeds.push(bytes.get(..bytes.len() - 32).unwrap().to_vec());
        memory.note(&pack_name(n), i64::from(n) - 1);
    }
    seeds
}

fn silences(bytes: &[u8]) -> bool {
    let Some(read) = silence::decode(bytes) else { return false };
    let text = serde_json::to_vec(&read).unwrap();
    assert_eq!(silence::decode(&text), Some(read), "what is written reads back");
    true
}

fn silences_seeds() -> Vec<Vec<u8>> {
    let dir = tempfile::tempdir().unwrap();
    let folders = Folders::new(dir.path(), dir.path(), RepositoryId([2; 16]));
    let mut memory = Silence::load(&folders).unwrap();
    let at = std::time::Duration::from_millis(1500);
    memory.look(&session(1), 3, &Host { id: "a".to_owned(), boot: "b".to_owned() }, at..at);
    memory.look(&session(2), 0, &Host { id: "a".to_owned(), boot: "b".to_owned() }, at..at);
    memory.save().unwrap();
    vec![fs::read(folders.state().join("running-sessions")).unwrap(), b"{}".to_vec()]
}

/// A lock file that nobody holds: its owner is never taken for alive.
fn lock_file(bytes: &[u8]) -> bool {
    let Ok(host) = serde_json::from_slice::<Host>(bytes) else { return false };
    assert!(!host.outlived(&host), "no host has outlived itself");
    true
}

fn lock_file_seeds() -> Vec<Vec<u8>> {
    vec![serde_json::to_vec(&Host { id: "0".repeat(32), boot: String::new() }).unwrap()]
}

const KEY: [u8; 32] = [5; 32];

/// The whole file of a catalogue: nothing that is not as it was put is ever given out.
fn catalogue(bytes: &[u8]) -> bool {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("catalogue.redb");
    fs::write(&path, bytes).unwrap();
    let catalogue = Catalogue::new(dir.path(), KEY);
    let known: BTreeMap<_, _> = contents().into_iter().collect();
    let mut any = false;
    for (n, value) in &known {
        if let Some(found) = catalogue.get_decision(&session(*n)) {
            assert_eq!(found, *value);
            any = true;
        }
    }
    catalogue.put_state("x", b"state");
    assert!(catalogue.get_state("x").is_none_or(|state| state == b"state"));
    any
}

fn contents() -> Vec<(u64, Vec<u8>)> {
    (0..3).map(|n| (n, vec![n as u8; 100])).collect()
}

/// A file holds the run of this host's kernel, so it is no corpus: made anew each time.
fn catalogue_seeds() -> Vec<Vec<u8>> {
    let dir = tempfile::tempdir().unwrap();
    let catalogue = Catalogue::new(dir.path(), KEY);
    let rows: Vec<_> = contents().into_iter().map(|(n, value)| (session(n), value)).collect();
    catalogue.put_decisions(&rows);
    vec![fs::read(dir.path().join("catalogue.redb")).unwrap()]
}
