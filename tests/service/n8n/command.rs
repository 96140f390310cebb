//! The command line of a real n8n as the way in and out: ids and all fields are kept.

use chronos_connect::Process;
use chronos_connect::n8n::restore::RestoreOptions;
use chronos_connect::n8n::{CommandLine, N8nSource, Way, check};
use chronos_tests::{N8n, Program, configure};
use serde_json::{Value, json};

use super::collected::{Collected, by, collect, take};
use super::on_each_version;
use super::restore::{bring_back, edit, essence, row, stored, webhook_answers};
use super::workflows::furnish;

fn export(server: &N8n) -> Collected {
    let command = Process::new(server.command());
    let way = Way::Command { command, has_encrypted_credentials: true };
    let mut source = N8nSource::new(by(way)).unwrap();
    let found = collect(&mut source);
    assert_eq!(found.failed, None);
    found
}

fn an_export_is_what_the_api_shows_and_comes_back_with_its_ids(server: &N8n) {
    let furnished = furnish(server);
    let (exported, shown) = (export(server), take(&server.url(), &server.key));
    assert_eq!(exported.ids(), shown.ids());
    for id in exported.ids() {
        let (mut exported_one, mut shown_one) = (exported.workflow(&id), shown.workflow(&id));
        // Each way shows a field or two that the other does not.
        for only in
            ["activeVersion", "shared", "homeProject", "parentFolder", "parentFolderId", "versionMetadata"]
        {
            for one in [&mut exported_one, &mut shown_one] {
                one.as_object_mut().unwrap().remove(only);
            }
        }
        assert_eq!(exported_one, shown_one);
        check(exported.files[&format!("n8n/workflows/{id}.json")].as_slice()).unwrap();
    }
    let secret = exported.json("n8n/credentials_encrypted.json");
    assert!(
        secret.as_array().unwrap().iter().any(|c| c["id"] == furnished.credential && c["data"].is_string())
    );
    assert!(!secret.to_string().contains("s3cr3t"));

    let [hook, _, manual, child, _] = furnished.ids.as_slice() else { panic!("five") };
    edit(server, hook, |w| w["settings"] = json!({"saveManualExecutions": true}));
    edit(server, manual, |w| w["name"] = json!("damaged"));
    // A tag that is gone everywhere, and one that came later.
    let (crm, since) = (tag(server, "crm"), json!({"name": "since"}));
    server.call("DELETE", &format!("tags/{crm}"), None);
    let since = server.call("POST", "tags", Some(&since))["id"].clone();
    server.call("PUT", &format!("workflows/{hook}/tags"), Some(&json!([{ "id": since }])));
    server.delete(child);
    let options = RestoreOptions {
        command: Some(CommandLine::new(Process::new(server.command()))),
        ..RestoreOptions::default()
    };
    let stored = stored(&shown);
    let (_, report) = bring_back(server, &stored, &options);
    assert!(report.is_complete() && report.new_ids.is_empty(), "{report:#?}");
    for (id, was) in &stored {
        assert_eq!(essence(was), essence(&server.workflow(id).unwrap()), "{report:#?}");
        assert_eq!(row(&report, id).differences, [""; 0]);
    }
    let settings: Value = server.workflow(hook).unwrap()["settings"].clone();
    assert_eq!(settings.get("saveManualExecutions"), None, "settings are as they were: {settings}");
    assert!(webhook_answers(server, 1));
}

fn tag(server: &N8n, name: &str) -> String {
    let tags = server.call("GET", "tags", None);
    let named = tags["data"].as_array().unwrap().iter().find(|tag| tag["name"] == name);
    named.unwrap()["id"].as_str().unwrap().to_owned()
}

/// The program reads an n8n of which it has the command line alone: here by a script that is called `n8n`.
#[test]
fn a_target_without_an_address_is_read_by_the_command_line() {
    let server = chronos_tests::n8n("2.8.4");
    let furnished = furnish(&server);
    let program = Program::with_repository();
    server.install_command(program.home());
    configure(
        &program,
        "[[target]]\nname = \"flows\"\n[[target.source]]\nname = \"n8n\"\nkind = \"n8n\"\n\
         prefix = [\"env\", \"PATH=HOME:/usr/bin:/bin\"]\nencrypted_credentials = true\n",
    );
    let backup = || program.run(["backup", "--target", "flows", "--json"]).expect_code(0).json();
    assert_eq!(backup()["status"], "completed");
    let again = backup();
    assert_eq!((&again["status"], &again["packs_written"]), (&json!("unchanged"), &json!(0)), "{again}");
    let stored = program.run(["cat", &format!("latest:n8n/workflows/{}.json", furnished.ids[0])]);
    let stored: Value = serde_json::from_str(&stored.expect_code(0).stdout).unwrap();
    assert_eq!(stored["id"], furnished.ids[0]);
    let secret = program.run(["cat", "latest:n8n/credentials_encrypted.json"]).expect_code(0);
    assert!(secret.stdout.contains(&furnished.credential));
    let list = program.run(["cat", "latest:n8n/workflows.json"]).expect_code(0).json();
    assert_eq!(list.as_array().unwrap().len(), furnished.ids.len());
    let file = program.home().join("list.json");
    let exported = ["export", "latest:n8n/workflows.json", "--json", "-o", file.to_str().unwrap()];
    let exported = program.run(exported).expect_code(0).json();
    assert_eq!((&exported["format"], &exported["entries"]), (&json!("json"), &json!(furnished.ids.len())));
    // An import makes inactive what it writes, and forgets the webhooks of what was active.
    for id in &furnished.ids {
        server.try_call("POST", &format!("workflows/{id}/deactivate"), None);
    }
    server.delete(&furnished.ids[2]);
    server.cli(&["import:workflow", &format!("--input={}", file.display())]);
    assert!(server.workflow(&furnished.ids[2]).is_some());
    program.run(["cat", "latest:n8n/workflows.json", "--length", "3"]).expect_code(2);
    program.run(["cat", "latest:n8n/none/workflows.json"]).expect_code(1);
}

on_each_version! {
    an_export_is_what_the_api_shows_and_comes_back_with_its_ids
}
