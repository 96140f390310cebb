//! `POST /restore/{id}` of databases and workflows, against the real servers.

use std::fs;

use chronos_tests::postgres::{ORDERS, Postgres};
use chronos_tests::targets::QUIET;
use chronos_tests::{Answer, N8n, Program, Service, configure, hourly};
use rusqlite::Connection;
use serde_json::{Value, json};

fn service(targets: &str) -> Service {
    let program = Program::with_repository();
    configure(&program, &[QUIET, targets].concat());
    Service::start(program, &[])
}

fn backed_up(service: &Service, target: &str) -> String {
    let made = service.post("/backup", &json!({ "target": target }).to_string()).expect(200);
    assert_eq!(made["status"], "completed", "{made}");
    made["backup_id"].as_str().unwrap().to_owned()
}

fn restore(service: &Service, id: &str, body: &Value) -> Answer {
    service.post(&format!("/restore/{id}"), &body.to_string())
}

fn restored(service: &Service, id: &str, body: &Value) -> Value {
    let done = restore(service, id, body).expect(200);
    assert_eq!((&done["status"], &done["error_count"]), (&json!("completed"), &json!(0)), "{done}");
    done
}

#[test]
fn a_postgresql_comes_back_exactly_and_what_came_later_can_be_had_again() {
    let server = Postgres::shared();
    let name = "restored_shop";
    server.sql("postgres", &format!("CREATE DATABASE {name}"));
    server.sql(name, ORDERS);
    let service = service(&format!(
        "[[target]]\nname = \"supabase\"\n[[target.source]]\nname = \"crm\"\nkind = \"postgres\"\nurl = \"{}\"\n",
        server.superuser(name)
    ));
    let id = backed_up(&service, "supabase");
    server.sql(name, "DROP TABLE orders CASCADE; DROP FUNCTION total(); CREATE TABLE later(x int); INSERT INTO later VALUES (7)");

    let dry = restore(&service, &id, &json!({"dry_run": true})).expect(200);
    let step = &dry["plan"]["steps"][0];
    let has = |list: &str, what: &str| {
        step[list]["names"].as_array().unwrap().iter().any(|n| n.as_str().unwrap().contains(what))
    };
    assert!(has("creates", "TABLE public orders") && has("removes", "TABLE public later"), "{step}");
    assert!(has("overwrites", name) && step["bytes"].as_u64().unwrap() > 0, "{step}");
    assert_eq!(server.sql(name, "SELECT x FROM later"), "7");

    let done = restored(&service, &id, &json!({}));
    let whole = json!([{ "name": name, "created": false, "tables": 1, "rows": 1, "rows_estimated": false }]);
    assert_eq!(done["steps"][0]["databases"], whole, "{done}");
    assert_eq!(server.sql(name, "SELECT item FROM orders WHERE total() = 1"), "tea");
    assert_eq!(server.sql(name, "SELECT to_regclass('later') IS NULL, count(*) FROM pg_policies"), "t|1");
    assert_eq!(server.sql(name, "SELECT count(*) FROM pg_indexes WHERE indexname = 'by_item'"), "1");
    // What was there before is in the snapshot of before.
    let before = done["pre_rollback_backup"].as_str().unwrap();
    restored(&service, before, &json!({}));
    assert_eq!(server.sql(name, "SELECT x, to_regclass('orders') IS NULL FROM later"), "7|t");

    // A new place is a new database; the live one stays.
    let new =
        restored(&service, &id, &json!({"strategy": "new_location", "restore_target_path": "/nowhere"}));
    assert!(new["pre_rollback_backup"].is_null(), "{new}");
    let made =
        server.sql("postgres", &format!("SELECT datname FROM pg_database WHERE datname LIKE '{name}\\_2%'"));
    assert_eq!(server.sql(&made, "SELECT item FROM orders"), "tea");
    assert_eq!(server.sql(name, "SELECT x FROM later"), "7");
    let merged = restore(&service, &id, &json!({"strategy": "merge"})).problem(409);
    assert!(merged.contains("merge"), "{merged}");

    // A database that is gone comes back; there is nothing to keep of it.
    server.sql("postgres", &format!("DROP DATABASE {name} WITH (FORCE)"));
    let again = restored(&service, &id, &json!({}));
    assert!(again["pre_rollback_backup"].is_null(), "{again}");
    assert_eq!(server.sql(name, "SELECT item FROM orders"), "tea");
    let history = service.get("/history?target=supabase&status=completed").expect(200);
    assert_eq!(history["count"], 4);
}

/// A shop of files and an SQLite database, whose users are stopped and started.
const SHOP: &str = r#"
[[target]]
name = "shop"
[[target.source]]
name = "bus"
kind = "sqlite"
path = "HOME/bus.sqlite"
stop = "echo stop >> HOME/said; test ! -e HOME/stubborn"
start = "echo start >> HOME/said"
[[target.source]]
name = "settings"
kind = "files"
component = "config"
paths = ["HOME/settings"]
"#;

#[test]
fn an_sqlite_comes_back_while_its_users_are_stopped() {
    let service = service(SHOP);
    service.file("settings/a.yaml", "a: 1");
    let live = service.path("bus.sqlite");
    let open = || Connection::open(&live).unwrap();
    open()
        .execute_batch(
            "PRAGMA journal_mode = wal; CREATE TABLE events(id INTEGER); INSERT INTO events VALUES (1)",
        )
        .unwrap();
    let count = || open().query_row("SELECT count(*) FROM events", [], |row| row.get::<_, i64>(0)).unwrap();
    let id = backed_up(&service, "shop");
    open().execute_batch("INSERT INTO events VALUES (2)").unwrap();
    service.file("settings/a.yaml", "a: changed");

    // Files first, then databases. One that fails ends it, says so, and leaves the database as it was.
    service.file("stubborn", "");
    let part = restore(&service, &id, &json!({})).expect(200);
    assert_eq!((&part["status"], &part["error_count"]), (&json!("partial"), &json!(1)), "{part}");
    let stands = |n: usize| (part["steps"][n]["sources"][0].clone(), part["steps"][n]["status"].clone());
    assert_eq!(stands(0), (json!("settings"), json!("completed")));
    assert_eq!(stands(1), (json!("bus"), json!("failed")));
    assert!(part["message"].as_str().unwrap().contains("everything is as it was before"), "{part}");
    assert_eq!(fs::read_to_string(service.path("settings/a.yaml")).unwrap(), "a: 1");
    assert_eq!(count(), 2);
    fs::remove_file(service.path("stubborn")).unwrap();
    fs::remove_file(service.path("said")).unwrap();

    let done = restored(&service, &id, &json!({"components": ["bus"]}));
    assert_eq!(fs::read_to_string(service.path("said")).unwrap(), "stop\nstart\n");
    assert_eq!(count(), 1);
    let before = done["pre_rollback_backup"].as_str().unwrap();
    restored(&service, before, &json!({"components": ["bus"]}));
    assert_eq!(count(), 2);

    // One that is no database any more is kept as it is, and replaced.
    fs::write(&live, "scrambled").unwrap();
    let done = restored(&service, &id, &json!({"components": ["database"]}));
    assert_eq!(count(), 1);
    let before = done["pre_rollback_backup"].as_str().unwrap();
    let kept = service.program().run(["cat", &format!("{before}:{}", live.display())]).expect_code(0);
    assert_eq!(kept.stdout, "scrambled");
}

#[test]
fn an_sqlite_that_could_not_be_taken_back_is_brought_to_an_end_later() {
    // Its users cannot be started with the new one, and not be stopped then.
    let service = service(
        "[[target]]\nname = \"bus\"\n[[target.source]]\nname = \"events\"\nkind = \"sqlite\"\npath = \"HOME/bus.sqlite\"\n\
         stop = \"test ! -e HOME/stuck\"\n\
         start = \"echo start >> HOME/said; test ! -e HOME/broken || { touch HOME/stuck; exit 1; }\"\n",
    );
    let open = || Connection::open(service.path("bus.sqlite")).unwrap();
    let count = |of: &Connection| of.query_row("SELECT count(*) FROM events", [], |row| row.get::<_, i64>(0));
    open().execute_batch("CREATE TABLE events(id INTEGER); INSERT INTO events VALUES (1)").unwrap();
    let id = backed_up(&service, "bus");
    open().execute_batch("INSERT INTO events VALUES (2)").unwrap();
    service.file("broken", "");
    let answer = restore(&service, &id, &json!({}));
    assert!(answer.text.contains("undoing it failed too"), "{}", answer.text);
    let of_it = |service: &Service| service.get("/history").expect(200)["history"][0].clone();
    assert_eq!(of_it(&service)["status"], "interrupted", "{}", of_it(&service));
    fs::remove_file(service.path("broken")).unwrap();
    fs::remove_file(service.path("stuck")).unwrap();
    fs::remove_file(service.path("said")).unwrap();
    let service = Service::start(service.killed(), &[]);
    let row = of_it(&service);
    let told = row["error_message"].as_str().unwrap();
    assert!(
        told.contains("bus.sqlite is as in the snapshot") && told.contains("those who use it were started"),
        "{told}"
    );
    assert_eq!(fs::read_to_string(service.path("said")).unwrap(), "start\n");
    let live = Connection::open(service.path("bus.sqlite")).unwrap();
    assert_eq!(count(&live).unwrap(), 1);
    drop(live);
    let undo = json!({ "rollback_id": row["rollback_id"] }).to_string();
    assert_eq!(service.hades().post("/undo", &undo).expect(200)["status"], "completed");
    assert_eq!(count(&Connection::open(service.path("bus.sqlite")).unwrap()).unwrap(), 2);
}

#[test]
fn workflows_come_back_and_those_that_came_later_stay() {
    let server = chronos_tests::n8n("2.8.4");
    let made =
        |name: &str| server.call("POST", "workflows", Some(&hourly(name)))["id"].as_str().unwrap().to_owned();
    let (edited, same) = (made("Order intake"), made("Invoices"));
    server.call("POST", &format!("workflows/{edited}/activate"), None);
    let service = service(&format!(
        "[[target]]\nname = \"prod\"\n[[target.source]]\nname = \"flows\"\nkind = \"n8n\"\nurl = \"{}\"\napi_key = \"{}\"\n",
        server.url(),
        server.key
    ));
    let id = backed_up(&service, "prod");
    let whole = essence(&server, &edited);
    server.call("POST", &format!("workflows/{edited}/deactivate"), None);
    let mut broken = hourly("Order intake (broken)");
    broken["nodes"][1]["name"] = json!("Never");
    broken["connections"]["Every hour"]["main"][0][0]["node"] = json!("Never");
    server.call("PUT", &format!("workflows/{edited}"), Some(&broken));
    let later = made("Later");

    let dry = restore(&service, &id, &json!({"dry_run": true, "components": ["workflows"]})).expect(200);
    assert_eq!(
        dry["plan"]["steps"][0]["overwrites"]["names"],
        json!([format!("Order intake ({edited})")]),
        "{dry}"
    );
    assert_ne!(essence(&server, &edited), whole);

    let done = restored(&service, &id, &json!({}));
    assert_eq!((&done["restored_count"], &done["steps"][0]["kind"]), (&json!(1), &json!("n8n")), "{done}");
    assert_eq!(essence(&server, &edited), whole);
    assert!(server.workflow(&later).is_some() && server.workflow(&same).is_some());
    let again = restored(&service, &id, &json!({}));
    assert_eq!(
        (&again["steps"][0]["status"], &again["pre_rollback_backup"]),
        (&json!("unchanged"), &Value::Null)
    );
    // Back to what was there before.
    restored(&service, done["pre_rollback_backup"].as_str().unwrap(), &json!({}));
    assert_eq!(server.workflow(&edited).unwrap()["name"], "Order intake (broken)");
    let replaced = restored(&service, &id, &json!({"strategy": "replace"}));
    assert_eq!(replaced["status"], "completed", "{replaced}");
    assert!(server.workflow(&later).is_none() && server.workflow(&same).is_some());
    // As files, below the root that is not configured here.
    assert!(
        restore(&service, &id, &json!({"strategy": "new_location"})).problem(422).contains("restore_root")
    );
}

#[test]
fn a_workflow_that_was_deleted_has_its_id_again_by_the_command_line() {
    let server = chronos_tests::n8n("2.8.4");
    let made = server.call("POST", "workflows", Some(&hourly("Invoices")));
    let deleted = made["id"].as_str().unwrap();
    let service = service(&format!(
        "[[target]]\nname = \"prod\"\n[[target.source]]\nname = \"flows\"\nkind = \"n8n\"\nurl = \"{}\"\napi_key = \"{}\"\n\
         prefix = [\"env\", \"PATH=HOME:/usr/bin:/bin\"]\n",
        server.url(),
        server.key
    ));
    server.install_command(service.program().home());
    let id = backed_up(&service, "prod");
    let whole = essence(&server, deleted);
    server.delete(deleted);
    let done = restored(&service, &id, &json!({}));
    assert_eq!(done["restored_count"], 1, "{done}");
    assert_eq!(essence(&server, deleted), whole, "by the API alone it would have another id");
}

/// What a workflow is for its users.
fn essence(server: &N8n, id: &str) -> Value {
    let live = server.workflow(id).unwrap();
    json!([live["name"], live["nodes"], live["connections"], live["active"]])
}
