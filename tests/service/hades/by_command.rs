//! An n8n of which nothing is known but its command line: what is put back is archived, published and in effect once it was started anew.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::process::Command;
use std::time::{Duration, Instant};

use chronos_tests::{N8n, OwnN8n, Program, Service, configure};
use serde_json::{Value, json};

use super::killed::all;
use super::workflows::{made, name, rename};
use super::{asked, backed_up, row};
use crate::n8n::restore::webhook_answers;
use crate::n8n::workflows::{activate, webhook};
use chronos_tests::targets::QUIET;

/// Longest that anything here may take.
const LIMIT: Duration = Duration::from_mins(5);

/// The one source: no address, no key.
const FLOWS: &str = r#"
[[target]]
name = "flows"
restart = "HOME/start-n8n"
[[target.source]]
name = "n8n"
kind = "n8n"
prefix = ["env", "PATH=HOME:/usr/bin:/bin"]
"#;

/// An n8n of this test alone, and a service that has its command line.
struct Machine {
    /// Ends the server, before its folder goes.
    _n8n: OwnN8n,
    server: N8n,
    service: Option<Service>,
}

impl Machine {
    fn new() -> Self {
        let program = Program::with_repository();
        let n8n = OwnN8n::new("2.40.7", program.home().join("n8n-data"));
        let start = program.home().join("start-n8n");
        fs::write(&start, n8n.script()).unwrap();
        fs::set_permissions(&start, fs::Permissions::from_mode(0o700)).unwrap();
        assert!(Command::new(&start).status().unwrap().success());
        let server = n8n.set_up();
        server.install_command(program.home());
        configure(&program, &[QUIET, FLOWS].concat());
        let service = Some(Service::start(program, &[]));
        Self { server, service, _n8n: n8n }
    }

    fn service(&self) -> &Service {
        self.service.as_ref().unwrap()
    }

    /// What HADES answers; afterwards the server was started anew and answers.
    #[track_caller]
    fn asked(&self, path: &str, body: &Value) -> Value {
        let answer = asked(self.service(), path, body);
        self.server.wait();
        answer
    }

    /// Whether a workflow is archived.
    fn is_archived(&self, id: &str) -> bool {
        self.server.workflow(id).unwrap()["isArchived"] == true
    }

    /// Waits until a webhook answers: a server that was started anew lets people in long before it has published what is active.
    fn webhook_answers(&self, number: usize) {
        let limit = Instant::now() + LIMIT;
        while !webhook_answers(&self.server, number) {
            let log = || fs::read_to_string(self.service().path("n8n-data.log")).unwrap();
            assert!(Instant::now() < limit, "{}", log());
        }
    }

    /// Has the service be killed when it imports, before or after that, and starts it again.
    fn killed(&mut self, backup: &str, is_heard: bool) {
        let mut service = self.service.take().unwrap();
        let home = service.path("").display().to_string();
        let import = if is_heard { "n8n \"$@\" >/dev/null 2>&1\n" } else { "" };
        let before = format!(
            "if test \"$1\" = import:workflow && rm '{home}/kill' 2>/dev/null; then\n{import}kill -9 $PPID\nexit 1\nfi\n"
        );
        self.server.install_command_after(&service.path(""), &before);
        service.file("kill", "");
        let (url, body) = (service.hades().url(), json!({ "backup_id": backup, "strategy": "replace" }));
        let answer =
            chronos_tests::http_client().post(format!("{url}/restore/workflow")).body(body.to_string());
        assert!(answer.send().is_err());
        self.server.install_command(&service.path(""));
        service = Service::start(service.killed(), &[]);
        let limit = Instant::now() + LIMIT;
        loop {
            let rows = service.hades().get("/history").expect(200)["history"].clone();
            let of_restore = |row: &&Value| row["rollback_type"] == "backup_restore";
            let restore = rows.as_array().unwrap().iter().find(of_restore).unwrap().clone();
            let told = restore["error_message"].as_str().unwrap_or_default();
            if told.contains("taken back by") {
                assert_eq!(restore["status"], "interrupted", "{restore}");
                break;
            }
            assert!(Instant::now() < limit, "{restore} {}", service.log());
            std::thread::park_timeout(Duration::from_millis(100));
        }
        self.service = Some(service);
        self.server.wait();
    }
}

#[test]
fn an_n8n_is_put_back_by_its_command_line_alone() {
    let mut machine = Machine::new();
    let post = |server: &N8n, body: &Value| {
        server.call("POST", "workflows", Some(body))["id"].as_str().unwrap().to_owned()
    };
    let server = &machine.server;
    let (edited, gone) = (made(server, "Edited"), post(server, &webhook(1)));
    activate(server, &gone);
    let backup = backed_up(machine.service(), "flows");
    rename(server, &edited, "Edited since");
    server.delete(&gone);
    let mut other = webhook(2);
    other["name"] = json!("Later");
    let later = post(server, &other);
    activate(server, &later);
    // Somebody goes on editing it, and has not published that.
    other["nodes"][1]["parameters"]["options"] = json!({"ignoreConversionErrors": true});
    let published = json!({ "versionId": server.workflow(&later).unwrap()["versionId"] });
    server.call("PUT", &format!("workflows/{later}"), Some(&other));
    server.call("POST", &format!("workflows/{later}/activate"), Some(&published));
    let graphs = |server: &N8n| {
        let shown = server.workflow(&later).unwrap();
        (shown["nodes"].clone(), shown["activeVersion"]["nodes"].clone())
    };
    let edited_later = graphs(server);
    assert_ne!(edited_later.0, edited_later.1);
    let before = all(server);

    let replace = json!({ "backup_id": backup, "strategy": "replace" });
    let mut dry = replace.clone();
    dry["dry_run"] = json!(true);
    let planned = asked(machine.service(), "/rollback", &dry);
    let step = &planned["plan"]["steps"][0];
    assert_eq!(step["removes"]["names"], json!([format!("Later ({later})")]), "{planned}");
    let told = step["not_exact"].to_string();
    assert!(
        told.contains("restart of target flows is run") && told.contains("archived instead Later"),
        "{told}"
    );
    assert_eq!(all(server), before);

    let done = machine.asked("/restore/workflow", &replace);
    assert_eq!((&done["status"], &done["errors"]), (&json!("completed"), &json!([])), "{done}");
    let after = [("Edited".to_owned(), false), ("Later".to_owned(), false), ("Webhook 1".to_owned(), true)];
    assert_eq!(all(&machine.server), after);
    assert!(machine.is_archived(&later));
    machine.webhook_answers(1);
    assert_eq!(machine.server.workflow(&gone).unwrap()["name"], "Webhook 1", "and has its id");
    let again = asked(machine.service(), "/restore/workflow", &replace);
    assert_eq!(again["pre_rollback_backup"], Value::Null, "nothing was left to do: {again}");

    let undone = machine.asked("/undo", &json!({ "rollback_id": done["rollback_id"] }));
    assert_eq!(undone["status"], "completed", "{undone}");
    let as_before =
        [("Edited since".to_owned(), false), ("Later".to_owned(), true), ("Webhook 1".to_owned(), false)];
    assert_eq!(all(&machine.server), as_before);
    assert!(machine.is_archived(&gone) && !machine.is_archived(&later));
    assert_eq!(graphs(&machine.server), edited_later, "what is published, and the draft");
    machine.webhook_answers(2);

    for is_heard in [false, true] {
        machine.killed(&backup, is_heard);
        assert_eq!(all(&machine.server), as_before, "heard: {is_heard}");
    }

    let one = machine.asked("/rollback/workflow", &json!({ "workflow_id": edited, "target": "flows" }));
    assert_eq!((&one["status"], &*name(&machine.server, &edited)), (&json!("completed"), "Edited"), "{one}");
    assert_eq!(row(machine.service(), &one["rollback_id"])["workflow_id"], json!(edited));
}
