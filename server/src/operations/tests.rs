//! The operations without a command line or a service: a workplace, a request, a result.
#![expect(clippy::unwrap_used, clippy::disallowed_methods, reason = "tests")]

mod connected;

use std::fs;
use std::path::Path;
use std::sync::Arc;

use chronos_snapshot::{ChangeTest, Depth};
use chronos_store::{Collect, Env, Monitor, Repository, Silent};
use tempfile::TempDir;

use super::backup::{BackupRequest, SeveralRequest, plan, several};
use super::cleanup::{ForgetRequest, forget};
use super::delete::delete;
use super::failures::failures;
use super::hold::{Hold, hold};
use super::targets::targets;
use super::undelete::undelete;
use super::verify::{Kept, verify};
use super::*;
use crate::catalog::{Catalog, Filter};
use crate::error::{Error, Kind};
use crate::sources::Selection;
use crate::workplace::{Choices, Variables, Workplace};

/// A home with a repository and two targets: files and a dump in `shop`, a command in `broken` that fails.
struct Home {
    dir: TempDir,
    workplace: Workplace,
    repository: Repository,
}

impl Home {
    fn new() -> Self {
        let dir = tempfile::tempdir().unwrap();
        let config = dir.path().join(".config/chronos");
        fs::create_dir_all(&config).unwrap();
        fs::create_dir(dir.path().join("srv")).unwrap();
        fs::write(dir.path().join("srv/page"), "page").unwrap();
        let text = format!(
            "[[target]]\nname = \"shop\"\naliases = [\"store\"]\npaths = [\"{}\"]\n\
             [[target.source]]\nname = \"dump\"\nkind = \"command\"\ncomponent = \"database\"\ncommand = \"echo select\"\n\
             [[target]]\nname = \"broken\"\n\
             [[target.source]]\nname = \"dump\"\nkind = \"command\"\ncomponent = \"database\"\ncommand = \"exit 7\"\n",
            dir.path().join("srv").display()
        );
        fs::write(config.join("chronos.toml"), text).unwrap();
        let workplace = workplace(dir.path());
        let repository = workplace.open_or_create().unwrap().repository;
        Self { dir, workplace, repository }
    }

    fn backup(&self, target: &str) -> crate::Result<super::backup::Backup> {
        let request = BackupRequest { target: Some(target.to_owned()), ..BackupRequest::default() };
        plan(&self.workplace, request, Vec::new()).unwrap().run(&self.workplace, &self.repository)
    }

    fn catalog(&self) -> Catalog {
        Catalog::new(&self.workplace.config, self.repository.clone()).unwrap()
    }
}

fn workplace(home: &Path) -> Workplace {
    let variables = Variables::of([("HOME".to_owned(), home.as_os_str().to_owned())]);
    Workplace::find(Choices::default(), variables, Env::system(), Arc::new(Silent)).unwrap()
}

#[test]
fn a_backup_answers_with_the_fields_of_its_snapshot() {
    let home = Home::new();
    let made = home.backup("store").unwrap();
    let answer = made.answer(&home.workplace.config, &home.repository).unwrap();
    assert_eq!((answer.target.as_str(), answer.status.as_str()), ("shop", "completed"));
    assert_eq!(answer.path, format!("{}#{}", home.repository.location(), answer.backup_id));
    assert_eq!(home.catalog().resolve(&answer.path).unwrap().snapshot.manifest.backup_id, answer.backup_id);
    let files: Vec<_> = answer.files.iter().map(|f| (f.file.as_str(), f.kind.as_str(), f.size)).collect();
    assert_eq!(files, [("files", "files", Some(4)), ("dump", "database", Some(7))]);
    let snapshot = home.catalog().resolve("latest:store").unwrap().snapshot;
    assert_eq!(answer.checksum, Some(snapshot.manifest.tree.to_string()));
    assert_eq!(home.backup("shop").unwrap().report.status, "unchanged");
}

#[test]
fn a_part_of_a_target_says_so_and_is_never_the_latest() {
    let home = Home::new();
    let selection = Selection { components: vec!["database".into()], ..Selection::default() };
    let request = BackupRequest { target: Some("shop".into()), selection, ..BackupRequest::default() };
    plan(&home.workplace, request, Vec::new()).unwrap().run(&home.workplace, &home.repository).unwrap();
    let catalog = home.catalog();
    assert_eq!(catalog.snapshots.first().unwrap().manifest.scope, ["database"]);
    assert!(catalog.resolve("latest:shop").is_err());
}

#[test]
fn a_failure_has_a_name_and_is_in_the_history() {
    let home = Home::new();
    let error = home.backup("broken").unwrap_err();
    let name = error.backup_id().unwrap().to_owned();
    assert!(name.starts_with("broken_manual_"), "{name}");
    assert!(matches!(error.kind(), Kind::Library(_)));
    let failed = failures(&home.workplace, &home.repository, &Filter::default()).unwrap();
    assert_eq!(failed.iter().map(|f| &f.backup_id).collect::<Vec<_>>(), [&name]);
    let states = targets(&home.workplace, Some(&home.catalog())).unwrap();
    assert_eq!(states.last().unwrap().last_run.as_ref().unwrap().status, "failed");
}

#[test]
fn several_targets_are_one_run_of_the_worst_status() {
    let home = Home::new();
    let run = several(&home.workplace, &home.repository, &SeveralRequest::default()).unwrap();
    assert_eq!((run.status(), run.parts.len()), ("failed", 2));
    let filter = Filter { metadata: vec![("run_id".into(), run.run_id.clone())], ..Filter::default() };
    let catalog = home.catalog();
    assert_eq!(catalog.fitting(&filter, &catalog.snapshots).count(), 1);
    let again = several(&home.workplace, &home.repository, &SeveralRequest::default()).unwrap();
    assert_ne!(again.run_id, run.run_id);
}

#[test]
fn a_run_reports_to_whoever_asked_for_it_and_stops_alone() {
    let home = Home::new();
    let monitor = Arc::new(Collect::default());
    monitor.cancel();
    let repository = home.repository.reporting_to(Arc::clone(&monitor) as Arc<dyn Monitor>);
    let changes = ChangeTest { read_all: true, ..ChangeTest::default() };
    let request = BackupRequest { target: Some("shop".into()), changes, ..BackupRequest::default() };
    let stopped = plan(&home.workplace, request, Vec::new()).unwrap().run(&home.workplace, &repository);
    assert_eq!(stopped.unwrap_err().kind(), Kind::Library(chronos_store::ErrorKind::Interrupted));
    assert_eq!(home.backup("shop").unwrap().report.status, "completed");
}

#[test]
fn what_is_held_stays_and_what_is_deleted_comes_back() {
    let home = Home::new();
    home.backup("shop").unwrap();
    let chosen = home.catalog().resolve_all(&["latest".to_owned()]).unwrap().snapshots;
    hold(&home.catalog(), &chosen, Hold::Held, Mode::Apply).unwrap();
    let held = home.catalog().resolve_all(&["latest".to_owned()]).unwrap().snapshots;
    let refused = delete(&home.catalog(), &held, Mode::Apply).unwrap_err();
    assert!(matches!(refused, Error::Held { .. }) && refused.kind() == Kind::Refused);
    hold(&home.catalog(), &chosen, Hold::Released, Mode::Apply).unwrap();
    delete(&home.catalog(), &chosen, Mode::DryRun).unwrap();
    assert_eq!(home.catalog().snapshots.len(), 1);
    delete(&home.catalog(), &chosen, Mode::Apply).unwrap();
    assert!(home.catalog().snapshots.is_empty());
    let name = chosen.first().unwrap().manifest.backup_id.clone();
    undelete(&home.catalog(), std::slice::from_ref(&name), Mode::Apply).unwrap();
    assert!(matches!(undelete(&home.catalog(), &[name], Mode::Apply), Err(Error::NotDeleted { .. })));
}

#[test]
fn a_verification_is_kept_with_its_snapshot() {
    let home = Home::new();
    home.backup("shop").unwrap();
    let snapshot = home.catalog().resolve("latest").unwrap().snapshot;
    let quick = verify(&home.workplace, &home.catalog(), &snapshot, Depth::Presence).unwrap();
    assert_eq!((quick.valid, quick.kept), (true, Kept::NotNeeded));
    let whole = verify(&home.workplace, &home.catalog(), &snapshot, Depth::Everything).unwrap();
    assert_eq!((whole.valid, whole.kept), (true, Kept::Yes));
    assert_eq!(home.catalog().resolve("latest").unwrap().snapshot.status(), "verified");
}

#[test]
fn retention_says_why_and_a_dry_run_removes_nothing() {
    let home = Home::new();
    for n in 0..3 {
        fs::write(home.dir.path().join("srv/page"), n.to_string()).unwrap();
        home.backup("shop").unwrap();
    }
    let policies = chronos_snapshot::retention::PolicySet::of(chronos_snapshot::retention::Policy::Keep(
        chronos_snapshot::retention::KeepPolicy { last: "1".parse().ok(), ..Default::default() },
    ));
    let request = |mode, target: &str| ForgetRequest {
        targets: vec![target.to_owned()],
        policies: Some(policies.clone()),
        mode,
        ..ForgetRequest::default()
    };
    let planned = forget(&home.workplace, &home.catalog(), &request(Mode::DryRun, "store")).unwrap();
    assert!(planned.decisions.iter().all(|d| !d.reasons.is_empty()));
    assert_eq!(home.catalog().snapshots.len(), 3);
    let (kept, removed) =
        forget(&home.workplace, &home.catalog(), &request(Mode::Apply, "shop")).unwrap().split();
    assert_eq!((kept.len(), removed.len(), home.catalog().snapshots.len()), (1, 2, 1));
    let none = forget(&home.workplace, &home.catalog(), &request(Mode::Apply, "nobody")).unwrap();
    assert_eq!(none.without_snapshots, ["nobody"]);
}
