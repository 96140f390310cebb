//! What HADES does, typed, with no service running: `rollback`, `history`, `versions --workflow`.

use std::fs;

use chronos_tests::postgres::{ORDERS, Postgres};
use chronos_tests::targets::NOTES;
use chronos_tests::{Program, configure};
use serde_json::{Value, json};

use super::workflows::{control_plane, made, name, rename};

/// A home whose repository has this configuration.
fn home(targets: &str) -> Program {
    let program = Program::with_repository();
    configure(&program, targets);
    program
}

/// The document of a command that ends well.
#[track_caller]
fn typed(home: &Program, words: &[&str]) -> Value {
    home.run(words.iter().chain(&["--json"])).expect_code(0).json()
}

#[test]
fn a_workflow_is_listed_and_goes_back_and_the_history_has_it() {
    let server = chronos_tests::n8n("2.40.7");
    let id = made(&server, "Order intake");
    let home = home(&control_plane(&server));
    let none = home.run(["rollback", "--workflow", &id, "--json"]).expect_code(1).json();
    assert_eq!((&none["status"], &none["workflow_id"]), (&json!("requires_backup"), &json!(id)), "{none}");
    let first = typed(&home, &["backup", "--target", "control-plane"])["backup_id"].clone();
    rename(&server, &id, "Order intake, better");
    typed(&home, &["backup", "--target", "control-plane"]);
    rename(&server, &id, "Order intake (broken)");

    let dry = typed(&home, &["rollback", "--workflow", &id, "--dry-run"]);
    assert_eq!((&dry["status"], &*name(&server, &id)), (&json!("planned"), "Order intake (broken)"), "{dry}");
    let done = typed(&home, &["rollback", "--workflow", &id]);
    assert_eq!(
        (&done["status"], &*name(&server, &id)),
        (&json!("completed"), "Order intake, better"),
        "{done}"
    );
    assert!(done["pre_rollback_backup"].is_string() && done["restored_version"].is_string(), "{done}");
    let args =
        ["rollback", "--workflow", &id, "--version", first.as_str().unwrap(), "--target", "control-plane"];
    let told = home.run(args).expect_code(0);
    assert_eq!(name(&server, &id), "Order intake");
    assert!(told.stdout.contains(&format!("workflow {id} goes back")), "{}", told.stdout);

    let listed = typed(&home, &["versions", "--workflow", &id]);
    assert_eq!(
        (&listed["target"], &listed["source"]),
        (&json!("control-plane"), &json!("flows")),
        "{listed}"
    );
    let names: Vec<_> =
        listed["versions"].as_array().unwrap().iter().map(|v| v["name"].as_str().unwrap()).collect();
    assert!(names.contains(&"Order intake") && names.contains(&"Order intake (broken)"), "{listed}");
    let of_other = home.run(["versions", "--workflow", &id, "--target", "notes"]).expect_code(1);
    assert!(of_other.stderr.contains("no snapshot of notes"), "{}", of_other.stderr);

    let history = typed(&home, &["history", "--status", "completed"]);
    assert_eq!(history["count"], 2, "{history}");
    assert_eq!(history["history"][1]["rollback_id"], done["rollback_id"]);
    assert_eq!(typed(&home, &["history", "--limit", "1"])["history"][0]["workflow_id"], json!(id));
    assert!(home.run(["history"]).expect_code(0).stdout.contains("requires_backup"));
}

#[test]
fn a_snapshot_or_a_part_of_it_goes_back() {
    let home = home(NOTES);
    let file = home.home().join("notes/a");
    fs::create_dir_all(file.parent().unwrap()).unwrap();
    fs::write(&file, "old").unwrap();
    typed(&home, &["backup", "--target", "notes"]);
    fs::write(&file, "new").unwrap();
    fs::write(file.with_file_name("extra"), "x").unwrap();
    let planned = home.run(["rollback", "latest", "--dry-run"]).expect_code(0);
    assert!(planned.stdout.contains("would overwrite"), "{}", planned.stdout);
    assert_eq!(fs::read_to_string(&file).unwrap(), "new");
    let done = typed(&home, &["rollback", "latest", "--component", "notes"]);
    assert_eq!(
        (&done["status"], &*fs::read_to_string(&file).unwrap()),
        (&json!("completed"), "old"),
        "{done}"
    );
    assert!(file.with_file_name("extra").exists());
    typed(&home, &["rollback", "latest:notes", "--strategy", "replace"]);
    assert!(!file.with_file_name("extra").exists());
    let undone = typed(&home, &["rollback", done["pre_rollback_backup"].as_str().unwrap(), "--force"]);
    assert_eq!((&undone["status"], &*fs::read_to_string(&file).unwrap()), (&json!("completed"), "new"));
    assert_eq!(typed(&home, &["history", "--target", "notes"])["count"], 3);
    let refused = |args: &[&str], words: &str| {
        let told = home.run(args).expect_code(2);
        assert!(told.stderr.contains(words), "{}", told.stderr);
    };
    refused(&["rollback"], "SNAP");
    refused(&["history", "--target", "nowhere"], "nowhere is not configured");
    refused(&["jobs", "list", "--target", "nowhere"], "nowhere is not configured");
    refused(&["rollback", "latest", "--version", "x"], "cannot be used with");
    refused(
        &["rollback", "latest:notes", "--component", "crm"],
        "--component: the snapshot has no component",
    );
}

/// A database, and a folder beside it.
fn shop(server: &Postgres, target: &str, database: &str) -> String {
    server.sql("postgres", &format!("CREATE DATABASE {database}"));
    server.sql(database, ORDERS);
    format!(
        "[[target]]\nname = \"{target}\"\n[[target.source]]\nname = \"crm\"\nkind = \"postgres\"\nurl = \"{}\"\n\
         [[target.source]]\nname = \"pages\"\nkind = \"files\"\npaths = [\"HOME/pages\"]\n",
        server.superuser(database)
    )
}

#[test]
fn a_database_goes_into_a_new_one_or_into_that_of_another_target() {
    let server = Postgres::shared();
    let (name, other) = ("typed_shop", "typed_staging");
    let home = home(&[shop(&server, "shop", name), shop(&server, "staging", other)].concat());
    fs::create_dir(home.home().join("pages")).unwrap();
    fs::write(home.home().join("pages/a"), "a").unwrap();
    typed(&home, &["backup", "--target", "shop"]);
    let item = |database: &str| server.sql(database, "SELECT item FROM orders");
    for database in [name, other] {
        server.sql(database, "UPDATE orders SET item = 'milk'");
    }

    let asks = ["rollback", "latest:shop", "--component", "database", "--strategy", "new-location"];
    let like = format!("SELECT datname FROM pg_database WHERE datname LIKE '{name}\\_2%'");
    let told = home.run(asks.iter().chain(&["--dry-run"])).expect_code(0).stdout;
    assert!(told.contains(&format!("would create database {name}_2")), "{told}");
    let plan = typed(&home, &[&asks[..], &["--dry-run"]].concat())["plan"].clone();
    assert_eq!(server.sql("postgres", &like), "");
    // The plan holds though the name has another time.
    let fingerprint = plan["fingerprint"].as_str().unwrap();
    let done = typed(&home, &[&asks[..], &["--fingerprint", fingerprint]].concat());
    let made = server.sql("postgres", &like);
    let database = &done["steps"][0]["databases"][0];
    assert_eq!((&database["name"], &database["created"]), (&json!(made), &json!(true)), "{done}");
    let message = format!("database {made} of target shop is as in ");
    assert!(done["message"].as_str().unwrap().starts_with(&message), "{done}");
    assert_eq!((item(&made), item(name)), ("tea".into(), "milk".into()));
    let row = typed(&home, &["history", "--target", "shop"])["history"][0].clone();
    assert_eq!(row["rollback_type"], "backup_restore", "{row}");

    // Beside the database of another target; what is no database goes into a folder.
    let both = ["rollback", "latest:shop", "--target", "staging", "--to", "look"];
    let told = home.run(both).expect_code(0).stdout;
    let of_staging = told.split("database ").find(|t| t.contains("of target staging")).unwrap();
    let made = of_staging.split(' ').next().unwrap();
    assert_eq!((item(made), item(other)), ("tea".into(), "milk".into()));
    let pages = home.home().join("pages/a");
    let new = home.home().join("look").join(pages.strip_prefix("/").unwrap());
    assert_eq!(fs::read_to_string(new).unwrap(), "a");
    // Over it; that of the snapshot stays.
    let told = home.run(["rollback", "latest:shop", "--component", "crm", "--target", "staging"]);
    assert!(told.expect_code(0).stdout.contains(&format!("database {other}: 1 table, 1 row")));
    assert_eq!((item(other), item(name)), ("tea".into(), "milk".into()));
}
