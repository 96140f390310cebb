//! `POST /emergency`: two steps, and each action says what it did.

use std::fs;
use std::sync::mpsc::channel;
use std::time::Duration;

use chronos_tests::{HttpServer, N8n, Response, Service};
use serde_json::{Value, json};

use super::workflows::{made, name, of, rename};
use super::{asked, backed_up, row, service};

/// Longest that an event may take.
const LIMIT: Duration = Duration::from_mins(1);

fn act(service: &Service, action: &str, confirm: bool) -> Value {
    asked(service, "/emergency", &json!({ "action": action, "confirm": confirm }))
}

fn is_active(server: &N8n, id: &str) -> bool {
    server.workflow(id).unwrap()["active"] == true
}

fn ids(done: &Value, list: &str) -> Vec<String> {
    let mut ids: Vec<String> =
        done[list].as_array().unwrap().iter().map(|id| id.as_str().unwrap().to_owned()).collect();
    ids.sort();
    ids
}

fn everything_is_stopped_and_started_again(version: &'static str) {
    let server = chronos_tests::n8n(version);
    let mut active = vec![made(&server, "First"), made(&server, "Second")];
    active.sort();
    let idle = made(&server, "Idle");
    active.iter().for_each(|id| drop(server.call("POST", &format!("workflows/{id}/activate"), None)));
    let (told, events) = channel();
    let bus = HttpServer::start(move |request| {
        told.send(serde_json::from_slice::<Value>(&request.body).unwrap()).unwrap();
        Response::json(200, &json!({}))
    });
    let service = of(&server, &format!("[events]\nurl = \"{}\"\n", bus.url()));
    // It needs no repository.
    let repository = service.program().repository();
    fs::rename(repository, service.path("away")).unwrap();

    let plan = act(&service, "deactivate_all", false);
    assert_eq!((&plan["status"], &plan["rollback_id"]), (&json!("confirmation_required"), &Value::Null));
    assert_eq!((plan["plan"].as_array().unwrap().len(), plan["target"].as_str()), (2, Some("control-plane")));
    assert!(plan["warning"].as_str().unwrap().contains("reactivate"), "{plan}");
    assert!(active.iter().all(|id| is_active(&server, id)));

    let stopped = act(&service, "deactivate_all", true);
    assert_eq!((&stopped["status"], ids(&stopped, "deactivated")), (&json!("completed"), active.clone()));
    assert!(!active.iter().any(|id| is_active(&server, id)));
    // Without a repository the service is not well either, which may be told first.
    let event = loop {
        let event = events.recv_timeout(LIMIT).unwrap();
        if event["action"] != "health_changed" {
            break event;
        }
    };
    assert_eq!(
        (&event["action"], &event["target"]),
        (&json!("emergency_deactivate_all"), &json!("control-plane"))
    );
    assert_eq!(
        (&event["source_agent"], &event["details"]["deactivated_count"]),
        (&json!("HADES"), &json!(2))
    );
    let noted = row(&service, &stopped["rollback_id"]);
    assert_eq!(
        (&noted["rollback_type"], &noted["status"]),
        (&json!("emergency"), &json!("completed")),
        "{noted}"
    );
    // Once more changes nothing, and does not make it forget.
    assert_eq!(ids(&act(&service, "deactivate_all", true), "deactivated"), [""; 0]);
    assert_eq!(act(&service, "reactivate", false)["plan"].as_array().unwrap().len(), 2);
    let started = act(&service, "reactivate", true);
    assert_eq!((&started["status"], ids(&started, "reactivated")), (&json!("completed"), active.clone()));
    assert!(active.iter().all(|id| is_active(&server, id)) && !is_active(&server, &idle));
    assert_eq!(ids(&act(&service, "reactivate", true), "reactivated"), [""; 0]);

    fs::rename(service.path("away"), repository).unwrap();
    let stopped = act(&service, "deactivate_all", true);
    let undone = asked(&service, "/undo", &json!({ "rollback_id": stopped["rollback_id"] }));
    assert_eq!((&undone["status"], ids(&undone, "reactivated")), (&json!("completed"), active.clone()));
    assert_eq!(ids(&act(&service, "reactivate", true), "reactivated"), [""; 0]);
    // One that is gone is named, and keeps no other from starting.
    let stopped = act(&service, "deactivate_all", true);
    assert_eq!(ids(&stopped, "deactivated"), active);
    server.delete(&active[0]);
    let started = act(&service, "reactivate", true);
    assert_eq!((&started["status"], ids(&started, "reactivated")), (&json!("partial"), active[1..].to_vec()));
    assert_eq!(started["errors"][0]["id"], json!(active[0]), "{started}");
}

#[test]
fn everything_is_stopped_and_started_again_1_123() {
    everything_is_stopped_and_started_again("1.123.81");
}

#[test]
fn everything_is_stopped_and_started_again_2_8() {
    everything_is_stopped_and_started_again("2.8.4");
}

#[test]
fn everything_is_stopped_and_started_again_2_40() {
    everything_is_stopped_and_started_again("2.40.7");
}

#[test]
fn the_latest_good_workflows_come_back() {
    let server = chronos_tests::n8n("1.123.81");
    let id = made(&server, "Intake");
    let service = of(&server, "");
    let backup = backed_up(&service, "control-plane");
    rename(&server, &id, "Intake (broken)");
    let plan = act(&service, "restore_latest", false);
    assert_eq!(plan["plan"], json!([format!("write over Intake ({id})")]), "{plan}");
    assert_eq!(name(&server, &id), "Intake (broken)");
    let done = act(&service, "restore_latest", true);
    assert_eq!((&done["status"], &done["restored"][0]["id"]), (&json!("completed"), &json!(id)), "{done}");
    assert_eq!(name(&server, &id), "Intake");
    assert_eq!(row(&service, &done["rollback_id"])["source_backup_id"], json!(backup));
    // The snapshot of before is not what latest means.
    let again = act(&service, "restore_latest", true);
    assert_eq!(
        (&again["status"], &again["restored"][0]["action"]),
        (&json!("completed"), &json!("unchanged"))
    );
    rename(&server, &id, "Intake (broken again)");
    let all = act(&service, "restore_all", true);
    assert_eq!((&all["status"], &all["target"]), (&json!("completed"), &json!("all")), "{all}");
    assert_eq!(name(&server, &id), "Intake");
}

#[test]
fn services_are_started_again_by_the_commands_of_the_configuration_alone() {
    let service = service(
        "[[target]]\nname = \"shop\"\npaths = [\"HOME/shop\"]\nrestart = \"echo up; echo up >> HOME/log\"\n\
         [[target]]\nname = \"broken\"\npaths = [\"HOME/shop\"]\nrestart = \"echo no such unit; exit 5\"\n\
         [[target]]\nname = \"other\"\npaths = [\"HOME/shop\"]\n",
    );
    let ask = |target: &str, confirm: bool| {
        let body = json!({"action": "restart-services", "target": target, "confirm": confirm});
        service.hades().post("/emergency", &body.to_string())
    };
    let plan = ask("shop", false).expect(200);
    assert_eq!(
        (&plan["status"], &plan["plan"]),
        (&json!("confirmation_required"), &json!(["run the restart of shop"]))
    );
    assert!(!service.path("log").exists());
    let done = ask("shop", true).expect(200);
    assert_eq!(
        (&done["status"], &done["restarted"][0]["output"]),
        (&json!("completed"), &json!("up")),
        "{done}"
    );
    assert_eq!(fs::read_to_string(service.path("log")).unwrap(), "up\n");
    let failed = ask("broken", true);
    assert!(failed.problem(502).contains("no such unit"), "{failed:?}");
    assert_eq!(row(&service, &failed.json()["rollback_id"])["status"], "failed");
    let all = ask("all", true).expect(200);
    assert_eq!((&all["status"], &all["errors"][0]["id"]), (&json!("partial"), &json!("broken")), "{all}");
    assert!(ask("other", true).problem(422).contains("`restart`"));
    assert!(ask("nowhere", true).problem(404).contains("nowhere"));
    let post = |body: Value| service.hades().post("/emergency", &body.to_string());
    assert!(post(json!({"action": "explode"})).problem(400).contains("deactivate_all"));
    assert!(post(json!({})).problem(422).contains("action is missing"));
    assert!(post(json!({"action": "deactivate_all", "target": "shop"})).problem(422).contains("no n8n"));
}

#[test]
fn a_server_that_is_down_keeps_no_other_from_being_stopped() {
    let server = chronos_tests::n8n("1.123.81");
    let id = made(&server, "Runs wild");
    server.call("POST", &format!("workflows/{id}/activate"), None);
    let nowhere = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let down = format!(
        "name = \"down\"\nkind = \"n8n\"\nurl = \"http://{nowhere}\"\napi_key = \"k\"\ntime_limit = \"1s\"\n"
    );
    let service = service(&format!(
        "[[target]]\nname = \"control-plane\"\n[[target.source]]\n{down}[[target.source]]\nname = \"flows\"\nkind = \"n8n\"\n\
         url = \"{}\"\napi_key = \"{}\"\n[[target]]\nname = \"lost\"\n[[target.source]]\n{down}",
        server.url(),
        server.key
    ));
    let stopped = act(&service, "deactivate_all", true);
    assert_eq!(
        (&stopped["status"], ids(&stopped, "deactivated")),
        (&json!("partial"), vec![id.clone()]),
        "{stopped}"
    );
    assert_eq!(stopped["errors"][0]["id"], "down", "{stopped}");
    assert!(!is_active(&server, &id));
    // Where nothing could be done at all it is no success.
    let body = json!({"action": "deactivate_all", "target": "lost", "confirm": true}).to_string();
    let failed = service.hades().post("/emergency", &body);
    assert!(failed.problem(502).contains("cannot be reached"), "{failed:?}");
    assert_eq!(row(&service, &failed.json()["rollback_id"])["status"], "failed");
}
