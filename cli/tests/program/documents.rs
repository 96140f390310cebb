//! The JSON documents, field by field as the contract names them.

use serde_json::Value;

use crate::support::Home;

#[track_caller]
fn has(value: &Value, fields: &[&str]) {
    for field in fields {
        assert!(value.get(field).is_some(), "{field} is missing in {value}");
    }
}

#[test]
fn backup_and_snapshots() {
    let home = Home::new();
    home.file("data/a", b"1");
    let answer = home.run(["backup", "data", "--json", "--tag", "x", "--metadata", "k=v"]).code(0).json();
    has(
        &answer,
        &[
            "schema_version",
            "backup_id",
            "snapshot",
            "status",
            "files_new",
            "files_changed",
            "files_unmodified",
            "dirs",
            "bytes_processed",
            "bytes_added",
            "bytes_stored",
            "chunks_new",
            "chunks_reused",
            "packs_written",
            "duration_ms",
            "errors",
        ],
    );
    assert_eq!(answer["status"], "completed");
    let rows = home.run(["snapshots", "--json"]).code(0).json();
    has(
        &rows[0],
        &[
            "schema_version",
            "backup_id",
            "snapshot",
            "target",
            "component",
            "backup_type",
            "type",
            "tier",
            "status",
            "path",
            "size_bytes",
            "size_mb",
            "added_bytes",
            "checksum",
            "created_at",
            "duration_ms",
            "name",
            "description",
            "tags",
            "metadata",
            "filename",
            "verified_at",
            "proven_at",
        ],
    );
    assert_eq!(rows[0]["tags"][0], "x");
    assert_eq!(rows[0]["metadata"]["k"], "v");
    let path = rows[0]["path"].as_str().unwrap();
    home.run(["ls", path]).code(0);
}

#[test]
fn looking() {
    let home = Home::with_snapshot();
    let inside = home.inside("data");
    let listing = home.run(["ls", &format!("latest:{inside}"), "--json"]).code(0).json();
    has(&listing, &["schema_version", "backup_id", "entries"]);
    assert_eq!(listing["entries"].as_array().unwrap().len(), 2);
    let found = home.run(["find", "*.json", "--json"]).code(0).json();
    assert_eq!(found["matches"].as_array().unwrap().len(), 1);
    home.file("data/a.txt", b"second, longer\n");
    home.run(["backup", "data"]).code(0);
    let versions = home.run(["versions", "data/a.txt", "--json"]).code(0).json();
    assert_eq!(versions["versions"].as_array().unwrap().len(), 2);
    has(&versions["versions"][0], &["version_id", "first_seen", "last_seen", "backup_id", "created_at"]);
    let ids = home.snapshots();
    let diff = home.run(["diff", &ids[1], &ids[0], "--json"]).code(0).json();
    assert_eq!(diff["changed"].as_array().unwrap().len(), 1);
    let live = home.run(["diff", "latest", "live", "--json"]).code(0).json();
    assert_eq!(live["changed"].as_array().unwrap().len(), 0, "{live}");
    assert_eq!(home.run(["cat", &format!("{}:{inside}/a.txt", ids[1])]).code(0).stdout, "first\n");
}

#[test]
fn restoring_and_exporting() {
    let home = Home::with_snapshot();
    let answer = home.run(["restore", "latest", "--to", "out", "--json"]).code(0).json();
    has(
        &answer,
        &[
            "schema_version",
            "status",
            "path",
            "strategy",
            "restore_point",
            "files_restored",
            "bytes_written",
            "message",
            "errors",
        ],
    );
    assert_eq!(answer["status"], "completed");
    home.file("data/a.txt", b"changed since\n");
    let answer = home.run(["restore", "latest", "--strategy", "overwrite", "--json"]).code(0).json();
    let point = answer["restore_point"].as_str().unwrap().to_owned();
    assert_eq!(std::fs::read(home.path("data/a.txt")).unwrap(), b"first\n");
    let before = home.run(["cat", &format!("{point}:{}", home.inside("data/a.txt"))]).code(0).stdout;
    assert_eq!(before, "changed since\n");
    for format in ["tar", "tar.zst", "zip"] {
        let file = format!("out.{format}");
        let answer = home.run(["export", "latest", "-o", &file, "--json"]).code(0).json();
        has(&answer, &["schema_version", "status", "path", "format", "entries", "bytes"]);
        assert!(home.path(&file).exists());
        home.run(["export", "latest", "-o", &file]).code(1).says("already");
    }
}

#[test]
fn looking_after_the_repository() {
    let home = Home::with_snapshot();
    has(&home.run(["check", "--json"]).code(0).json(), &["schema_version", "status", "errors"]);
    has(
        &home.run(["stats", "--json"]).code(0).json(),
        &["schema_version", "snapshots", "logical_bytes", "unique_bytes", "stored_bytes", "packs", "chunks"],
    );
    let verified = home.run(["verify", "latest", "--json"]).code(0).json();
    assert_eq!(verified[0]["status"], "verified");
    assert_eq!(home.run(["snapshots", "--json"]).json()[0]["status"], "verified");
    has(
        &home.run(["prune", "--json"]).code(0).json(),
        &["schema_version", "status", "pending_bytes", "freed_bytes"],
    );
    has(&home.run(["doctor", "--json"]).code(0).json(), &["schema_version", "status", "findings"]);
    has(&home.run(["config", "show", "--json"]).code(0).json(), &["schema_version", "repository", "config"]);
    for what in ["index", "packs"] {
        has(
            &home.run(["repair", what, "--dry-run", "--json"]).code(0).json(),
            &["schema_version", "status", "actions"],
        );
    }
    home.is_sound();
}

#[test]
fn errors_are_one_document_too() {
    let home = Home::new();
    for (args, code) in [
        (vec!["snapshots", "--json"], 10),
        (vec!["backup", "--json"], 2),
        (vec!["snapshots", "--json", "--nonsense"], 2),
        (vec!["-r", "ftp://host/backup", "snapshots", "--json"], 2),
    ] {
        let document = home.run(args).code(code).json();
        has(&document, &["schema_version", "status", "error"]);
        assert_eq!(document["exit_code"], code);
    }
}

#[test]
fn values_of_json_files_are_compared_with_the_disk_too() {
    let home = Home::with_snapshot();
    home.file("data/sub/b.json", b"{\"v\": 2}");
    let file = format!("latest:{}", home.inside("data/sub/b.json"));
    for (args, before) in [(["diff", &file, "live"], 1), (["diff", "live", &file], 2)] {
        let answer = home.run(args.iter().copied().chain(["--json"])).code(0).json();
        assert_eq!(answer["values"][0]["before"], before, "{answer}");
    }
}

#[test]
fn a_dry_run_of_a_restore_gives_the_plan() {
    let home = Home::with_snapshot();
    home.file("data/extra", b"extra");
    let args = ["restore", "latest", "--strategy", "replace", "--dry-run", "--json"];
    let answer = home.run(args).code(0).json();
    assert_eq!(answer["status"], "planned");
    assert_eq!(answer["plan"]["removes"], serde_json::json!([home.inside("data/extra")]));
    assert_eq!(answer["plan"]["overwrites"].as_array().unwrap().len(), 2);
}
