//! `GET /health` of HADES, which needs no CHRONOS.

use chronos_tests::{Program, Service};
use serde_json::json;

use super::service;

#[test]
fn it_says_how_it_does_and_what_chronos_does() {
    let service = service("[[target]]\nname = \"notes\"\npaths = [\"HOME/notes\"]\n");
    let health = service.hades().get("/health").expect(200);
    assert_eq!((&health["status"], &health["agent"]), (&json!("healthy"), &json!("HADES")), "{health}");
    assert_eq!(
        health["port"],
        json!(service.hades().url().rsplit(':').next().unwrap().parse::<u16>().unwrap())
    );
    assert_eq!((&health["targets"], &health["running"]), (&json!(["notes"]), &json!([])), "{health}");
    assert!(health["timestamp"].is_string() && health["version"].is_string(), "{health}");
}

#[test]
fn chronos_is_asked_where_it_is_said_to_be_and_may_be_gone() {
    let chronos = service("");
    let program = Program::with_repository();
    let mut command = program.command(["serve", "--only", "hades"]);
    command.env("CHRONOS_URL", chronos.url());
    let hades = Service::of(program, command);
    let health = hades.hades().get("/health").expect(200);
    let seen = &health["chronos"];
    assert_eq!((&seen["reachable"], &seen["running_jobs"]), (&json!(true), &json!([])), "{health}");
    chronos.terminate();
    chronos.ended();
    let health = hades.hades().get("/health").expect(200);
    assert_eq!(
        (&health["status"], &health["chronos"]["reachable"]),
        (&json!("healthy"), &json!(false)),
        "{health}"
    );
    assert!(health["chronos"]["error"].is_string(), "{health}");
}

#[test]
fn without_a_repository_it_is_unhealthy_until_there_is_one() {
    let program = Program::new();
    let command = program.command(["serve", "--only", "hades"]);
    let service = Service::of(program, command);
    assert_eq!(service.hades().get("/health").expect(503)["status"], "unhealthy");
    let refused = service.hades().post("/rollback", r#"{"backup_id": "latest"}"#).problem(503);
    assert!(refused.contains("repository"), "{refused}");
    service.program().run(["init"]).expect_code(0);
    assert_eq!(service.hades().get("/health").expect(200)["status"], "healthy");
}
