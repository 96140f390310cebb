//! Work that nobody waits for: `wait=false`, `/jobs`, its events, cancelling, a service that is killed, idempotency keys.

use std::io::{BufRead, BufReader, Write};
use std::sync::Arc;
use std::sync::atomic::{AtomicU16, Ordering};
use std::time::{Duration, Instant};

use chronos_tests::targets::{ENDLESS, NOTES, QUIET, WAITS};
use chronos_tests::{HttpServer, Program, Response, Service, configure, free_port};
use serde_json::{Value, json};

use super::events::Told;

/// Longest that anything here may take.
const LIMIT: Duration = Duration::from_mins(1);

/// A home with a folder, a command that waits until somebody writes into a pipe, and one that never ends.
fn program(config: &str) -> Program {
    let program = Program::with_repository();
    configure(&program, &[config, NOTES, WAITS, ENDLESS].concat());
    std::fs::create_dir(program.home().join("notes")).unwrap();
    std::fs::write(program.home().join("notes/a.txt"), "a").unwrap();
    let pipe = program.home().join("pipe");
    assert!(std::process::Command::new("mkfifo").arg(pipe).status().unwrap().success());
    program
}

fn service() -> Service {
    Service::start(program(QUIET), &[])
}

/// Lets the command that waits go on: it has begun when this can be opened.
fn let_go(program: &Program) {
    let pipe = std::fs::OpenOptions::new().write(true).open(program.home().join("pipe"));
    pipe.unwrap().write_all(b"rows").unwrap();
}

/// Queues a backup: the id of its job.
fn queued(service: &Service, target: &str) -> String {
    let answer = service.post("/backup", &format!(r#"{{"target":"{target}","wait":false}}"#));
    let job = answer.expect(202);
    let id = job["id"].as_str().unwrap().to_owned();
    assert_eq!(answer.header("location"), Some(&*format!("/jobs/{id}")), "{job}");
    id
}

fn job(service: &Service, id: &str) -> Value {
    service.get(&format!("/jobs/{id}")).expect(200)
}

/// The events of a job until its end, or until one that is enough.
fn events(
    service: &Service,
    id: &str,
    last: Option<&str>,
    enough: impl Fn(&str, &Value) -> bool,
) -> Vec<(String, Value)> {
    let client = chronos_tests::http_client();
    let mut call = client.get(format!("{}/jobs/{id}/events", service.url())).timeout(LIMIT);
    if let Some(last) = last {
        call = call.header("last-event-id", last);
    }
    let answer = call.send().unwrap();
    assert_eq!(answer.status().as_u16(), 200);
    assert_eq!(answer.headers()["content-type"], "text/event-stream");
    let (mut kind, mut revision, mut events) = (String::new(), String::new(), Vec::new());
    for line in BufReader::new(answer).lines() {
        let line = line.unwrap();
        if let Some(word) = line.strip_prefix("event: ") {
            word.clone_into(&mut kind);
        } else if let Some(id) = line.strip_prefix("id: ") {
            id.clone_into(&mut revision);
        } else if let Some(data) = line.strip_prefix("data: ") {
            let data: Value = serde_json::from_str(data).unwrap();
            assert_eq!(data["revision"].to_string(), revision);
            let is_enough = enough(&kind, &data);
            events.push((kind.clone(), data));
            if is_enough {
                return events;
            }
        }
    }
    events
}

/// Waits for the end of a job by its events.
pub(crate) fn ended(service: &Service, id: &str) -> Value {
    let mut events = events(service, id, None, |_, _| false);
    let (kind, last) = events.pop().unwrap();
    assert_eq!(kind, "ended", "{last}");
    last
}

pub(super) fn state(program: &Program) -> rusqlite::Connection {
    rusqlite::Connection::open(program.home().join(".local/state/chronos/chronos.sqlite")).unwrap()
}

/// How many schedules the service has seen.
fn seen(service: &Service) -> u32 {
    let count = "SELECT count(*) FROM schedule_memory";
    state(service.program()).query_row(count, [], |row| row.get(0)).unwrap()
}

/// As if the schedules had been in force for three days longer.
pub(super) fn three_days_go_by(program: &Program) {
    let days = 3 * 86_400 * 1_000_000_000_i64;
    let changed = state(program).execute("UPDATE schedule_memory SET since = since - ?1", [days]).unwrap();
    assert_eq!(changed, 1);
}

/// Waits until something holds.
#[track_caller]
fn until(mut holds: impl FnMut() -> bool) {
    let limit = Instant::now() + LIMIT;
    while !holds() {
        assert!(Instant::now() < limit, "not within {LIMIT:?}");
    }
}

/// Waits until a job runs and has done something.
fn running(service: &Service, id: &str) {
    events(service, id, None, |_, job| job["status"] == "running" && job["phase"].is_string());
}

#[test]
fn a_backup_that_nobody_waits_for_is_a_job_with_its_answer() {
    let service = service();
    let id = queued(&service, "notes");
    let job = ended(&service, &id);
    assert_eq!(
        (&job["status"], &job["kind"], &job["target"]),
        (&json!("completed"), &json!("backup"), &json!("notes")),
        "{job}"
    );
    let made = job["result"]["backup_id"].as_str().unwrap();
    assert_eq!(service.get(&format!("/backups/{made}")).expect(200)["backup_id"], made);
    for field in ["created_at", "started_at", "ended_at"] {
        assert!(job[field].as_str().unwrap().ends_with('Z'), "{job}");
    }
    let listed = service.get("/jobs?status=completed&kind=backup&target=notes").expect(200);
    assert_eq!(
        (&listed["count"], &listed["jobs"][0]["id"], &listed["next_cursor"]),
        (&json!(1), &json!(id), &json!(null))
    );
    let verify = service.post("/verify", &format!(r#"{{"backup_id":"{made}","wait":false}}"#)).expect(202);
    let verified = ended(&service, verify["id"].as_str().unwrap());
    assert_eq!(verified["result"]["status"], "verified", "{verified}");
    let again = service.get(&format!("/verify/{made}?wait=false")).expect(202);
    ended(&service, again["id"].as_str().unwrap());
    let cleanup = service.post("/cleanup?wait=false&dry_run=true", "").expect(202);
    let cleaned = ended(&service, cleanup["id"].as_str().unwrap());
    assert_eq!(cleaned["result"]["status"], "planned", "{cleaned}");
    let deploy = service.post("/backup/pre-deploy?target=notes&wait=false", "").expect(202);
    assert_eq!(ended(&service, deploy["id"].as_str().unwrap())["result"]["tier"], "pre-deploy");
    let none = service.post("/backup", r#"{"target":"all","backup_type":"config","wait":false}"#);
    none.problem(422);
}

#[test]
fn what_could_not_be_done_is_refused_and_no_job_is_made() {
    let service = service();
    service.post("/backup", r#"{"target":"nowhere","wait":false}"#).problem(404);
    service.post("/backup", r#"{"target":"notes","type":"database","wait":false}"#).problem(422);
    service.post("/verify", r#"{"backup_id":"nothing","wait":false}"#).problem(404);
    service.post("/cleanup?wait=maybe", "").problem(422);
    assert_eq!(service.get("/jobs").expect(200)["count"], 0);
    service.get("/jobs/nothing").problem(404);
    service.delete("/jobs/nothing").problem(404);
    service.get("/jobs/nothing/events").problem(404);
    assert!(service.get("/jobs?status=done").problem(422).contains("completed"));
    service.get("/jobs?kind=dance").problem(422);
    service.get("/jobs?limit=0").problem(422);
    service.get("/jobs?cursor=x").problem(422);
}

#[test]
fn two_jobs_on_one_target_run_one_after_the_other_and_pages_hold_each_once() {
    let service = service();
    let (first, second) = (queued(&service, "waits"), queued(&service, "waits"));
    let other = queued(&service, "notes");
    assert_eq!(ended(&service, &other)["status"], "completed");
    running(&service, &first);
    assert_eq!(job(&service, &second)["status"], "queued");
    let_go(service.program());
    assert_eq!(ended(&service, &first)["status"], "completed");
    let_go(service.program());
    assert_eq!(ended(&service, &second)["status"], "completed");
    let page = service.get("/jobs?limit=2").expect(200);
    assert_eq!((&page["jobs"][0]["id"], &page["jobs"][1]["id"]), (&json!(other), &json!(second)));
    let rest =
        service.get(&format!("/jobs?limit=2&cursor={}", page["next_cursor"].as_str().unwrap())).expect(200);
    assert_eq!(
        (&rest["jobs"][0]["id"], &rest["count"], &rest["next_cursor"]),
        (&json!(first), &json!(1), &json!(null))
    );
}

#[test]
fn jobs_are_cancelled_whether_they_wait_or_run() {
    let service = service();
    let (runs, waits) = (queued(&service, "endless"), queued(&service, "endless"));
    running(&service, &runs);
    assert_eq!(service.delete(&format!("/jobs/{waits}")).expect(200)["status"], "cancelled");
    let asked = service.delete(&format!("/jobs/{runs}")).expect(200);
    assert_eq!(asked["cancel_requested"], true, "{asked}");
    assert_eq!(ended(&service, &runs)["status"], "cancelled");
    assert!(service.delete(&format!("/jobs/{runs}")).problem(409).contains("cancelled"));
    assert_eq!(service.get("/backups").expect(200)["total"], 0, "nothing was made");
}

#[test]
fn a_backup_that_somebody_waits_for_is_a_job_too() {
    let service = service();
    let post = |target: &str| service.post("/backup", &format!(r#"{{"target":"{target}"}}"#));
    let job_of = |target: &str| {
        let jobs = service.get(&format!("/jobs?target={target}")).expect(200);
        jobs["jobs"][0]["id"].as_str().map(str::to_owned)
    };
    std::thread::scope(|scope| {
        let waits = scope.spawn(|| post("waits"));
        let_go(service.program());
        let answer = waits.join().unwrap().expect(200);
        let job = job(&service, &job_of("waits").unwrap());
        assert_eq!((&job["status"], &job["result"]), (&json!("completed"), &answer), "{job}");

        let endless = scope.spawn(|| post("endless"));
        until(|| job_of("endless").is_some());
        let id = job_of("endless").unwrap();
        running(&service, &id);
        service.delete(&format!("/jobs/{id}")).expect(200);
        let why = endless.join().unwrap().problem(409);
        assert!(why.contains("cancelled"), "{why}");
    });
    std::fs::remove_dir_all(service.path("notes")).unwrap();
    let answer = post("notes");
    let document = answer.expect(502);
    let job = job(&service, &job_of("notes").unwrap());
    assert_eq!((&job["status"], &job["result"]), (&json!("failed"), &document), "{job}");
}

#[test]
fn who_waits_for_a_job_that_nobody_knows_any_more_is_told_so() {
    let service = service();
    let folder = service.path(".local/state/chronos");
    let waited = std::thread::scope(|scope| {
        let asked = scope.spawn(|| service.post("/backup", r#"{"target":"waits"}"#));
        // It has begun when this can be opened.
        let pipe = std::fs::OpenOptions::new().write(true).open(service.path("pipe")).unwrap();
        std::fs::rename(&folder, service.path("moved")).unwrap();
        let answer = asked.join().unwrap();
        drop(pipe);
        answer
    });
    let said = waited.problem(503);
    assert!(said.contains("may go on") && said.contains("GET /backups"), "{said}");
    assert_eq!(waited.json()["state"], "unknown");
}

#[test]
fn events_go_on_where_the_reader_was_and_end_with_the_job() {
    let service = service();
    let id = queued(&service, "waits");
    let first = events(&service, &id, None, |_, job| job["status"] == "running");
    let last = first.last().unwrap().1["revision"].to_string();
    let_go(service.program());
    let rest = events(&service, &id, Some(&last), |_, _| false);
    let number = |value: &Value| value["revision"].as_u64().unwrap();
    assert!(rest.iter().all(|(_, job)| number(job) > last.parse().unwrap()), "{rest:?}");
    assert!(rest.windows(2).all(|pair| number(&pair[0].1) < number(&pair[1].1)));
    let (end, before) = rest.split_last().unwrap();
    assert!(end.0 == "ended" && before.iter().all(|(kind, _)| kind == "progress"));
    let path = format!("/jobs/{id}/events");
    let over = service.call("GET", &path, &[("last-event-id", &number(&end.1).to_string())], "");
    assert_eq!(over.status, 204);
}

#[test]
fn a_job_of_a_service_that_was_killed_is_carried_out_by_the_next() {
    let service = service();
    let id = queued(&service, "waits");
    running(&service, &id);
    let waits = queued(&service, "notes");
    let program = service.killed();
    let shown = program.run(["jobs", "show", &id, "--json"]).expect_code(0).json();
    assert_eq!(shown["status"], "running", "nobody has seen yet that it died");
    // The command outlived its service; another one is started for the next attempt.
    let_go(&program);
    let service = Service::start(program, &[]);
    let_go(service.program());
    let job = ended(&service, &id);
    assert_eq!((&job["status"], &job["attempts"]), (&json!("completed"), &json!(2)), "{job}");
    assert_eq!(ended(&service, &waits)["status"], "completed");
}

#[test]
fn a_service_that_is_told_to_end_lets_a_job_finish() {
    let service = service();
    let id = queued(&service, "waits");
    running(&service, &id);
    std::thread::scope(|scope| {
        let watching = scope.spawn(|| events(&service, &id, None, |_, _| false));
        // The other reader was the one who waited for it to run.
        until(|| service.log().matches(&format!("/jobs/{id}/events")).count() == 2);
        service.terminate();
        let seen = watching.join().unwrap();
        assert!(
            seen.iter().all(|(kind, _)| kind == "progress"),
            "who watches is let go, the job is not: {seen:?}"
        );
    });
    let_go(service.program());
    let (code, log, program) = service.left();
    assert_eq!(code, Some(0), "{log}");
    let shown = program.run(["jobs", "show", &id, "--json"]).expect_code(0).json();
    assert_eq!(shown["status"], "completed", "{log}");
}

#[test]
fn the_command_line_sees_and_cancels_jobs_without_the_service_too() {
    let service = service();
    let id = queued(&service, "endless");
    let waits = queued(&service, "endless");
    running(&service, &id);
    let listed = service.program().run(["jobs", "list", "--json"]).expect_code(0).json();
    assert_eq!(listed.as_array().unwrap().len(), 2);
    let cancelled = service.program().run(["jobs", "cancel", &id, "--json"]).expect_code(0).json();
    assert_eq!(cancelled["status"], "cancelling");
    let watched = service.program().run(["jobs", "watch", &id]).expect_code(130);
    assert!(watched.stdout.contains("cancelled"), "{}", watched.stdout);
    running(&service, &waits);
    let program = service.killed();
    assert!(program.run(["jobs", "list"]).expect_code(0).stdout.contains("backup endless"));
    program.run(["jobs", "cancel", &id]).expect_code(1);
    program.run(["jobs", "show", "nothing"]).expect_code(1);
    program.run(["jobs", "cancel", &waits]).expect_code(0);
    let service = Service::start(program, &[]);
    assert_eq!(ended(&service, &waits)["status"], "cancelled");
}

#[test]
fn what_is_out_of_reach_is_tried_again_and_what_is_wrong_is_not() {
    let status = Arc::new(AtomicU16::new(503));
    let answer = Arc::clone(&status);
    let n8n =
        HttpServer::start(move |_| Response::json(answer.load(Ordering::SeqCst), &json!({"message": "no"})));
    let limits = "[limits]\njob_pause = \"1s\"\njob_attempts = 2\n";
    let target = format!(
        "[[target]]\nname = \"flows\"\n[[target.source]]\nname = \"n8n\"\nkind = \"n8n\"\nurl = \"{}\"\napi_key = \"k\"\n",
        n8n.url()
    );
    let program = Program::with_repository();
    let closed = free_port();
    let database = format!(
        "[[target]]\nname = \"shop\"\n[[target.source]]\nname = \"db\"\nkind = \"postgres\"\nurl = \"postgres://me@127.0.0.1:{closed}/shop\"\n"
    );
    let bus = Told::start();
    let events_to = format!("[events]\nurl = \"{}\"\ntargets = [\"flows\"]\n", bus.server.url());
    configure(&program, &format!("{QUIET}{limits}{events_to}{target}{database}"));
    let service = Service::start(program, &[]);
    let id = queued(&service, "shop");
    let waiting = events(&service, &id, None, |_, job| job["next_attempt_at"].is_string());
    assert_eq!(waiting.last().unwrap().1["status"], "queued", "{waiting:?}");
    let id = queued(&service, "flows");
    let waiting = events(&service, &id, None, |_, job| job["next_attempt_at"].is_string());
    assert_eq!(waiting.last().unwrap().1["status"], "queued", "{waiting:?}");
    let job = ended(&service, &id);
    assert_eq!((&job["status"], &job["attempts"]), (&json!("failed"), &json!(2)), "{job}");
    assert_eq!(job["result"]["upstream_status"], 503, "{job}");
    // The first attempt stands in the history alone.
    assert_eq!(bus.event("backup_failed")["details"]["backup_id"], job["result"]["backup_id"]);
    let failed = service.get("/backups?status=failed&target=flows").expect(200);
    assert_eq!(failed["count"], 2, "{failed}");
    status.store(401, Ordering::SeqCst);
    let job = ended(&service, &queued(&service, "flows"));
    assert_eq!((&job["status"], &job["attempts"]), (&json!("failed"), &json!(1)), "{job}");
    assert!(job["result"]["backup_id"].as_str().unwrap().starts_with("flows_manual_"), "{job}");
}

#[test]
fn the_same_key_and_request_have_the_same_answer() {
    let service = service();
    let call = |key: &str, body: &str| service.call("POST", "/backup", &[("idempotency-key", key)], body);
    let body = r#"{"target":"notes","wait":false}"#;
    let first = call("one", body);
    let job = first.expect(202);
    let again = call("one", body);
    assert_eq!(again.expect(202)["id"], job["id"]);
    assert_eq!(again.header("idempotency-replayed"), Some("true"));
    assert_eq!(again.header("location"), first.header("location"));
    assert!(call("one", r#"{"target":"waits","wait":false}"#).problem(422).contains("Idempotency-Key"));
    call("", body).problem(422);
    let made = call("two", r#"{"target":"notes"}"#).expect(200);
    assert_eq!(call("two", r#"{"target":"notes"}"#).expect(200), made);
    call("three", r#"{"target":"nowhere"}"#).problem(404);
    call("three", r#"{"target":"nowhere"}"#).problem(404);
    assert!(service.get("/backups").expect(200)["total"].as_u64().unwrap() <= 2);
    assert_eq!(service.get("/jobs").expect(200)["count"], 2);
}

#[test]
fn what_a_schedule_missed_while_nothing_ran_is_done_once() {
    let daily =
        "[[schedule]]\nname = \"daily\"\ntarget = \"notes\"\ntier = \"daily\"\ncron = \"0 2 * * *\"\n";
    let service = Service::start(program(daily), &[]);
    let listed = || service.get("/jobs?schedule=daily").expect(200);
    // The schedule is in force since the service has looked at it.
    until(|| seen(&service) == 1);
    assert_eq!(listed()["count"], 0, "nothing is made up for of the time before");
    assert_eq!(service.get("/health").expect(200)["targets"][0]["overdue"], false);
    service.terminate();
    let (_, _, program) = service.left();
    three_days_go_by(&program);
    let service = Service::start(program, &[]);
    let listed = || service.get("/jobs?schedule=daily").expect(200);
    until(|| listed()["count"] == 1);
    let id = listed()["jobs"][0]["id"].as_str().unwrap().to_owned();
    let job = ended(&service, &id);
    assert_eq!((&job["status"], &job["result"]["tier"]), (&json!("completed"), &json!("daily")), "{job}");
    assert!(job["due"].as_str().unwrap().ends_with("T02:00:00Z"), "{job}");
    let schedule = || service.program().run(["schedule", "list", "--json"]).expect_code(0).json()[0].clone();
    until(|| schedule()["last_status"] == "completed");
    assert_eq!(listed()["count"], 1, "once for all that were missed");
    let metrics = service.get("/metrics").text;
    assert!(metrics.contains("chronos_target_overdue{target=\"notes\"} 0"), "{metrics}");
}

#[test]
fn silence_is_an_alert() {
    let daily =
        "[[schedule]]\nname = \"daily\"\ntarget = \"nowhere-yet\"\ntier = \"daily\"\ncron = \"0 2 * * *\"\n";
    let failing = "[[target]]\nname = \"nowhere-yet\"\npaths = [\"HOME/absent\"]\n";
    let service = Service::start(program(&format!("{daily}{failing}")), &[]);
    until(|| seen(&service) == 1);
    service.terminate();
    let (_, _, program) = service.left();
    three_days_go_by(&program);
    let service = Service::start(program, &[]);
    let health = service.get("/health").expect(200);
    let of = |name: &str| {
        health["targets"].as_array().unwrap().iter().find(|t| t["target"] == name).unwrap()["overdue"].clone()
    };
    assert_eq!((of("nowhere-yet"), of("notes")), (json!(true), json!(false)), "{health}");
    assert_eq!(health["status"], "degraded");
    assert!(health["problems"].to_string().contains("nowhere-yet is overdue: schedule daily"), "{health}");
    let metrics = service.get("/metrics").text;
    assert!(metrics.contains("chronos_target_overdue{target=\"nowhere-yet\"} 1"), "{metrics}");
}
