//! Targets whose sources are outside systems: configured, backed up, and failing alone.

use super::*;
use crate::error::Upstream;

/// A home whose configuration is `text`, with `HOME` in it replaced.
fn home(text: &str) -> (TempDir, Workplace, Repository) {
    let dir = tempfile::tempdir().unwrap();
    let config = dir.path().join(".config/chronos");
    fs::create_dir_all(&config).unwrap();
    fs::write(config.join("chronos.toml"), text.replace("HOME", &dir.path().display().to_string())).unwrap();
    let workplace = workplace(dir.path());
    let repository = workplace.open_or_create().unwrap().repository;
    (dir, workplace, repository)
}

fn backup(
    workplace: &Workplace,
    repository: &Repository,
    target: &str,
) -> crate::Result<super::super::backup::Backup> {
    let request = BackupRequest { target: Some(target.to_owned()), ..BackupRequest::default() };
    plan(workplace, request, Vec::new())?.run(workplace, repository)
}

#[test]
fn a_live_database_is_one_file_and_must_have_its_tables() {
    let (dir, workplace, repository) = home(
        "[[target]]\nname = \"bus\"\n[[target.source]]\nname = \"queue\"\nkind = \"sqlite\"\npath = \"HOME/bus.sqlite\"\n\
         required = [\"events\"]\n",
    );
    let database = rusqlite::Connection::open(dir.path().join("bus.sqlite")).unwrap();
    database.pragma_update(None, "journal_mode", "wal").unwrap();
    database.execute_batch("CREATE TABLE events (id INTEGER); INSERT INTO events VALUES (1)").unwrap();

    let made = backup(&workplace, &repository, "bus").unwrap();
    let answer = made.answer(&workplace.config, &repository).unwrap();
    assert_eq!((made.report.status.as_str(), answer.files.len()), ("completed", 1));
    let catalog = Catalog::new(&workplace.config, repository.clone()).unwrap();
    let (_, path) = catalog.locate("latest:bus:queue/bus.db").unwrap();
    assert!(path.is_some());

    database.execute_batch("DROP TABLE events; CREATE TABLE other (id INTEGER)").unwrap();
    let made = backup(&workplace, &repository, "bus").unwrap();
    assert_eq!(made.report.status, "partial");
    assert!(made.report.sources.iter().any(|s| s.error.as_deref().is_some_and(|e| e.contains("events"))));
}

#[test]
fn a_system_that_cannot_be_reached_fails_alone_and_a_target_of_nothing_else_fails() {
    // Nobody listens at the port of a listener that is gone.
    let port = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
    let n8n = format!(
        "[[target.source]]\nname = \"n8n\"\nkind = \"n8n\"\nurl = \"http://127.0.0.1:{port}\"\napi_key = {{ file = \"HOME/key\" }}\n"
    );
    let (dir, workplace, repository) = home(&format!(
        "[[target]]\nname = \"both\"\npaths = [\"HOME/srv\"]\n{n8n}[[target]]\nname = \"alone\"\n{n8n}"
    ));
    fs::create_dir(dir.path().join("srv")).unwrap();
    fs::write(dir.path().join("srv/page"), "page").unwrap();

    let made = backup(&workplace, &repository, "both").unwrap();
    assert_eq!(made.report.status, "partial", "its key is not there");
    fs::write(dir.path().join("key"), "s3cr3t\n").unwrap();
    let made = backup(&workplace, &repository, "both").unwrap();
    assert_eq!(made.report.status, "partial");
    let failed: Vec<_> = made.report.sources.iter().filter(|s| s.failed).map(|s| s.name.as_str()).collect();
    assert_eq!(failed, ["n8n"]);

    let error = backup(&workplace, &repository, "alone").unwrap_err();
    assert_eq!(error.upstream(), Some(Upstream { status: None, timed_out: false }), "{error}");
    assert!(
        error.to_string().contains("cannot be reached") && !error.to_string().contains("s3cr3t"),
        "{error}"
    );
}

#[test]
fn an_n8n_has_workflows_and_credentials() {
    let (_dir, workplace, _repository) = home(
        "[[target]]\nname = \"prod\"\n[[target.source]]\nname = \"n8n\"\nkind = \"n8n\"\nurl = \"http://127.0.0.1:1\"\napi_key = \"k\"\n",
    );
    let target = workplace.config.target("prod").unwrap();
    assert_eq!(crate::sources::components_of(target), ["credentials", "workflows"]);
    let of = |backup_type: &str| Selection { backup_type: backup_type.into(), ..Selection::default() };
    assert_eq!(crate::sources::scope(target, &of("full")), Vec::<String>::new());
    assert_eq!(crate::sources::scope(target, &of("workflows")), ["workflows"]);
    assert_eq!(crate::sources::scope(target, &of("config")), ["credentials"]);
    assert!(!crate::sources::has_any(target, &of("database")));
    let one = Selection { workflow: Some("w7".into()), ..Selection::default() };
    assert_eq!(crate::sources::scope(target, &one), ["w7"]);
}

#[test]
fn what_takes_longer_than_its_source_may_is_given_up() {
    // Takes connections, and says nothing.
    let silent = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let address = silent.local_addr().unwrap();
    let (_dir, workplace, repository) = home(&format!(
        "[[target]]\nname = \"flows\"\n[[target.source]]\nname = \"n8n\"\nkind = \"n8n\"\nurl = \"http://{address}\"\n\
         api_key = \"k\"\ntime_limit = \"1s\"\n\
         [[target]]\nname = \"dump\"\n[[target.source]]\nname = \"db\"\nkind = \"command\"\ncommand = \"echo x; sleep 600\"\n\
         time_limit = \"1s\"\n"
    ));
    let error = backup(&workplace, &repository, "flows").unwrap_err();
    assert_eq!(error.upstream(), Some(Upstream { status: None, timed_out: true }), "{error}");
    assert!(error.to_string().contains("within 1 s"), "{error}");
    let error = backup(&workplace, &repository, "dump").unwrap_err();
    assert!(error.to_string().contains("sleep 600"), "{error}");
}
