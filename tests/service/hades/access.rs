//! Who may ask HADES for what: the same tokens, roles and guards as before CHRONOS, and keys of its own.

use std::fs;

use chronos_tests::targets::NOTES;
use serde_json::json;

use super::{backed_up, guarded};

#[test]
fn roles_tokens_and_foreign_pages_are_held_as_by_chronos() {
    let (service, backup, restore) = guarded(NOTES);
    service.file("notes/a", "old");
    let id = backed_up(&service, "notes");
    service.file("notes/a", "new");
    let body = json!({ "backup_id": id }).to_string();
    let ask = |headers: &[(&str, &str)]| service.hades().call("POST", "/rollback", headers, body.clone());
    let bearer = |token: &str| format!("Bearer {token}");
    assert!(ask(&[("authorization", &bearer(&backup))]).problem(403).contains("restore"));
    ask(&[("authorization", "Bearer nonsense")]).problem(401);
    // A proxy stands between, so that the caller is not of this host.
    ask(&[("x-forwarded-for", "192.0.2.1")]).problem(401);
    ask(&[("origin", "https://evil.example")]).problem(403);
    ask(&[("host", "evil.example")]).problem(403);
    assert_eq!(fs::read_to_string(service.path("notes/a")).unwrap(), "new");
    let read =
        service.hades().call("GET", "/history", &[("authorization", &bearer(&backup))], "").expect(200);
    assert_eq!(read["count"], 0, "{read}");
    assert_eq!(ask(&[("authorization", &bearer(&restore))]).expect(200)["status"], "completed");
    assert_eq!(fs::read_to_string(service.path("notes/a")).unwrap(), "old");
}

#[test]
fn a_key_keeps_a_rollback_from_being_done_twice_and_is_not_that_of_chronos() {
    let (service, ..) = guarded(NOTES);
    service.file("notes/a", "old");
    let id = backed_up(&service, "notes");
    service.file("notes/a", "new");
    let key = [("idempotency-key", "k")];
    let body = json!({ "backup_id": id }).to_string();
    let first = service.hades().call("POST", "/rollback", &key, body.clone()).expect(200);
    let again = service.hades().call("POST", "/rollback", &key, body.clone());
    assert_eq!((again.header("idempotency-replayed"), again.json()), (Some("true"), first));
    assert_eq!(service.get("/history").expect(200)["count"], 1);
    let made = service.call("POST", "/backup", &key, r#"{"target": "notes"}"#).expect(200);
    assert!(made["backup_id"].is_string(), "{made}");
}
