//! What is whole passes, and what could not be tried does not count as proven.

use std::os::unix::fs::{PermissionsExt, symlink};

use chronos_tests::postgres::{ORDERS, Postgres};
use rusqlite::Connection;
use serde_json::json;

use super::*;

const RULES: &str = "[[target.source.drill]]\nrows = { orders = 1 }\n\
    objects = [\"orders\", \"total()\", \"own\", \"by_item\"]\n\
    queries = [{ sql = \"SELECT id, item FROM orders\", answer = \"1|tea\" }]\n";

#[test]
fn a_target_of_every_kind_is_proven_and_nothing_is_left_of_the_trial() {
    let server = Postgres::shared();
    let database = "drilled_shop";
    server.sql("postgres", &format!("CREATE DATABASE {database}"));
    server.sql(database, ORDERS);
    let stage = Stage::new(
        "",
        &format!(
            "[[target]]\nname = \"shop\"\npaths = [\"HOME/files\"]\n\
             [[target.source]]\nname = \"crm\"\nkind = \"postgres\"\nurl = \"{}\"\n{RULES}\
             [[target.source]]\nname = \"bus\"\nkind = \"sqlite\"\npath = \"HOME/bus.sqlite\"\n\
             [[target.source.drill]]\nrows = {{ events = 2 }}\n\
             [[target.source]]\nname = \"plain\"\nkind = \"command\"\ncomponent = \"database\"\n\
             command = \"cat HOME/plain.sql\"\nfilename = \"plain.sql\"\n{RULES}",
            server.superuser(database),
        ),
    );
    let files = stage.path("files");
    fs::create_dir_all(files.join("closed")).unwrap();
    fs::write(files.join("closed/key"), "secret").unwrap();
    fs::set_permissions(files.join("closed/key"), fs::Permissions::from_mode(0o4711)).unwrap();
    fs::set_permissions(files.join("closed"), fs::Permissions::from_mode(0o000)).unwrap();
    symlink("nowhere", files.join("link")).unwrap();
    fs::write(stage.path("plain.sql"), dump(&server, database, &["--format=plain"])).unwrap();
    let bus = Connection::open(stage.path("bus.sqlite")).unwrap();
    bus.execute_batch("CREATE TABLE events(id INTEGER PRIMARY KEY); INSERT INTO events VALUES (1), (2)")
        .unwrap();

    let id = stage.back_up("shop");
    assert_eq!(stage.proven_at("shop"), json!(null));
    let drilled = stage.drill("shop", 0);
    assert_eq!((&drilled["status"], &drilled["backup_id"]), (&json!("passed"), &json!(id)), "{drilled}");
    assert_eq!(
        (&drilled["errors"], drilled["sources"].as_array().unwrap().len()),
        (&json!([]), 4),
        "{drilled}"
    );
    assert!(drilled["proven_at"].is_string() && drilled["proven_at"] == stage.proven_at("shop"), "{drilled}");
    let held = drilled["sources"].to_string();
    for fact in [
        "foreign_key_check: ok",
        "own is there",
        "answers \\\"1|tea\\\"",
        "table events has 2 rows",
        "compared with the list",
    ] {
        assert!(held.contains(fact), "{fact}: {held}");
    }
    // The live one was not asked for anything.
    assert_eq!(
        server.sql("postgres", "SELECT count(*) FROM pg_database WHERE datname LIKE 'drill\\_%'"),
        "0"
    );
    let listed = stage.program.run(["drill", "--list", "--json"]).expect_code(0).json();
    assert_eq!(listed[0]["proven_at"], drilled["proven_at"]);
}

#[test]
fn a_dump_that_no_server_can_be_started_for_is_not_proven() {
    let server = Postgres::shared();
    server.sql("postgres", "CREATE DATABASE drilled_bare");
    let stage = Stage::new("postgres_programs = \"/nowhere\"", &of_file("bare", "bare.dump", ""));
    fs::write(stage.path("bare.dump"), dump(&server, "drilled_bare", &["--format=custom"])).unwrap();
    stage.back_up("bare");
    let drilled = stage.drill("bare", 3);
    assert_eq!((&drilled["status"], stage.proven_at("bare")), (&json!("partial"), json!(null)), "{drilled}");
    assert!(errors(&drilled).contains("no initdb in /nowhere"), "{drilled}");
}
