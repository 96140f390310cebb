//! Listings of several pages: bounded in calls, whole though workflows come and go meanwhile.

use std::collections::BTreeSet;
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, Mutex};

use chronos_connect::n8n::{Limits, N8nSource, Way};
use chronos_tests::{HttpServer, N8n};
use serde_json::{Value, json};

use super::collected::{Collected, api, by, collect};
use super::on_each_version;
use super::workflows::manual;

/// Three pages of ten, so that a small server does.
const MANY: usize = 25;
const PAGE: usize = 10;

fn take_by_pages(url: &str, key: &str) -> Collected {
    let (server, limits) = api(url, key);
    let limits = Limits { page: PAGE, ..limits };
    collect(&mut N8nSource::new(by(Way::Api { server, limits })).unwrap())
}

fn id(number: usize) -> String {
    format!("bulk{number:04}")
}

/// Workflows of fixed ids.
fn fill(server: &N8n) {
    let workflows: Vec<Value> = (0..MANY)
        .map(|number| {
            let mut workflow = manual(number);
            workflow["id"] = json!(id(number));
            workflow["active"] = json!(false);
            workflow["nodes"] = json!([workflow["nodes"][0]]);
            workflow["connections"] = json!({});
            workflow
        })
        .collect();
    server.import(&workflows);
}

fn many_workflows_are_read_whole_with_few_calls_while_some_come_and_go(server: &N8n) {
    fill(server);
    let quiet = HttpServer::pass_on(&server.url(), |_| {});
    let found = take_by_pages(&quiet.url(), &server.key);
    assert_eq!(found.ids().len(), MANY, "{:?} {:?}", found.failed, found.problems);
    let calls = quiet.requests().iter().filter(|r| r.target.contains("/workflows")).count();
    assert_eq!(calls, MANY + 2 * 3);

    // Before the second page is read, workflows of the first are deleted and others are made; while the first workflows
    // are read, one that was listed is deleted.
    let (pages, reads) = (AtomicU32::new(0), AtomicU32::new(0));
    let made: Arc<Mutex<BTreeSet<String>>> = Arc::default();
    let first_page = server.call("GET", "workflows?limit=10&excludePinnedData=true", None);
    let victims: Vec<String> = first_page["data"]
        .as_array()
        .unwrap()
        .iter()
        .take(3)
        .map(|w| w["id"].as_str().unwrap().to_owned())
        .collect();
    let last = found.ids().into_iter().rfind(|id| !victims.contains(id)).unwrap();
    let (url, key) = (server.url(), server.key.clone());
    let (making, deleted, deleted_last) = (Arc::clone(&made), victims.clone(), last.clone());
    let moving = HttpServer::pass_on(&server.url(), move |request| {
        let client = chronos_tests::http_client();
        let send = |method: reqwest::Method, path: &str, body: Option<Value>| -> Value {
            let call = client.request(method, format!("{url}/api/v1/{path}")).header("X-N8N-API-KEY", &key);
            body.into_iter().fold(call, |call, body| call.json(&body)).send().unwrap().json().unwrap()
        };
        if request.target.contains("cursor=") && pages.fetch_add(1, Ordering::SeqCst) == 0 {
            for id in &deleted {
                send(reqwest::Method::DELETE, &format!("workflows/{id}"), None);
            }
            for number in 0..2 {
                let new = send(reqwest::Method::POST, "workflows", Some(manual(900 + number)));
                making.lock().unwrap().insert(new["id"].as_str().unwrap().to_owned());
            }
        }
        if request.path().contains("/workflows/") && reads.fetch_add(1, Ordering::SeqCst) == 0 {
            send(reqwest::Method::DELETE, &format!("workflows/{deleted_last}"), None);
        }
    });
    let found = take_by_pages(&moving.url(), &server.key);
    assert_eq!(
        (found.failed.as_ref(), found.problems.len(), found.outcome.incomplete.as_ref()),
        (None, 0, None),
        "{found:?}"
    );
    let mut expected: BTreeSet<String> =
        (0..MANY).map(id).filter(|id| !victims.contains(id) && *id != last).collect();
    expected.extend(made.lock().unwrap().iter().cloned());
    assert_eq!(found.ids().into_iter().collect::<BTreeSet<_>>(), expected);
    assert_eq!(found.outcome.parts.last().unwrap().count, Some(expected.len() as u64));
}

on_each_version! {
    many_workflows_are_read_whole_with_few_calls_while_some_come_and_go
}
