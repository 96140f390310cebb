//! `POST /undo`, and plans that are held to what somebody has seen.

use std::fs;
use std::os::unix::fs::{MetadataExt, PermissionsExt};

use chronos_tests::postgres::{ORDERS, Postgres};
use rusqlite::Connection;
use serde_json::{Value, json};

use super::workflows::{made, name, of, rename};
use super::{asked, backed_up, row, service};

/// A folder of which a part is left out, and a database.
const SITE: &str = r#"
[[target]]
name = "site"
paths = ["HOME/site"]
exclude = ["cache"]
"#;

#[test]
fn what_a_rollback_wrote_and_made_goes_and_what_came_since_stays() {
    let service = service(SITE);
    service.file("site/page", "old");
    service.file("site/gone/deep", "was there");
    let id = backed_up(&service, "site");
    service.file("site/page", "new");
    fs::remove_dir_all(service.path("site/gone")).unwrap();
    service.file("site/later", "made before the rollback");
    service.file("site/cache/x", "left out");
    let done = asked(&service, "/rollback", &json!({ "backup_id": id }));
    let read = |path: &str| fs::read_to_string(service.path(path)).ok();
    assert_eq!((read("site/page"), read("site/gone/deep")), (Some("old".into()), Some("was there".into())));
    service.file("site/since", "made after the rollback");

    let undo = json!({ "rollback_id": done["rollback_id"] });
    let mut dry = undo.clone();
    dry["dry_run"] = json!(true);
    let planned = asked(&service, "/undo", &dry);
    assert_eq!((&planned["status"], &planned["rollback_id"]), (&json!("planned"), &Value::Null), "{planned}");
    let step = &planned["restores"][0]["plan"]["steps"][0];
    assert_eq!(step["removes"]["names"], json!([service.path("site/gone")]), "{planned}");
    let undone = asked(&service, "/undo", &undo);
    assert_eq!(undone["status"], "completed", "{undone}");
    let found = ["page", "gone/deep", "later", "since", "cache/x"].map(|file| read(&format!("site/{file}")));
    let wanted = [
        Some("new"),
        None,
        Some("made before the rollback"),
        Some("made after the rollback"),
        Some("left out"),
    ];
    assert_eq!(found, wanted.map(|text| text.map(str::to_owned)));
    let noted = row(&service, &undone["rollback_id"]);
    assert_eq!(
        (&noted["rollback_type"], &noted["undoes"], &noted["status"]),
        (&json!("undo"), &done["rollback_id"], &json!("completed")),
        "{noted}"
    );
    // An undo is undone as anything else is.
    service.file("site/since", "edited after the undo");
    fs::remove_file(service.path("site/later")).unwrap();
    let again = asked(&service, "/undo", &json!({ "rollback_id": undone["rollback_id"] }));
    assert_eq!(again["status"], "completed", "{again}");
    assert_eq!((read("site/page"), read("site/gone/deep")), (Some("old".into()), Some("was there".into())));
    assert_eq!((read("site/since").as_deref(), read("site/later")), (Some("edited after the undo"), None));

    let entry = |id: &Value| service.hades().get(&format!("/history/{}", id.as_str().unwrap())).expect(200);
    let of_first = entry(&done["rollback_id"]);
    assert_eq!(of_first["undone_by"][0]["rollback_id"], undone["rollback_id"], "{of_first}");
    assert_eq!(of_first["report"]["backup_id"], json!(id), "{of_first}");
    assert!(service.hades().get("/history/rollback_1").problem(404).contains("rollback_1"));
}

#[test]
fn what_somebody_did_since_stays_also_inside_what_goes() {
    let service = service(SITE);
    service.file("site/app/code", "old");
    service.file("site/kept", "same");
    let id = backed_up(&service, "site");
    fs::remove_dir_all(service.path("site/app")).unwrap();
    let done = asked(&service, "/rollback", &json!({ "backup_id": id }));
    assert_eq!(done["status"], "completed", "{done}");
    service.file("site/app/upload", "since");
    service.file("site/app/cache/x", "left out");
    // The rollback wrote it, and it was as it is.
    service.file("site/kept", "edited since");
    let undone = asked(&service, "/undo", &json!({ "rollback_id": done["rollback_id"] }));
    assert_eq!(undone["status"], "completed", "{undone}");
    let read = |path: &str| fs::read_to_string(service.path(path)).ok();
    assert_eq!(
        [read("site/app/code"), read("site/app/upload"), read("site/app/cache/x"), read("site/kept")],
        [None, Some("since".into()), Some("left out".into()), Some("edited since".into())]
    );
}

#[test]
fn folders_that_a_rollback_left_alone_stay_as_somebody_left_them_since() {
    let service = service(&format!("[service]\nrestore_root = \"HOME/back\"\n{SITE}"));
    service.file("site/page", "old");
    service.file("site/private/x", "x");
    let id = backed_up(&service, "site");
    service.file("site/page", "new");
    service.file("site/later/deep/file", "came later");
    service.file("site/edited", "came later");
    let merged = asked(&service, "/rollback", &json!({ "backup_id": id, "strategy": "merge" }));
    assert_eq!(merged["status"], "completed", "{merged}");
    let done = asked(&service, "/rollback", &json!({ "backup_id": id }));
    fs::remove_dir_all(service.path("site/later")).unwrap();
    fs::set_permissions(service.path("site/private"), fs::Permissions::from_mode(0o700)).unwrap();
    let undone = asked(&service, "/undo", &json!({ "rollback_id": done["rollback_id"] }));
    assert_eq!(undone["status"], "completed", "{undone}");
    assert_eq!(fs::read_to_string(service.path("site/page")).unwrap(), "new");
    assert!(!service.path("site/later").exists());
    assert_eq!(fs::metadata(service.path("site/private")).unwrap().mode() & 0o777, 0o700);
    let new = service.post(&format!("/restore/{id}"), r#"{"strategy": "new_location"}"#);
    let undo = json!({ "rollback_id": new.json()["rollback_id"] }).to_string();
    assert!(service.hades().post("/undo", &undo).problem(409).contains("remove that place"), "{new:?}");
}

#[test]
fn a_step_that_wrote_nothing_is_not_undone() {
    let service = service(
        "[[target]]\nname = \"site\"\npaths = [\"HOME/site\"]\n[[target.source]]\nname = \"notes\"\nkind = \"sqlite\"\n\
         path = \"HOME/notes.db\"\nstop = \"test ! -e HOME/busy || { echo it is busy; exit 1; }\"\n",
    );
    let notes = || Connection::open(service.path("notes.db")).unwrap();
    notes().execute_batch("CREATE TABLE notes (text)").unwrap();
    service.file("site/page", "old");
    let id = backed_up(&service, "site");
    service.file("site/page", "new");
    service.file("busy", "");
    let done = asked(&service, "/rollback", &json!({ "backup_id": id }));
    assert_eq!(done["status"], "partial", "{done}");
    notes().execute_batch("INSERT INTO notes VALUES ('since')").unwrap();
    fs::remove_file(service.path("busy")).unwrap();
    let undone = asked(&service, "/undo", &json!({ "rollback_id": done["rollback_id"] }));
    assert_eq!(undone["status"], "completed", "{undone}");
    let count: i64 = notes().query_row("SELECT count(*) FROM notes", [], |row| row.get(0)).unwrap();
    assert_eq!((count, fs::read_to_string(service.path("site/page")).unwrap()), (1, "new".to_owned()));
    // One that did nothing at all has nothing to be undone.
    service.file("busy", "");
    let nothing = json!({ "backup_id": id, "component": "notes" }).to_string();
    let failed = service.hades().post("/rollback", &nothing);
    failed.problem(502);
    let undo = json!({ "rollback_id": failed.json()["rollback_id"] }).to_string();
    assert!(service.hades().post("/undo", &undo).problem(409).contains("it changed nothing"));
}

#[test]
fn what_cannot_be_undone_is_told() {
    let service = service(SITE);
    service.file("site/page", "old");
    let id = backed_up(&service, "site");
    let undo = |id: &Value| service.hades().post("/undo", &json!({ "rollback_id": id }).to_string());
    assert!(undo(&json!("rollback_9")).problem(404).contains("GET /history"));
    assert!(undo(&Value::Null).problem(422).contains("rollback_id is missing"));
    fs::remove_dir_all(service.path("site")).unwrap();
    let done = asked(&service, "/rollback", &json!({ "backup_id": id }));
    assert_eq!(
        (&done["status"], &done["pre_rollback_backup"]),
        (&json!("completed"), &Value::Null),
        "{done}"
    );
    assert!(undo(&done["rollback_id"]).problem(409).contains("nothing was there"));
}

#[test]
fn a_plan_holds_for_what_somebody_has_seen() {
    let service = service(SITE);
    service.file("site/page", "old");
    let id = backed_up(&service, "site");
    service.file("site/page", "new");
    let dry = || asked(&service, "/rollback", &json!({ "backup_id": id, "dry_run": true }));
    let seen = dry()["plan"]["fingerprint"].clone();
    assert_eq!(dry()["plan"]["fingerprint"], seen);
    service.file("site/page", "another text");
    let apply = json!({ "backup_id": id, "fingerprint": seen });
    let refused = service.hades().post("/rollback", &apply.to_string()).problem(409);
    assert!(refused.contains("nothing was touched"), "{refused}");
    assert_eq!(fs::read_to_string(service.path("site/page")).unwrap(), "another text");
    assert!(service.get("/backups?tier=emergency").expect(200)["backups"].as_array().unwrap().is_empty());
    let now = dry()["plan"]["fingerprint"].clone();
    assert_ne!(now, seen);
    let done = asked(&service, "/rollback", &json!({ "backup_id": id, "fingerprint": now }));
    assert_eq!(done["status"], "completed", "{done}");
    assert_eq!(fs::read_to_string(service.path("site/page")).unwrap(), "old");
}

#[test]
fn databases_are_as_they_were_before_the_rollback() {
    let server = Postgres::shared();
    let name = "undone_shop";
    server.sql("postgres", &format!("CREATE DATABASE {name}"));
    server.sql(name, ORDERS);
    let service = service(&format!(
        "[[target]]\nname = \"data\"\n[[target.source]]\nname = \"crm\"\nkind = \"postgres\"\nurl = \"{}\"\n\
         [[target.source]]\nname = \"notes\"\nkind = \"sqlite\"\npath = \"HOME/notes.db\"\n",
        server.superuser(name)
    ));
    let notes = || Connection::open(service.path("notes.db")).unwrap();
    notes().execute_batch("CREATE TABLE notes (text); INSERT INTO notes VALUES ('old')").unwrap();
    let text = || notes().query_row("SELECT text FROM notes", [], |row| row.get::<_, String>(0)).unwrap();
    let id = backed_up(&service, "data");
    server.sql(name, "CREATE TABLE later (x int); INSERT INTO later VALUES (1); DELETE FROM orders");
    notes().execute_batch("UPDATE notes SET text = 'new'").unwrap();
    let done = asked(&service, "/rollback", &json!({ "backup_id": id }));
    assert_eq!(done["status"], "completed", "{done}");
    assert_eq!(server.sql(name, "SELECT to_regclass('later') IS NULL, count(*) > 0 FROM orders"), "t|t");
    assert_eq!(text(), "old");
    let undone = asked(&service, "/undo", &json!({ "rollback_id": done["rollback_id"] }));
    assert_eq!(undone["status"], "completed", "{undone}");
    assert_eq!(server.sql(name, "SELECT (SELECT x FROM later), count(*) FROM orders"), "1|0");
    assert_eq!(text(), "new");
}

#[test]
fn workflows_that_came_back_go_again() {
    let server = chronos_tests::n8n("2.40.7");
    let (kept, deleted) = (made(&server, "Kept"), made(&server, "Deleted"));
    let service = of(&server, "");
    let id = backed_up(&service, "control-plane");
    rename(&server, &kept, "Kept, edited");
    server.delete(&deleted);
    let since = made(&server, "Made since");
    let done = asked(&service, "/restore/workflow", &json!({ "backup_id": id }));
    assert_eq!((&done["status"], name(&server, &kept)), (&json!("completed"), "Kept".to_owned()), "{done}");
    let of_back = |w: &&Value| w["action"] == "created";
    let back = done["restored"].as_array().unwrap().iter().find(of_back).unwrap();
    let back = back["live_id"].as_str().unwrap_or(&deleted).to_owned();
    assert_eq!(name(&server, &back), "Deleted");
    // It is removed also when it is active.
    server.call("POST", &format!("workflows/{back}/activate"), None);

    let undone = asked(&service, "/undo", &json!({ "rollback_id": done["rollback_id"] }));
    assert_eq!(undone["status"], "completed", "{undone}");
    assert_eq!(name(&server, &kept), "Kept, edited");
    assert_eq!((server.workflow(&back), name(&server, &since)), (None, "Made since".to_owned()));
    // What it removed is in the snapshot of before, and comes back by undoing the undo.
    let again = asked(&service, "/undo", &json!({ "rollback_id": undone["rollback_id"] }));
    assert_eq!((&again["status"], name(&server, &kept)), (&json!("completed"), "Kept".to_owned()), "{again}");
    let names: Vec<Value> = server.call("GET", "workflows", None)["data"]
        .as_array()
        .unwrap()
        .iter()
        .map(|workflow| workflow["name"].clone())
        .collect();
    assert!(names.contains(&json!("Deleted")), "{names:?}");
}
