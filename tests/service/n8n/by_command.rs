//! Workflows put back by the command line of a real n8n alone, here with no server that runs.

use std::collections::BTreeMap;
use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::process::Command;

use chronos_connect::Process;
use chronos_connect::n8n::restore::{Action, Plan, RestoreOptions, RestoreReport, plan, restore};
use chronos_connect::n8n::{CommandLine, Instance};
use chronos_store::Silent;
use chronos_tests::OwnN8n;
use rusqlite::Connection;
use serde_json::{Value, json};
use tempfile::TempDir;

use super::restore::{essence, row};
use super::workflows::{child, manual, parent, webhook};

/// Ids of the workflows.
const HOOK: &str = "aaaaaaaaaaaaaaaa";
const CHILD: &str = "bbbbbbbbbbbbbbbb";
const PARENT: &str = "cccccccccccccccc";
const MANUAL: &str = "dddddddddddddddd";

/// An n8n whose server does not run.
struct Still {
    n8n: OwnN8n,
    folder: TempDir,
}

impl Still {
    fn new(version: &'static str) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let n8n = OwnN8n::new(version, folder.path().join("data"));
        // Without an owner 2.40 lets nobody write over what is active.
        assert!(Command::new("sh").args(["-c", &n8n.script()]).status().unwrap().success());
        n8n.set_up();
        n8n.stop();
        Self { n8n, folder }
    }

    fn instance(&self) -> Instance {
        Instance::Command(CommandLine::new(Process::new(self.n8n.command())))
    }

    fn run(&self, arguments: &[&str]) {
        Process::new(self.n8n.command()).and(arguments.iter().copied()).output(1 << 20).unwrap();
    }

    fn import(&self, workflows: &[Value]) {
        let file = self.folder.path().join("import.json");
        fs::write(&file, json!(workflows).to_string()).unwrap();
        self.run(&["import:workflow", &format!("--input={}", file.display())]);
    }

    fn sql(&self, statement: &str) {
        let database = Connection::open(self.n8n.files().join("database.sqlite")).unwrap();
        database.execute_batch(&format!("PRAGMA foreign_keys = ON; {statement}")).unwrap();
    }

    /// All workflows as they are now.
    fn stored(&self) -> BTreeMap<String, Value> {
        let instance = self.instance();
        let ids = instance.workflow_names().unwrap().into_keys();
        ids.map(|id| (id.clone(), instance.workflow(&id).unwrap().unwrap())).collect()
    }

    /// One of them.
    fn now(&self, id: &str) -> Value {
        self.stored().remove(id).unwrap()
    }
}

fn bring_back(instance: &Instance, stored: &BTreeMap<String, Value>) -> (Plan, RestoreReport) {
    let options = RestoreOptions::default();
    let planned = plan(instance, stored, &options, &Silent).unwrap();
    let report = restore(instance, stored, &planned, &options, &Silent).unwrap();
    (planned, report)
}

fn of_id(id: &str, mut workflow: Value) -> Value {
    let more =
        json!({"id": id, "active": false, "isArchived": false, "staticData": {"global": {"seen": id}}});
    workflow.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
    workflow
}

fn edited_and_deleted_workflows_come_back(version: &'static str) {
    let still = Still::new(version);
    let mut hook = of_id(HOOK, webhook(1));
    hook["tags"] = json!([{"id": "t1", "name": "prod"}]);
    still.import(&[hook, of_id(CHILD, child(4)), of_id(PARENT, parent(5, CHILD)), of_id(MANUAL, manual(3))]);
    still.run(&["update:workflow", &format!("--id={HOOK}"), "--active=true"]);
    let before = still.stored();
    assert_eq!((before.len(), &before[HOOK]["active"]), (4, &json!(true)));

    let mut edited = of_id(HOOK, webhook(2));
    edited["settings"] = json!({"saveManualExecutions": true});
    let mut tagged = of_id(MANUAL, manual(3));
    tagged["tags"] = json!([{"id": "t2", "name": "since"}]);
    still.import(&[edited, tagged]);
    still.sql(&format!("DELETE FROM workflow_entity WHERE id = '{CHILD}'"));
    let instance = still.instance();
    let (planned, report) = bring_back(&instance, &before);
    let action = |id: &str| planned.workflows.iter().find(|w| w.id == id).unwrap().action;
    assert_eq!([HOOK, CHILD, PARENT].map(action), [Action::Updated, Action::Created, Action::Unchanged]);
    // A tag that is there too cannot be taken away here, and is told.
    assert_eq!(
        (action(MANUAL), row(&report, MANUAL).differences.as_slice()),
        (Action::Unchanged, &["tags".to_owned()][..])
    );
    assert!(report.is_complete() && report.needs_start && report.new_ids.is_empty(), "{report:#?}");
    let after = still.stored();
    for id in [HOOK, CHILD, PARENT] {
        assert_eq!(essence(&before[id]), essence(&after[id]), "{report:#?}");
        assert_eq!(before[id]["settings"], after[id]["settings"]);
        assert_eq!(row(&report, id).differences, [""; 0]);
    }
    instance.look().unwrap();
    let (again, report) = bring_back(&instance, &before);
    assert!(again.workflows.iter().all(|w| w.action == Action::Unchanged), "{again:#?}");
    assert!(report.is_complete() && !report.needs_start);

    an_import_that_fails_leaves_everything(&still, &before);
    if !version.starts_with("1.") {
        what_is_published_comes_back_beside_the_draft(&still, &before);
    }
}

fn an_import_that_fails_leaves_everything(still: &Still, before: &BTreeMap<String, Value>) {
    let script = still.folder.path().join("n8n");
    let words: Vec<String> = still.n8n.command().iter().map(|word| format!("'{word}'")).collect();
    let text = format!(
        "#!/bin/sh\ntest \"$1\" != import:workflow || {{ echo no room; exit 7; }}\nexec {} \"$@\"\n",
        words.join(" ")
    );
    fs::write(&script, text).unwrap();
    fs::set_permissions(&script, fs::Permissions::from_mode(0o700)).unwrap();
    let failing = Instance::Command(CommandLine::new(Process::new([script])));
    let mut wanted = before.clone();
    wanted.retain(|id, _| id == HOOK);
    wanted.get_mut(HOOK).unwrap()["name"] = json!("Another");
    let now = still.now(HOOK);
    let (_, report) = bring_back(&failing, &wanted);
    let told = row(&report, HOOK).error.clone().unwrap();
    assert!(told.contains("no room") && told.ends_with("it is as it was before"), "{told}");
    assert_eq!(still.now(HOOK), now);
}

fn what_is_published_comes_back_beside_the_draft(still: &Still, before: &BTreeMap<String, Value>) {
    // As the API shows it: the editor has another name for a node than what is published.
    let mut wanted = before.clone();
    wanted.retain(|id, _| id == HOOK);
    let hook = wanted.get_mut(HOOK).unwrap();
    hook["activeVersion"] = json!({"nodes": hook["nodes"], "connections": hook["connections"]});
    hook["nodes"][1]["parameters"]["options"] = json!({"ignoreConversionErrors": true});
    let (_, report) = bring_back(&still.instance(), &wanted);
    assert!(report.is_complete(), "{report:#?}");
    let now = still.now(HOOK);
    assert_ne!(now["activeVersionId"], now["versionId"]);
    assert_eq!((&now["active"], &now["nodes"]), (&json!(true), &wanted[HOOK]["nodes"]));
    let published: String = Connection::open(still.n8n.files().join("database.sqlite"))
        .unwrap()
        .query_row(
            "SELECT nodes FROM workflow_history WHERE versionId = ?1",
            [now["activeVersionId"].as_str().unwrap()],
            |row| row.get(0),
        )
        .unwrap();
    let published: Value = serde_json::from_str(&published).unwrap();
    assert_eq!(published, wanted[HOOK]["activeVersion"]["nodes"]);

    // 2.40 shows what is published too, so that a snapshot by the command line has it; older ones show its version alone, which is enough as
    // long as n8n knows it. A draft is never published in its place.
    let told = still.stored();
    let is_told = told[HOOK]["activeVersion"]["nodes"] == wanted[HOOK]["activeVersion"]["nodes"];
    assert_eq!(is_told, still.n8n.version().starts_with("2.40"), "{:?}", told[HOOK]["activeVersion"]);
    let mut changed = of_id(HOOK, webhook(6));
    still.import(std::slice::from_ref(&changed));
    let (_, report) = bring_back(&still.instance(), &told);
    assert!(report.is_complete(), "{report:#?}");
    let published = still.now(HOOK)["activeVersionId"].clone();
    assert!(published.is_string() && (is_told || published == now["activeVersionId"]));
    let (again, _) = bring_back(&still.instance(), &told);
    assert_eq!(again.workflows[0].action, Action::Unchanged, "{again:#?}");
    changed["name"] = json!("Webhook 7");
    still.import(&[changed]);
    still.sql(&format!("DELETE FROM workflow_history WHERE versionId = {published}").replace('"', "'"));
    let (_, report) = bring_back(&still.instance(), &told);
    let now = still.now(HOOK);
    assert_eq!((&now["active"], &now["nodes"]), (&json!(is_told), &told[HOOK]["nodes"]));
    let why = row(&report, HOOK).error.clone().unwrap_or_default();
    assert_eq!(why.contains("inactive") && why.contains("asked for it by its id"), !is_told, "{why}");
}

#[test]
fn edited_and_deleted_workflows_come_back_1_123() {
    edited_and_deleted_workflows_come_back("1.123.81");
}

#[test]
fn edited_and_deleted_workflows_come_back_2_8() {
    edited_and_deleted_workflows_come_back("2.8.4");
}

#[test]
fn edited_and_deleted_workflows_come_back_2_40() {
    edited_and_deleted_workflows_come_back("2.40.7");
}
