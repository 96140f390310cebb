//! `POST /rollback` of single tables and schemas of a database, over HTTP and typed.

use chronos_tests::postgres::Postgres;
use serde_json::{Value, json};

use super::{asked, backed_up, service};

const SHOP: &str = "
    CREATE TABLE accounts(id serial PRIMARY KEY, name text); INSERT INTO accounts(name) VALUES ('one'), ('two');
    CREATE TABLE orders(id int PRIMARY KEY, account int REFERENCES accounts); INSERT INTO orders VALUES (1, 1);
    CREATE SCHEMA app; CREATE TABLE app.settings(key text); INSERT INTO app.settings VALUES ('a');
    ALTER TABLE app.settings ALTER key SET STATISTICS 0";

fn target(server: &Postgres, name: &str, database: &str) -> String {
    format!(
        "[[target]]\nname = \"{name}\"\n[[target.source]]\nname = \"crm\"\nkind = \"postgres\"\nurl = \"{}\"\n",
        server.superuser(database)
    )
}

#[test]
fn a_table_goes_back_alone_and_its_undo_puts_back_nothing_else() {
    let server = Postgres::shared();
    let (name, other) = ("one_table", "one_table_elsewhere");
    for database in [name, other] {
        server.sql("postgres", &format!("CREATE DATABASE {database}"));
        server.sql(database, SHOP);
    }
    let service = service(&[target(&server, "shop", name), target(&server, "staging", other)].concat());
    let id = backed_up(&service, "shop");
    let names =
        |database: &str| server.sql(database, "SELECT string_agg(name, ' ' ORDER BY id) FROM accounts");
    server.sql(name, "UPDATE accounts SET name = 'defaced'; INSERT INTO orders VALUES (2, 2)");

    let asks = |more: Value| {
        let mut body = json!({ "backup_id": id, "tables": ["accounts"] });
        body.as_object_mut().unwrap().extend(more.as_object().cloned().unwrap());
        body
    };
    let dry = asked(&service, "/rollback", &asks(json!({ "dry_run": true })));
    let step = &dry["plan"]["steps"][0];
    assert_eq!((&step["tables"], &dry["status"]), (&json!(["public.accounts"]), &json!("planned")), "{dry}");
    let written = step["overwrites"]["names"].to_string();
    assert!(
        written.contains("table public.accounts is dropped") && written.contains("made again as it is"),
        "{step}"
    );
    assert_eq!(names(name), "defaced defaced");

    let done = asked(&service, "/rollback", &asks(json!({ "fingerprint": dry["plan"]["fingerprint"] })));
    assert_eq!(
        (&done["status"], &done["tables"]),
        (&json!("completed"), &json!(["public.accounts"])),
        "{done}"
    );
    let of_part =
        json!([{ "name": name, "created": false, "tables": 1, "rows": 2, "rows_estimated": false }]);
    assert_eq!(done["steps"][0]["databases"], of_part, "{done}");
    assert_eq!(
        (names(name), server.sql(name, "SELECT count(*) FROM orders")),
        ("one two".into(), "2".into())
    );
    // What came since in other tables stays, also when it is undone.
    server.sql(name, "INSERT INTO orders VALUES (3, 1); INSERT INTO app.settings VALUES ('b')");
    let undone = asked(&service, "/undo", &json!({ "rollback_id": done["rollback_id"] }));
    assert_eq!(undone["status"], "completed", "{undone}");
    let count = |database: &str, table: &str| server.sql(database, &format!("SELECT count(*) FROM {table}"));
    assert_eq!(
        (names(name), count(name, "orders"), count(name, "app.settings")),
        ("defaced defaced".into(), "3".into(), "2".into())
    );

    // A table that was not there before goes by an undo.
    server.sql(name, "DROP SCHEMA app CASCADE");
    let schema = json!({ "schemas": ["app"], "components": ["crm"] });
    let done = service.post(&format!("/restore/{id}"), &schema.to_string()).expect(200);
    assert_eq!((&done["schemas"], count(name, "app.settings")), (&json!(["app"]), "1".into()), "{done}");
    // Of a table without statistics the server reads a part alone.
    let database = &done["steps"][0]["databases"][0];
    assert_eq!((&database["rows"], &database["rows_estimated"]), (&json!(1), &json!(true)), "{done}");
    asked(&service, "/undo", &json!({ "rollback_id": done["rollback_id"] }));
    assert_eq!(server.sql(name, "SELECT to_regnamespace('app') IS NULL"), "t");

    // Into the database of another target, typed; that of the snapshot stays.
    server.sql(other, "UPDATE accounts SET name = 'defaced'");
    let typed = service.program().run([
        "rollback",
        &id,
        "--table",
        "public.accounts",
        "--target",
        "staging",
        "--json",
    ]);
    assert_eq!(typed.expect_code(0).json()["target"], "staging");
    assert_eq!((names(other), names(name)), ("one two".into(), "defaced defaced".into()));
}

#[test]
fn a_part_that_cannot_go_back_is_refused_before_anything_is_touched() {
    let server = Postgres::shared();
    let name = "no_table";
    server.sql("postgres", &format!("CREATE DATABASE {name}"));
    server.sql(name, SHOP);
    let files = "[[target]]\nname = \"files\"\npaths = [\"HOME/files\"]\n";
    let service = service(&[&*target(&server, "shop", name), files].concat());
    service.file("files/a", "a");
    let (id, of_files) = (backed_up(&service, "shop"), backed_up(&service, "files"));
    let said = |body: Value| service.hades().post("/rollback", &body.to_string()).problem(422);
    assert!(said(json!({ "backup_id": id, "tables": ["nowhere"] })).contains("tables"));
    assert!(
        said(json!({ "backup_id": id, "tables": ["orders", "nowhere"] })).contains("has only public.orders")
    );
    assert!(said(json!({ "backup_id": id, "schemas": ["nowhere"] })).contains("schemas"));
    assert!(
        said(json!({ "backup_id": of_files, "tables": ["orders"] })).contains("no database of a PostgreSQL")
    );
    let new = json!({ "tables": ["orders"], "strategy": "new_location" }).to_string();
    assert!(service.post(&format!("/restore/{id}"), &new).problem(422).contains("a database that is there"));
    server.sql("postgres", &format!("DROP DATABASE {name} WITH (FORCE)"));
    let gone = json!({ "backup_id": id, "tables": ["orders"] }).to_string();
    assert!(service.hades().post("/rollback", &gone).problem(409).contains("restore all of it"));
}
