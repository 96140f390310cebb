//! Who is told: the Event Bus, webhooks, signs of life; with receivers that are down, slow, failing, and then there.

use std::net::TcpListener;
use std::sync::atomic::{AtomicU16, Ordering};
use std::sync::mpsc::{Receiver, channel};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use chronos_tests::targets::{NOTES, QUIET};
use chronos_tests::{HttpServer, Program, Request, Response, Service, configure};
use serde_json::{Value, json};

/// Longest that anything here may take.
const LIMIT: Duration = Duration::from_mins(1);

/// A command that fails as long as there is no file.
const FLAKY: &str = r#"
[[target]]
name = "flaky"
aliases = ["shaky"]
[[target.source]]
name = "dump"
kind = "command"
component = "database"
command = "cat HOME/dump.sql"
"#;

fn program(config: &str) -> Program {
    let program = Program::with_repository();
    configure(&program, &[config, QUIET, NOTES, FLAKY].concat());
    std::fs::create_dir(program.home().join("notes")).unwrap();
    std::fs::write(program.home().join("notes/a.txt"), "a").unwrap();
    program
}

/// A receiver, and the requests that it accepted.
pub(super) struct Told {
    pub(super) server: HttpServer,
    accepted: Receiver<Request>,
    status: Arc<AtomicU16>,
}

impl Told {
    pub(super) fn start() -> Self {
        Self::start_at(0, 200)
    }

    fn start_at(port: u16, status: u16) -> Self {
        let (tells, accepted) = channel();
        let tells = Mutex::new(tells);
        let status = Arc::new(AtomicU16::new(status));
        let answered = Arc::clone(&status);
        let server = HttpServer::start_at(port, move |request| {
            let status = answered.load(Ordering::SeqCst);
            if status == 200 {
                // A test that has ended hears nothing more.
                drop(tells.lock().unwrap().send(request.clone()));
            }
            Response::json(status, &json!({}))
        });
        Self { server, accepted, status }
    }

    /// The next request that was accepted.
    #[track_caller]
    fn next(&self) -> Request {
        self.accepted.recv_timeout(LIMIT).unwrap()
    }

    /// The next event of this action.
    #[track_caller]
    pub(super) fn event(&self, action: &str) -> Value {
        loop {
            let event = body(&self.next());
            if event["action"] == action || event["event"] == action {
                return event;
            }
        }
    }

    /// The event of this action that tells of this backup.
    #[track_caller]
    pub(super) fn event_of(&self, action: &str, backup_id: &str) -> Value {
        loop {
            let event = self.event(action);
            if event["details"]["backup_id"] == backup_id {
                return event;
            }
        }
    }
}

fn body(request: &Request) -> Value {
    serde_json::from_slice(&request.body).unwrap()
}

fn made(service: &Service, target: &str) -> String {
    let made = service.post("/backup", &format!(r#"{{"target":"{target}"}}"#)).expect(200);
    made["backup_id"].as_str().unwrap().to_owned()
}

#[test]
fn a_bus_that_is_down_failing_and_slow_keeps_no_backup_waiting_and_gets_every_event_in_order() {
    // A port at which nobody listens yet.
    let port = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
    let config = format!("[events]\nurl = \"http://127.0.0.1:{port}\"\ntimeout = \"1s\"\n");
    let service = Service::start(program(&config), &[]);
    // Down; and the service is killed with all that waits.
    let mut expected: Vec<String> = (0..3).map(|_| made(&service, "notes")).collect();
    let service = Service::start(service.killed(), &[]);
    expected.push(made(&service, "notes"));
    // Failing.
    let bus = Told::start_at(port, 500);
    expected.push(made(&service, "notes"));
    while bus.server.requests().len() < 2 {
        std::thread::yield_now();
    }
    drop(bus);
    // So slow that it is not waited for.
    let (hold, held) = channel::<()>();
    let held = Mutex::new(held);
    let (reached, is_reached) = channel();
    let reached = Mutex::new(reached);
    let slow = HttpServer::start_at(port, move |_| {
        let _ = reached.lock().unwrap().send(());
        // Until the test lets go; by then it is too late.
        let _ = held.lock().unwrap().recv();
        Response::json(503, &json!({}))
    });
    is_reached.recv_timeout(LIMIT).unwrap();
    expected.push(made(&service, "notes"));
    drop(hold);
    drop(slow);
    // A command line writes into the same queue.
    let program = service.killed();
    let ended = program.run(["backup", "--target", "notes", "--json"]).expect_code(0);
    expected.push(ended.json()["backup_id"].as_str().unwrap().to_owned());
    // Back.
    let bus = Told::start_at(port, 200);
    let service = Service::start(program, &[]);
    expected.push(made(&service, "notes"));
    let (mut seen, mut ids) = (Vec::new(), Vec::new());
    while seen.last() != expected.last() {
        let request = bus.next();
        let event = body(&request);
        assert_eq!((request.path(), &*request.method), ("/events", "POST"));
        assert_eq!(request.header("idempotency-key"), event["details"]["event_id"].as_str());
        // One that was on its way when the service was killed may come twice.
        if event["action"] == "backup_created" && !ids.contains(&event["details"]["event_id"]) {
            assert_eq!((&event["source_agent"], &event["target"]), (&json!("CHRONOS"), &json!("notes")));
            assert!(event["details"]["size"].is_u64() && event["details"]["tier"] == "manual", "{event}");
            ids.push(event["details"]["event_id"].clone());
            seen.push(event["details"]["backup_id"].as_str().unwrap().to_owned());
        }
    }
    assert_eq!(seen, expected);
    let metrics = service.get("/metrics").text;
    assert!(metrics.contains("chronos_events_dropped_total{receiver=\"event-bus\"} 0"), "{metrics}");
}

#[test]
fn every_end_has_its_event_and_filters_hold() {
    let bus = Told::start();
    let some = Told::start();
    let config = format!(
        "[events]\nurl = \"{}/\"\n[[notify]]\nname = \"some\"\nurl = \"{}/told\"\non = [\"failure\"]\ntargets = [\"shaky\"]\n",
        bus.server.url(),
        some.server.url()
    );
    let service = Service::start(program(&config), &[]);
    let id = made(&service, "notes");
    assert_eq!(bus.event("backup_created")["details"]["backup_id"], id.as_str());
    service.get(&format!("/verify/{id}")).expect(200);
    assert_eq!(bus.event("backup_verified")["target"], id.as_str());
    service.post("/cleanup", "{}").expect(200);
    let cleaned = bus.event("cleanup_completed");
    assert_eq!((&cleaned["target"], &cleaned["details"]["deleted_count"]), (&json!(""), &json!(0)));
    service.post("/backup", r#"{"target":"flaky"}"#).problem(502);
    let failed = bus.event("backup_failed");
    assert_eq!(failed["target"], "flaky");
    assert!(failed["details"]["error"].as_str().unwrap().contains("dump"), "{failed}");
    // A job tells too, and once.
    let job = service.post("/backup", r#"{"target":"flaky","wait":false}"#).expect(202);
    let again = bus.event("backup_failed");
    assert_ne!(again["details"]["backup_id"], failed["details"]["backup_id"], "{job}");
    assert_eq!(some.event("backup_failed")["target"], "flaky");
    assert_eq!(some.event("backup_failed")["occasion"], "failure");
    service.file("dump.sql", "select 1;");
    let id = made(&service, "flaky");
    assert_eq!(bus.event("backup_created")["details"]["backup_id"], id.as_str());
    assert_eq!(bus.event("backup_recovered")["target"], "flaky");
    service.terminate();
    assert_eq!(service.ended().0, Some(0));
    assert!(some.accepted.try_recv().is_err(), "it wants failures of one target alone");
}

#[test]
fn damage_is_told() {
    let bus = Told::start();
    let hermes = Told::start();
    let program = program(&format!(
        "[events]\nurl = \"{}\"\n[[notify]]\nname = \"hermes\"\nurl = \"{}\"\non = [\"damage\"]\n",
        bus.server.url(),
        hermes.server.url()
    ));
    let id =
        program.run(["backup", "--target", "notes", "--json"]).expect_code(0).json()["backup_id"].clone();
    let folder = program.repository().join("packs");
    let mut folders = vec![folder];
    while let Some(folder) = folders.pop() {
        for entry in std::fs::read_dir(folder).unwrap().map(Result::unwrap) {
            if entry.file_type().unwrap().is_dir() {
                folders.push(entry.path());
            } else {
                std::fs::remove_file(entry.path()).unwrap();
            }
        }
    }
    program.run(["verify", id.as_str().unwrap()]).expect_code(4);
    let event = bus.event("backup_corrupted");
    assert_eq!((&event["target"], &event["details"]["target"]), (&id, &json!("notes")));
    assert_eq!(hermes.event("backup_corrupted")["severity"], "critical");
}

#[test]
fn without_a_service_a_command_tells_by_itself_and_one_that_hangs_stops_no_other() {
    let hermes = Told::start();
    let alive = Told::start();
    let (hold, held) = channel::<()>();
    let held = Mutex::new(held);
    let hangs = HttpServer::start(move |_| {
        // Until the test ends.
        let _ = held.lock().unwrap().recv();
        Response::json(200, &json!({}))
    });
    let program = program(&format!(
        "[events]\nurl = \"{}\"\n\
         [[notify]]\nname = \"hermes\"\nurl = \"{}/hook\"\ntoken = {{ file = \"HOME/token\" }}\n\
         [[notify]]\nname = \"alive\"\nkind = \"ping\"\nurl = \"{}/ping/uuid\"\ntargets = [\"flaky\"]\n",
        hangs.url(),
        hermes.server.url(),
        alive.server.url()
    ));
    std::fs::write(program.home().join("token"), "s3cr3t\n").unwrap();
    let ended = program.run(["backup", "--target", "flaky"]).expect_code(1);
    assert!(!ended.stderr.contains("s3cr3t"));
    let request = hermes.next();
    assert_eq!((request.path(), request.header("authorization")), ("/hook", Some("Bearer s3cr3t")));
    let failure = body(&request);
    assert_eq!((&failure["event"], &failure["occasion"]), (&json!("backup_failed"), &json!("failure")));
    assert!(failure["message"].as_str().unwrap().starts_with("the backup of flaky failed: "), "{failure}");
    program.run(["backup", "--target", "notes"]).expect_code(0);
    std::fs::write(program.home().join("dump.sql"), "select 1;").unwrap();
    program.run(["backup", "--target", "flaky"]).expect_code(0);
    let recovery = body(&hermes.next());
    assert_eq!((&recovery["event"], &recovery["target"]), (&json!("backup_recovered"), &json!("flaky")));
    let ping = alive.next();
    assert_eq!((&*ping.method, ping.path(), ping.body.len()), ("GET", "/ping/uuid", 0));
    assert!(alive.accepted.try_recv().is_err(), "only a good backup of that target is a sign of life");
    drop(hold);
}

#[test]
fn a_receiver_that_refuses_is_asked_again_and_its_secret_is_never_said() {
    let hermes = Told::start_at(0, 401);
    let config = format!(
        "[[notify]]\nname = \"hermes\"\nurl = \"{}/s3cr3t-path\"\ntoken = \"s3cr3t\"\n",
        hermes.server.url()
    );
    let service = Service::start(program(&config), &[]);
    service.post("/backup", r#"{"target":"flaky"}"#).problem(502);
    while hermes.server.requests().len() < 2 {
        std::thread::yield_now();
    }
    hermes.status.store(200, Ordering::SeqCst);
    assert_eq!(hermes.event("backup_failed")["target"], "flaky");
    service.terminate();
    let (_, log) = service.ended();
    assert!(log.contains("cannot be told") && !log.contains("s3cr3t"), "{log}");
}

#[test]
fn who_is_overdue_is_told_once_and_when_it_is_over() {
    let bus = Told::start();
    let program = Program::with_repository();
    let daily = "[[schedule]]\nname = \"daily\"\njob = \"backup\"\ntarget = \"notes\"\ntier = \"daily\"\ncron = \"0 2 * * *\"\n";
    configure(&program, &format!("[events]\nurl = \"{}\"\n{daily}{QUIET}{NOTES}", bus.server.url()));
    // The folder is not there yet, so that what is caught up fails.
    let service = Service::start(program, &[]);
    let file = service.path(".local/state/chronos/chronos.sqlite");
    let state = rusqlite::Connection::open(file).unwrap();
    let count = "SELECT count(*) FROM schedule_memory";
    while state.query_row(count, [], |row| row.get::<_, u32>(0)).unwrap() == 0 {
        std::thread::yield_now();
    }
    let program = service.killed();
    let days = 3 * 86_400 * 1_000_000_000_i64;
    state.execute("UPDATE schedule_memory SET since = since - ?1", [days]).unwrap();
    let service = Service::start(program, &[]);
    let overdue = bus.event("backup_overdue");
    assert_eq!((&overdue["target"], &overdue["details"]["schedule"]), (&json!("notes"), &json!("daily")));
    service.file("notes/a.txt", "a");
    made(&service, "notes");
    assert_eq!(bus.event("backup_recovered")["target"], "notes");
}

#[test]
fn how_the_service_does_is_told_when_it_changes() {
    let bus = Told::start();
    let config = format!("[events]\nurl = \"{}\"\n", bus.server.url());
    let service = Service::start(program(&config), &[]);
    service.post("/backup", r#"{"target":"flaky"}"#).problem(502);
    // A service looks when it begins, and tells only of what is otherwise than before.
    let service = Service::start(service.killed(), &[]);
    let worse = bus.event("health_changed");
    assert_eq!((&worse["target"], &worse["details"]["to"]), (&json!(""), &json!("degraded")), "{worse}");
    assert!([json!(null), json!("healthy")].contains(&worse["details"]["from"]), "{worse}");
    assert!(worse["details"]["problems"][0].as_str().unwrap().contains("flaky"), "{worse}");
    let service = Service::start(service.killed(), &[]);
    service.file("dump.sql", "select 1;");
    made(&service, "flaky");
    let service = Service::start(service.killed(), &[]);
    // What was on its way when the service was killed may come twice.
    let mut next = bus.event("health_changed");
    while next["details"]["event_id"] == worse["details"]["event_id"] {
        next = bus.event("health_changed");
    }
    assert_eq!((&next["details"]["from"], &next["details"]["to"]), (&json!("degraded"), &json!("healthy")));
    service.terminate();
    assert_eq!(service.ended().0, Some(0));
}
