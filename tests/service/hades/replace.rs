//! Strategy `replace`: an n8n has exactly the workflows of the snapshot afterwards, unless that snapshot may lack some.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use chronos_tests::{HttpServer, N8n, Response};
use serde_json::{Value, json};

use super::killed::{all, service_of};
use super::workflows::{made, name, of, rename};
use super::{asked, backed_up, row};
use crate::n8n::restore::webhook_answers;
use crate::n8n::workflows::{activate, webhook};

fn post(server: &N8n, body: &Value) -> String {
    server.call("POST", "workflows", Some(body))["id"].as_str().unwrap().to_owned()
}

fn removes_what_came_later_and_undo_brings_it_back(version: &'static str) {
    let server = chronos_tests::n8n(version);
    let service = of(&server, "");
    let (edited, gone) = (made(&server, "Edited"), post(&server, &webhook(1)));
    activate(&server, &gone);
    let backup = backed_up(&service, "control-plane");
    rename(&server, &edited, "Edited since");
    server.delete(&gone);
    // What came in its place answers to its address.
    let mut other = webhook(1);
    other["name"] = json!("Later");
    let (later, quiet) = (post(&server, &other), made(&server, "Quiet"));
    activate(&server, &later);
    assert!(webhook_answers(&server, 1));
    let before = all(&server);

    let replace = json!({ "backup_id": backup, "strategy": "replace" });
    let mut dry = replace.clone();
    dry["dry_run"] = json!(true);
    let planned = asked(&service, "/rollback", &dry);
    let mut removes: Vec<_> = planned["plan"]["steps"][0]["removes"]["names"].as_array().unwrap().clone();
    removes.sort_by_key(ToString::to_string);
    assert_eq!(removes, [json!(format!("Later ({later})")), json!(format!("Quiet ({quiet})"))], "{planned}");
    assert_eq!(all(&server), before);
    let mut seen = replace.clone();
    seen["fingerprint"] = planned["plan"]["fingerprint"].clone();
    rename(&server, &quiet, "Quiet, edited");
    assert!(service.hades().post("/rollback", &seen.to_string()).problem(409).contains("plan"));
    let before = {
        let now = all(&server);
        assert_ne!(now, before, "and nothing was touched");
        now
    };

    let done = asked(&service, "/restore/workflow", &replace);
    assert_eq!((&done["status"], &done["errors"]), (&json!("completed"), &json!([])), "{done}");
    let after = [("Edited".to_owned(), false), ("Webhook 1".to_owned(), true)];
    assert_eq!(all(&server), after);
    assert!(webhook_answers(&server, 1));
    let removed = done["restored"].as_array().unwrap().iter().filter(|row| row["action"] == "removed");
    assert_eq!(removed.count(), 2, "{done}");
    let again = asked(&service, "/restore/workflow", &replace);
    assert_eq!(
        (&again["status"], &again["pre_rollback_backup"]),
        (&json!("completed"), &Value::Null),
        "{again}"
    );

    let undone = asked(&service, "/undo", &json!({ "rollback_id": done["rollback_id"] }));
    assert_eq!(undone["status"], "completed", "{undone}");
    assert_eq!(all(&server), before);
    let typed = service.program().run(["rollback", &backup, "--strategy", "replace", "--json"]);
    let typed = typed.expect_code(0).json();
    assert_eq!((&typed["status"], &typed["strategy"]), (&json!("completed"), &json!("replace")), "{typed}");
    assert_eq!(all(&server), after);
    assert_eq!(row(&service, &typed["rollback_id"])["status"], "completed");
}

#[test]
fn removes_what_came_later_and_undo_brings_it_back_1_123() {
    removes_what_came_later_and_undo_brings_it_back("1.123.81");
}

#[test]
fn removes_what_came_later_and_undo_brings_it_back_2_8() {
    removes_what_came_later_and_undo_brings_it_back("2.8.4");
}

#[test]
fn removes_what_came_later_and_undo_brings_it_back_2_40() {
    removes_what_came_later_and_undo_brings_it_back("2.40.7");
}

/// A snapshot that may lack workflows, a filter, or a listing that fails: nothing is removed, and why is told.
#[test]
fn nothing_is_removed_where_something_may_be_missing() {
    let server = chronos_tests::n8n("1.123.81");
    let (first, second) = (made(&server, "First"), made(&server, "Second"));
    let (broken, closed) = (Arc::new(AtomicBool::new(false)), Arc::new(AtomicBool::new(false)));
    let (is_broken, is_closed) = (Arc::clone(&broken), Arc::clone(&closed));
    let unread = format!("/api/v1/workflows/{second}");
    let proxy = HttpServer::pass_on_unless(&server.url(), move |request| {
        let fails = (is_broken.load(Ordering::SeqCst) && request.path() == unread)
            || (is_closed.load(Ordering::SeqCst) && request.target.contains("excludePinnedData"));
        fails.then(|| Response::json(501, &json!({"message": "not now"})))
    });
    let service = service_of(&proxy.url(), &server.key);
    let whole = backed_up(&service, "control-plane");
    let made_by = |path: &str| service.post(path, "{}").expect(200)["backup_id"].clone();
    let one = made_by(&format!("/backup/pre-deploy?target=control-plane&workflow_id={first}"));
    broken.store(true, Ordering::SeqCst);
    let partial = service.post("/backup", r#"{"target": "control-plane"}"#).expect(200);
    assert_eq!(partial["status"], "partial", "{partial}");
    broken.store(false, Ordering::SeqCst);
    rename(&server, &first, "First, edited");
    let before = all(&server);

    let refused = |body: Value, status: u16, why: &str| {
        let mut body = body;
        body["strategy"] = json!("replace");
        let told = service.hades().post("/restore/workflow", &body.to_string()).problem(status);
        assert!(told.contains(why), "{told}");
        assert_eq!(all(&server), before);
    };
    refused(json!({ "backup_id": one }), 409, "some workflows only");
    refused(json!({ "backup_id": partial["backup_id"] }), 409, "is partial");
    refused(json!({ "backup_id": whole, "workflow_filter": ["First"] }), 422, "leave the filter out");
    closed.store(true, Ordering::SeqCst);
    refused(json!({ "backup_id": whole }), 502, "not now");
    closed.store(false, Ordering::SeqCst);
    // One that lacks nothing that is there is carried out.
    server.delete(&second);
    let done = asked(&service, "/restore/workflow", &json!({ "backup_id": one, "strategy": "replace" }));
    assert_eq!((&done["status"], &*name(&server, &first)), (&json!("completed"), "First"), "{done}");
}
