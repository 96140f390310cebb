//! What cannot be read is said in a sentence, and never taken for a backup.

use std::fs;

use super::*;

#[test]
fn a_wrong_password_a_missing_database_and_a_server_that_is_not_there() {
    let stage = Stage::new();
    let wrong = stage.server.url("postgres", "top-secret-guess", "postgres");
    let said = stage.refusal(options(client(&wrong)));
    assert!(
        said.contains("password authentication failed") && said.contains("PostgreSQL at 127.0.0.1"),
        "{said}"
    );
    assert!(!said.contains("guess"), "{said}");
    let said = stage.refusal(stage.options("nowhere"));
    assert!(said.contains("database \"nowhere\" does not exist"), "{said}");
    let said = stage.refusal(options(client("postgresql://postgres@127.0.0.1:1/x")));
    assert!(said.contains("Connection refused"), "{said}");
    assert!(listed(&stage.repository.view().unwrap()).0.is_empty());
}

/// Why a database could not be dumped, when its server could be reached: the snapshot has what was read before, and is partial.
fn failed_part(stage: &Stage, options: PostgresOptions) -> String {
    let report = stage.backup(options).unwrap();
    let source = &report.sources[0];
    assert!(source.failed && report.status == "partial" && report.bytes_processed < 10_000, "{report:?}");
    let whole = source.parts.iter().filter(|part| part.error.is_none());
    assert!(whole.map(|part| &*part.kind).eq(["globals"]), "{report:?}");
    let missing = source.parts.iter().filter(|part| part.kind == "database");
    assert!(missing.clone().count() == 1 && missing.clone().all(|part| part.error.is_some()), "{report:?}");
    source.error.clone().unwrap()
}

#[test]
fn a_password_that_is_missing_is_not_asked_for() {
    let stage = Stage::new();
    let none = format!("postgresql://postgres@127.0.0.1:{}/postgres", stage.server.port());
    let said = stage.refusal(options(client(&none)));
    assert!(said.contains("no password supplied"), "{said}");
}

#[test]
fn a_server_that_goes_away_half_way_ends_the_dump_with_an_error() {
    let stage = Stage::new();
    let database = fresh("interrupted");
    stage.server.pgbench(&database, 3);
    let end_backends = format!(
        "SELECT count(pg_terminate_backend(pid)) FROM pg_stat_activity \
         WHERE datname = '{database}' AND pid <> pg_backend_pid()"
    );
    let mut source = PostgresSource::new(stage.options(&database)).unwrap();
    let mut stream = first_database(&mut source);
    read_until(&mut stream, 1 << 20).unwrap();
    assert_eq!(stage.server.sql("postgres", &end_backends), "1");
    let said = read_until(&mut stream, u64::MAX).unwrap_err().to_string();
    assert!(said.contains(&database) && said.contains("pg_dump failed"), "{said}");
    let [part] = source.outcome().parts.try_into().unwrap();
    assert!(part.kind == "database" && part.size.is_none() && part.error.unwrap().contains(&database));
}

#[test]
fn a_server_that_is_stopped_half_way_ends_the_dump_with_an_error() {
    let stage = Stage::over(Arc::new(Postgres::start()));
    stage.server.pgbench("shop", 3);
    let mut stream = first_database(&mut PostgresSource::new(stage.options("shop")).unwrap());
    read_until(&mut stream, 1 << 20).unwrap();
    stage.server.stop();
    let said = read_until(&mut stream, u64::MAX).unwrap_err().to_string();
    assert!(said.contains("database shop") && said.contains("pg_dump failed"), "{said}");
    let said = stage.refusal(stage.options("shop"));
    assert!(said.contains("Connection refused"), "{said}");
    stage.server.run();
    assert_eq!(stage.backup(stage.options("shop")).unwrap().status, "completed");
}

#[test]
fn a_table_that_may_not_be_read_fails_the_database_and_leaves_its_file_out() {
    let stage = Stage::new();
    let (database, reader) = (fresh("guarded"), fresh("reader"));
    stage.server.sql("postgres", &format!("CREATE ROLE {reader} LOGIN PASSWORD 'r'"));
    stage.server.sql("postgres", &format!("CREATE DATABASE {database}"));
    stage.server.sql(
        &database,
        &format!("CREATE TABLE open_to_all(a int); CREATE TABLE salaries(a int); GRANT SELECT ON open_to_all TO {reader}"),
    );
    let said = failed_part(&stage, options(client(&stage.server.url(&reader, "r", &database))));
    assert!(said.contains("permission denied for table salaries") && said.contains(&database), "{said}");
}

#[test]
fn without_roles_a_database_that_fails_leaves_no_snapshot() {
    let stage = Stage::new();
    let (database, reader) = (fresh("shut"), fresh("reader"));
    stage.server.sql("postgres", &format!("CREATE ROLE {reader} LOGIN PASSWORD 'r'"));
    stage.server.sql("postgres", &format!("CREATE DATABASE {database}"));
    let alone = |user: &str, password: &str| PostgresOptions {
        globals: false,
        ..options(client(&stage.server.url(user, password, &database)))
    };
    stage.server.sql(&database, "CREATE TABLE salaries(a int)");
    let said = stage.refusal(alone(&reader, "r"));
    assert!(said.contains("permission denied for table salaries"), "{said}");
    let whole = PostgresOptions { globals: false, ..stage.options(&database) };
    let report = stage.backup(whole).unwrap();
    assert_eq!((report.status.as_str(), report.files_new), ("completed", 1));
}

#[test]
fn databases_that_cannot_be_dumped_are_missing_alone() {
    let stage = Stage::new();
    let (bad, good, reader) = (fresh("a_guarded"), fresh("z_open"), fresh("reader"));
    stage.server.sql("postgres", &format!("CREATE ROLE {reader} LOGIN PASSWORD 'r'"));
    for database in [&bad, &good] {
        stage.server.sql("postgres", &format!("CREATE DATABASE {database}"));
        stage.server.sql(database, "CREATE TABLE goods AS SELECT * FROM generate_series(1, 1000)");
    }
    stage.server.sql(&good, &format!("GRANT SELECT ON goods TO {reader}"));
    let databases = Databases::Named(vec!["a_missing_one".to_owned(), bad.clone(), good.clone()]);
    let client = client(&stage.server.url(&reader, "r", "postgres"));
    let report = stage.backup(PostgresOptions { databases, ..options(client) }).unwrap();
    let source = &report.sources[0];
    assert!(source.failed && report.status == "partial" && report.files_new == 2, "{report:?}");
    let said = source.error.as_deref().unwrap();
    assert!(said.contains(&format!("database {bad} failed: pg_dump failed")), "{said}");
    assert!(said.contains("database \"a_missing_one\" does not exist"), "{said}");
    let failed = source.parts.iter().map(|part| part.error.is_some());
    assert_eq!(failed.collect::<Vec<_>>(), [true, true, false, false], "{:?}", source.parts);
    let restored = stage.raw_restore(&format!("shop/{good}.dump"));
    assert_eq!(stage.server.sql(&restored, "SELECT count(*) FROM goods"), "1000");
}

#[test]
fn a_client_that_is_older_than_the_server_is_refused() {
    let stage = Stage::new();
    let dir = tempfile::tempdir().unwrap();
    script(dir.path(), "pg_dump", "#!/bin/sh\necho 'pg_dump (PostgreSQL) 9.6.24'\n");
    let psql = chronos_tests::postgres::programs().join("psql");
    std::os::unix::fs::symlink(psql, dir.path().join("psql")).unwrap();
    let old = Client { programs: Some(dir.path().to_owned()), ..stage.client("postgres") };
    let said = stage.refusal(options(old));
    assert!(
        said.contains("9.6.24, older than PostgreSQL at 127.0.0.1") && said.contains("install"),
        "{said}"
    );
    let none = Client { programs: Some(dir.path().join("nothing")), ..stage.client("postgres") };
    let said = stage.refusal(options(none));
    assert!(said.contains("nothing/psql") && said.contains("No such file"), "{said}");
}

#[test]
fn a_dump_that_takes_too_long_is_ended() {
    let stage = Stage::new();
    let database = fresh("locked");
    stage.server.pgbench(&database, 1);
    let lock = "BEGIN; LOCK TABLE pgbench_accounts; SELECT 'locked'; SELECT pg_sleep(1000)";
    let arguments = ["-X", "-q", "-A", "-t", "-d", &database, "-c", lock];
    let holder = stage.server.client("psql", &arguments).stdout(Stdio::null()).spawn().unwrap();
    let holder = Load(holder);
    let locks = format!(
        "SELECT count(*) FROM pg_locks l JOIN pg_database d ON d.oid = l.database \
         WHERE d.datname = '{database}' AND mode = 'AccessExclusiveLock' AND granted AND locktype = 'relation'"
    );
    while stage.server.sql("postgres", &locks) == "0" {}
    let limit = Some(std::time::Duration::from_secs(2));
    let said = failed_part(&stage, PostgresOptions { time_limit: limit, ..stage.options(&database) });
    assert!(said.contains("time limit") && said.contains(&format!("database {database}: pg_dump")), "{said}");
    drop(holder);
}

#[test]
fn no_secret_is_in_the_arguments_of_any_process() {
    let stage = Stage::new();
    let database = fresh("watched");
    stage.server.pgbench(&database, 3);
    let mut source = PostgresSource::new(stage.options(&database)).unwrap();
    let mut stream = first_database(&mut source);
    read_until(&mut stream, 1 << 20).unwrap();
    let mut dumping = 0;
    for process in fs::read_dir("/proc").unwrap() {
        // Others end while they are looked at.
        let Ok(line) = fs::read(process.unwrap().path().join("cmdline")) else { continue };
        let line = String::from_utf8_lossy(&line);
        dumping += usize::from(line.contains("pg_dump") && line.contains("--compress=0"));
        assert!(!line.contains("owner-of-the-cluster"), "{line}");
    }
    assert!(dumping > 0);
    assert!(!format!("{source:?}").contains("owner-of-the-cluster"));
}
