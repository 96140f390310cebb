//! Drills into a target that is marked for them.

use std::os::unix::fs::symlink;

use chronos_tests::Service;
use chronos_tests::postgres::{ORDERS, Postgres};
use rusqlite::Connection;
use serde_json::json;

use super::*;

const SHOP: &str = "[[target.source.drill]]\nrows = { orders = 1 }\nobjects = [\"total()\", \"by_item\"]\n";
const EVENTS: &str = "[[target.source.drill]]\nrows = { events = 2 }\n";

fn n8n(server: &chronos_tests::N8n) -> String {
    format!(
        "[[target.source]]\nname = \"flows\"\nkind = \"n8n\"\nurl = \"{}\"\napi_key = \"{}\"\n",
        server.url(),
        server.key
    )
}

fn postgres(name: &str, url: &str, rules: &str) -> String {
    format!(
        "[[target.source]]\nname = \"{name}\"\nkind = \"postgres\"\nurl = \"{url}\"\nglobals = false\n{rules}"
    )
}

fn sqlite(name: &str, file: &str, rules: &str) -> String {
    format!("[[target.source]]\nname = \"{name}\"\nkind = \"sqlite\"\npath = \"HOME/{file}\"\n{rules}")
}

/// A target `dev` that is marked, with these keys and sources.
fn dev(rest: &str) -> String {
    format!("[[target]]\nname = \"dev\"\ndrill_destination = true\n{rest}")
}

fn events(path: &std::path::Path, rows: &str) {
    let database = Connection::open(path).unwrap();
    database.execute_batch(&format!("CREATE TABLE events(id INTEGER PRIMARY KEY); {rows}")).unwrap();
}

#[test]
fn every_kind_of_source_goes_into_the_marked_target_and_is_proven_there() {
    let (live, other) = (chronos_tests::n8n("1.123.81"), chronos_tests::n8n("2.8.4"));
    let furnished = crate::n8n::workflows::furnish(&live);
    let server = Postgres::shared();
    for database in ["drilled_prod", "drilled_dev"] {
        server.sql("postgres", &format!("CREATE DATABASE {database}"));
    }
    server.sql("drilled_prod", ORDERS);
    server.sql("drilled_dev", "CREATE TABLE played(x int)");
    let prod = format!(
        "[[target]]\nname = \"prod\"\npaths = [\"HOME/prod\"]\ndrill_into = \"dev\"\n{}{}{}{}",
        postgres("crm", &server.superuser("drilled_prod"), SHOP),
        sqlite("bus", "prod.sqlite", EVENTS),
        n8n(&live),
        "[[target.source]]\nname = \"export\"\nkind = \"command\"\ncommand = \"echo 1\"\n",
    );
    let sources = [
        &*postgres("crm-dev", &server.superuser("drilled_dev"), ""),
        &sqlite("bus-dev", "dev.sqlite", ""),
        &n8n(&other),
    ];
    let stage =
        Stage::new("", &format!("{prod}{}", dev(&format!("paths = [\"HOME/dev\"]\n{}", sources.concat()))));
    fs::create_dir(stage.path("prod")).unwrap();
    fs::create_dir(stage.path("dev")).unwrap();
    fs::write(stage.path("prod/a"), "of production").unwrap();
    fs::write(stage.path("dev/played"), "").unwrap();
    events(&stage.path("prod.sqlite"), "INSERT INTO events VALUES (1), (2)");
    events(&stage.path("dev.sqlite"), "");
    let id = stage.back_up("prod");
    let before = live.call("GET", &format!("workflows/{}", furnished.ids[0]), None);

    let drilled = stage.drill("prod", 0);
    assert_eq!((&drilled["status"], &drilled["into"]), (&json!("passed"), &json!("dev")), "{drilled}");
    assert_eq!(
        (&drilled["backup_id"], &drilled["proven_at"]),
        (&json!(id), &stage.proven_at("prod")),
        "{drilled}"
    );
    let held = drilled["sources"].to_string();
    for fact in [
        "table orders has 1 rows",
        "total() is there",
        "table events has 2 rows",
        "5 workflows put back",
        "1 database put back",
        "target dev does not take it, and it is tried in the scratch place",
    ] {
        assert!(held.contains(fact), "{fact}: {held}");
    }
    assert!(!held.contains(": active"), "that they are inactive is no difference: {held}");
    assert_eq!(fs::read_to_string(stage.path("dev/a")).unwrap(), "of production");
    assert_eq!(server.sql("drilled_dev", "SELECT item FROM orders"), "tea");
    assert_eq!(server.sql("drilled_dev", "SELECT to_regclass('played') IS NULL"), "t");
    let count = |file: &str| {
        let database = Connection::open(stage.path(file)).unwrap();
        database.query_row("SELECT count(*) FROM events", [], |row| row.get::<_, i64>(0)).unwrap()
    };
    assert_eq!(count("dev.sqlite"), 2);
    let there = other.call("GET", "workflows", None);
    let there = there["data"].as_array().unwrap();
    assert_eq!(there.len(), furnished.ids.len());
    assert!(there.iter().all(|workflow| workflow["active"] == false), "{there:?}");
    // Production is as it was, and what dev held can be had again.
    assert!(before["active"] == true && live.workflow(&furnished.ids[0]).unwrap() == before);
    assert_eq!(server.sql("drilled_prod", "SELECT count(*) FROM orders"), "1");
    let kept = stage.program.run(["snapshots", "--target", "dev", "--json"]).expect_code(0).json();
    assert!(kept.as_array().unwrap().iter().all(|s| s["tier"] == "emergency"), "{kept}");
    assert_eq!(kept.as_array().unwrap().len(), 4, "{kept}");

    // Somebody has made one active there, which the next drill ends.
    let hook = there.iter().find(|workflow| workflow["name"] == "Webhook 1").unwrap();
    other.call("POST", &format!("workflows/{}/activate", hook["id"].as_str().unwrap()), Some(&json!({})));
    let drilled = stage.drill("prod", 0);
    assert_eq!(drilled["status"], "passed", "{drilled}");
    let there = other.call("GET", "workflows", None);
    assert!(there["data"].as_array().unwrap().iter().all(|workflow| workflow["active"] == false), "{there}");
}

/// What a drill that is refused says.
fn refused(stage: &Stage, into: &str) -> String {
    stage.program.run(["drill", "prod", "--into", into]).expect_code(2).stderr
}

#[test]
fn nothing_goes_into_a_target_that_is_not_marked_or_is_the_same_place() {
    let server = Postgres::shared();
    server.sql("postgres", "CREATE DATABASE drilled_same");
    server.sql("drilled_same", "CREATE TABLE lives AS SELECT 1");
    let (url, live) = (server.superuser("drilled_same"), chronos_tests::n8n("1.123.81"));
    let other_name = |url: &str| url.replace("127.0.0.1", "localhost");
    let target = |name: &str, rest: &str| format!("[[target]]\nname = \"{name}\"\n{rest}");
    let marked = |name: &str, rest: &str| target(name, &format!("drill_destination = true\n{rest}"));
    let targets = [
        target(
            "prod",
            &format!(
                "drill_destination = true\npaths = [\"HOME/prod\"]\n{}{}{}",
                postgres("crm", &url, ""),
                sqlite("bus", "bus.sqlite", ""),
                n8n(&live)
            ),
        ),
        target("unmarked", "paths = [\"HOME/free\"]\n"),
        marked("database", &postgres("other", &other_name(&url), "")),
        marked("flows", &other_name(&n8n(&live))),
        marked("linked", "paths = [\"HOME/link\"]\n"),
        marked("within", "paths = [\"HOME/prod/below\"]\n"),
        marked("file", &sqlite("x", "link.sqlite", "")),
        marked("second", &sqlite("x", "second.sqlite", "")),
        marked("cache", "paths = [\"HOME/.cache\"]\n"),
        marked(
            "prefixed",
            &format!("{}prefix = [\"env\", \"PGHOST=127.0.0.1\"]\n", postgres("other", &url, "")),
        ),
        marked("lost", &postgres("other", &url.replace("127.0.0.1", "nobody.invalid"), "")),
    ];
    let stage = Stage::new("", &targets.concat());
    fs::create_dir_all(stage.path("prod/below")).unwrap();
    fs::write(stage.path("prod/a"), "").unwrap();
    events(&stage.path("bus.sqlite"), "");
    symlink(stage.path("prod"), stage.path("link")).unwrap();
    symlink(stage.path("bus.sqlite"), stage.path("link.sqlite")).unwrap();
    fs::hard_link(stage.path("bus.sqlite"), stage.path("second.sqlite")).unwrap();
    let id = stage.back_up("prod");
    server.sql("drilled_same", "INSERT INTO lives VALUES (2)");
    fs::write(stage.path("prod/later"), "").unwrap();
    for (into, why) in [
        ("unmarked", "target unmarked is not marked drill_destination = true"),
        ("prod", "target prod is the one that is drilled"),
        ("database", "both have a database drilled_same, and they are of one server"),
        ("flows", "its source flows may be flows of target prod: both have one address"),
        ("linked", "are one place, or one is in the other"),
        ("within", "are one place, or one is in the other"),
        ("file", "are one place, or one is in the other"),
        ("second", "are one place, or one is in the other"),
        ("cache", "of this program are one place, or one is in the other"),
        ("prefixed", "a prefix may lead to another host or container"),
        ("lost", "nobody knows the host nobody.invalid"),
    ] {
        let said = refused(&stage, into);
        assert!(said.contains(why), "{into}: {said}");
    }
    stage.program.run(["drill", "prod", "--into", "nowhere"]).expect_code(2);
    stage.program.run(["drill", "all", "--into", "dev"]).expect_code(2);
    assert_eq!(server.sql("drilled_same", "SELECT count(*) FROM lives"), "2");
    assert!(stage.path("prod/later").exists());
    let Stage { program, .. } = stage;
    let service = Service::start(program, &[]);
    let asked = |into: &str, wait: bool| {
        service.post("/drill", &json!({ "backup_id": id, "into": into, "wait": wait }).to_string())
    };
    assert!(asked("unmarked", true).problem(422).contains("drill_destination"));
    assert!(asked("within", false).problem(422).contains("one place"));
    asked("nowhere", true).problem(404);
    service.post("/drill", r#"{"into": "within"}"#).problem(422);
    // Who asked in vain was told; nothing was tried, and no target is worse for it.
    assert_eq!(service.get("/drills").expect(200)["count"], 0);
    assert_eq!(service.hades().get("/history").expect(200)["count"], 0);
}

#[test]
fn a_configuration_cannot_send_drills_where_none_may_go() {
    for (rest, why) in [
        ("drill_into = \"prod\"", "is the target itself"),
        ("drill_into = \"dev\"", "is not marked drill_destination"),
        ("drill_into = \"nowhere\"", "there is no target"),
    ] {
        let targets = format!(
            "[[target]]\nname = \"prod\"\npaths = [\"HOME/prod\"]\n{rest}\n[[target]]\nname = \"dev\"\npaths = [\"HOME/dev\"]\n"
        );
        let stage = Stage::new("", &targets);
        let said = stage.program.run(["drill", "prod"]).expect_code(2).stderr;
        assert!(said.contains("drill_into") && said.contains(why), "{said}");
    }
}

#[test]
fn what_does_not_hold_in_the_marked_target_fails() {
    let server = Postgres::shared();
    for database in ["drilled_short", "drilled_into"] {
        server.sql("postgres", &format!("CREATE DATABASE {database}"));
    }
    server.sql("drilled_short", ORDERS);
    let rules = "[[target.source.drill]]\nrows = { orders = 2 }\n";
    let stage = Stage::new(
        "",
        &format!(
            "[[target]]\nname = \"prod\"\n{}[[target]]\nname = \"notes\"\npaths = [\"HOME/notes\"]\n{}",
            postgres("crm", &server.superuser("drilled_short"), rules),
            dev(&format!(
                "paths = [\"HOME/dev\"]\n{}",
                postgres("crm", &server.superuser("drilled_into"), "")
            ))
        ),
    );
    let into_dev = |target: &str, code: i32| {
        let run = stage.program.run(["drill", target, "--into", "dev", "--json"]);
        run.expect_code(code).json()[0].clone()
    };
    stage.back_up("prod");
    let drilled = into_dev("prod", 4);
    assert!(errors(&drilled).contains("table orders has 1 rows, and 2 at least"), "{drilled}");
    assert_eq!((&drilled["status"], stage.proven_at("prod")), (&json!("failed"), json!(null)), "{drilled}");

    fs::create_dir(stage.path("notes")).unwrap();
    fs::create_dir(stage.path("dev")).unwrap();
    fs::write(stage.path("dev/own"), "").unwrap();
    let random: Vec<u8> = (0_u32..40_000).flat_map(|n| n.wrapping_mul(2_654_435_761).to_le_bytes()).collect();
    fs::write(stage.path("notes/a"), random).unwrap();
    stage.back_up("notes");
    stage.turn_a_bit();
    let drilled = into_dev("notes", 4);
    assert!(drilled["status"] == "failed" && errors(&drilled).contains("it was not put back"), "{drilled}");
    let left: Vec<_> = fs::read_dir(stage.path("dev")).unwrap().map(|e| e.unwrap().file_name()).collect();
    assert_eq!(left, ["own"]);

    // A server that is gone says nothing of a snapshot.
    let own = Postgres::start();
    let prod = postgres("crm", &server.superuser("drilled_short"), "");
    let gone = dev(&postgres("crm", &own.superuser("postgres"), ""));
    let stage = Stage::new("", &format!("[[target]]\nname = \"prod\"\ndrill_into = \"dev\"\n{prod}{gone}"));
    stage.back_up("prod");
    drop(own);
    let drilled = stage.drill("prod", 3);
    assert!(not_tried(&drilled).contains("it was not put back"), "{drilled}");
}
