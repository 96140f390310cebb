//! Targets of records: manifests and lists of errors, journals of restores, JSON documents that are compared.

use std::collections::BTreeMap;
use std::sync::OnceLock;

use chronos_store::fuzz::Target;
use chronos_store::{ChunkId, Marks, SessionId, SnapshotId, SnapshotRow};

use crate::diff::json_diff;
use crate::path::TreePath;
use crate::record::{Manifest, PathError, Snapshot, SourceResult};
use crate::resolve::{locate, resolve};
use crate::restore::journal::{self, Record};
use crate::restore::metadata::Attributes;
use crate::retention::Row;

pub(super) const TARGETS: &[Target] = &[
    Target::new("manifest", manifest, manifest_seeds),
    Target::new("path_errors", path_errors, path_errors_seeds),
    Target::new("journal", torn_journal, torn_journal_seeds),
    Target::new("journal_record", journal_record, journal_record_seeds),
    Target::new("json_diff", json, json_seeds).within(256, 256 << 10),
    Target::new("snapshot_name", snapshot_name, snapshot_name_seeds),
];

fn row(manifest: Vec<u8>) -> SnapshotRow {
    SnapshotRow {
        session: SessionId::new(1, "host", 2).unwrap(),
        id: SnapshotId(*blake3::hash(&manifest).as_bytes()),
        roots: Vec::new(),
        manifest,
        marks: Marks::default(),
    }
}

/// A manifest, and everything that is derived from it.
fn manifest(bytes: &[u8]) -> bool {
    let Ok(snapshot) = Snapshot::from_row(&row(bytes.to_vec())) else { return false };
    let again = Snapshot::from_row(&row(serde_json::to_vec(&snapshot.manifest).unwrap())).unwrap();
    assert_eq!(again.manifest, snapshot.manifest, "what is written reads back");
    assert!(!snapshot.is_good() || matches!(snapshot.status(), "completed" | "verified"));
    assert!(snapshot.timestamp().len() >= 15);
    snapshot.is_latest_candidate();
    snapshot.manifest.names_all_roots();
    assert!(snapshot.manifest.sources.iter().all(|s| !s.component().is_empty()));
    let row = Row::of(&snapshot);
    assert_eq!(row.time.is_some(), snapshot.manifest.created_at.parse::<jiff::Timestamp>().is_ok());
    let name = snapshot.manifest.backup_id.clone();
    if !name.is_empty() && resolve(std::slice::from_ref(&snapshot), &name).is_err() {
        assert!(name.starts_with("latest"), "its own name is found: {name:?}");
    }
    true
}

fn example(n: u8) -> Manifest {
    Manifest {
        v: 1,
        backup_id: format!("files_manual_2026010{n}_120000"),
        name: (n > 1).then(|| "night".to_owned()),
        target: "files".to_owned(),
        tier: "manual".to_owned(),
        backup_type: "full".to_owned(),
        created_at: format!("2026-01-0{n}T12:00:00.000000001Z"),
        began_at: None,
        duration_ms: 5,
        host: "host".to_owned(),
        user: "me".to_owned(),
        paths: vec!["/home/me".to_owned()],
        description: String::new(),
        tags: vec!["a".to_owned()],
        metadata: BTreeMap::from([("k".to_owned(), "v".to_owned())]),
        status: "completed".to_owned(),
        unchanged: false,
        scope: Vec::new(),
        sources: vec![SourceResult { name: "files".to_owned(), ..SourceResult::default() }],
        parent: Some(SnapshotId([1; 32])),
        tree: ChunkId([2; 32]),
        report: None,
        errors: vec![PathError { path: "/x".to_owned(), error: "no".to_owned() }],
        error_count: 1,
        files: 1,
        dirs: 2,
        size_bytes: 3,
        added_bytes: 4,
        program: "chronos 0".to_owned(),
        received_at: None,
        signature: None,
    }
}

fn manifest_seeds() -> Vec<Vec<u8>> {
    vec![serde_json::to_vec(&example(1)).unwrap(), serde_json::to_vec(&example(2)).unwrap()]
}

/// The list of errors that is too long for a manifest: JSON lines.
fn path_errors(bytes: &[u8]) -> bool {
    let lines = bytes.split(|b| *b == b'\n').filter(|l| !l.is_empty());
    let read: Result<Vec<PathError>, _> = lines.map(serde_json::from_slice).collect();
    read.is_ok_and(|errors| !errors.is_empty())
}

fn path_errors_seeds() -> Vec<Vec<u8>> {
    vec![b"{\"path\":\"/a\",\"error\":\"b\"}\n{\"path\":\"\",\"error\":\"\"}\n".to_vec()]
}

/// A whole journal as it is.
fn torn_journal(bytes: &[u8]) -> bool {
    let read = journal::decode(bytes).unwrap();
    let again: Vec<u8> = read.iter().flat_map(|r| journal::line(&serde_json::to_vec(r).unwrap())).collect();
    assert_eq!(journal::decode(again.as_slice()).unwrap(), read, "what is written reads back");
    !read.is_empty()
}

fn torn_journal_seeds() -> Vec<Vec<u8>> {
    vec![journal_records().iter().flat_map(|r| journal::line(&serde_json::to_vec(r).unwrap())).collect()]
}

/// The JSON of one record, under its right sum.
fn journal_record(bytes: &[u8]) -> bool {
    let bytes = bytes.split(|b| *b == b'\n').next().unwrap_or_default();
    let Some(record) = journal::decode(journal::line(bytes).as_slice()).unwrap().pop() else { return false };
    if let Record::Unit { path, temp, aside, .. } = &record {
        for path in [path, temp, aside] {
            assert!(path.components().all(|c| c != b".." && c != b"."), "it stays inside the target");
        }
    }
    true
}

fn journal_records() -> Vec<Record> {
    let path = |text: &str| TreePath::new(text).unwrap();
    let attributes = Attributes {
        mode: 0o644,
        uid: 1,
        gid: 2,
        seconds: -3,
        nanos: 4,
        xattrs: vec![(b"user.a".to_vec(), vec![0, 255])],
    };
    vec![
        Record::Begin { version: 1, target: b"/target".to_vec(), made: vec![b"/target".to_vec()] },
        Record::Unit { path: path("a/b"), temp: path("a/.t"), aside: path("a/.o"), old: Some(7) },
        Record::Removal { path: path("c"), aside: path(".c"), old: 8 },
        Record::Attributes { path: path("d"), inode: 9, old: attributes.clone(), new: Some(attributes) },
        Record::Built { inodes: vec![Some(10), None] },
        Record::Committed,
    ]
}

fn journal_record_seeds() -> Vec<Vec<u8>> {
    journal_records().iter().map(|r| serde_json::to_vec(r).unwrap()).collect()
}

/// Two documents, separated by a NUL.
fn json(bytes: &[u8]) -> bool {
    let mut parts = bytes.splitn(2, |b| *b == 0);
    let (before, after) = (parts.next().unwrap_or_default(), parts.next().unwrap_or_default());
    let Ok(found) = json_diff(before, after) else { return false };
    assert!(json_diff(after, after).unwrap().is_empty(), "nothing differs from itself");
    if before == after {
        assert!(found.is_empty());
    }
    assert!(found.iter().all(|c| c.before.is_some() || c.after.is_some()));
    true
}

fn json_seeds() -> Vec<Vec<u8>> {
    vec![
        b"{\"a\":[1,2,3],\"b/~\":null}\0{\"a\":[1,3],\"c\":\"x\"}".to_vec(),
        b"[[1],[2],{}]\0[[1],{},[2]]".to_vec(),
        b"0\x001e300".to_vec(),
    ]
}

/// `SNAP` or `SNAP:PATH` among a few snapshots.
fn snapshot_name(bytes: &[u8]) -> bool {
    static SNAPSHOTS: OnceLock<Vec<Snapshot>> = OnceLock::new();
    let snapshots = SNAPSHOTS.get_or_init(|| {
        let snapshot = |n| Snapshot::from_row(&row(serde_json::to_vec(&example(n)).unwrap())).unwrap();
        (1..=3).map(snapshot).collect()
    });
    let Ok(text) = std::str::from_utf8(bytes) else { return false };
    locate(snapshots, text).is_ok()
}

fn snapshot_name_seeds() -> Vec<Vec<u8>> {
    let names = [
        "latest",
        "latest:files",
        "latest~1",
        "files_manual_20260101_120000",
        "night_20260102_120000",
        "latest:/home/me",
        "files_manual_20260102_120000:a/b",
        "prod_backup_manual_night_20260102_120000.tar.zst",
        "backup_20260103_120000",
    ];
    let mut seeds: Vec<_> = names.iter().map(|n| n.as_bytes().to_vec()).collect();
    let id = row(serde_json::to_vec(&example(1)).unwrap()).id.to_string();
    seeds.push(id.into_bytes());
    seeds
}
