//! `POST /rollback/workflow` and `POST /restore/workflow` against real n8n of three versions.

use std::sync::mpsc::channel;
use std::time::Duration;

use chronos_tests::{HttpServer, N8n, Response, Service, hourly};
use serde_json::{Value, json};

use super::{asked, backed_up, row, service};

/// Longest that an event may take.
const LIMIT: Duration = Duration::from_mins(1);

pub(super) fn made(server: &N8n, name: &str) -> String {
    server.call("POST", "workflows", Some(&hourly(name)))["id"].as_str().unwrap().to_owned()
}

pub(super) fn rename(server: &N8n, id: &str, name: &str) {
    server.call("PUT", &format!("workflows/{id}"), Some(&hourly(name)));
}

pub(super) fn name(server: &N8n, id: &str) -> String {
    server.workflow(id).unwrap()["name"].as_str().unwrap().to_owned()
}

/// A control plane that is this n8n.
pub(super) fn control_plane(server: &N8n) -> String {
    format!(
        "[[target]]\nname = \"control-plane\"\n[[target.source]]\nname = \"flows\"\nkind = \"n8n\"\nurl = \"{}\"\napi_key = \"{}\"\n",
        server.url(),
        server.key
    )
}

/// A service whose control plane is this n8n.
pub(super) fn of(server: &N8n, more: &str) -> Service {
    service(&[more, &control_plane(server)].concat())
}

fn goes_back_by_its_id_alone(version: &'static str) {
    let server = chronos_tests::n8n(version);
    let id = made(&server, "Order intake");
    server.call("POST", &format!("workflows/{id}/activate"), None);
    let (told, events) = channel();
    let bus = HttpServer::start(move |request| {
        told.send(serde_json::from_slice::<Value>(&request.body).unwrap()).unwrap();
        Response::json(200, &json!({}))
    });
    let service = of(&server, &format!("[events]\nurl = \"{}\"\n", bus.url()));
    let ask = |body: Value| asked(&service, "/rollback/workflow", &body);

    let none = ask(json!({ "workflow_id": id }));
    assert_eq!((&none["status"], &none["workflow_id"]), (&json!("requires_backup"), &json!(id)), "{none}");
    assert!(none["message"].as_str().unwrap().contains("back up target control-plane"), "{none}");
    let noted = row(&service, &none["rollback_id"]);
    assert_eq!((&noted["status"], &noted["rollback_type"]), (&json!("requires_backup"), &json!("version")));

    let first = backed_up(&service, "control-plane");
    // It is as it was stored.
    assert_eq!(ask(json!({ "workflow_id": id }))["status"], "requires_backup");
    rename(&server, &id, "Order intake, better");
    backed_up(&service, "control-plane");
    rename(&server, &id, "Order intake (broken)");

    let dry = ask(json!({ "workflow_id": id, "dry_run": true }));
    assert_eq!(
        (&dry["status"], name(&server, &id)),
        (&json!("planned"), "Order intake (broken)".to_owned()),
        "{dry}"
    );
    let done = ask(json!({ "workflow_id": id }));
    assert_eq!(
        (&done["status"], &done["restored"][0]["action"]),
        (&json!("completed"), &json!("updated")),
        "{done}"
    );
    assert_eq!(name(&server, &id), "Order intake, better");
    assert_eq!(server.workflow(&id).unwrap()["active"], true);
    assert!(done["restored_version"].is_string() && done["from_version"].is_string(), "{done}");
    assert!(done["pre_rollback_backup"].is_string(), "{done}");
    let noted = row(&service, &done["rollback_id"]);
    assert_eq!(
        (&noted["rollback_type"], &noted["workflow_id"], &noted["source_version_id"]),
        (&json!("version"), &json!(id), &done["restored_version"])
    );
    // What is only in the snapshot of before is not taken by a second call: the one before is.
    let again = ask(json!({ "workflow_id": id }));
    assert_eq!(
        (&again["status"], name(&server, &id)),
        (&json!("completed"), "Order intake".to_owned()),
        "{again}"
    );
    // Unless it is named: by its snapshot, by its content, by the name that n8n has for it.
    let named = |version: &Value, wanted: &str| {
        let done = ask(json!({ "workflow_id": id, "version_id": version }));
        assert_eq!((&done["status"], &*name(&server, &id)), (&json!("completed"), wanted), "{done}");
    };
    named(&done["pre_rollback_backup"], "Order intake (broken)");
    named(&done["content_id"], "Order intake, better");
    named(&json!(first), "Order intake");
    named(&done["restored_version"], "Order intake, better");
    let refused = service
        .hades()
        .post("/rollback/workflow", &json!({"workflow_id": id, "version_id": "v9"}).to_string());
    assert!(refused.problem(404).contains("v9"));

    let listed = service.hades().get(&format!("/versions?workflow_id={id}")).expect(200);
    let versions = listed["versions"].as_array().unwrap();
    let of =
        |wanted: &str| versions.iter().find(|v| v["name"] == wanted && v["version_id"].is_string()).unwrap();
    assert_eq!(of("Order intake (broken)")["only_before_rollbacks"], true, "{listed}");
    assert_eq!(
        (&of("Order intake")["active"], &listed["source"]),
        (&json!(true), &json!("flows")),
        "{listed}"
    );
    assert!(versions.iter().any(|v| v["snapshots"].as_array().unwrap().contains(&json!(first))), "{listed}");
    // One that was deleted comes back too.
    server.delete(&id);
    let back = ask(json!({ "workflow_id": id }));
    assert_eq!((&back["status"], &back["from_version"]), (&json!("completed"), &Value::Null), "{back}");
    let restored = &back["restored"][0];
    let now = restored["live_id"].as_str().unwrap_or(&id);
    assert_eq!((&restored["action"], &*name(&server, now)), (&json!("created"), "Order intake, better"));

    let told = |action: &str| loop {
        let event = events.recv_timeout(LIMIT).unwrap();
        if event["action"] == action {
            break event;
        }
    };
    let requested = told("rollback_requested");
    assert_eq!(requested["details"]["status"], "requires_backup", "{requested}");
    let told = told("rollback_completed");
    assert_eq!((&told["source_agent"], &told["target"]), (&json!("HADES"), &json!(id)), "{told}");
    assert_eq!(told["details"]["version_id"], done["restored_version"], "{told}");
}

#[test]
fn n8n_1_123_goes_back_by_its_id_alone() {
    goes_back_by_its_id_alone("1.123.81");
}

#[test]
fn n8n_2_8_goes_back_by_its_id_alone() {
    goes_back_by_its_id_alone("2.8.4");
}

#[test]
fn n8n_2_40_goes_back_by_its_id_alone() {
    goes_back_by_its_id_alone("2.40.7");
}

#[test]
fn chosen_workflows_come_back_from_a_snapshot() {
    let server = chronos_tests::n8n("2.40.7");
    let (deleted, edited, other) =
        (made(&server, "Invoices"), made(&server, "Orders"), made(&server, "Letters"));
    let service = of(&server, "");
    let id = backed_up(&service, "control-plane");
    server.delete(&deleted);
    rename(&server, &edited, "Orders (broken)");
    rename(&server, &other, "Letters (better)");
    let ask = |filter: Value| json!({"backup_id": id, "workflow_filter": filter});
    let done = asked(&service, "/restore/workflow", &ask(json!(["Invoices", edited])));
    assert_eq!((&done["status"], &done["errors"]), (&json!("completed"), &json!([])), "{done}");
    let mut actions: Vec<_> = done["restored"]
        .as_array()
        .unwrap()
        .iter()
        .map(|w| (w["name"].clone(), w["action"].clone()))
        .collect();
    actions.sort_by_key(|(name, _)| name.to_string());
    assert_eq!(actions, [(json!("Invoices"), json!("created")), (json!("Orders"), json!("updated"))]);
    assert_eq!(
        (name(&server, &edited), name(&server, &other)),
        ("Orders".to_owned(), "Letters (better)".to_owned())
    );
    let again = asked(&service, "/restore/workflow", &ask(json!([edited])));
    assert_eq!(
        (&again["restored"][0]["action"], &again["pre_rollback_backup"]),
        (&json!("unchanged"), &Value::Null)
    );
    let unknown = service.hades().post("/restore/workflow", &ask(json!(["Nothing"])).to_string());
    assert!(unknown.problem(404).contains("Nothing"));
    let planned = asked(&service, "/restore/workflow", &json!({"backup_id": id, "dry_run": true}));
    assert_eq!(planned["plan"]["steps"][0]["overwrites"]["names"], json!([format!("Letters ({other})")]));
    // The whole of it.
    let all = asked(&service, "/restore/workflow", &json!({"backup_id": id}));
    assert_eq!((&all["status"], name(&server, &other)), (&json!("completed"), "Letters".to_owned()), "{all}");
}

#[test]
fn what_is_not_there_is_named() {
    let service = service("[[target]]\nname = \"control-plane\"\npaths = [\"HOME/a\"]\n");
    service.file("a/x", "x");
    let id = backed_up(&service, "control-plane");
    let ask = |path: &str, body: Value| service.hades().post(path, &body.to_string());
    assert!(ask("/rollback/workflow", json!({})).problem(422).contains("workflow_id is missing"));
    let body = json!({"workflow_id": "x", "target": "nowhere"});
    assert!(ask("/rollback/workflow", body).problem(404).contains("nowhere"));
    assert!(ask("/rollback/workflow", json!({"workflow_id": "x"})).problem(422).contains("no n8n"));
    assert!(ask("/restore/workflow", json!({"backup_id": id})).problem(422).contains("workflows"));
    assert!(ask("/restore/workflow", json!({})).problem(422).contains("backup_id is missing"));
}
