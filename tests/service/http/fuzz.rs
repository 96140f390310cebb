//! Requests made up by a fuzzer from the services' own `OpenAPI` documents, and what they answer held against those documents.
//!
//! Requests are made up from a fixed seed and are bounded: the same ones every time, but for the names that answers give. What the
//! documents cannot tell stands in `fuzz/rules.py`, each rule with its reason. `GET /jobs/{id}/events` is left out: its answer lasts
//! as long as its job; `jobs.rs` has its tests.

use std::collections::BTreeMap;
use std::process::Command;

use chronos_tests::{Answer, Service, configure, fixture, repository_root};
use serde_json::Value;

/// The streams of events.
const STREAMS: &str = "/jobs/{id}/events";
/// All kinds of requests: also those that follow from answers.
const ALL: [&str; 4] = ["--phases", "examples,coverage,fuzzing,stateful", "--max-examples", "8"];
/// Requests of those who may not do everything: whether they are good ones is not asked.
const FEW: [&str; 6] = [
    "--phases",
    "fuzzing",
    "--max-examples",
    "5",
    "--exclude-checks",
    "positive_data_acceptance,negative_data_rejection",
];
/// A caller who has no token and needs one.
const NOBODY: &str = "nobody";

/// A running service to be asked, and the tokens of those who may not do everything, by their roles.
struct Fuzzed {
    service: Service,
    tokens: BTreeMap<&'static str, String>,
}

/// A service with something to ask for and a place for restores: nothing outside its home can be written.
fn fuzzed() -> Fuzzed {
    let program = super::program();
    configure(&program, &format!("[service]\nrestore_root = \"HOME/root\"\n{}", super::targets()));
    let token = |role| {
        let made = program.run(["tokens", "add", role, "--role", role, "--token-file", "tokens"]);
        (role, made.expect_code(0).stdout.trim().to_owned())
    };
    let tokens = ["read", "backup", "restore"].map(token).into();
    let service = Service::start(program, &["--token-file", "tokens"]);
    service.post("/backup", r#"{"name": "first"}"#).expect(200);
    Fuzzed { service, tokens }
}

/// The operations that a document tells of.
fn operations(document: &Value) -> usize {
    let paths = document["paths"].as_object().unwrap();
    paths.iter().filter(|(path, _)| *path != STREAMS).map(|(_, item)| item.as_object().unwrap().len()).sum()
}

impl Fuzzed {
    /// Runs the fuzzer for CHRONOS, as one of this role or as a caller of this host, who may do everything.
    fn chronos(&self, role: Option<&str>, options: &[&str]) {
        self.fuzz(self.service.url(), &self.service.get("/openapi.json"), role, options);
    }

    /// The same for HADES.
    fn hades(&self, role: Option<&str>, options: &[&str]) {
        let hades = self.service.hades();
        self.fuzz(hades.url(), &hades.get("/openapi.json"), role, options);
    }

    /// Runs the fuzzer to its end; nothing may be wrong. Who has no token is not shown the document either.
    fn fuzz(&self, url: &str, document: &Answer, role: Option<&str>, options: &[&str]) {
        let (service, folder) = (&self.service, repository_root().join("tests/service/http/fuzz"));
        service.file("openapi.json", &document.text);
        let mut command = Command::new(fixture("schemathesis").join("bin/st"));
        command.arg("--config-file").arg(folder.join("schemathesis.toml"));
        command.args(["run", "openapi.json", "--url", url, "--exclude-path", STREAMS]);
        command.args(["--no-color", "--warnings", "off", "--continue-on-failure", "--seed", "1"]);
        command.args(["--generation-deterministic"]).args(options).current_dir(service.program().home());
        if let Some(role) = role {
            // A caller of another host needs a token.
            command.args(["--header", "X-Forwarded-For: 192.0.2.1"]);
            if let Some(token) = self.tokens.get(role) {
                command.args(["--header", &format!("Authorization: Bearer {token}")]);
            }
        }
        command.env("CALLER", role.unwrap_or_default()).env("ROOT", service.path("root"));
        let ended = command.env("SCHEMATHESIS_HOOKS", folder.join("rules.py")).output().unwrap();
        let (said, wrong) = (String::from_utf8_lossy(&ended.stdout), String::from_utf8_lossy(&ended.stderr));
        let who = role.unwrap_or("a caller of this host");
        assert!(ended.status.success(), "{who}: {said}\n{wrong}\n{}", service.log());
        let tested = format!("Tested: {}\n", operations(&document.expect(200)));
        assert!(said.contains(&tested), "{who}: not {tested} {said}");
        assert!(!service.log().contains("a fault of this program"), "{who}: {}", service.log());
    }

    /// The names of all snapshots.
    fn snapshots(&self) -> Vec<Value> {
        let listed = self.service.get("/backups?limit=1000").expect(200);
        listed["backups"].as_array().unwrap().iter().map(|row| row["backup_id"].clone()).collect()
    }

    /// How often something was put back.
    fn restores(&self) -> u64 {
        self.service.get("/history").expect(200)["count"].as_u64().unwrap()
    }
}

#[test]
fn every_answer_of_chronos_is_as_its_document_says() {
    let fuzzed = fuzzed();
    fuzzed.chronos(None, &ALL);
    fuzzed.service.get("/health").expect(200);
    fuzzed.service.program().run(["check"]).expect_code(0);
}

#[test]
fn every_answer_of_hades_is_as_its_document_says() {
    let fuzzed = fuzzed();
    fuzzed.hades(None, &ALL);
    assert_ne!(fuzzed.restores(), 0, "something was put back");
    for (file, text) in [("shop/page.html", "page"), ("notes/a.txt", "a")] {
        assert_eq!(std::fs::read_to_string(fuzzed.service.path(file)).unwrap(), text);
    }
    fuzzed.service.hades().get("/health").expect(200);
    fuzzed.service.program().run(["check"]).expect_code(0);
}

#[test]
fn who_may_only_look_changes_nothing() {
    let fuzzed = fuzzed();
    let before = fuzzed.snapshots();
    for role in [NOBODY, "read"] {
        fuzzed.chronos(Some(role), &FEW);
        fuzzed.hades(Some(role), &FEW);
    }
    assert_eq!(fuzzed.snapshots(), before, "nothing was made or taken");
    assert_eq!(fuzzed.restores(), 0, "nothing was put back");
}

#[test]
fn who_makes_and_restores_snapshots_removes_none() {
    let fuzzed = fuzzed();
    let (before, schedules) = (fuzzed.snapshots(), fuzzed.service.get("/schedules").expect(200));
    for role in ["backup", "restore"] {
        assert_eq!(fuzzed.restores(), 0, "who makes snapshots puts nothing back");
        fuzzed.chronos(Some(role), &FEW);
        fuzzed.hades(Some(role), &FEW);
    }
    assert_ne!(fuzzed.restores(), 0, "something was put back");
    let after = fuzzed.snapshots();
    assert!(before.iter().all(|name| after.contains(name)), "{before:?} {after:?}");
    assert_eq!(fuzzed.service.get("/schedules").expect(200), schedules);
}
