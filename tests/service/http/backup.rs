//! `POST /backup` in every dialect, and what is then there.

use serde_json::json;

use super::service;

#[test]
fn a_backup_is_made_listed_and_verified_as_operators_type_it() {
    let service = service();
    let made = service.post("/backup", r#"{"target":"shop","tier":"manual"}"#).expect(200);
    let id = made["backup_id"].as_str().unwrap();
    assert!(id.starts_with("shop_manual_2"), "{made}");
    assert_eq!(made["snapshot"].as_str().unwrap().len(), 64);
    assert_eq!(made["path"], format!("{}#{id}", service.program().repository().display()));
    for (field, value) in [
        ("target", "shop"),
        ("component", "shop"),
        ("backup_type", "full"),
        ("type", "manual"),
        ("tier", "manual"),
        ("status", "completed"),
    ] {
        assert_eq!(made[field], value, "{made}");
    }
    for field in ["size_bytes", "size_mb", "added_bytes", "duration_ms"] {
        assert!(made[field].is_number(), "{field}: {made}");
    }
    assert!(made["checksum"].is_string() && made["created_at"].as_str().unwrap().ends_with('Z'), "{made}");
    assert_eq!(made["files"].as_array().unwrap().len(), 2, "{made}");
    let listed = service.get("/backups").expect(200);
    assert_eq!(
        (&listed["count"], &listed["total"], &listed["next_cursor"]),
        (&json!(1), &json!(1), &json!(null))
    );
    assert_eq!(listed["backups"][0]["backup_id"], id);
    assert_eq!(listed["backups"][0]["description"], "Manual backup");
    let verified = service.get(&format!("/verify/{id}")).expect(200);
    assert_eq!((&verified["status"], &verified["error"]), (&json!("verified"), &json!(null)), "{verified}");
    assert_eq!(verified["checksum"], made["checksum"]);
    let one = service.get(&format!("/backups/{id}")).expect(200);
    assert_eq!(one["status"], "verified");
    assert_eq!(one["manifest"]["files"], made["files"]);
    assert_eq!(one["manifest"]["description"], "Manual backup");
    assert_eq!(service.get("/backups?status=completed").expect(200)["total"], 1, "verified counts as good");
}

#[test]
fn every_dialect_is_taken_whatever_the_content_type() {
    let service = service();
    let b =
        service.post("/backup", r#"{"type":"pre-deploy","component":"store","reason":"change"}"#).expect(200);
    assert_eq!((&b["target"], &b["tier"]), (&json!("shop"), &json!("pre-deploy")));
    let e = service.post(
        "/backup",
        r#"{"target":"notes","name":"first","backup_type":"auto","exclude_patterns":["*.o"],"metadata":{"k":"v"},"tags":["t"]}"#,
    );
    assert_eq!(e.expect(200)["tier"], "auto");
    assert_eq!(service.get("/backups?metadata.k=v&tag=t").expect(200)["backups"][0]["name"], "first");
    assert_eq!(service.get("/backups?metadata.k=other").expect(200)["total"], 0);
    let c = service
        .call("POST", "/backup", &[], r#"{"type":"full","components":["database"],"reason":"r"}"#)
        .expect(200);
    assert_eq!(c["backups"].as_array().unwrap().len(), 1, "only one target has a database: {c}");
    assert_eq!(c["backups"][0]["files"].as_array().unwrap().len(), 1, "{c}");
    let none = service.post("/backup", "").expect(200);
    assert!(none["backup_id"].as_str().unwrap().starts_with("all_manual_"), "{none}");
    assert_eq!(none["backups"].as_array().unwrap().len(), 2, "{none}");
    let sum: u64 =
        none["backups"].as_array().unwrap().iter().map(|b| b["size_bytes"].as_u64().unwrap()).sum();
    assert_eq!(none["size_bytes"], sum);
}

#[test]
fn nothing_new_is_told_as_unchanged_and_listed_as_completed() {
    let service = service();
    service.post("/backup", r#"{"target":"notes"}"#).expect(200);
    let again = service.post("/backup", r#"{"target":"notes"}"#).expect(200);
    assert_eq!(again["status"], "unchanged", "{again}");
    let row = &service.get("/backups?target=notes").expect(200)["backups"][0];
    assert_eq!((&row["status"], &row["unchanged"]), (&json!("completed"), &json!(true)), "{row}");
    let run = service.post("/backup", r#"{"target":"all"}"#).expect(200);
    assert_eq!(run["status"], "completed", "{run}");
}

#[test]
fn the_deployer_gets_a_snapshot_before_its_change() {
    let service = service();
    let made = service.post("/backup/pre-deploy?target=notes", "").expect(200);
    assert_eq!((&made["tier"], &made["backup_type"]), (&json!("pre-deploy"), &json!("full")), "{made}");
    let listed = service.get("/backups?tier=pre_deploy").expect(200);
    assert_eq!(listed["backups"][0]["description"], "Pre-deploy backup");
    assert!(service.post("/backup/pre-deploy?target=nowhere", "").problem(404).contains("nowhere"));
    service.post("/backup/pre-deploy?target=notes&workflow_id=w1", "").problem(422);
}

#[test]
fn what_is_wrong_with_a_request_is_said_in_a_sentence() {
    let service = service();
    assert!(service.post("/backup", "{\"target\"").problem(400).contains("not JSON"));
    service.post("/backup", "[]").problem(400);
    let unknown = service.post("/backup", r#"{"tagret":"shop"}"#);
    assert_eq!(unknown.problem(422), "unknown field \"tagret\": did you mean target?");
    assert_eq!((&unknown.json()["field"], &unknown.json()["nearest"]), (&json!("tagret"), &json!("target")));
    assert!(service.post("/backup", r#"{"target":"shpo"}"#).problem(404).contains("shpo"));
    service.post("/backup", r#"{"target":5}"#).problem(422);
    service.post("/backup", r#"{"tier":"sometimes"}"#).problem(422);
    service.post("/backup", r#"{"target":"notes","type":"database"}"#).problem(422);
    service.post("/backup", &format!("{{\"reason\":\"{}\"}}", "x".repeat(2 << 20))).problem(413);
    assert_eq!(service.get("/backups").expect(200)["total"], 0, "nothing was made");
}

/// No snapshot depends on the state of this host.
#[test]
fn a_state_that_is_damaged_keeps_no_backup_from_being_made() {
    let service = service();
    let state = service.path(".local/state/chronos/chronos.sqlite");
    for end in ["", "-wal", "-shm"] {
        let file = format!("{}{end}", state.display());
        if std::path::Path::new(&file).exists() {
            std::fs::remove_file(file).unwrap();
        }
    }
    std::fs::write(&state, "x".repeat(10_000)).unwrap();
    let made = service.post("/backup", r#"{"target":"notes"}"#).expect(200);
    assert_eq!(made["status"], "completed", "{made}");
    service.get(&format!("/verify/{}", made["backup_id"].as_str().unwrap())).expect(200);
}

#[test]
fn a_failure_is_a_problem_that_is_recorded() {
    let service = service();
    std::fs::remove_file(service.path("dump.sql")).unwrap();
    let partial = service.post("/backup", r#"{"target":"shop"}"#).expect(200);
    assert_eq!(partial["status"], "partial", "{partial}");
    assert!(partial["files"].as_array().unwrap().iter().any(|f| f["error"].is_string()), "{partial}");
    let failed = service.post("/backup", r#"{"target":"shop","type":"database"}"#);
    failed.problem(502);
    let body = failed.json();
    let id = body["backup_id"].as_str().unwrap();
    assert_eq!(body["state"], "failed", "{body}");
    assert_eq!(service.get("/backups?status=failed").expect(200)["backups"][0]["backup_id"], id);
    assert_eq!(service.get(&format!("/backups/{id}")).expect(200)["status"], "failed");
    let health = service.get("/health").expect(200);
    assert_eq!(health["status"], "degraded", "{health}");
    let run = service.post("/backup", r#"{"components":["database"]}"#);
    run.problem(502);
    assert!(run.json()["backup_id"].as_str().unwrap().starts_with("all_manual_"), "{run:?}");
}
