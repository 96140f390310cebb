//! Workflows that are put back by a service which is killed at each of its calls: the next start leaves everything as it was before.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::thread::spawn;
use std::time::{Duration, Instant};

use chronos_tests::{HttpServer, N8n, Program, Response, Service};
use rustix::process::{Pid, Signal, kill_process};
use serde_json::{Value, json};

use super::workflows::{made, rename};
use super::{backed_up, service};

/// Longest that anything here may take.
const LIMIT: Duration = Duration::from_mins(2);

/// When the service is killed.
#[derive(Clone, Copy, Debug)]
struct Kill {
    pid: u32,
    /// At this one of the calls that change something.
    at: usize,
    /// The call reaches n8n all the same.
    is_heard: bool,
}

/// What the proxy before n8n does.
#[derive(Debug, Default)]
struct Plan {
    kill: Mutex<Option<Kill>>,
    /// Whoever changes something waits for that.
    is_held: AtomicBool,
}

/// A proxy before a server that kills when it is told to.
fn deadly(server: &N8n) -> (HttpServer, Arc<Plan>) {
    let plan: Arc<Plan> = Arc::default();
    let acts = Arc::clone(&plan);
    let proxy = HttpServer::pass_on_unless(&server.url(), move |request| {
        if request.method == "GET" {
            return None;
        }
        while acts.is_held.load(Ordering::SeqCst) {
            std::thread::yield_now();
        }
        let mut kill = acts.kill.lock().unwrap();
        let planned = kill.as_mut()?;
        planned.at -= 1;
        if planned.at > 0 {
            return None;
        }
        let planned = kill.take()?;
        kill_process(Pid::from_raw(planned.pid.cast_signed()).unwrap(), Signal::KILL).unwrap();
        (!planned.is_heard).then(|| Response::json(500, &json!({})))
    });
    (proxy, plan)
}

/// A service whose control plane is this address.
pub(super) fn service_of(url: &str, key: &str) -> Service {
    service(&format!(
        "[[target]]\nname = \"control-plane\"\n[[target.source]]\nname = \"flows\"\nkind = \"n8n\"\nurl = \"{url}\"\napi_key = \"{key}\"\n"
    ))
}

/// Asks for all workflows of a snapshot; whether there was an answer.
fn is_answered(service: &Service, backup: &str, strategy: &str) -> bool {
    let url = format!("{}/restore/workflow", service.hades().url());
    let body = json!({ "backup_id": backup, "strategy": strategy }).to_string();
    spawn(move || chronos_tests::http_client().post(url).body(body).send().is_ok()).join().unwrap()
}

/// Name and whether it is active, of each workflow.
pub(super) fn all(server: &N8n) -> Vec<(String, bool)> {
    let listed = server.call("GET", "workflows", None);
    let of = |w: &Value| (w["name"].as_str().unwrap().to_owned(), w["active"] == true);
    let mut all: Vec<_> = listed["data"].as_array().unwrap().iter().map(of).collect();
    all.sort();
    all
}

fn history(service: &Service) -> Vec<Value> {
    service.hades().get("/history").expect(200)["history"].as_array().unwrap().clone()
}

/// What the history says of the newest restore once it was taken back.
fn taken_back(service: &Service) -> String {
    let limit = Instant::now() + LIMIT;
    loop {
        let rows = history(service);
        let row = rows.iter().find(|row| row["rollback_type"] == "backup_restore").unwrap();
        let told = row["error_message"].as_str().unwrap_or_default();
        if told.contains("taken back by") {
            assert_eq!(row["status"], "interrupted", "{row}");
            return told.to_owned();
        }
        assert!(Instant::now() < limit, "{row} {}", service.log());
        std::thread::park_timeout(Duration::from_millis(50));
    }
}

fn is_as_before_after_a_kill_at_each_call(version: &'static str, strategy: &str) {
    let server = chronos_tests::n8n(version);
    let (proxy, plan) = deadly(&server);
    let (edited, gone) = (made(&server, "Edited"), made(&server, "Gone"));
    for id in [&edited, &gone] {
        server.call("POST", &format!("workflows/{id}/activate"), None);
    }
    let mut service = service_of(&proxy.url(), &server.key);
    let backup = backed_up(&service, "control-plane");
    rename(&server, &edited, "Edited since");
    server.delete(&gone);
    let later = made(&server, "Later");
    server.call("POST", &format!("workflows/{later}/activate"), None);
    let before = all(&server);
    assert_eq!(before, [("Edited since".to_owned(), true), ("Later".to_owned(), true)]);
    let mut after = vec![("Edited".to_owned(), true), ("Gone".to_owned(), true)];
    after.extend((strategy != "replace").then(|| ("Later".to_owned(), true)));
    let mut stops = 0;
    for at in 1.. {
        for is_heard in [false, true] {
            *plan.kill.lock().unwrap() = Some(Kill { pid: service.pid(), at, is_heard });
            let was_answered = is_answered(&service, &backup, strategy);
            if plan.kill.lock().unwrap().take().is_some() {
                assert!(was_answered);
                assert_eq!(all(&server), after);
                assert!(stops >= 8, "only {stops} stops");
                return;
            }
            stops += 1;
            let program: Program = service.killed();
            service = Service::start(program, &[]);
            let told = taken_back(&service);
            assert_eq!(all(&server), before, "{version}, call {at}, heard: {is_heard}: {told}");
        }
    }
}

#[test]
fn is_as_before_after_a_kill_at_each_call_1_123() {
    is_as_before_after_a_kill_at_each_call("1.123.81", "overwrite");
}

#[test]
fn is_as_before_after_a_kill_at_each_call_of_replace_1_123() {
    is_as_before_after_a_kill_at_each_call("1.123.81", "replace");
}

#[test]
fn is_as_before_after_a_kill_at_each_call_of_replace_2_40() {
    is_as_before_after_a_kill_at_each_call("2.40.7", "replace");
}

#[test]
fn is_as_before_after_a_kill_at_each_call_2_40() {
    is_as_before_after_a_kill_at_each_call("2.40.7", "overwrite");
}

#[test]
fn what_is_killed_while_it_is_taken_back_is_taken_back_all_the_same() {
    let server = chronos_tests::n8n("1.123.81");
    let (proxy, plan) = deadly(&server);
    let (edited, gone) = (made(&server, "Edited"), made(&server, "Gone"));
    server.call("POST", &format!("workflows/{edited}/activate"), None);
    let mut service = service_of(&proxy.url(), &server.key);
    let backup = backed_up(&service, "control-plane");
    rename(&server, &edited, "Edited since");
    server.delete(&gone);
    let before = all(&server);
    for at in 1..=4 {
        // Both are written, and one of them is not active yet.
        *plan.kill.lock().unwrap() = Some(Kill { pid: service.pid(), at: 6, is_heard: true });
        is_answered(&service, &backup, "overwrite");
        assert!(plan.kill.lock().unwrap().is_none());
        let program = service.killed();
        assert_ne!(all(&server), before);
        plan.is_held.store(true, Ordering::SeqCst);
        let mut taking_back =
            program.command(["serve", "--only", "hades", "--hades-listen", "127.0.0.1:0"]).spawn().unwrap();
        *plan.kill.lock().unwrap() = Some(Kill { pid: taking_back.id(), at, is_heard: at % 2 == 0 });
        plan.is_held.store(false, Ordering::SeqCst);
        taking_back.wait().unwrap();
        assert!(plan.kill.lock().unwrap().is_none());
        service = Service::start(program, &[]);
        let told = taken_back(&service);
        assert_eq!(all(&server), before, "call {at}: {told}");
    }
}
