//! A thousand workflows, backed up by the program from a real server through a relay that counts.

use std::collections::BTreeSet;
use std::sync::atomic::{AtomicBool, Ordering};

use chronos_connect::n8n::id_of_file;
use chronos_tests::{HttpServer, N8n, Program, configure, n8n};
use serde_json::Value;

use super::workflows::manual;

/// Workflows, and how many a page of the listing has.
const MANY: usize = 1000;
const PAGE: usize = 250;
/// Calls at the same time.
const IN_FLIGHT: usize = 4;
/// Calls beside workflows: version, whose key it is, tags, credentials.
const OTHERS: usize = 4;

/// A server with so many workflows.
fn fill(server: &N8n) -> BTreeSet<String> {
    let first = server.call("POST", "workflows", Some(&manual(1)));
    let first = first["id"].as_str().unwrap().to_owned();
    let copies: Vec<String> = (1..MANY).map(|number| format!("copy{number:012}")).collect();
    server.multiply(&first, &copies);
    copies.into_iter().chain([first]).collect()
}

/// A home whose one target is this server.
fn home(url: &str, key: &str) -> Program {
    let program = Program::with_repository();
    std::fs::write(program.home().join("key"), key).unwrap();
    let config = "[[target]]\nname = \"prod\"\n[[target.source]]\nname = \"n8n\"\nkind = \"n8n\"\nurl = \"URL\"\n\
                  api_key = { file = \"HOME/key\" }\n";
    configure(&program, &config.replace("URL", url));
    program
}

/// The workflows of a snapshot; each has one file.
fn stored(program: &Program, backup_id: &str) -> BTreeSet<String> {
    let listed = program.run(["ls", &format!("{backup_id}:n8n/workflows")]).expect_code(0);
    let names: Vec<&str> = listed.stdout.lines().filter_map(|line| line.rsplit('/').next()).collect();
    let ids: BTreeSet<String> = names.iter().filter_map(|name| id_of_file(name)).collect();
    assert_eq!(ids.len(), names.len(), "{names:?}");
    ids
}

fn back_up(program: &Program) -> (String, Value) {
    let made = program.run(["backup", "--target", "prod", "--json"]).expect_code(0).json();
    (made["backup_id"].as_str().unwrap().to_owned(), made)
}

#[test]
fn a_thousand_workflows_take_a_call_each_and_two_for_each_page() {
    let server = n8n("2.40.7");
    let ids = fill(&server);
    let relay = HttpServer::pass_on(&server.url(), |_| {});
    let program = home(&relay.url(), &server.key);
    let (first, made) = back_up(&program);
    assert_eq!(made["status"], "completed", "{made}");
    let calls = relay.requests();
    let of_workflows = calls.iter().filter(|call| call.path().contains("/workflows")).count();
    assert!(of_workflows <= MANY + 2 * MANY.div_ceil(PAGE), "{of_workflows}");
    assert!(calls.len() <= of_workflows + OTHERS, "{}", calls.len());
    assert!(relay.most_at_once() <= IN_FLIGHT, "{}", relay.most_at_once());
    assert_eq!(stored(&program, &first), ids);

    // While the second page is asked for, workflows of the first are deleted, so that those behind them move up, and others are
    // made.
    let page = server.call("GET", &format!("workflows?limit={PAGE}&excludePinnedData=true"), None);
    let page = page["data"].as_array().unwrap();
    let victims: Vec<String> = page.iter().take(5).map(|w| w["id"].as_str().unwrap().to_owned()).collect();
    let (url, key, is_done) = (server.url(), server.key.clone(), AtomicBool::new(false));
    let going = victims.clone();
    let moving = HttpServer::pass_on(&server.url(), move |request| {
        if !request.target.contains("cursor=") || is_done.swap(true, Ordering::SeqCst) {
            return;
        }
        let client = chronos_tests::http_client();
        let workflows = format!("{url}/api/v1/workflows");
        for id in &going {
            let gone =
                client.delete(format!("{workflows}/{id}")).header("X-N8N-API-KEY", &key).send().unwrap();
            assert!(gone.status().is_success(), "{}", gone.text().unwrap());
        }
        for number in 0..3 {
            let new = client.post(&workflows).header("X-N8N-API-KEY", &key).json(&manual(9000 + number));
            assert!(new.send().unwrap().status().is_success());
        }
    });
    configure_again(&program, &moving.url());
    let (second, made) = back_up(&program);
    assert_eq!(made["status"], "completed", "{made}");
    let live: BTreeSet<String> = server.ids().into_iter().collect();
    assert_eq!(live.len(), MANY - 5 + 3);
    assert!(live.is_disjoint(&victims.into_iter().collect()));
    assert_eq!(stored(&program, &second), live);
    assert!(moving.most_at_once() <= IN_FLIGHT, "{}", moving.most_at_once());
    server.wipe();
}

/// Points the target at another address.
fn configure_again(program: &Program, url: &str) {
    let file = program.home().join(".config/chronos/chronos.toml");
    let text = std::fs::read_to_string(&file).unwrap();
    let changed = text
        .lines()
        .map(|line| if line.starts_with("url") { format!("url = \"{url}\"") } else { line.to_owned() });
    std::fs::write(&file, changed.collect::<Vec<_>>().join("\n")).unwrap();
}
