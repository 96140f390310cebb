//! `POST /rollback`: a target or a source back to a snapshot, and who hears of it.

use std::fs;

use chronos_tests::postgres::{ORDERS, Postgres};
use chronos_tests::{Service, configure};
use serde_json::{Value, json};

use super::{asked, backed_up, row, service};

/// A folder and a database.
const NOTES: &str = r#"
[[target]]
name = "notes"
aliases = ["texts"]
paths = ["HOME/notes"]
[[target.source]]
name = "settings"
kind = "files"
component = "config"
paths = ["HOME/settings"]

[[hook]]
on = ["before_backup"]
policy = "veto"
command = "test ! -e HOME/no-backup || { echo no room; exit 1; }"
"#;

#[test]
fn a_source_goes_back_alone_and_what_was_there_is_kept() {
    let service = service(NOTES);
    service.file("notes/a", "old");
    service.file("settings/s", "old");
    backed_up(&service, "notes");
    service.file("notes/a", "new");
    service.file("settings/s", "new");
    let body = json!({"backup_id": "latest:texts", "component": "settings"});
    let mut dry = body.clone();
    dry["dry_run"] = json!(true);
    let planned = asked(&service, "/rollback", &dry);
    assert_eq!((&planned["status"], &planned["rollback_id"]), (&json!("planned"), &Value::Null), "{planned}");
    let read = |path: &str| fs::read_to_string(service.path(path)).unwrap();
    assert_eq!(read("settings/s"), "new");

    let done = asked(&service, "/rollback", &body);
    assert_eq!((&done["status"], &done["component"]), (&json!("completed"), &json!("settings")), "{done}");
    assert!(done["rolled_back_at"].is_string() && done["backup_id"].is_string(), "{done}");
    assert_eq!((read("settings/s"), read("notes/a")), ("old".to_owned(), "new".to_owned()));
    let row = row(&service, &done["rollback_id"]);
    assert_eq!((&row["rollback_type"], &row["status"]), (&json!("rollback"), &json!("completed")), "{row}");
    let before = done["pre_rollback_backup"].as_str().unwrap();
    let undone = asked(&service, "/rollback", &json!({"backup_id": before}));
    assert_eq!((&undone["status"], read("settings/s")), (&json!("completed"), "new".to_owned()), "{undone}");
}

#[test]
fn the_latest_is_the_newest_that_has_what_is_asked_for() {
    let service = service(&format!("{NOTES}[[target]]\nname = \"other\"\npaths = [\"HOME/other\"]\n"));
    for file in ["notes/a", "settings/s", "other/o"] {
        service.file(file, "old");
    }
    let notes = backed_up(&service, "notes");
    let other = backed_up(&service, "other");
    let of = |component: Value| {
        let body = json!({"backup_id": "latest", "component": component, "dry_run": true});
        asked(&service, "/rollback", &body)["backup_id"].as_str().unwrap().to_owned()
    };
    let found =
        [of(Value::Null), of(json!("settings")), of(json!("config")), of(json!("texts")), of(json!("other"))];
    assert_eq!(found, [&*other, &*notes, &*notes, &*notes, &*other]);
}

#[test]
fn without_a_safety_snapshot_nothing_is_touched_unless_it_is_forced() {
    let service = service(NOTES);
    service.file("notes/a", "old");
    service.file("settings/s", "old");
    let id = backed_up(&service, "notes");
    service.file("notes/a", "new");
    service.file("no-backup", "");
    let refused = service.hades().post("/rollback", &json!({"backup_id": id}).to_string()).problem(409);
    assert!(refused.contains("no room"), "{refused}");
    assert_eq!(fs::read_to_string(service.path("notes/a")).unwrap(), "new");
    let forced = asked(&service, "/rollback", &json!({"backup_id": id, "force": true}));
    assert_eq!(
        (&forced["status"], &forced["pre_rollback_backup"]),
        (&json!("completed"), &Value::Null),
        "{forced}"
    );
    assert!(forced["warnings"][0].as_str().unwrap().contains("no room"), "{forced}");
    assert_eq!(fs::read_to_string(service.path("notes/a")).unwrap(), "old");
}

#[test]
fn what_is_not_there_is_named() {
    let service = service(NOTES);
    service.file("notes/a", "old");
    service.file("settings/s", "old");
    let id = backed_up(&service, "notes");
    let ask = |body: Value| service.hades().post("/rollback", &body.to_string());
    assert!(ask(json!({})).problem(422).contains("backup_id is missing"));
    assert!(ask(json!({"backup_id": "nothing"})).problem(404).contains("nothing"));
    let other = ask(json!({"backup_id": id, "component": "crm"}));
    assert!(other.problem(422).contains("it has config, files"));
    assert_eq!(other.json()["field"], "component");
    assert!(ask(json!({"backup_id": id, "compnent": "x"})).problem(422).contains("component"));
    assert!(ask(json!({"backup_id": id, "strategy": "new_location"})).problem(422).contains("new place"));
    assert!(ask(json!({"backup_id": id, "strategy": "sideways"})).problem(422).contains("overwrite"));
}

#[test]
fn rows_of_a_target_are_listed_as_long_as_there_are_any() {
    let service = service(NOTES);
    service.file("notes/a", "old");
    service.file("settings/s", "old");
    let id = backed_up(&service, "notes");
    asked(&service, "/rollback", &json!({ "backup_id": id }));
    let unknown = |service: &Service, name: &str| {
        for path in ["history", "jobs"] {
            let said = service.get(&format!("/{path}?target={name}")).problem(404);
            assert!(said.contains(name), "{said}");
        }
        service.hades().get(&format!("/history?target={name}")).problem(404);
    };
    unknown(&service, "nowhere");
    // What is configured, or every target, has rows or none.
    for name in ["notes", "texts", "chronos", "all"] {
        service.get(&format!("/history?target={name}")).expect(200);
        service.get(&format!("/jobs?target={name}")).expect(200);
    }
    let program = service.killed();
    configure(&program, "[[target]]\nname = \"other\"\npaths = [\"HOME/other\"]\n");
    let service = Service::start(program, &[]);
    assert_eq!(service.hades().get("/history?target=notes").expect(200)["count"], 1);
    service.get("/jobs?target=notes").expect(200);
    unknown(&service, "texts");
}

#[test]
fn a_dropped_table_function_index_and_policy_come_back() {
    let server = Postgres::shared();
    server.sql("postgres", "CREATE ROLE shopkeeper LOGIN PASSWORD 'keeps'");
    // Whoever may make databases swaps them, whoever may not restores in place.
    for (name, url, how) in [
        ("rolled_back_shop", server.superuser("rolled_back_shop"), "tables"),
        (
            "rolled_back_hosted",
            server.url("shopkeeper", "keeps", "rolled_back_hosted"),
            "in place in one transaction, since the user may not make databases",
        ),
    ] {
        server.sql("postgres", &format!("CREATE DATABASE {name} OWNER shopkeeper"));
        server.sql(name, &format!("SET ROLE shopkeeper; {ORDERS}"));
        let service = service(&format!(
            "[[target]]\nname = \"supabase\"\n[[target.source]]\nname = \"crm\"\nkind = \"postgres\"\nurl = \"{url}\"\n"
        ));
        let id = backed_up(&service, "supabase");
        server.sql(
            name,
            "SET ROLE shopkeeper; DROP TABLE orders CASCADE; DROP FUNCTION total(); CREATE TABLE later(x int); INSERT INTO later VALUES (7)",
        );
        let body = json!({"backup_id": id, "component": "supabase"});
        let mut dry = body.clone();
        dry["dry_run"] = json!(true);
        let planned = asked(&service, "/rollback", &dry);
        let written = planned["plan"]["steps"][0]["overwrites"]["names"][0].as_str().unwrap().to_owned();
        assert!(written.ends_with(how), "{planned}");
        let done = asked(&service, "/rollback", &body);
        assert_eq!(
            (&done["status"], &done["component"]),
            (&json!("completed"), &json!("supabase")),
            "{done}"
        );
        assert_eq!(server.sql(name, "SELECT item FROM orders WHERE total() = 1"), "tea");
        assert_eq!(server.sql(name, "SELECT to_regclass('later') IS NULL, count(*) FROM pg_policies"), "t|1");
        assert_eq!(server.sql(name, "SELECT count(*) FROM pg_indexes WHERE indexname = 'by_item'"), "1");
        // And what was there before comes back too.
        asked(&service, "/rollback", &json!({"backup_id": done["pre_rollback_backup"]}));
        assert_eq!(server.sql(name, "SELECT x, to_regclass('orders') IS NULL FROM later"), "7|t");
    }
}

#[test]
fn versions_of_a_target_a_source_and_a_path_are_listed() {
    let service = service(NOTES);
    service.file("settings/s", "s");
    let mut made = Vec::new();
    for text in ["one", "two", "two", "one"] {
        service.file("notes/a", text);
        made.push(json!(backed_up(&service, "notes")));
    }
    made.reverse();
    let get = |query: &str| service.hades().get(&format!("/versions{query}")).expect(200);
    for query in ["", "?component=texts", "?component=settings", "?component=config"] {
        let listed = get(query);
        let ids: Vec<_> =
            listed["versions"].as_array().unwrap().iter().map(|v| v["backup_id"].clone()).collect();
        assert_eq!((ids, &listed["total"]), (made.clone(), &json!(4)), "{query}");
    }
    let path = service.path("notes/a");
    let listed = get(&format!("?component=notes&path={}", path.display()));
    let seen: Vec<_> =
        listed["versions"].as_array().unwrap().iter().map(|v| v["snapshots"].clone()).collect();
    assert_eq!(seen, [json!([made[3], made[0]]), json!([made[2], made[1]])], "{listed}");
    assert_eq!(listed["versions"][0]["size"], 3);
    let refused = |query: &str, status| service.hades().get(&format!("/versions{query}")).problem(status);
    assert!(refused("?component=nothing", 404).contains("nothing"));
    assert!(refused("?path=/nowhere/x", 404).contains("none of 4 snapshots"));
    assert!(refused("?workflow_id=x", 404).contains("workflow x"));
    assert!(refused("?workflow_id=x&path=/x", 422).contains("both"));
}

#[test]
fn a_whole_database_goes_into_that_of_another_target_and_is_undone_there() {
    let server = Postgres::shared();
    let [live, staging] = ["rollback_live", "rollback_staging"];
    let target = |name: &str, database: &str| {
        let url = server.superuser(database);
        format!(
            "[[target]]\nname = \"{name}\"\n[[target.source]]\nname = \"crm\"\nkind = \"postgres\"\nurl = \"{url}\"\n"
        )
    };
    for name in [live, staging] {
        server.sql("postgres", &format!("CREATE DATABASE {name}"));
    }
    server.sql(live, ORDERS);
    server.sql(staging, "CREATE TABLE own(text text); INSERT INTO own VALUES ('kept')");
    let service = service(&[target("shop", live), target("staging", staging)].concat());
    let id = backed_up(&service, "shop");
    server.sql(live, "UPDATE orders SET item = 'coffee'");

    let done = asked(&service, "/rollback", &json!({ "backup_id": id, "target": "staging" }));
    assert_eq!((&done["status"], &done["target"]), (&json!("completed"), &json!("staging")), "{done}");
    assert!(done["pre_rollback_backup"].as_str().unwrap().starts_with("staging_emergency"), "{done}");
    let seen = "SELECT item, to_regclass('own') IS NULL FROM orders";
    assert_eq!(
        (&*server.sql(staging, seen), &*server.sql(live, "SELECT item FROM orders")),
        ("tea|t", "coffee")
    );
    let undone = asked(&service, "/undo", &json!({ "rollback_id": done["rollback_id"] }));
    assert_eq!(undone["status"], "completed", "{undone}");
    assert_eq!(server.sql(staging, "SELECT text, to_regclass('orders') IS NULL FROM own"), "kept|t");
}
