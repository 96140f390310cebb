//! What a backup of a real n8n holds, and that an untouched one gives the same bytes again.

use std::sync::Arc;

use chronos_connect::n8n::{Error, N8nOptions, N8nSource, Parts, check};
use chronos_snapshot::{BackupOptions, backup};
use chronos_store::backend::MemoryBackend;
use chronos_store::{CreateOptions, Env, LocalDirs, OpenOptions, Repository, Secret, Silent};
use chronos_tests::{HttpServer, N8n};
use serde_json::json;

use super::collected::{collect, options, take};
use super::on_each_version;
use super::workflows::furnish;

fn everything_is_there_in_canonical_form(server: &N8n) {
    let furnished = furnish(server);
    let found = take(&server.url(), &server.key);
    assert_eq!((found.failed.as_ref(), found.problems.len()), (None, 0), "{found:?}");
    let mut ids = furnished.ids.clone();
    ids.sort();
    assert_eq!(found.ids(), ids);
    for (number, id) in furnished.ids.iter().enumerate() {
        let (stored, live) = (found.workflow(id), server.workflow(id).unwrap());
        for key in [
            "id",
            "name",
            "active",
            "nodes",
            "connections",
            "settings",
            "staticData",
            "pinData",
            "description",
            "isArchived",
            "versionId",
        ] {
            assert_eq!(stored.get(key), live.get(key), "{key} of workflow {number}");
        }
        if number == 0 {
            assert_eq!(stored["activeVersion"]["nodes"], live["activeVersion"]["nodes"]);
            let mut tags: Vec<_> =
                stored["tags"].as_array().unwrap().iter().map(|t| t["name"].as_str().unwrap()).collect();
            tags.sort_unstable();
            assert_eq!(tags, ["crm", "prod"]);
        }
        let facts = check(found.files[&format!("n8n/workflows/{id}.json")].as_slice()).unwrap();
        assert_eq!((facts.id.as_str(), Some(facts.is_active)), (id.as_str(), live["active"].as_bool()));
    }
    let active = furnished.ids.iter().filter(|id| found.workflow(id)["active"] == true).count();
    assert_eq!(active, if server.version.starts_with("1.") { 3 } else { 4 });
    assert_eq!(found.json("n8n/tags.json").as_array().unwrap().len(), 2);
    let credential = json!({"id": furnished.credential, "name": "CRM", "type": "httpHeaderAuth"});
    let credentials = found.json("n8n/credentials_metadata.json");
    assert!(credentials.as_array().unwrap().contains(&credential), "{credentials}");
    let parts = &found.outcome.parts;
    let part = |kind: &str| parts.iter().find(|p| p.kind == kind).unwrap();
    assert_eq!((part("workflows").count, part("tags").count), (Some(5), Some(2)));
    assert_eq!(part("credentials").error.is_some(), server.version.starts_with("1."), "{parts:?}");
    assert_eq!(found.outcome.notes, [format!("n8n {}", server.version)]);
    assert_eq!(found.outcome.incomplete, None);
    for (path, bytes) in &found.files {
        let text = String::from_utf8_lossy(bytes);
        assert!(!text.contains("s3cr3t") && !text.contains("lastActiveAt"), "{path}");
    }
}

fn an_untouched_server_gives_the_same_bytes(server: &N8n) {
    furnish(server);
    let proxy = HttpServer::pass_on(&server.url(), |_| {});
    let first = take(&proxy.url(), &server.key);
    let calls = proxy.requests().len();
    let second = take(&proxy.url(), &server.key);
    assert!(
        first.files == second.files,
        "{:?}",
        first.files.iter().find(|(k, v)| second.files.get(*k) != Some(v))
    );
    // Version, whose key it is, credentials where they are listed, tags; one page needs no second look.
    let others = if server.version.starts_with("1.") { 3 } else { 4 };
    assert_eq!(
        calls,
        5 + 1 + others,
        "{:#?}",
        proxy.requests().iter().map(|r| &r.target).collect::<Vec<_>>()
    );
}

fn a_second_snapshot_is_unchanged_and_writes_no_pack(server: &N8n) {
    furnish(server);
    let local = tempfile::tempdir().unwrap();
    let dirs = LocalDirs { cache: local.path().join("cache"), state: local.path().join("state") };
    let open = OpenOptions { dirs, env: Env::system(), monitor: Arc::new(Silent) };
    let key = Secret::Key([7; 32]);
    let repository =
        Repository::create(Arc::new(MemoryBackend::new()), &key, &CreateOptions::default(), open).unwrap();
    let source = || -> Box<dyn chronos_snapshot::Source> {
        Box::new(N8nSource::new(options(&server.url(), &server.key)).unwrap())
    };
    let first = backup(&repository, vec![source()], &BackupOptions::default()).unwrap();
    assert_eq!((first.status.as_str(), first.errors.len()), ("completed", 0), "{first:?}");
    let second = backup(&repository, vec![source()], &BackupOptions::default()).unwrap();
    assert_eq!((second.status.as_str(), second.packs_written), ("unchanged", 0), "{second:?}");
    server.call("POST", "workflows", Some(&super::workflows::manual(9)));
    let third = backup(&repository, vec![source()], &BackupOptions::default()).unwrap();
    assert_eq!(
        (third.status.as_str(), third.files_new, third.files_changed),
        ("completed", 1, 0),
        "{third:?}"
    );
}

fn one_workflow_alone_or_only_credentials(server: &N8n) {
    let furnished = furnish(server);
    let of = |change: &dyn Fn(&mut N8nOptions)| {
        let mut options = options(&server.url(), &server.key);
        change(&mut options);
        N8nSource::new(options).unwrap()
    };
    let id = &furnished.ids[1];
    let found = collect(&mut of(&|o| (o.workflow, o.parts) = (Some(id.clone()), Parts::Workflows)));
    assert_eq!(
        found.files.keys().map(String::as_str).collect::<Vec<_>>(),
        [format!("n8n/workflows/{id}.json")]
    );
    let mut source = of(&|o| o.workflow = Some("nobody".to_owned()));
    let found = collect(&mut source);
    assert!(found.failed.unwrap().contains("no workflow \"nobody\""));
    assert!(matches!(source.failure().take(), Some(Error::NoWorkflow { id, .. }) if id == "nobody"));
    let found = collect(&mut of(&|o| o.parts = Parts::Credentials));
    assert_eq!(found.files.keys().collect::<Vec<_>>(), ["n8n/credentials_metadata.json"]);
    assert!(
        found
            .json("n8n/credentials_metadata.json")
            .as_array()
            .unwrap()
            .iter()
            .any(|c| c["id"] == furnished.credential)
    );
}

fn a_key_that_is_not_the_owners_is_told_of(server: &N8n) {
    let warned =
        |key: &str| take(&server.url(), key).outcome.notes.iter().any(|n| n.contains("of the owner"));
    assert!(!warned(&server.key));
    assert!(warned(&server.member_key()));
}

fn a_wrong_key_is_told_from_none(server: &N8n) {
    let found = take(&server.url(), "n0-such-k3y");
    let why = found.failed.unwrap();
    assert!(why.contains("does not accept the API key") && !why.contains("n0-such-k3y"), "{why}");
    assert!(found.files.is_empty());
}

on_each_version! {
    everything_is_there_in_canonical_form
    an_untouched_server_gives_the_same_bytes
    a_second_snapshot_is_unchanged_and_writes_no_pack
    one_workflow_alone_or_only_credentials
    a_key_that_is_not_the_owners_is_told_of
    a_wrong_key_is_told_from_none
}
