//! Hooks (contract §13) by the shell and over HTTP: asked before, told after.

use std::time::{Duration, Instant};

use chronos_tests::{HttpServer, Program, Response, configure};
use serde_json::{Value, json};

const TARGET: &str = "[[target]]\nname = \"notes\"\npaths = [\"HOME/notes\"]\n[[target]]\nname = \"other\"\npaths = [\"HOME/notes\"]\n";

fn program(hooks: &str) -> Program {
    let program = Program::with_repository();
    configure(&program, &format!("{hooks}{TARGET}"));
    std::fs::create_dir(program.home().join("notes")).unwrap();
    std::fs::write(program.home().join("notes/a.txt"), "a").unwrap();
    program
}

/// What a hook wrote down.
fn written(program: &Program, name: &str) -> Value {
    serde_json::from_slice(&std::fs::read(program.home().join(name)).unwrap()).unwrap()
}

fn snapshots(program: &Program) -> usize {
    program.run(["snapshots", "--json"]).expect_code(0).json().as_array().unwrap().len()
}

#[test]
fn one_that_vetoes_stops_a_backup_with_its_message_before_anything_is_touched() {
    let program = program(
        "[[hook]]\non = [\"before_backup\"]\ntargets = [\"notes\"]\npolicy = \"veto\"\n\
         command = \"cat > HOME/asked; echo it is not the day; exit 3\"\n\
         [[hook]]\non = [\"on_failure\"]\ncommand = \"cat > HOME/failed\"\n",
    );
    let ended = program.run(["backup", "--target", "notes", "--tag", "x"]).expect_code(1);
    assert!(
        ended.stderr.contains("hook 1 does not allow it: it is not the day; nothing was touched"),
        "{}",
        ended.stderr
    );
    assert_eq!(snapshots(&program), 0);
    let asked = written(&program, "asked");
    assert_eq!(
        (&asked["hook"], &asked["operation"], &asked["target"], &asked["tags"]),
        (&json!("before_backup"), &json!("backup"), &json!("notes"), &json!(["x"]))
    );
    assert_eq!(asked["paths"][0], program.home().join("notes").to_str().unwrap());
    assert!(!program.home().join("failed").exists(), "what was not begun has not failed");
    // It is in the history all the same, and another target is not its business.
    let failed = program.run(["snapshots", "--status", "failed", "--json"]).expect_code(0).json();
    assert_eq!(failed.as_array().unwrap().len(), 1);
    program.run(["backup", "--target", "other"]).expect_code(0);
}

#[test]
fn what_was_made_is_noted_before_those_after_hear_of_it() {
    let program = program(
        "[[hook]]\non = [\"after_backup\"]\ncommand = \"mkdir HOME/copy && cp HOME/.local/state/chronos/chronos.sqlite* HOME/copy\"\n",
    );
    program.run(["backup", "--target", "notes"]).expect_code(0);
    let copy = rusqlite::Connection::open(program.home().join("copy/chronos.sqlite")).unwrap();
    let noted: String = copy.query_row("SELECT status FROM runs", [], |row| row.get(0)).unwrap();
    assert_eq!(noted, "completed");
}

#[test]
fn those_after_are_told_what_was_made_and_what_failed() {
    let program = program(
        "[[hook]]\non = [\"after_backup\", \"after_prune\", \"after_restore\"]\ncommand = \"cat > HOME/after\"\n\
         [[hook]]\non = [\"on_failure\"]\ncommand = \"cat > HOME/failed\"\n\
         [[hook]]\non = [\"before_prune\", \"before_restore\"]\ncommand = \"cat > HOME/before\"\n\
         [[target]]\nname = \"broken\"\n[[target.source]]\nname = \"dump\"\nkind = \"command\"\ncommand = \"exit 7\"\n",
    );
    let made = program.run(["backup", "--target", "notes", "--json"]).expect_code(0).json();
    let after = written(&program, "after");
    assert_eq!((&after["hook"], &after["status"]), (&json!("after_backup"), &json!("completed")));
    assert_eq!((&after["backup_id"], &after["snapshot"]), (&made["backup_id"], &made["snapshot"]));
    program.run(["backup", "--target", "broken"]).expect_code(1);
    let failed = written(&program, "failed");
    assert_eq!(
        (&failed["hook"], &failed["status"], &failed["target"]),
        (&json!("on_failure"), &json!("failed"), &json!("broken"))
    );
    assert!(failed["error"].is_string());
    program.run(["cleanup"]).expect_code(0);
    assert_eq!(written(&program, "before")["hook"], "before_prune");
    assert_eq!(written(&program, "after")["deleted_count"], 0);
    program.run(["restore", "latest:notes", "--to", "back"]).expect_code(0);
    assert_eq!(written(&program, "before")["strategy"], "new_location");
    assert_eq!(
        (&written(&program, "after")["hook"], &written(&program, "after")["status"]),
        (&json!("after_restore"), &json!("completed"))
    );
    // What is only tried out asks nobody.
    std::fs::remove_file(program.home().join("before")).unwrap();
    program.run(["cleanup", "--dry-run"]).expect_code(0);
    program.run(["prune", "--dry-run"]).expect_code(0);
    assert!(!program.home().join("before").exists());
}

#[test]
fn one_that_takes_too_long_is_killed_and_what_it_leaves_in_the_background_is_not_waited_for() {
    let program = program(
        "[[hook]]\non = [\"before_backup\"]\ntimeout = \"1s\"\ncommand = \"echo begun; sleep 600\"\n\
         [[hook]]\non = [\"after_backup\"]\ntimeout = \"20s\"\ncommand = \"sleep 30 & echo well\"\n\
         [[hook]]\non = [\"after_backup\"]\npolicy = \"ignore\"\ncommand = \"echo nobody wants to know; exit 1\"\n",
    );
    let began = Instant::now();
    let ended = program.run(["backup", "--target", "notes"]).expect_code(0);
    assert!(began.elapsed() < Duration::from_secs(25));
    assert!(ended.stderr.contains("hook 1 failed: it took longer than 1 seconds"), "{}", ended.stderr);
    assert!(!ended.stderr.contains("nobody wants"), "{}", ended.stderr);
    assert_eq!(snapshots(&program), 1);
}

#[test]
fn a_webhook_may_veto_too_and_its_token_is_not_shown() {
    let ethics = HttpServer::start(|request| {
        let asked: Value = serde_json::from_slice(&request.body).unwrap();
        let token = request.header("authorization").unwrap_or_default();
        match &asked["operation"] {
            Value::String(word) if word == "restore" => Response::html(403, &format!("never {token}")),
            _ => Response::json(200, &json!({})),
        }
    });
    let program = program(&format!(
        "[[hook]]\non = [\"before_backup\", \"before_restore\"]\npolicy = \"veto\"\nurl = \"{}/ask\"\ntoken = \"s3cr3t\"\n",
        ethics.url()
    ));
    program.run(["backup", "--target", "notes"]).expect_code(0);
    let ended = program.run(["restore", "latest:notes", "--to", "back"]).expect_code(1);
    assert!(ended.stderr.contains("never Bearer …") && !ended.stderr.contains("s3cr3t"), "{}", ended.stderr);
    assert!(!program.home().join("back").exists());
    let asked = ethics.requests();
    assert_eq!(asked.iter().map(|r| (&*r.method, r.path())).collect::<Vec<_>>(), [("POST", "/ask"); 2]);
}
