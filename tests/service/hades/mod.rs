//! HADES over HTTP: the real program on a loopback port, against the real servers.

mod access;
mod by_command;
mod commands;
mod diff;
mod emergency;
mod health;
mod in_place;
mod killed;
mod killed_anywhen;
mod recover;
mod refused;
mod replace;
mod rollback;
mod tables;
mod thirty;
mod undo;
mod workflows;

use chronos_tests::targets::QUIET;
use chronos_tests::{Program, Service, configure};
use serde_json::{Value, json};

/// A service for these targets.
fn service(targets: &str) -> Service {
    let program = Program::with_repository();
    configure(&program, &[QUIET, targets].concat());
    Service::start(program, &[])
}

/// A service for these targets that knows two tokens: one of role `backup`, and one of role `restore`.
fn guarded(targets: &str) -> (Service, String, String) {
    let program = Program::with_repository();
    configure(&program, &[QUIET, targets].concat());
    let file = program.home().join("tokens").display().to_string();
    let token = |role: &str| {
        let args = ["tokens", "add", role, "--role", role, "--token-file", &file];
        program.run(args).expect_code(0).stdout.trim().to_owned()
    };
    let (backup, restore) = (token("backup"), token("restore"));
    (Service::start(program, &["--token-file", &file]), backup, restore)
}

/// A whole snapshot of a target.
#[track_caller]
fn backed_up(service: &Service, target: &str) -> String {
    let made = service.post("/backup", &json!({ "target": target }).to_string()).expect(200);
    assert!(["completed", "unchanged"].contains(&made["status"].as_str().unwrap()), "{made}");
    made["backup_id"].as_str().unwrap().to_owned()
}

/// What HADES answers to a request that it carries out.
#[track_caller]
fn asked(service: &Service, path: &str, body: &Value) -> Value {
    service.hades().post(path, &body.to_string()).expect(200)
}

/// The row of the history that has this id; both services answer it.
#[track_caller]
fn row(service: &Service, id: &Value) -> Value {
    let of = |listing: Value| {
        listing["history"].as_array().unwrap().iter().find(|r| r["rollback_id"] == *id).cloned().unwrap()
    };
    let row = of(service.hades().get("/history").expect(200));
    assert_eq!(of(service.get("/history").expect(200)), row);
    row
}
