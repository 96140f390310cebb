//! What a snapshot has lost since the last one that passed, and rules for what it does not have.

use rusqlite::Connection;

use super::*;

fn bus(rules: &str) -> String {
    format!(
        "[[target]]\nname = \"bus\"\n[[target.source]]\nname = \"events\"\nkind = \"sqlite\"\npath = \"HOME/bus.sqlite\"\n{rules}"
    )
}

#[test]
fn a_database_that_has_lost_all_of_its_rows_fails_unless_that_is_allowed() {
    let stage = Stage::new("", &[bus(""), of_file("plain", "plain.sql", "")].concat());
    let live = Connection::open(stage.path("bus.sqlite")).unwrap();
    live.execute_batch(
        "CREATE TABLE a(x); INSERT INTO a VALUES (1), (2); CREATE TABLE b(x); INSERT INTO b VALUES (1)",
    )
    .unwrap();
    fs::write(stage.path("plain.sql"), script("CREATE TABLE t(x int);\nINSERT INTO t VALUES (1);")).unwrap();
    let full = [stage.back_up("bus"), stage.back_up("plain")];
    for target in ["bus", "plain"] {
        assert_eq!(stage.drill(target, 0)["status"], "passed");
    }
    // That a table of several is empty is told.
    live.execute_batch("DELETE FROM b").unwrap();
    stage.back_up("bus");
    let drilled = stage.drill("bus", 0);
    assert!(drilled["sources"].to_string().contains("has 0 rows in b, which had 1 row"), "{drilled}");
    live.execute_batch("DELETE FROM a").unwrap();
    fs::write(stage.path("plain.sql"), script("CREATE TABLE t(x int);")).unwrap();
    for (target, full) in ["bus", "plain"].into_iter().zip(full) {
        stage.back_up(target);
        let drilled = stage.drill(target, 4);
        assert!(errors(&drilled).contains("has no rows any more"), "{target}: {drilled}");
        // An earlier one is not laid beside a later one, and does not become the measure.
        assert_eq!(stage.drill(&full, 0)["status"], "passed");
        assert_eq!(stage.drill(target, 4)["status"], "failed");
    }
    configure(
        &stage.program,
        &[&*stage.section(""), QUIET, &bus("[[target.source.drill]]\nmax_drop = \"100%\"\n")].concat(),
    );
    assert_eq!(stage.drill("bus", 0)["status"], "passed");
}

#[test]
fn rules_for_what_the_snapshot_does_not_have_are_not_passed_over() {
    let rules = "[[target.source.drill]]\ndatabase = \"gone\"\nobjects = [\"a\"]\n";
    let stage = Stage::new("", &bus(rules));
    Connection::open(stage.path("bus.sqlite")).unwrap().execute_batch("CREATE TABLE a(x)").unwrap();
    stage.back_up("bus");
    let drilled = stage.drill("bus", 4);
    assert!(errors(&drilled).contains("what database gone has to hold is configured"), "{drilled}");
    let later = "[[target.source]]\nname = \"later\"\nkind = \"command\"\ncommand = \"true\"\n\
         [[target.source.drill]]\nobjects = [\"a\"]\n";
    configure(&stage.program, &[&*stage.section(""), QUIET, &bus(later)].concat());
    let drilled = stage.drill("bus", 3);
    assert!(not_tried(&drilled).contains("this snapshot does not have it"), "{drilled}");
    assert!(stage.proven_at("bus").is_null());
}
