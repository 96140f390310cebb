//! What a drill finds.

use chronos_tests::postgres::{ORDERS, Postgres};
use rusqlite::Connection;
use serde_json::json;

use super::*;

#[test]
fn dumps_that_are_cut_or_lack_a_table_fail() {
    let server = Postgres::shared();
    let database = "drilled_lacking";
    server.sql("postgres", &format!("CREATE DATABASE {database}"));
    server.sql(database, ORDERS);
    server.sql(database, "CREATE TABLE goods AS SELECT n, md5(n::text) FROM generate_series(1, 5000) n");
    let rules = "[[target.source.drill]]\nobjects = [\"orders\"]\nrows = { goods = 5000 }\n";
    let targets = [
        of_file("cut", "cut.dump", ""),
        of_file("script", "script.sql", ""),
        of_file("lacking", "lacking.dump", rules),
        of_file("fewer", "fewer.dump", rules),
    ];
    let stage = Stage::new("", &targets.concat());
    let put = |name: &str, bytes: &[u8]| fs::write(stage.path(name), bytes).unwrap();
    let archive = ["--format=custom", "--compress=0"];
    let whole = dump(&server, database, &archive);
    put("cut.dump", &whole[..whole.len() * 9 / 10]);
    let script = dump(&server, database, &["--format=plain"]);
    put("script.sql", &script[..script.len() - 100]);
    put("lacking.dump", &dump(&server, database, &[&archive[..], &["--exclude-table=orders"]].concat()));
    server.sql(database, "DELETE FROM goods WHERE n > 4999");
    put("fewer.dump", &dump(&server, database, &archive));
    for (target, why) in [
        ("cut", "pg_restore"),
        ("script", "does not come to the end"),
        ("lacking", "orders is asked for, and is not there"),
        ("fewer", "table goods has 4999 rows, and 5000 at least are asked for"),
    ] {
        stage.back_up(target);
        let drilled = stage.drill(target, 4);
        let said = errors(&drilled);
        assert!(drilled["status"] == "failed" && said.contains(why), "{target}: {said}");
        assert_eq!(said.lines().next(), Some(&*said), "only that is wrong");
        assert_eq!(stage.proven_at(target), json!(null));
    }
}

#[test]
fn an_export_that_has_become_empty_fails() {
    let stage = Stage::new("", &of_file("export", "export.json", ""));
    fs::write(stage.path("export.json"), "[1]").unwrap();
    let full = stage.back_up("export");
    assert_eq!(stage.drill("export", 0)["status"], "passed");
    fs::write(stage.path("export.json"), "").unwrap();
    stage.back_up("export");
    let drilled = stage.drill("export", 4);
    assert!(errors(&drilled).contains(&format!("it is empty, and in {full} it was not")), "{drilled}");
    assert_eq!(stage.drill(&full, 0)["status"], "passed");
}

#[test]
fn one_bit_that_turned_in_a_pack_fails_and_proves_no_longer() {
    let stage = Stage::new("", "[[target]]\nname = \"notes\"\npaths = [\"HOME/notes\"]\n");
    fs::create_dir(stage.path("notes")).unwrap();
    let random: Vec<u8> = (0_u32..40_000).flat_map(|n| n.wrapping_mul(2_654_435_761).to_le_bytes()).collect();
    fs::write(stage.path("notes/a"), random).unwrap();
    stage.back_up("notes");
    assert_eq!(stage.drill("notes", 0)["status"], "passed");
    assert!(stage.proven_at("notes").is_string());
    stage.turn_a_bit();
    let drilled = stage.drill("notes", 4);
    assert!(drilled["status"] == "failed" && errors(&drilled).contains("notes/a"), "{drilled}");
    assert_eq!((&drilled["proven_at"], stage.proven_at("notes")), (&json!(null), json!(null)));
}

#[test]
fn rows_that_refer_to_nothing_fail() {
    let stage = Stage::new(
        "",
        "[[target]]\nname = \"bus\"\n[[target.source]]\nname = \"events\"\nkind = \"sqlite\"\npath = \"HOME/bus.sqlite\"\n",
    );
    let live = Connection::open(stage.path("bus.sqlite")).unwrap();
    live.execute_batch(
        "PRAGMA foreign_keys = off; CREATE TABLE a(id INTEGER PRIMARY KEY);
         CREATE TABLE b(a INTEGER REFERENCES a(id)); INSERT INTO b VALUES (7)",
    )
    .unwrap();
    stage.back_up("bus");
    let drilled = stage.drill("bus", 4);
    assert!(errors(&drilled).contains("1 rows refer to what is not there: row 1 of b to a"), "{drilled}");
}
