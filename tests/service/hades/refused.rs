//! What is refused or fails before anything is touched, and what the history says of it.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use chronos_tests::{HttpServer, Response, Service};
use serde_json::{Value, json};

use super::killed::service_of;
use super::workflows::{made, name, rename};
use super::{asked, backed_up, row, service};

/// A service with two n8n in its control plane.
fn of_two(first: (&str, &str), second: (&str, &str)) -> Service {
    let source = |name: &str, (url, key): (&str, &str)| {
        format!(
            "[[target.source]]\nname = \"{name}\"\nkind = \"n8n\"\nurl = \"{url}\"\napi_key = \"{key}\"\n"
        )
    };
    let sources = [source("old", first), source("new", second)].concat();
    service(&format!("[[target]]\nname = \"control-plane\"\n{sources}"))
}

#[test]
fn a_workflow_that_could_not_be_kept_is_not_written_over() {
    let server = chronos_tests::n8n("1.123.81");
    let (kept, lost) = (made(&server, "Kept"), made(&server, "Lost"));
    let path = format!("/api/v1/workflows/{lost}");
    let left = Arc::new(AtomicUsize::new(usize::MAX));
    let reads = Arc::clone(&left);
    // So many reads of it are answered, and then none is.
    let proxy = HttpServer::pass_on_unless(&server.url(), move |request| {
        let is_read = request.method == "GET" && request.path() == path;
        let is_over =
            is_read && reads.fetch_update(Ordering::SeqCst, Ordering::SeqCst, |n| n.checked_sub(1)).is_err();
        is_over.then(|| Response::json(500, &json!({ "message": "it is broken" })))
    });
    let service = service(&format!(
        "[[target]]\nname = \"control-plane\"\n[[target.source]]\nname = \"flows\"\nkind = \"n8n\"\nurl = \"{}\"\napi_key = \"{}\"\n",
        proxy.url(),
        server.key
    ));
    let id = backed_up(&service, "control-plane");
    rename(&server, &kept, "Kept, edited");
    rename(&server, &lost, "Lost, edited");
    proxy.forget();
    // The plan reads it once; the snapshot of what is there cannot.
    left.store(1, Ordering::SeqCst);
    let refused = service.hades().post("/restore/workflow", &json!({ "backup_id": id }).to_string());
    assert!(refused.problem(409).contains("Lost"), "{refused:?}");
    left.store(usize::MAX, Ordering::SeqCst);
    assert_eq!((name(&server, &kept), name(&server, &lost)), ("Kept, edited".into(), "Lost, edited".into()));
    assert!(proxy.requests().iter().all(|request| request.method == "GET"), "{:?}", proxy.requests());
    let noted = row(&service, &refused.json()["rollback_id"]);
    assert_eq!(
        (&noted["status"], &noted["pre_rollback_backup"]),
        (&json!("failed"), &Value::Null),
        "{noted}"
    );
}

#[test]
fn the_latest_is_never_that_of_another_target() {
    let service = service(
        "[[target]]\nname = \"one\"\npaths = [\"HOME/one\"]\n[[target]]\nname = \"other\"\npaths = [\"HOME/other\"]\n",
    );
    service.file("one/a", "one");
    service.file("other/a", "other");
    backed_up(&service, "one");
    let ask = |body: Value| service.hades().post("/rollback", &body.to_string());
    let refused = ask(json!({"backup_id": "latest", "component": "other"}));
    assert!(refused.problem(404).contains("other"), "{refused:?}");
    assert!(ask(json!({"backup_id": "latest:other"})).problem(404).contains("other"));
    assert_eq!(ask(json!({"backup_id": "latest", "component": "one"})).expect(200)["status"], "completed");
}

#[test]
fn a_filter_finds_workflows_in_each_n8n_of_a_target() {
    let (old, new) = (chronos_tests::n8n("1.123.81"), chronos_tests::n8n("2.8.4"));
    let (of_old, of_new) = (made(&old, "Of the old one"), made(&new, "Of the new one"));
    let service = of_two((&old.url(), &old.key), (&new.url(), &new.key));
    let id = backed_up(&service, "control-plane");
    rename(&old, &of_old, "Broken");
    rename(&new, &of_new, "Broken too");
    let ask = |filter: Value| {
        asked(&service, "/restore/workflow", &json!({ "backup_id": id, "workflow_filter": filter }))
    };
    let done = ask(json!([of_new]));
    assert_eq!(
        (&done["status"], name(&new, &of_new)),
        (&json!("completed"), "Of the new one".to_owned()),
        "{done}"
    );
    assert_eq!(name(&old, &of_old), "Broken");
    let done = ask(json!(["Of the old one", of_new]));
    assert_eq!(
        (&done["status"], name(&old, &of_old)),
        (&json!("completed"), "Of the old one".to_owned()),
        "{done}"
    );
}

#[test]
fn a_rollback_that_fails_before_it_begins_is_in_the_history() {
    let server = chronos_tests::n8n("1.123.81");
    let id = made(&server, "Intake");
    let is_down = Arc::new(AtomicUsize::new(0));
    let down = Arc::clone(&is_down);
    let proxy = HttpServer::pass_on_unless(&server.url(), move |_| {
        (down.load(Ordering::SeqCst) > 0)
            .then(|| Response::json(503, &json!({ "message": "n8n is starting" })))
    });
    let service = service(&format!(
        "[[target]]\nname = \"control-plane\"\n[[target.source]]\nname = \"flows\"\nkind = \"n8n\"\nurl = \"{}\"\napi_key = \"{}\"\n",
        proxy.url(),
        server.key
    ));
    backed_up(&service, "control-plane");
    rename(&server, &id, "Broken");
    is_down.store(1, Ordering::SeqCst);
    let failed = service.hades().post("/rollback/workflow", &json!({ "workflow_id": id }).to_string());
    assert!(failed.problem(502).contains("n8n is starting"), "{failed:?}");
    assert_eq!(failed.json()["upstream_status"], 503);
    let noted = row(&service, &failed.json()["rollback_id"]);
    let found = (&noted["rollback_type"], &noted["status"], &noted["workflow_id"]);
    assert_eq!(found, (&json!("version"), &json!("failed"), &json!(id)), "{noted}");
    is_down.store(0, Ordering::SeqCst);
    let done = asked(&service, "/rollback/workflow", &json!({ "workflow_id": id }));
    assert_eq!((&done["status"], name(&server, &id)), (&json!("completed"), "Intake".to_owned()), "{done}");
}

#[test]
fn the_status_of_a_refused_write_is_told() {
    let server = chronos_tests::n8n("1.123.81");
    let id = made(&server, "Intake");
    let proxy = HttpServer::pass_on_unless(&server.url(), |request| {
        (request.method == "PUT").then(|| Response::json(418, &json!({ "message": "not this one" })))
    });
    let service = service_of(&proxy.url(), &server.key);
    backed_up(&service, "control-plane");
    rename(&server, &id, "Broken");
    let failed = service.hades().post("/rollback/workflow", &json!({ "workflow_id": id }).to_string());
    assert!(failed.problem(502).contains("not this one"), "{failed:?}");
    assert_eq!(failed.json()["upstream_status"], 418);
    assert_eq!(name(&server, &id), "Broken");
}
