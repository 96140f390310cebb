//! `POST /rollback` of a database that comes back in place: what is written meanwhile, what differs after all, and what nobody knows.

use std::fs;

use chronos_tests::postgres::{ORDERS, Postgres};
use chronos_tests::targets::QUIET;
use chronos_tests::{Program, Service, configure};
use serde_json::json;

use super::{asked, backed_up, row};

/// A database of a role of its own that is backed up and then changed; its programs run behind a script. The service and the snapshot.
fn changed(server: &Postgres, name: &str) -> (Service, String) {
    server.sql("postgres", &format!("CREATE ROLE {name} LOGIN PASSWORD 'owns'"));
    server.sql("postgres", &format!("CREATE DATABASE {name} OWNER {name}"));
    server.sql(name, &format!("SET ROLE {name}; {ORDERS}"));
    let program = Program::with_repository();
    let source = format!(
        "[[target]]\nname = \"shop\"\n[[target.source]]\nname = \"crm\"\nkind = \"postgres\"\nurl = \"{}\"\n\
         restore = \"in_place\"\nprefix = [\"sh\", \"HOME/wrap\"]\n",
        server.url(name, "owns", name)
    );
    configure(&program, &[QUIET, &source].concat());
    let service = Service::start(program, &[]);
    service.file("wrap", "exec \"$@\"");
    let id = backed_up(&service, "shop");
    server.sql(name, "UPDATE orders SET item = 'coffee'");
    (service, id)
}

#[test]
fn what_is_written_after_the_snapshot_of_before_is_not_lost() {
    let server = Postgres::shared();
    let name = "written_meanwhile";
    let (service, id) = changed(&server, name);
    server.sql(name, &format!("SET ROLE {name}; CREATE SEQUENCE tickets; CREATE TABLE bills(id int GENERATED ALWAYS AS IDENTITY)"));
    // As soon as the snapshot of before has the database, somebody writes, or takes a number.
    let wrap = "case \"$*\" in *schema-only*) ;; *pg_dump*) \"$@\"; code=$?;
        psql -XAtqc \"SET lock_timeout = 100; INSERT INTO orders VALUES (2, 'milk')\" >> HOME/said 2>&1
        for taken in tickets bills_id_seq; do psql -XAtqc \"SET lock_timeout = 100; SELECT nextval('$taken')\" >> HOME/$taken 2>&1; done; exit $code ;; esac; exec \"$@\"";
    let home = service.path("").display().to_string();
    service.file("wrap", wrap.replace("HOME", home.trim_end_matches('/')));
    let done = asked(&service, "/rollback", &json!({ "backup_id": id }));
    let said = fs::read_to_string(service.path("said")).unwrap();
    assert!(said.contains("lock timeout"), "whoever writes is told so: {said}");
    for sequence in ["tickets", "bills_id_seq"] {
        let said = fs::read_to_string(service.path(sequence)).unwrap();
        let is_given = said.lines().any(|line| line.parse::<u64>().is_ok());
        assert!(said.contains("lock timeout") && !is_given, "{sequence}: {said}");
    }
    assert_eq!(server.sql(name, "SELECT string_agg(item, ' ') FROM orders"), "tea", "{done}");
}

#[test]
fn what_differs_after_the_commit_is_told_and_can_be_undone() {
    let server = Postgres::shared();
    let name = "differs_in_place";
    let (service, id) = changed(&server, name);
    server.sql(
        name,
        "CREATE SCHEMA kept; CREATE FUNCTION kept.loses() RETURNS event_trigger LANGUAGE plpgsql SECURITY DEFINER AS
             $$ BEGIN DROP INDEX IF EXISTS public.by_item; END $$;
         CREATE EVENT TRIGGER loses ON ddl_command_end WHEN TAG IN ('CREATE INDEX') EXECUTE FUNCTION kept.loses();",
    );
    let done = asked(&service, "/rollback", &json!({ "backup_id": id }));
    assert_eq!((&done["status"], &done["restored_count"]), (&json!("partial"), &json!(1)), "{done}");
    let error = &done["steps"][0]["errors"][0];
    assert_eq!(error["what"], format!("database {name}"), "{done}");
    assert!(error["error"].as_str().unwrap().contains("INDEX public by_item"), "{done}");
    assert_eq!(server.sql(name, "SELECT item FROM orders"), "tea");
    assert_eq!(row(&service, &done["rollback_id"])["status"], "partial");
    server.sql(name, "DROP EVENT TRIGGER loses; DROP SCHEMA kept CASCADE");
    let undone = asked(&service, "/undo", &json!({ "rollback_id": done["rollback_id"] }));
    assert_eq!(undone["status"], "completed", "{undone}");
    assert_eq!(server.sql(name, "SELECT item, to_regclass('by_item') FROM orders"), "coffee|by_item");
}

#[test]
fn one_whose_server_went_away_is_brought_to_an_end_later() {
    let server = Postgres::start();
    let name = "went_away";
    let (service, id) = changed(&server, name);
    // In the middle of the restore the server ends as a failing machine would.
    server.sql(
        name,
        "CREATE SCHEMA kept; CREATE FUNCTION kept.fails() RETURNS event_trigger LANGUAGE plpgsql SECURITY DEFINER AS
             $$ BEGIN COPY (SELECT 1) TO PROGRAM 'kill -QUIT $(head -n 1 postmaster.pid)'; PERFORM pg_catalog.pg_sleep(60); END $$;
         CREATE EVENT TRIGGER fails ON ddl_command_end WHEN TAG IN ('CREATE INDEX') EXECUTE FUNCTION kept.fails();",
    );
    let said = service.hades().post("/rollback", &json!({ "backup_id": id }).to_string()).problem(502);
    assert!(said.contains("undoing it failed too"), "{said}");
    let of_it =
        || service.get("/history").expect(200)["history"].as_array().unwrap().last().cloned().unwrap();
    assert_eq!(of_it()["status"], "interrupted", "{}", of_it());
    server.run();
    server.sql(name, "DROP EVENT TRIGGER fails");
    // Whoever restores next finds out how it stands.
    let done = asked(&service, "/rollback", &json!({ "backup_id": id }));
    let told = format!("database {name} is as it was before");
    assert!(of_it()["error_message"].as_str().unwrap().contains(&told), "{}", of_it());
    assert!(done["warnings"].to_string().contains(&told), "{done}");
    assert_eq!(server.sql(name, "SELECT item FROM orders"), "tea");
    let undone = asked(&service, "/undo", &json!({ "rollback_id": of_it()["rollback_id"] }));
    assert_eq!(undone["status"], "completed", "{undone}");
    assert_eq!(server.sql(name, "SELECT item FROM orders"), "coffee");
}
