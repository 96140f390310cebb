//! Tests of naming snapshots.
#![expect(clippy::unwrap_used, clippy::indexing_slicing, reason = "tests")]

use chronos_store::{ChunkId, Marks, SnapshotId, Verdict};

use super::*;
use crate::record::Manifest;

fn snapshot(n: u8, backup_id: &str, name: Option<&str>, created_at: &str) -> Snapshot {
    let mut parts = backup_id.split('_');
    let target = parts.next().unwrap().to_owned();
    let manifest = Manifest {
        v: 1,
        backup_id: backup_id.into(),
        name: name.map(Into::into),
        target,
        tier: parts.next().unwrap().into(),
        backup_type: "full".into(),
        created_at: created_at.into(),
        began_at: None,
        duration_ms: 0,
        host: "h".into(),
        user: String::new(),
        paths: Vec::new(),
        description: String::new(),
        tags: Vec::new(),
        metadata: std::collections::BTreeMap::new(),
        status: "completed".into(),
        unchanged: false,
        scope: Vec::new(),
        sources: Vec::new(),
        parent: None,
        tree: ChunkId([0; 32]),
        report: None,
        errors: Vec::new(),
        error_count: 0,
        files: 0,
        dirs: 0,
        size_bytes: 0,
        added_bytes: 0,
        program: String::new(),
        received_at: None,
        signature: None,
    };
    let session = format!("{n:010x}-c-{n:016x}").parse().unwrap();
    let mut id = [n; 32];
    id[0] = 0xab;
    Snapshot { id: SnapshotId(id), session, manifest, marks: Marks::default() }
}

fn list() -> Vec<Snapshot> {
    vec![
        snapshot(1, "prod_daily_20260101_000000", None, "2026-01-01T00:00:00.5Z"),
        snapshot(2, "dev_manual_20260102_030405", Some("before: x"), "2026-01-02T03:04:05Z"),
        snapshot(3, "prod_manual_20260102_030405", Some("good"), "2026-01-02T03:04:05.1Z"),
        snapshot(4, "prod_manual_20260102_030405_2", Some("good"), "2026-01-02T03:04:05.2Z"),
        snapshot(5, "files_restore-point_20260301_000000", None, "2026-03-01T00:00:00Z"),
    ]
}

fn id_of(text: &str) -> String {
    resolve(&list(), text).unwrap().snapshot.manifest.backup_id
}

#[test]
fn a_snapshot_is_found_by_every_kind_of_name() {
    for (text, id) in [
        ("prod_daily_20260101_000000", "prod_daily_20260101_000000"),
        ("20260101_000000", "prod_daily_20260101_000000"),
        ("backup_20260101_000000", "prod_daily_20260101_000000"),
        ("before: x_20260102_030405", "dev_manual_20260102_030405"),
        ("ab0202", "dev_manual_20260102_030405"),
        ("AB02", "dev_manual_20260102_030405"),
        ("shop_backup_manual_good_20260102_030405.zip", "prod_manual_20260102_030405_2"),
        ("exports/shop_backup_manual_good_20260102_030405.tar.zst", "prod_manual_20260102_030405_2"),
        ("shop_backup_manual_good_20260102_030405", "prod_manual_20260102_030405_2"),
        ("prod_manual_20260102_030405", "prod_manual_20260102_030405"),
        ("latest", "prod_manual_20260102_030405_2"),
        ("latest:dev", "dev_manual_20260102_030405"),
    ] {
        assert_eq!(id_of(text), id, "{text}");
    }
}

#[test]
fn of_several_the_latest_is_taken_and_the_answer_says_so() {
    for text in ["20260102_030405", "backup_20260102_030405", "good_20260102_030405"] {
        let found = resolve(&list(), text).unwrap();
        assert_eq!(found.snapshot.manifest.backup_id, "prod_manual_20260102_030405_2");
        assert!(found.note.unwrap().contains("prod_manual_20260102_030405_2"));
    }
}

#[test]
fn an_ambiguous_prefix_and_unknown_names_are_errors() {
    assert!(matches!(resolve(&list(), "ab"), Err(Error::Ambiguous { matches, .. }) if matches.len() == 5));
    for text in ["", "zz", "latest:files", "latest:nowhere", "ab99", "20250101_000000", "x_20260101_000000"] {
        assert!(matches!(resolve(&list(), text), Err(Error::NotFound { .. })), "{text}");
    }
    assert!(matches!(locate(&list(), "ab:etc"), Err(Error::Ambiguous { .. })));
}

#[test]
fn latest_is_good_whole_and_not_the_state_before_a_rollback() {
    let mut all = list();
    all[3].marks.verdict = Some(Verdict::Corrupted);
    all[2].manifest.scope = vec!["workflow 7".into()];
    assert_eq!(latest(&all, None).unwrap().snapshot.manifest.target, "dev");
    all[1].manifest.status = "partial".into();
    all[1].marks.verdict = Some(Verdict::Verified);
    assert_eq!(latest(&all, None).unwrap().snapshot.id, all[0].id);
}

#[test]
fn a_path_is_split_off_where_a_snapshot_ends() {
    let at = |text: &str| {
        let (found, path) = locate(&list(), text).unwrap();
        (found.snapshot.manifest.target, path.map(|p| p.to_string()))
    };
    let some = |t: &str, p: &str| (t.to_owned(), Some(p.to_owned()));
    assert_eq!(at("latest:/etc//x/"), some("prod", "etc/x"));
    assert_eq!(at("latest:./etc"), some("prod", "etc"));
    assert_eq!(at("latest:dev:etc"), some("dev", "etc"));
    assert_eq!(at("latest:dev:/a:b"), some("dev", "a:b"));
    assert_eq!(at("before: x_20260102_030405:etc"), some("dev", "etc"));
    assert_eq!(at("latest:/"), some("prod", ""));
    assert_eq!(at("latest"), ("prod".to_owned(), None));
    assert!(matches!(locate(&list(), "latest:etc"), Err(Error::NotFound { .. })));
    assert!(matches!(locate(&list(), "ab01:../x"), Err(Error::Invalid(_))));
}
