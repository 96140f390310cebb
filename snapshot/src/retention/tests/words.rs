//! What retention says in words, and what it knows of a snapshot.

use chronos_store::{Marks, SessionId, SnapshotId, SnapshotRow, Verdict};

use super::*;
use crate::record::Snapshot;

#[test]
fn ages_are_told_in_the_largest_whole_unit() {
    let told = |age| Reason::Young { rule: "daily".to_owned(), age }.to_string();
    for (seconds, text) in [
        (0, "0 hours"),
        (59, "59 seconds"),
        (3600, "1 hours"),
        (3601, "3601 seconds"),
        (23 * 3600, "23 hours"),
        (24 * 3600, "24 hours"),
        (25 * 3600, "25 hours"),
        (48 * 3600, "2 days"),
        (90 * 24 * 3600, "90 days"),
        (90 * 24 * 3600 + 1, "7776001 seconds"),
    ] {
        assert_eq!(told(seconds), format!("daily: not older than {text}"));
    }
}

#[test]
fn a_row_has_what_the_snapshot_says_of_itself_and_what_was_said_since() {
    let of = |status: &str, verdict, change: &dyn Fn(&mut Marks)| {
        let manifest = serde_json::json!({
            "v": 1, "backup_id": "x", "target": "t", "tier": "daily", "backup_type": "database",
            "created_at": "2024-06-30T00:00:00Z", "host": "h", "paths": [], "status": status, "scope": ["one"],
            "tags": ["old"], "tree": "00".repeat(32), "files": 0, "dirs": 0, "size_bytes": 0, "added_bytes": 0,
            "program": ""
        });
        let mut marks = Marks { verdict, ..Marks::default() };
        change(&mut marks);
        let session = SessionId::new(1, "c", 1).unwrap();
        let manifest = serde_json::to_vec(&manifest).unwrap();
        let row = SnapshotRow { session, id: SnapshotId([0; 32]), roots: Vec::new(), manifest, marks };
        Row::of(&Snapshot::from_row(&row).unwrap())
    };
    let plain = of("completed", None, &|_| {});
    let expected = Row {
        target: "t".to_owned(),
        tier: "daily".to_owned(),
        backup_type: "database".to_owned(),
        scope: vec!["one".to_owned()],
        host: "h".to_owned(),
        tags: vec!["old".to_owned()],
        time: Some(time("2024-06-30T00:00:00Z")),
        health: Health::Good,
        held: false,
    };
    assert_eq!(plain, expected);
    let health = |status, verdict| of(status, verdict, &|_| {}).health;
    assert_eq!(health("completed", Some(Verdict::Verified)), Health::Good);
    assert_eq!(health("partial", None), Health::Partial);
    assert_eq!(health("partial", Some(Verdict::Verified)), Health::Partial);
    for verdict in [Verdict::Corrupted, Verdict::Missing] {
        assert_eq!(health("completed", Some(verdict)), Health::Bad);
        assert_eq!(health("partial", Some(verdict)), Health::Bad);
    }
    assert_eq!(health("unknown", None), Health::Bad);
    let marked = of("completed", None, &|marks| {
        marks.held = true;
        marks.tags = Some(vec!["new".to_owned()]);
    });
    assert_eq!(marked, Row { held: true, tags: vec!["new".to_owned()], ..expected });
}
