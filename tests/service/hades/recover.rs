//! `POST /recover` and `POST /rebuild`: everything back, in the fixed order.

use std::fs;
use std::thread::spawn;

use chronos_tests::postgres::{ORDERS, Postgres};
use chronos_tests::{N8n, Program, Service, configure};
use rusqlite::Connection;
use rustix::fs::{CWD, Mode, mkfifoat};
use serde_json::{Value, json};

use super::workflows::made;
use super::{asked, backed_up, guarded, row, service};

/// Everything that one machine may have; `URL` stands for a database and `N8N` for a server with its key.
const MACHINE: &str = r#"
[[target]]
name = "agents"
paths = ["HOME/agents"]

[[target]]
name = "control-plane"
[[target.source]]
name = "flows"
kind = "n8n"
N8N
[[target.source]]
name = "env"
kind = "files"
component = "config"
paths = ["HOME/env"]

[[target]]
name = "supabase"
[[target.source]]
name = "crm"
kind = "postgres"
url = "URL"

[[target]]
name = "event-bus"
restart = "echo up >> HOME/restarted"
[target.health]
command = "test -e HOME/restarted && echo it works"
[[target.source]]
name = "bus"
kind = "sqlite"
path = "HOME/bus.db"
"#;

fn machine(server: &N8n, database: &str, more: &str) -> Service {
    let n8n = format!("url = \"{}\"\napi_key = \"{}\"", server.url(), server.key);
    let url = Postgres::shared().superuser(database);
    service(&format!("{}{more}", MACHINE.replace("N8N", &n8n).replace("URL", &url)))
}

fn bus(service: &Service) -> Connection {
    Connection::open(service.path("bus.db")).unwrap()
}

/// What each step is about: phase, target, sources, state.
fn steps(recovery: &Value) -> Vec<(String, String, Value, String)> {
    let text = |v: &Value| v.as_str().unwrap().to_owned();
    let all = recovery["steps"].as_array().unwrap().iter();
    all.map(|s| (text(&s["phase"]), text(&s["target"]), s["sources"].clone(), text(&s["status"]))).collect()
}

fn step(phase: &str, target: &str, source: &str, status: &str) -> (String, String, Value, String) {
    (phase.to_owned(), target.to_owned(), json!([source]), status.to_owned())
}

#[test]
fn a_whole_machine_comes_back_in_its_order() {
    let server = chronos_tests::n8n("1.123.81");
    let postgres = Postgres::shared();
    let database = "recovered_crm";
    postgres.sql("postgres", &format!("CREATE DATABASE {database}"));
    postgres.sql(database, ORDERS);
    let service = machine(&server, database, "");
    let id = made(&server, "Intake");
    service.file("env", "SECRET=1");
    service.file("agents/one.yaml", "name: one");
    bus(&service).execute_batch("CREATE TABLE events (text); INSERT INTO events VALUES ('first')").unwrap();
    let run = service.post("/backup", "{}").expect(200);
    assert_eq!(run["status"], "completed", "{run}");

    postgres.sql(database, "DROP TABLE orders CASCADE");
    server.delete(&id);
    fs::remove_file(service.path("env")).unwrap();
    fs::remove_file(service.path("bus.db")).unwrap();
    fs::remove_dir_all(service.path("agents")).unwrap();
    let dry = asked(&service, "/recover", &json!({"backup_id": "latest", "confirm": false}));
    assert_eq!((&dry["status"], &dry["rollback_id"]), (&json!("planned"), &Value::Null), "{dry}");
    assert_eq!(dry["steps"][0]["restored"]["plan"]["steps"][0]["creates"]["count"], 1, "{dry}");
    assert!(!service.path("env").exists());

    let done = asked(&service, "/recover", &json!({"backup_id": run["backup_id"], "components": ["all"]}));
    assert_eq!(done["status"], "completed", "{done}");
    let expected = [
        step("config", "control-plane", "env", "completed"),
        step("event_bus", "event-bus", "bus", "completed"),
        step("databases", "supabase", "crm", "completed"),
        step("control_n8n", "control-plane", "flows", "completed"),
        step("agents", "agents", "files", "completed"),
    ];
    assert_eq!(steps(&done), expected, "{done}");
    assert_eq!(
        (&done["steps"][1]["health"], &done["steps"][0]["health"]),
        (&json!("it works"), &Value::Null)
    );
    assert_eq!(fs::read_to_string(service.path("env")).unwrap(), "SECRET=1");
    assert_eq!(fs::read_to_string(service.path("agents/one.yaml")).unwrap(), "name: one");
    assert_eq!(postgres.sql(database, "SELECT item FROM orders"), "tea");
    let events: i64 = bus(&service).query_row("SELECT count(*) FROM events", [], |row| row.get(0)).unwrap();
    assert_eq!(events, 1);
    let flows = server.call("GET", "workflows", None);
    assert_eq!(flows["data"][0]["name"], "Intake", "{flows}");

    let noted = row(&service, &done["rollback_id"]);
    assert_eq!(
        (&noted["rollback_type"], &noted["target"], &noted["source_backup_id"]),
        (&json!("recover"), &json!("all"), &run["backup_id"]),
        "{noted}"
    );
    let path = format!("/history/{}", done["rollback_id"].as_str().unwrap());
    let entry = service.hades().get(&path).expect(200);
    let parts: Vec<&Value> = entry["parts"].as_array().unwrap().iter().map(|p| &p["rollback_id"]).collect();
    let of_steps: Vec<&Value> = done["steps"].as_array().unwrap().iter().map(|s| &s["rollback_id"]).collect();
    assert_eq!(parts, of_steps);
    // It is undone as a whole: what can be, is.
    let undone = asked(&service, "/undo", &json!({ "rollback_id": done["rollback_id"] }));
    assert_eq!(undone["status"], "partial", "{undone}");
    assert_eq!(postgres.sql(database, "SELECT to_regclass('orders') IS NULL"), "t");
    // Before these nothing was there.
    let errors = undone["errors"].as_array().unwrap();
    assert_eq!(errors.len(), 3, "{undone}");
    let parts =
        service.hades().get(&format!("/history/{}", undone["rollback_id"].as_str().unwrap())).expect(200);
    assert_eq!(parts["parts"].as_array().unwrap().len(), 2, "{parts}");
}

/// A bus whose health is a file, beside notes and something that was never backed up.
const BROKEN: &str = r#"
[[target]]
name = "event-bus"
restart = "echo up >> HOME/restarted"
[target.health]
command = "test -e HOME/works || { echo it is not there; exit 1; }"
time_limit = "1s"
[[target.source]]
name = "settings"
kind = "files"
component = "config"
paths = ["HOME/settings"]
[[target.source]]
name = "bus"
kind = "sqlite"
path = "HOME/bus.db"

[[target]]
name = "notes"
paths = ["HOME/notes"]

[[target]]
name = "never"
paths = ["HOME/never"]
"#;

#[test]
fn what_cannot_come_back_keeps_nothing_else_and_is_taken_up_later() {
    let service = service(BROKEN);
    service.file("settings", "old");
    service.file("notes/a", "old");
    bus(&service).execute_batch("CREATE TABLE events (text)").unwrap();
    backed_up(&service, "event-bus");
    backed_up(&service, "notes");
    // A folder that is not empty is no file.
    fs::remove_file(service.path("settings")).unwrap();
    service.file("settings/in-the-way", "");
    service.file("notes/a", "new");
    let ask = |body: Value| asked(&service, "/recover", &body);
    let broken = ask(json!({"components": ["all"]}));
    assert_eq!(broken["status"], "partial", "{broken}");
    let expected = [
        step("config", "event-bus", "settings", "failed"),
        step("event_bus", "event-bus", "bus", "not_begun"),
        step("files", "notes", "files", "completed"),
    ];
    assert_eq!(steps(&broken), expected, "{broken}");
    assert!(broken["steps"][0]["error"].as_str().unwrap().contains("settings"), "{broken}");
    assert!(
        broken["steps"][1]["error"].as_str().unwrap().contains("an earlier step of event-bus"),
        "{broken}"
    );
    assert_eq!(broken["missing"][0]["target"], "never", "{broken}");

    // What the target needs of its later steps decides nothing before they are back; at the end it does.
    fs::remove_dir_all(service.path("settings")).unwrap();
    backed_up(&service, "notes");
    service.file("notes/a", "newer");
    let unwell = ask(json!({ "resume": broken["rollback_id"] }));
    let expected = [
        step("config", "event-bus", "settings", "completed"),
        step("event_bus", "event-bus", "bus", "unconfirmed"),
        step("files", "notes", "files", "resumed"),
    ];
    assert_eq!((steps(&unwell), &unwell["status"]), (expected.to_vec(), &json!("partial")), "{unwell}");
    assert!(unwell["steps"][0]["health"].as_str().unwrap().starts_with("not yet: "), "{unwell}");
    assert!(unwell["steps"][1]["error"].as_str().unwrap().contains("it is not there"), "{unwell}");

    // What is back and was not confirmed is asked again, and not put back again.
    service.file("works", "");
    bus(&service).execute_batch("INSERT INTO events VALUES ('since')").unwrap();
    let well = ask(json!({ "resume": unwell["rollback_id"] }));
    let expected = [
        step("config", "event-bus", "settings", "resumed"),
        step("event_bus", "event-bus", "bus", "completed"),
        step("files", "notes", "files", "resumed"),
    ];
    assert_eq!(steps(&well), expected, "{well}");
    let events: i64 = bus(&service).query_row("SELECT count(*) FROM events", [], |row| row.get(0)).unwrap();
    assert_eq!((events, &*fs::read_to_string(service.path("notes/a")).unwrap()), (1, "newer"));
    assert_eq!(fs::read_to_string(service.path("settings")).unwrap(), "old");
    let refused = |body: Value, status| service.hades().post("/recover", &body.to_string()).problem(status);
    assert!(refused(json!({"resume": "rollback_1"}), 404).contains("rollback_1"));
    let by = well["rollback_id"].as_str().unwrap();
    assert!(refused(json!({"resume": unwell["rollback_id"]}), 422).contains(by));
    assert!(refused(json!({"resume": well["rollback_id"], "components": ["notes"]}), 422).contains("leave"));
    assert!(refused(json!({"resume": well["steps"][0]["rollback_id"]}), 422).contains("is no recovery"));
    assert!(refused(json!({"components": ["nothing"]}), 422).contains("nothing"));
    assert!(refused(json!({"backup_id": "nothing"}), 404).contains("nothing"));
    assert!(refused(json!({"components": ["never"]}), 404).contains("never"));
}

#[test]
fn a_resume_keeps_to_what_was_asked_for_and_to_its_snapshots() {
    let service = service(BROKEN);
    service.file("settings", "old");
    service.file("notes/a", "old");
    bus(&service).execute_batch("CREATE TABLE events (text)").unwrap();
    backed_up(&service, "event-bus");
    let wanted = backed_up(&service, "notes");
    service.file("notes/a", "new");
    // A folder stands where the file goes.
    fs::remove_file(service.path("notes/a")).unwrap();
    service.file("notes/a/in-the-way", "");
    let body = json!({"components": ["notes"]}).to_string();
    let failed = service.hades().post("/recover", &body);
    assert!(failed.problem(502).contains("0 of 1 steps"), "{failed:?}");
    fs::remove_dir_all(service.path("notes/a")).unwrap();
    service.file("notes/a", "later");
    backed_up(&service, "notes");
    let resumed = asked(&service, "/recover", &json!({ "resume": failed.json()["rollback_id"] }));
    assert_eq!(steps(&resumed), [step("files", "notes", "files", "completed")], "{resumed}");
    assert_eq!(
        (&resumed["steps"][0]["backup_id"], &resumed["status"]),
        (&json!(wanted), &json!("completed"))
    );
    assert_eq!(fs::read_to_string(service.path("notes/a")).unwrap(), "old");
}

#[test]
fn a_server_that_is_down_is_recovered_when_it_is_there_again() {
    let server = Postgres::start();
    server.sql("postgres", "CREATE DATABASE crm");
    server.sql("crm", ORDERS);
    // Nobody listens where the bus is.
    let nowhere = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let config = format!(
        "[events]\nurl = \"http://{nowhere}\"\n[[target]]\nname = \"supabase\"\n[[target.source]]\nname = \"crm\"\n\
         kind = \"postgres\"\nurl = \"{}\"\n[[target]]\nname = \"notes\"\npaths = [\"HOME/notes\"]\n",
        server.superuser("crm")
    );
    let program = Program::with_repository();
    configure(&program, &config);
    let file = program.home().join("notes/a");
    fs::create_dir_all(file.parent().unwrap()).unwrap();
    fs::write(&file, "old").unwrap();
    program.run(["backup", "--target", "all"]).expect_code(0);
    fs::write(&file, "new").unwrap();
    server.sql("crm", "DROP TABLE orders CASCADE");
    server.stop();
    // CHRONOS does not run either.
    let mut command = program.command(["serve", "--only", "hades", "--hades-listen", "127.0.0.1:0"]);
    command.env("CHRONOS_URL", format!("http://{nowhere}"));
    let service = Service::of(program, command);
    let broken = asked(&service, "/recover", &json!({}));
    let expected =
        [step("databases", "supabase", "crm", "failed"), step("files", "notes", "files", "completed")];
    assert_eq!((steps(&broken), &broken["status"]), (expected.to_vec(), &json!("partial")), "{broken}");
    assert_eq!(fs::read_to_string(&file).unwrap(), "old");
    server.run();
    let resumed = asked(&service, "/recover", &json!({ "resume": broken["rollback_id"] }));
    assert_eq!(resumed["status"], "completed", "{resumed}");
    assert_eq!(server.sql("crm", "SELECT item FROM orders"), "tea");
}

#[test]
fn a_moment_takes_nothing_that_is_later() {
    let service = service(
        "[[target]]\nname = \"a\"\npaths = [\"HOME/a\"]\n[[target]]\nname = \"b\"\npaths = [\"HOME/b\"]\n",
    );
    let keep = |target: &str, text: &str| {
        service.file(&format!("{target}/file"), text);
        backed_up(&service, target)
    };
    let first = keep("a", "one");
    let moment = keep("b", "one");
    keep("a", "two");
    keep("b", "two");
    let done = asked(&service, "/recover", &json!({ "backup_id": moment }));
    let from: Vec<&str> =
        done["steps"].as_array().unwrap().iter().map(|s| s["backup_id"].as_str().unwrap()).collect();
    assert_eq!((from, &done["status"]), (vec![&*first, &*moment], &json!("completed")), "{done}");
    assert!(
        ["a", "b"].iter().all(|t| fs::read_to_string(service.path(&format!("{t}/file"))).unwrap() == "one")
    );
}

#[test]
fn a_rebuild_takes_the_repository_that_is_named_and_a_token() {
    let (service, _, restore) = guarded("[[target]]\nname = \"a\"\npaths = [\"HOME/a\"]\n");
    service.file("a/file", "one");
    backed_up(&service, "a");
    fs::remove_dir_all(service.path("a")).unwrap();
    let source = service.program().repository().to_str().unwrap();
    let body = json!({"backup_source": source, "components": ["all"]}).to_string();
    assert!(service.hades().post("/rebuild", &body).problem(403).contains("token"));
    let bearer = format!("Bearer {restore}");
    let ask = |body: &str| service.hades().call("POST", "/rebuild", &[("authorization", &bearer)], body);
    let nowhere = json!({"backup_source": service.path("nowhere")}).to_string();
    assert!(ask(&nowhere).problem(404).contains("there is no repository at"));
    assert!(!service.path("a").exists());
    let done = ask(&body).expect(200);
    assert_eq!(done["status"], "completed", "{done}");
    assert_eq!(fs::read_to_string(service.path("a/file")).unwrap(), "one");
    assert_eq!(row(&service, &done["rollback_id"])["rollback_type"], "rebuild");
}

#[test]
fn one_that_is_killed_is_interrupted_and_goes_on_where_it_was() {
    let service = service(
        r#"
[[target]]
name = "event-bus"
paths = ["HOME/bus"]
[[target]]
name = "notes"
paths = ["HOME/notes"]
[target.health]
command = "test ! -p HOME/pipe || { echo waiting > HOME/pipe; sleep 60; }"
"#,
    );
    service.file("bus/a", "old");
    service.file("notes/a", "old");
    backed_up(&service, "event-bus");
    backed_up(&service, "notes");
    service.file("bus/a", "new");
    service.file("notes/a", "new");
    let pipe = service.path("pipe");
    mkfifoat(CWD, &pipe, Mode::RUSR | Mode::WUSR).unwrap();
    let url = format!("{}/recover", service.hades().url());
    let asked_for = spawn(move || drop(chronos_tests::http_client().post(url).body("{}").send()));
    // The second step is back, and is asked whether it works.
    assert_eq!(fs::read_to_string(&pipe).unwrap(), "waiting\n");
    let program = service.killed();
    asked_for.join().unwrap();
    fs::remove_file(&pipe).unwrap();

    let service = Service::start(program, &[]);
    let history = service.hades().get("/history").expect(200);
    let of = |kind: &str, target: &str| {
        let all = history["history"].as_array().unwrap();
        all.iter().find(|r| r["rollback_type"] == kind && r["target"] == target).unwrap().clone()
    };
    let whole = of("recover", "all");
    assert_eq!(
        (&whole["status"], &of("recover", "notes")["status"]),
        (&json!("interrupted"), &json!("completed"))
    );
    service.file("bus/a", "newer");
    service.file("notes/a", "since");
    let resumed = asked(&service, "/recover", &json!({ "resume": whole["rollback_id"] }));
    let expected =
        [step("event_bus", "event-bus", "files", "resumed"), step("files", "notes", "files", "completed")];
    assert_eq!((steps(&resumed), &resumed["status"]), (expected.to_vec(), &json!("completed")), "{resumed}");
    let read = |path: &str| fs::read_to_string(service.path(path)).unwrap();
    assert_eq!((read("bus/a"), read("notes/a")), ("newer".to_owned(), "since".to_owned()));
}

#[test]
fn the_command_line_does_the_same_without_a_service() {
    let program = Program::with_repository();
    configure(&program, "[[target]]\nname = \"notes\"\npaths = [\"HOME/notes\"]\nrestart = \"echo up\"\n");
    let file = program.home().join("notes/a");
    fs::create_dir_all(file.parent().unwrap()).unwrap();
    fs::write(&file, "old").unwrap();
    program.run(["backup", "--target", "notes"]).expect_code(0);
    fs::write(&file, "new").unwrap();
    let text = || fs::read_to_string(&file).unwrap();
    let dry = program.run(["recover", "--dry-run"]).expect_code(0);
    assert!(dry.stdout.contains(&format!("would overwrite {}", file.display())), "{}", dry.stdout);
    assert_eq!(text(), "new");
    let done = program.run(["recover", "--json"]).expect_code(0).json();
    assert_eq!((&done["status"], &*text()), (&json!("completed"), "old"), "{done}");
    let id = done["rollback_id"].as_str().unwrap();
    let undone = program.run(["undo", id, "--json"]).expect_code(0).json();
    assert_eq!((&undone["undoes"], &*text()), (&json!(id), "new"), "{undone}");
    program.run(["undo", "rollback_1"]).expect_code(1);
    let plan = program.run(["emergency", "restart-services", "--target", "notes"]).expect_code(0);
    assert!(plan.stdout.contains("would run the restart of notes"), "{}", plan.stdout);
    let acted =
        program.run(["emergency", "restart-services", "--target", "notes", "--confirm"]).expect_code(0);
    assert!(acted.stdout.contains("restarted notes: up"), "{}", acted.stdout);
    let source = program.repository().to_str().unwrap();
    let rebuilt = program.run(["rebuild", source, "--json"]).expect_code(0).json();
    assert_eq!((&rebuilt["status"], &*text()), (&json!("completed"), "old"), "{rebuilt}");
}
