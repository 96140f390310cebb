//! Requests made up by a fuzzer from the service's own `OpenAPI` document, and what it answers held against that document.
//!
//! Requests are made up without chance and are bounded: the same ones every time. What the document cannot tell stands in
//! `fuzz/rules.py`, each rule with its reason. `GET /jobs/{id}/events` is left out: its answer lasts as long as its job; `jobs.rs`
//! has its tests.

use std::process::Command;

use chronos_tests::{Service, configure, fixture, repository_root};

/// A service with something to ask for and a place for restores, and a token of the role `read`.
fn service() -> (Service, String) {
    let program = super::program();
    configure(&program, &format!("[service]\nrestore_root = \"HOME/root\"\n{}", super::targets()));
    let file = program.home().join("tokens");
    let file = file.to_str().unwrap();
    let made = program.run(["tokens", "add", "read", "--role", "read", "--token-file", file]).expect_code(0);
    let read = made.stdout.trim().to_owned();
    let service = Service::start(program, &["--token-file", file]);
    service.post("/backup", r#"{"name": "first"}"#).expect(200);
    (service, read)
}

/// Runs the fuzzer with these options and headers to its end; nothing may be wrong.
fn fuzz(service: &Service, options: &[&str], headers: &[String]) {
    let mut command = Command::new(fixture("schemathesis").join("bin/st"));
    // Who has no token is not shown the document either.
    service.file("openapi.json", service.get("/openapi.json").text);
    command.args(["run", "openapi.json", "--url", service.url()]);
    command.args(["--exclude-path", "/jobs/{id}/events"]);
    command.args(["--no-color", "--warnings", "off", "--continue-on-failure", "--generation-deterministic"]);
    command.args(options).current_dir(service.program().home());
    for header in headers {
        command.args(["--header", header]);
    }
    let rules = repository_root().join("tests/service/http/fuzz/rules.py");
    let ended = command.env("SCHEMATHESIS_HOOKS", rules).output().unwrap();
    let (said, wrong) = (String::from_utf8_lossy(&ended.stdout), String::from_utf8_lossy(&ended.stderr));
    assert!(ended.status.success(), "{said}\n{wrong}\n{}", service.log());
    assert!(said.contains("Tested: 2"), "{said}");
}

/// Makes a caller one of another host, who needs a token.
fn proxied() -> String {
    "X-Forwarded-For: 192.0.2.1".to_owned()
}

#[test]
fn every_answer_is_as_the_document_says() {
    let (service, _) = service();
    // A caller of this host may do everything, and a restore goes no further than the root.
    // Requests that follow from answers are left out: ids are made by chance, and with them the requests.
    fuzz(&service, &["--phases", "examples,coverage,fuzzing", "--max-examples", "8"], &[]);
    assert!(!service.log().contains("a fault of this program"), "{}", service.log());
    service.get("/health").expect(200);
    service.program().run(["check"]).expect_code(0);
}

#[test]
fn so_is_every_answer_to_those_who_may_not() {
    let (service, read) = service();
    let few = ["--phases", "coverage,fuzzing", "--max-examples", "2", "--exclude-checks"];
    let few = [&few[..], &["positive_data_acceptance,negative_data_rejection"]].concat();
    let before = service.get("/backups").expect(200);
    fuzz(&service, &few, &[proxied(), format!("Authorization: Bearer {read}")]);
    fuzz(&service, &few, &[proxied()]);
    assert_eq!(service.get("/backups").expect(200), before, "nobody without the right made or took anything");
}
