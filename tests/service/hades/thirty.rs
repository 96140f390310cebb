//! Thirty workflows of all sorts after a bad day: one call brings all of them back, and they work.

use std::collections::{BTreeMap, BTreeSet};
use std::thread::park_timeout;
use std::time::{Duration, Instant};

use chronos_tests::{HttpServer, N8n, Request, Response};
use serde_json::{Value, json};

use super::killed::service_of;
use super::{asked, backed_up};
use crate::n8n::restore::{edit, essence};
use crate::n8n::workflows::{activate, child, manual, node, schedule, webhook, workflow};

/// Workflows, and how many sorts of them follow each other.
const MANY: usize = 30;
const SORTS: usize = 6;
/// From this one on they are inactive.
const INACTIVE: usize = 24;
/// The first ones are deleted, the next ones are edited.
const DELETED: usize = 5;
const EDITED: std::ops::Range<usize> = DELETED..15;
/// The schedule that fires every second.
const FIRING: usize = 1;
/// Longest that anything here may take.
const LIMIT: Duration = Duration::from_mins(2);

/// What is called when a workflow fails.
fn error_handler(number: usize) -> Value {
    let nodes = vec![
        node(number * 10, "Error Trigger", "errorTrigger", 1.0, json!({})),
        node(number * 10 + 1, "NoOp", "noOp", 1.0, json!({})),
    ];
    workflow(&format!("Errors {number}"), nodes, json!({"executionOrder": "v1"}))
}

/// By hand, with a question in the middle.
fn branching(number: usize) -> Value {
    let mut made = manual(number);
    let conditions = json!({"options": {"version": 2}, "combinator": "and", "conditions": [
        {"id": "c", "leftValue": "={{ $json.k }}", "rightValue": number, "operator": {"type": "number", "operation": "gt"}},
    ]});
    let question = node(number * 10 + 3, "If", "if", 2.2, json!({"conditions": conditions, "options": {}}));
    made["nodes"].as_array_mut().unwrap().insert(1, question);
    let to = |name: &str| json!({"main": [[{"node": name, "type": "main", "index": 0}]]});
    made["connections"] = json!({"When clicking": to("If"), "If": to("Code")});
    made
}

/// With a note beside it.
fn noted_child(number: usize) -> Value {
    let mut made = child(number);
    let note = json!({"content": "called by others", "height": 80, "width": 120});
    made["nodes"].as_array_mut().unwrap().push(node(number * 10 + 2, "Note", "stickyNote", 1.0, note));
    made
}

/// A webhook that answers what the workflow of an id makes of the question.
fn caller(number: usize, child: &str, errors: &str) -> Value {
    let mut hook = webhook(number)["nodes"][0].clone();
    hook["parameters"]["responseMode"] = json!("lastNode");
    let id = json!({"__rl": true, "mode": "id", "value": child});
    let inputs = json!({"mappingMode": "defineBelow", "value": {}});
    let call = json!({"workflowId": id, "workflowInputs": inputs, "options": {}});
    let call = node(number * 10 + 1, "Call", "executeWorkflow", 1.2, call);
    let settings = json!({"executionOrder": "v1", "errorWorkflow": errors});
    workflow(&format!("Caller {number}"), vec![hook, call], settings)
}

/// What is on the server: the ids, and which are active.
struct Thirty {
    ids: Vec<String>,
    active: BTreeSet<usize>,
}

/// Puts them on a server; the one that fires calls `endpoint`.
fn furnish(server: &N8n, endpoint: &str) -> Thirty {
    let data = json!({"name": "Authorization", "value": "s3cr3t-of-the-credential"});
    let credential = json!({"name": "Endpoint", "type": "httpHeaderAuth", "data": data});
    let credential = server.call("POST", "credentials", Some(&credential));
    let credential = json!({"id": credential["id"], "name": "Endpoint"});
    let tags =
        ["prod", "crm"].map(|name| server.call("POST", "tags", Some(&json!({"name": name})))["id"].clone());
    let mut ids: Vec<String> = Vec::new();
    for number in 0..MANY {
        let mut body = match number % SORTS {
            0 => webhook(number),
            1 => schedule(number, &credential),
            2 => branching(number),
            3 => noted_child(number),
            4 => error_handler(number),
            _ => caller(number, &ids[number - 2], &ids[number - 1]),
        };
        if number == FIRING {
            body["nodes"][0]["parameters"] =
                json!({"rule": {"interval": [{"field": "seconds", "secondsInterval": 1}]}});
            body["nodes"][1]["parameters"]["url"] = json!(endpoint);
        }
        body["staticData"] = json!({"global": {"seen": number}});
        let id = server.call("POST", "workflows", Some(&body))["id"].as_str().unwrap().to_owned();
        let tags: Vec<_> =
            [(3, &tags[0]), (4, &tags[1])].into_iter().filter(|(each, _)| number % each == 0).collect();
        let tags: Vec<_> = tags.into_iter().map(|(_, tag)| json!({"id": tag})).collect();
        server.call("PUT", &format!("workflows/{id}/tags"), Some(&json!(tags)));
        ids.push(id);
    }
    // What is called and what is told of errors can be active since 2.x.
    let sorts: &[usize] = if server.version.starts_with("1.") { &[0, 1, 5] } else { &[0, 1, 3, 5] };
    let active: BTreeSet<usize> = (0..INACTIVE).filter(|number| sorts.contains(&(number % SORTS))).collect();
    active.iter().for_each(|number| activate(server, &ids[*number]));
    Thirty { ids, active }
}

/// The bad day: all inactive and without tags, ten edited, five gone, and a tag too.
fn ruin(server: &N8n, ids: &[String]) {
    for id in ids {
        inactive(server, id);
        server.call("PUT", &format!("workflows/{id}/tags"), Some(&json!([])));
    }
    for number in EDITED {
        edit(server, &ids[number], |w| {
            w["name"] = json!("damaged");
            w["nodes"].as_array_mut().unwrap().truncate(1);
            w["nodes"][0]["position"] = json!([9, 9]);
            w["connections"] = json!({});
            w["settings"] = json!({"saveManualExecutions": true, "timezone": "Asia/Tokyo"});
            w["staticData"] = json!({"global": {"seen": "nothing"}});
        });
    }
    ids[..DELETED].iter().for_each(|id| server.delete(id));
    let tags = server.call("GET", "tags", None);
    let crm = tags["data"].as_array().unwrap().iter().find(|tag| tag["name"] == "crm").unwrap();
    server.call("DELETE", &format!("tags/{}", crm["id"].as_str().unwrap()), None);
}

/// Makes a workflow inactive: one that is still being published is asked again.
fn inactive(server: &N8n, id: &str) {
    let is_inactive = || match server.try_call("POST", &format!("workflows/{id}/deactivate"), None) {
        (200, _) => true,
        (409, _) => false,
        (status, answer) => panic!("{status} {answer}"),
    };
    wait_until("it is inactive", is_inactive);
}

#[track_caller]
fn wait_until(what: &str, mut is_so: impl FnMut() -> bool) {
    let limit = Instant::now() + LIMIT;
    while !is_so() {
        assert!(Instant::now() < limit, "{what}");
        park_timeout(Duration::from_millis(50));
    }
}

/// Calls that changed something, by method and kind of path.
fn changes(requests: &[Request]) -> BTreeMap<String, usize> {
    let mut counts = BTreeMap::new();
    for request in requests.iter().filter(|r| r.method != "GET") {
        let path = request.path().trim_start_matches("/api/v1/");
        let parts: Vec<&str> = path.split('/').collect();
        let kind = match parts.as_slice() {
            [first, _, verb] => format!("{} {first}/{verb}", request.method),
            [first, _] if *first != "n8n-packages" => format!("{} {first}/id", request.method),
            _ => format!("{} {path}", request.method),
        };
        *counts.entry(kind).or_insert(0) += 1;
    }
    counts
}

/// Webhooks answer and the schedule fires, which `since` is before.
fn works(server: &N8n, thirty: &Thirty, now: &dyn Fn(usize) -> String, since: &str) {
    let client = chronos_tests::http_client();
    let ask = |number: usize| {
        let answer =
            client.post(format!("{}/webhook/hook-{number}", server.url())).json(&json!({"x": number}));
        let answer = answer.send().unwrap();
        let status = answer.status().as_u16();
        (status, answer.json::<Value>().unwrap_or_default())
    };
    for number in (0..MANY).filter(|n| matches!(n % SORTS, 0 | 5)) {
        if !thirty.active.contains(&number) {
            assert_eq!(ask(number).0, 404, "{number} was inactive");
            continue;
        }
        wait_until(&format!("webhook {number} answers"), || ask(number).0 == 200);
        if number % SORTS == 5 {
            assert_eq!(ask(number).1["body"]["x"], number, "what it calls answers");
        }
    }
    let query = format!("executions?workflowId={}&status=success&limit=1", now(FIRING));
    wait_until("the schedule fires", || {
        let found = server.call("GET", &query, None);
        found["data"][0]["startedAt"].as_str().is_some_and(|began| began > since)
    });
}

/// Checks that each is as it was, and that what is not is told; gives how many were written.
fn are_back(server: &N8n, thirty: &Thirty, before: &[Value], rows: &[Value]) -> usize {
    let ids = &thirty.ids;
    let keeps_ids = server.version.starts_with("2.40");
    let row_of = |number: usize| rows.iter().find(|row| row["id"] == ids[number]).unwrap();
    let now = |number: usize| row_of(number)["live_id"].as_str().unwrap_or(&ids[number]).to_owned();
    let mut written = 0;
    for (number, was) in before.iter().enumerate() {
        let row = row_of(number);
        let live = server.workflow(&now(number)).unwrap();
        let mut wanted = essence(was).to_string();
        ids.iter().enumerate().for_each(|(other, id)| wanted = wanted.replace(id, &now(other)));
        assert_eq!(wanted, essence(&live).to_string(), "{number}: {row}");
        for (key, value) in
            was["settings"].as_object().unwrap().iter().filter(|(key, _)| *key != "errorWorkflow")
        {
            assert_eq!(live["settings"][key], *value, "{number}: {key}");
        }
        assert_eq!(row["live_id"].is_string(), number < DELETED && !keeps_ids, "{row}");
        let mut told = Vec::new();
        if number == DELETED && !keeps_ids {
            told.extend([4, 3].map(|n| format!("names workflow {}, which is {} now", ids[n], now(n))));
        }
        if EDITED.contains(&number) {
            told.push("setting saveManualExecutions is there too".to_owned());
        }
        assert_eq!(row["differences"], if told.is_empty() { Value::Null } else { json!(told) }, "{row}");
        let is_spared = !thirty.active.contains(&number) && was["tags"] == json!([]) && number >= EDITED.end;
        let action = match number {
            _ if number < DELETED => "created",
            _ if is_spared => "unchanged",
            _ => "updated",
        };
        assert_eq!(row["action"], action, "{number}: {row}");
        written += usize::from(action != "unchanged");
    }
    written
}

fn come_back_by_one_call_and_work(version: &'static str) {
    let server = chronos_tests::n8n(version);
    let endpoint = HttpServer::start(|_| Response::json(200, &json!({})));
    let proxy = HttpServer::pass_on(&server.url(), |_| {});
    let service = service_of(&proxy.url(), &server.key);
    let thirty = furnish(&server, &endpoint.url());
    let ids = &thirty.ids;
    let before: Vec<Value> = ids.iter().map(|id| server.workflow(id).unwrap()).collect();
    let backup = backed_up(&service, "control-plane");
    ruin(&server, ids);
    assert_eq!(server.ids().len(), MANY - DELETED);
    proxy.forget();
    let done = asked(&service, "/restore/workflow", &json!({ "backup_id": backup }));
    assert_eq!((&done["status"], &done["errors"]), (&json!("completed"), &json!([])), "{done}");
    let requests = proxy.requests();

    let rows = done["restored"].as_array().unwrap();
    assert_eq!(rows.len(), MANY);
    let row = |number: usize| rows.iter().find(|row| row["id"] == ids[number]).unwrap();
    let now = |number: usize| row(number)["live_id"].as_str().unwrap_or(&ids[number]).to_owned();
    let keeps_ids = version.starts_with("2.40");
    let written = are_back(&server, &thirty, &before, rows);
    assert_eq!(server.ids().len(), MANY);
    let created = if keeps_ids { "POST n8n-packages/import" } else { "POST workflows" };
    let expected = [
        (created, DELETED),
        ("POST tags", 1),
        ("POST workflows/activate", thirty.active.len()),
        ("PUT workflows/id", written),
        ("PUT workflows/tags", written),
    ];
    assert_eq!(changes(&requests), expected.map(|(kind, count)| (kind.to_owned(), count)).into());
    let began = super::row(&service, &done["rollback_id"])["created_at"].as_str().unwrap().to_owned();
    works(&server, &thirty, &now, &began);
    assert!(!endpoint.requests().is_empty());

    // Once more: all is there, also under its new id, and nothing is sent that changes anything.
    proxy.forget();
    let again = asked(&service, "/restore/workflow", &json!({ "backup_id": backup }));
    assert_eq!(
        (&again["status"], &again["pre_rollback_backup"]),
        (&json!("completed"), &Value::Null),
        "{again}"
    );
    assert!(again["restored"].as_array().unwrap().iter().all(|row| row["action"] == "unchanged"), "{again}");
    assert_eq!(changes(&proxy.requests()), BTreeMap::new());
}

#[test]
fn come_back_by_one_call_and_work_1_123() {
    come_back_by_one_call_and_work("1.123.81");
}

#[test]
fn come_back_by_one_call_and_work_2_8() {
    come_back_by_one_call_and_work("2.8.4");
}

#[test]
fn come_back_by_one_call_and_work_2_40() {
    come_back_by_one_call_and_work("2.40.7");
}
