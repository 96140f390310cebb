//! Servers that fail: what a real n8n cannot be made to do at a chosen moment.

use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, Mutex, mpsc};
use std::time::Duration;

use chronos_connect::n8n::{Error, Limits, N8nSource, Way};
use chronos_tests::{HttpServer, Request, Response};
use serde_json::{Value, json};

use super::collected::{Collected, api, by, collect, take};
use super::workflows::manual;

/// Answers like an n8n 2.8 with ten workflows, except where `fault` answers.
fn stub(fault: impl Fn(&Request) -> Option<Response> + Send + Sync + 'static) -> HttpServer {
    HttpServer::start(move |request| fault(request).unwrap_or_else(|| sound(request)))
}

fn sound(request: &Request) -> Response {
    let list = |data: Vec<Value>| Response::json(200, &json!({"data": data, "nextCursor": null}));
    let all = || (0..10).map(stored).collect::<Vec<_>>();
    match request.path().strip_prefix("/api/v1/") {
        _ if request.path() == "/" => {
            // n8n@2.8.4
            Response::html(200, r#"<meta name="x" content="eyJyZWxlYXNlIjoibjhuQDIuOC40In0=">"#)
        }
        _ if request.header("x-n8n-api-key") != Some("k3y") => {
            Response::json(401, &json!({"message": "unauthorized"}))
        }
        Some("workflows") => list(all()),
        Some("tags" | "credentials") => list(Vec::new()),
        Some(path) => {
            match path.strip_prefix("workflows/").and_then(|id| all().into_iter().find(|w| w["id"] == id)) {
                Some(workflow) => Response::json(200, &workflow),
                None => Response::json(404, &json!({"message": "Not Found"})),
            }
        }
        None => Response::html(404, "Cannot GET"),
    }
}

fn stored(number: usize) -> Value {
    let mut workflow = manual(number);
    workflow["id"] = json!(format!("w{number}"));
    workflow["active"] = json!(false);
    workflow
}

fn is_get_of(request: &Request, id: &str) -> bool {
    request.path() == format!("/api/v1/workflows/{id}")
}

#[test]
fn the_stub_itself_is_sound() {
    let server = stub(|_| None);
    let found = take(&server.url(), "k3y");
    assert_eq!((found.ids().len(), found.failed), (10, None));
    let lists = server.requests().into_iter().filter(|r| r.path() == "/api/v1/workflows");
    assert_eq!(
        lists.map(|r| r.target).collect::<Vec<_>>(),
        ["/api/v1/workflows?excludePinnedData=true&limit=250"]
    );
}

#[test]
fn pages_of_html_instead_of_json_are_told_as_such() {
    for (status, page) in
        [(200, "<html>login</html>"), (404, "<html>nginx</html>"), (502, "<html>Bad Gateway</html>")]
    {
        let server = HttpServer::start(move |_| Response::html(status, page));
        let found = take(&server.url(), "k3y");
        let why = found.failed.unwrap();
        assert!(why.contains("HTML page instead of JSON") && why.contains(&status.to_string()), "{why}");
    }
}

#[test]
fn a_server_error_that_passes_is_not_seen() {
    let failures = AtomicU32::new(0);
    let server = stub(move |request| {
        let fails = is_get_of(request, "w3") && failures.fetch_add(1, Ordering::SeqCst) < 3;
        fails.then(|| Response::html(500, "<pre>Internal Server Error</pre>"))
    });
    let found = take(&server.url(), "k3y");
    assert_eq!((found.ids().len(), found.failed, found.problems.len()), (10, None, 0));
}

#[test]
fn one_workflow_that_fails_is_named_and_the_rest_is_there() {
    let server = stub(|r| is_get_of(r, "w3").then(|| Response::html(500, "<pre>Error</pre>")));
    let found = take(&server.url(), "k3y");
    assert_eq!((found.ids().len(), found.failed), (9, None));
    assert_eq!(found.problems.len(), 1);
    assert_eq!(found.problems[0].path, "/n8n/workflows/w3.json");
    // It was tried again before it was given up.
    assert_eq!(server.requests().iter().filter(|r| is_get_of(r, "w3")).count(), 4);
}

/// A source that ended early: what came before is there, the error says why.
fn ends_early(found: &Collected, why: &str) {
    assert!(found.failed.as_ref().is_some_and(|f| f.contains(why)), "{:?}", found.failed);
    assert!(found.ids().len() < 10);
}

#[test]
fn a_server_that_fails_on_all_workflows_is_given_up() {
    let server = stub(|r| {
        r.path().contains("/workflows/").then(|| Response::json(500, &json!({"message": "database is gone"})))
    });
    let found = take(&server.url(), "k3y");
    ends_early(&found, "failed on GET /workflows/w4 with 500: database is gone");
    assert_eq!(found.problems.len(), 4);
}

#[test]
fn a_key_that_is_deleted_half_way_ends_the_source() {
    let server =
        stub(|r| is_get_of(r, "w5").then(|| Response::json(401, &json!({"message": "unauthorized"}))));
    ends_early(&take(&server.url(), "k3y"), "does not accept the API key");
}

#[test]
fn connections_that_break_half_way_are_tried_again_then_end_the_source() {
    let breaks = |times: u32| {
        let count = AtomicU32::new(0);
        stub(move |request| {
            let breaks = is_get_of(request, "w5") && count.fetch_add(1, Ordering::SeqCst) < times;
            breaks.then(|| Response { cut: Some(40), ..sound(request) })
        })
    };
    let found = take(&breaks(2).url(), "k3y");
    assert_eq!((found.ids().len(), found.failed), (10, None));
    ends_early(&take(&breaks(99).url(), "k3y"), "ended during GET /workflows/w5");
}

#[test]
fn a_server_that_does_not_answer_in_time_is_given_up() {
    let (release, wait) = mpsc::channel::<()>();
    let wait = Arc::new(Mutex::new(wait));
    let server = stub(move |request| {
        if is_get_of(request, "w5") {
            // Until the test has ended.
            drop(wait.lock().map(|wait| wait.recv()));
        }
        None
    });
    let (stub, limits) = api(&server.url(), "k3y");
    let limits = Limits { call: Duration::from_millis(400), ..limits };
    let mut source = N8nSource::new(by(Way::Api { server: stub, limits })).unwrap();
    ends_early(&collect(&mut source), "did not answer GET /workflows/w5 within 1 s");
    assert!(matches!(source.failure().take(), Some(Error::TooSlow { .. })));
    drop(release);
}

#[test]
fn nobody_listens() {
    let url = HttpServer::start(|_| Response::html(200, "")).url();
    let found = take(&url, "k3y");
    let why = found.failed.unwrap();
    assert!(why.contains("cannot be reached") && why.contains("refused"), "{why}");
}

#[test]
fn a_proxy_in_front_gets_its_password_and_n8n_the_key() {
    let server = stub(|request| {
        let let_in = request.header("authorization") == Some("Basic YWRtaW46czNjcjN0");
        let mut refused = Response::html(401, "<h1>401</h1>");
        refused.headers.push(("www-authenticate".to_owned(), "Basic realm=\"x\"".to_owned()));
        (!let_in).then_some(refused)
    });
    let found = take(&server.url(), "k3y");
    assert!(found.failed.unwrap().contains("N8N_USER"));
    let (mut with, limits) = api(&server.url(), "k3y");
    with.basic = Some(("admin".to_owned(), chronos_connect::Secret::new("s3cr3t")));
    let found = collect(&mut N8nSource::new(by(Way::Api { server: with, limits })).unwrap());
    assert_eq!((found.ids().len(), found.failed), (10, None));
}

#[test]
fn listings_without_an_end_and_redirects_are_refused() {
    let server = stub(|request| {
        let list = request.path() == "/api/v1/workflows";
        list.then(|| Response::json(200, &json!({"data": [stored(1)], "nextCursor": "again"})))
    });
    assert!(take(&server.url(), "k3y").failed.unwrap().contains("without an end"));
    let server = HttpServer::start(|_| {
        let mut answer = Response::html(301, "");
        answer.headers.push(("location".to_owned(), "https://n8n.example/".to_owned()));
        answer
    });
    assert!(take(&server.url(), "k3y").failed.unwrap().contains("points to https://n8n.example/"));
}

#[test]
fn a_listing_that_skips_a_workflow_once_is_completed_by_the_next_pass() {
    // What a deletion between two pages does: w0 is gone and w5 was moved over the edge.
    let passes = AtomicU32::new(0);
    let server = stub(move |request| {
        let page = |ids: &[usize], next: Option<&str>| {
            let data: Vec<_> = ids.iter().map(|n| stored(*n)).collect();
            Some(Response::json(200, &json!({"data": data, "nextCursor": next})))
        };
        match (request.path(), request.target.contains("cursor=")) {
            ("/api/v1/workflows", false) if passes.fetch_add(1, Ordering::SeqCst) == 0 => {
                page(&[0, 1, 2, 3, 4], Some("b"))
            }
            ("/api/v1/workflows", false) => page(&[1, 2, 3, 4, 5], Some("b")),
            ("/api/v1/workflows", true) => page(&[6, 7, 8, 9], None),
            ("/api/v1/workflows/w0", _) => Some(Response::json(404, &json!({"message": "Not Found"}))),
            _ => None,
        }
    });
    let found = take(&server.url(), "k3y");
    assert_eq!(found.ids(), (1..10).map(|n| format!("w{n}")).collect::<Vec<_>>());
    assert_eq!(server.requests().iter().filter(|r| r.path() == "/api/v1/workflows").count(), 3 * 2);
    assert_eq!(found.outcome.incomplete, None);
}
