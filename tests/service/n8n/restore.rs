//! Workflows that were edited, deactivated, deleted come back over the API of a real n8n, and what cannot is told.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicU32, Ordering};

use chronos_connect::n8n::restore::{Action, Plan, RestoreOptions, RestoreReport, Restored, plan, restore};
use chronos_connect::n8n::{Client, Instance};
use chronos_store::Silent;
use chronos_tests::{HttpServer, N8n, Response};
use serde_json::{Value, json};

use super::collected::{Collected, api, take};
use super::on_each_version;
use super::workflows::{activate, furnish, manual, webhook};

/// All stored workflows.
pub(crate) fn stored(found: &Collected) -> BTreeMap<String, Value> {
    found.ids().into_iter().map(|id| (id.clone(), found.workflow(&id))).collect()
}

pub(crate) fn over_api(url: &str, key: &str) -> Instance {
    let (server, limits) = api(url, key);
    Instance::Api(Client::new(&server, limits).unwrap())
}

/// Plans and carries out.
pub(crate) fn bring_back(
    server: &N8n,
    stored: &BTreeMap<String, Value>,
    options: &RestoreOptions,
) -> (Plan, RestoreReport) {
    let instance = over_api(&server.url(), &server.key);
    let plan = plan(&instance, stored, options, &Silent).unwrap();
    let report = restore(&instance, stored, &plan, options, &Silent).unwrap();
    (plan, report)
}

pub(crate) fn row<'r>(report: &'r RestoreReport, id: &str) -> &'r Restored {
    report.workflows.iter().find(|w| w.id == id).unwrap()
}

/// What a workflow is for its users.
pub(crate) fn essence(workflow: &Value) -> Value {
    let mut tags: Vec<_> =
        workflow["tags"].as_array().into_iter().flatten().map(|t| t["name"].to_string()).collect();
    tags.sort();
    let static_data = &workflow["staticData"]["global"];
    json!([
        workflow["name"],
        workflow["nodes"],
        workflow["connections"],
        workflow["active"],
        workflow["settings"]["errorWorkflow"],
        static_data,
        tags
    ])
}

/// A change as somebody makes it in the editor.
pub(crate) fn edit(server: &N8n, id: &str, change: impl FnOnce(&mut Value)) {
    let live = server.workflow(id).unwrap();
    let mut body = json!({"settings": {}});
    for key in ["name", "nodes", "connections"] {
        body[key] = live[key].clone();
    }
    change(&mut body);
    server.call("PUT", &format!("workflows/{id}"), Some(&body));
}

/// Asks a webhook until it answers: activation may take a moment.
pub(crate) fn webhook_answers(server: &N8n, number: usize) -> bool {
    let client = chronos_tests::http_client();
    let url = format!("{}/webhook/hook-{number}", server.url());
    (0..100).any(|_| {
        let answers = client.post(&url).json(&json!({"x": 1})).send().is_ok_and(|a| a.status() == 200);
        if !answers {
            std::thread::park_timeout(std::time::Duration::from_millis(100));
        }
        answers
    })
}

fn edited_deactivated_and_deleted_workflows_come_back(server: &N8n) {
    let furnished = furnish(server);
    let before = take(&server.url(), &server.key);
    let stored = stored(&before);
    let [hook, schedule, manual, child, parent] = furnished.ids.as_slice() else { panic!("five") };
    for id in &furnished.ids {
        server.call("POST", &format!("workflows/{id}/deactivate"), Some(&json!({})));
    }
    edit(server, hook, |w| {
        w["name"] = json!("damaged");
        w["nodes"][1]["parameters"] = json!({});
        w["settings"] = json!({"saveManualExecutions": true, "timezone": "Asia/Tokyo"});
    });
    edit(server, schedule, |w| {
        w["nodes"].as_array_mut().unwrap().truncate(1);
        w["connections"] = json!({});
    });
    server.call("PUT", &format!("workflows/{manual}/tags"), Some(&json!([])));
    let (proxy, options) = (HttpServer::pass_on(&server.url(), |_| {}), RestoreOptions::default());
    server.delete(child);

    let planned = plan(&over_api(&proxy.url(), &server.key), &stored, &options, &Silent).unwrap();
    assert!(proxy.requests().iter().all(|r| r.method == "GET"), "a plan changes nothing");
    let action = |id: &String| planned.workflows.iter().find(|w| w.id == *id).unwrap();
    assert_eq!(action(child).action, Action::Created);
    for id in [hook, schedule, manual, parent] {
        assert_eq!(action(id).action, Action::Updated, "{:?}", action(id));
    }
    assert_eq!(action(manual).differences, ["tags"]);
    assert!(action(hook).differences.contains(&"name".to_owned()), "{:?}", action(hook));

    let report =
        restore(&over_api(&server.url(), &server.key), &stored, &planned, &options, &Silent).unwrap();
    assert!(report.is_complete(), "{report:#?}");
    let keeps_ids = server.version.starts_with("2.40");
    let child_now = row(&report, child).live_id.clone();
    assert_eq!((&child_now == child, report.new_ids.is_empty()), (keeps_ids, keeps_ids));
    for (id, was) in &stored {
        let mut was = was.clone();
        if id == parent {
            was["settings"]["errorWorkflow"] = json!(child_now);
            was["nodes"][1]["parameters"]["workflowId"]["value"] = json!(child_now);
        }
        let now = server.workflow(&row(&report, id).live_id).unwrap();
        assert_eq!(essence(&was), essence(&now), "{report:#?}");
        // Settings are merged: what was set since stays, and that is told.
        let expected = match id {
            _ if id == hook => vec!["setting saveManualExecutions is there too".to_owned()],
            _ if id == parent && !keeps_ids => {
                vec![format!("names workflow {child}, which is {child_now} now")]
            }
            _ => Vec::new(),
        };
        assert_eq!(row(&report, id).differences, expected, "{id}");
    }
    assert_eq!(server.workflow(hook).unwrap()["settings"]["timezone"], "Europe/Paris");
    assert!(webhook_answers(server, 1));
    assert_eq!(server.ids().len(), 5);

    // Once more: all is there, also under its new id.
    let options = RestoreOptions { known_ids: report.new_ids, ..RestoreOptions::default() };
    let (again, report) = bring_back(server, &stored, &options);
    assert!(again.workflows.iter().all(|w| w.action == Action::Unchanged), "{again:#?}");
    assert!(report.is_complete() && report.new_ids.is_empty());
    assert_eq!(server.ids().len(), 5);
}

fn a_server_that_is_as_it_was_is_left_alone(server: &N8n) {
    furnish(server);
    let stored = stored(&take(&server.url(), &server.key));
    let proxy = HttpServer::pass_on(&server.url(), |_| {});
    let instance = over_api(&proxy.url(), &server.key);
    let options = RestoreOptions::default();
    let plan = plan(&instance, &stored, &options, &Silent).unwrap();
    let report = restore(&instance, &stored, &plan, &options, &Silent).unwrap();
    assert!(
        report.workflows.iter().all(|w| w.action == Action::Unchanged && w.differences.is_empty()),
        "{report:#?}"
    );
    assert!(proxy.requests().iter().all(|r| r.method == "GET"));
}

fn what_is_refused_is_put_back_and_the_rest_is_restored(server: &N8n) {
    let make = |body: &Value| server.call("POST", "workflows", Some(body))["id"].as_str().unwrap().to_owned();
    let (bad, good) = (make(&webhook(1)), make(&manual(2)));
    activate(server, &bad);
    let mut stored = stored(&take(&server.url(), &server.key));
    stored.get_mut(&bad).unwrap()["name"] = json!("never");
    stored.get_mut(&bad).unwrap()["nodes"][1]["position"] = json!("nowhere");
    stored.get_mut(&good).unwrap()["name"] = json!("restored");
    let before = server.workflow(&bad).unwrap();
    let (_, report) = bring_back(server, &stored, &RestoreOptions::default());
    let why = row(&report, &bad).error.clone().unwrap();
    assert!(why.contains("400") && why.ends_with("it is as it was before"), "{why}");
    assert_eq!(essence(&before), essence(&server.workflow(&bad).unwrap()));
    assert!(webhook_answers(server, 1));
    assert_eq!(
        (row(&report, &good).error.as_ref(), &server.workflow(&good).unwrap()["name"]),
        (None, &json!("restored"))
    );
}

fn what_cannot_be_activated_is_restored_and_told(server: &N8n) {
    let id = server.call("POST", "workflows", Some(&manual(1)))["id"].as_str().unwrap().to_owned();
    let mut stored = stored(&take(&server.url(), &server.key));
    let workflow = stored.get_mut(&id).unwrap();
    workflow["active"] = json!(true);
    workflow["name"] = json!("restored");
    let (_, report) = bring_back(server, &stored, &RestoreOptions::default());
    let row = row(&report, &id);
    assert!(row.error.as_ref().unwrap().contains("restored but inactive"), "{row:?}");
    assert_eq!(row.differences, ["active"]);
    assert_eq!(server.workflow(&id).unwrap()["name"], "restored");
}

fn fields_that_an_api_does_not_take_are_named(server: &N8n) {
    let id = server.call("POST", "workflows", Some(&manual(1)))["id"].as_str().unwrap().to_owned();
    let mut stored = stored(&take(&server.url(), &server.key));
    let workflow = stored.get_mut(&id).unwrap();
    workflow["nodes"][0]["issues"] = json!({"x": 1});
    workflow["settings"]["setting_of_the_future"] = json!(1);
    workflow["pinData"] = json!({"Code": [{"json": {"a": 1}}]});
    workflow["description"] = json!("what it does");
    let (_, report) = bring_back(server, &stored, &RestoreOptions::default());
    let row = row(&report, &id);
    assert_eq!(row.error, None);
    let told = row.differences.join("; ");
    assert!(
        told.contains("issues is not accepted") && told.contains("setting_of_the_future is not accepted"),
        "{told}"
    );
    let live = server.workflow(&id).unwrap();
    if server.version.starts_with("2.40") {
        assert_eq!(
            (&live["pinData"], &live["description"]),
            (&stored[&id]["pinData"], &json!("what it does"))
        );
    } else {
        assert!(told.contains("pinData") && told.contains("description"), "{told}");
    }
}

on_each_version! {
    edited_deactivated_and_deleted_workflows_come_back
    a_server_that_is_as_it_was_is_left_alone
    what_is_refused_is_put_back_and_the_rest_is_restored
    what_cannot_be_activated_is_restored_and_told
    fields_that_an_api_does_not_take_are_named
}

/// On 2.x what is published may differ from what is in the editor; both come back.
fn draft_and_published_version_come_back(server: &N8n) {
    let id = server.call("POST", "workflows", Some(&webhook(1)))["id"].as_str().unwrap().to_owned();
    activate(server, &id);
    let published = server.workflow(&id).unwrap()["versionId"].as_str().unwrap().to_owned();
    edit(server, &id, |w| w["nodes"][1]["notes"] = json!("a draft"));
    server.call("POST", &format!("workflows/{id}/activate"), Some(&json!({"versionId": published})));
    let stored = stored(&take(&server.url(), &server.key));
    assert_ne!(stored[&id]["nodes"], stored[&id]["activeVersion"]["nodes"]);
    edit(server, &id, |w| w["nodes"][1]["notes"] = json!("damaged"));
    let (_, report) = bring_back(server, &stored, &RestoreOptions::default());
    assert_eq!((&row(&report, &id).error, row(&report, &id).differences.len()), (&None, 0), "{report:?}");
    let live = server.workflow(&id).unwrap();
    assert_eq!(live["nodes"], stored[&id]["nodes"]);
    assert_eq!(live["activeVersion"]["nodes"], stored[&id]["activeVersion"]["nodes"]);
}

#[test]
fn draft_and_published_version_come_back_on_2_8() {
    draft_and_published_version_come_back(&chronos_tests::n8n("2.8.4"));
}

#[test]
fn draft_and_published_version_come_back_on_2_40() {
    draft_and_published_version_come_back(&chronos_tests::n8n("2.40.7"));
}

#[test]
fn archived_workflows_are_taken_out_and_put_away_again() {
    let server = chronos_tests::n8n("2.40.7");
    let make = || server.call("POST", "workflows", Some(&manual(1)))["id"].as_str().unwrap().to_owned();
    let (put_away, in_use) = (make(), make());
    server.call("POST", &format!("workflows/{put_away}/archive"), None);
    let stored = stored(&take(&server.url(), &server.key));
    server.call("POST", &format!("workflows/{put_away}/unarchive"), None);
    edit(&server, &put_away, |w| w["name"] = json!("damaged"));
    server.call("POST", &format!("workflows/{in_use}/archive"), None);
    let (_, report) = bring_back(&server, &stored, &RestoreOptions::default());
    assert!(report.is_complete() && report.workflows.iter().all(|w| w.differences.is_empty()), "{report:#?}");
    let live = |id| server.workflow(id).unwrap();
    assert_eq!((&live(&put_away)["isArchived"], &live(&in_use)["isArchived"]), (&json!(true), &json!(false)));
    assert_eq!(live(&put_away)["name"], "Manual 1");
}

#[test]
fn a_server_that_fails_half_way_is_left_alone_and_the_next_restore_completes() {
    let server = chronos_tests::n8n("1.123.81");
    let make =
        |number| server.call("POST", "workflows", Some(&manual(number)))["id"].as_str().unwrap().to_owned();
    let ids: Vec<String> = (0..4).map(make).collect();
    let stored = stored(&take(&server.url(), &server.key));
    for id in &ids {
        edit(&server, id, |w| w["name"] = json!("damaged"));
    }
    // Gone from the second workflow that is written on.
    let puts = AtomicU32::new(0);
    let dying = HttpServer::pass_on_unless(&server.url(), move |request| {
        let is_write = request.method == "PUT" && !request.path().ends_with("/tags");
        let is_gone =
            if is_write { puts.fetch_add(1, Ordering::SeqCst) >= 1 } else { puts.load(Ordering::SeqCst) > 1 };
        is_gone.then(|| Response { cut: Some(0), ..Response::json(200, &json!({})) })
    });
    let (instance, options) = (over_api(&dying.url(), &server.key), RestoreOptions::default());
    let plan = plan(&instance, &stored, &options, &Silent).unwrap();
    let report = restore(&instance, &stored, &plan, &options, &Silent).unwrap();
    let errors: Vec<_> = report.workflows.iter().map(|w| w.error.as_deref().unwrap_or_default()).collect();
    assert!(errors[0].starts_with("it is written, and was not read back"), "{errors:#?}");
    assert!(errors[1].contains("putting it back failed too"), "{errors:#?}");
    assert!(errors[2..].iter().all(|e| e.starts_with("not begun: the connection")), "{errors:#?}");
    let is_restored = |id: &String| server.workflow(id).unwrap()["name"] != "damaged";
    assert_eq!(
        plan.workflows.iter().map(|w| is_restored(&w.id)).collect::<Vec<_>>(),
        [true, false, false, false]
    );
    let (again, report) = bring_back(&server, &stored, &options);
    assert!(report.is_complete() && ids.iter().all(is_restored));
    assert_eq!(again.workflows.iter().filter(|w| w.action == Action::Updated).count(), 3);
}
