//! What a backup of a server holds.

use super::*;
use chronos_connect::Prefix;

/// What all transactions of pgbench keep equal, and rows of the accounts.
const BALANCES: &str = "SELECT (SELECT sum(abalance) FROM pgbench_accounts) = (SELECT sum(bbalance) FROM pgbench_branches) \
     AND (SELECT sum(bbalance) FROM pgbench_branches) = (SELECT coalesce(sum(delta), 0) FROM pgbench_history), \
     (SELECT count(*) FROM pgbench_accounts)";

#[test]
fn a_database_under_load_is_one_transactions_view() {
    let stage = Stage::new();
    let database = fresh("loaded");
    stage.server.pgbench(&database, 2);
    let load = Load(stage.server.load(&database));
    let history = "SELECT count(*) FROM pgbench_history";
    while stage.server.sql(&database, history).parse::<u64>().unwrap() < 20 {}
    let report = stage.backup(stage.options(&database)).unwrap();
    drop(load);
    assert_eq!((report.status.as_str(), report.files_new), ("completed", 2));
    let restored = stage.raw_restore(&format!("shop/{database}.dump"));
    assert_eq!(stage.server.sql(&restored, BALANCES), "t|200000");
    assert_ne!(stage.server.sql(&restored, history), "0");

    let source = &stage.newest().manifest.sources[0];
    let parts: Vec<_> = source.parts.iter().map(|p| (p.file.clone(), p.kind.as_str(), p.count)).collect();
    let expected = [
        ("shop/globals.sql".to_owned(), "globals", None),
        (format!("shop/{database}.dump"), "database", Some(4)),
    ];
    assert_eq!(
        (source.kind.as_str(), source.component.as_str(), parts),
        ("postgres", "database", expected.to_vec())
    );
    assert!(source.notes.iter().any(|n| n.contains("one transaction's view")), "{:?}", source.notes);
    assert!(source.notes.iter().any(|n| n.starts_with("PostgreSQL server 1")), "{:?}", source.notes);
}

#[test]
fn an_untouched_database_is_unchanged_whenever_it_is_dumped() {
    // Roles that other tests make are in every backup of a server.
    let stage = Stage::over(Arc::new(Postgres::start()));
    let database = fresh("quiet");
    stage.server.pgbench(&database, 1);
    stage.backup(stage.options(&database)).unwrap();
    let dumped = stage.bytes(&format!("shop/{database}.dump"));
    // A dump tells its second.
    let second = || stage.server.sql(&database, "SELECT extract(epoch FROM now())::bigint");
    let now = second();
    while second() == now {}
    stage.server.sql(&database, "VACUUM");
    let report = stage.backup(stage.options(&database)).unwrap();
    assert!(stage.bytes(&format!("shop/{database}.dump")) == dumped);
    assert!(report.unchanged && report.packs_written == 0, "{report:?}");

    stage.server.sql(&database, "UPDATE pgbench_accounts SET abalance = 7 WHERE aid = 5");
    let report = stage.backup(stage.options(&database)).unwrap();
    assert!(!report.unchanged && report.files_changed == 1 && report.bytes_added < 500_000, "{report:?}");
}

#[test]
fn several_databases_and_what_belongs_to_all_of_them() {
    // Other tests drop databases while all of them are read.
    let stage = Stage::over(Arc::new(Postgres::start()));
    let (one, two, role) = (fresh("one"), "It's/two %", fresh("clerk"));
    stage.server.sql("postgres", &format!("CREATE DATABASE {one}"));
    stage.server.sql("postgres", &format!("CREATE DATABASE \"{two}\""));
    stage.server.sql("postgres", &format!("CREATE ROLE {role} LOGIN PASSWORD 'clerks-password'"));
    stage.server.sql(two, "CREATE TABLE goods(id int); INSERT INTO goods VALUES (1)");
    let databases = Databases::Named(vec![one.clone(), two.to_owned()]);
    let mut source = PostgresSource::new(PostgresOptions { databases, ..stage.options("postgres") }).unwrap();
    assert!(!source.holds("goods"));
    let mut sizes = Vec::new();
    for item in source.open().unwrap() {
        let Item::Entry(entry) = item else { panic!("{item:?}") };
        if let Origin::Part(mut stream) = entry.origin {
            sizes.push((entry.path.to_string(), read_until(&mut stream, u64::MAX).unwrap()));
        }
    }
    let names: Vec<&str> = sizes.iter().map(|(name, _)| name.as_str()).collect();
    assert_eq!(names, ["shop/It's%2Ftwo %25.dump", "shop/globals.sql", &format!("shop/{one}.dump")]);
    assert!(source.holds("goods") && source.holds("public.goods") && !source.holds("shop.goods"));
    let outcome = source.outcome();
    assert!(
        outcome.notes.iter().any(|n| n.contains("2 databases") && n.contains("of its own")),
        "{outcome:?}"
    );
    let told: Vec<_> = outcome.parts.iter().map(|p| (p.file.clone(), p.size.unwrap())).collect();
    assert_eq!(told, sizes);

    let databases = Databases::AllBut(vec!["postgres".to_owned()]);
    stage.backup(PostgresOptions { databases, ..stage.options("postgres") }).unwrap();
    let globals = String::from_utf8(stage.bytes("shop/globals.sql")).unwrap();
    assert!(globals.contains(&format!("CREATE ROLE {role}")) && globals.contains("SCRAM-SHA-256"));
    let files: Vec<String> =
        stage.newest().manifest.sources[0].parts.iter().map(|p| p.file.clone()).collect();
    assert!(
        files.contains(&names[0].to_owned()) && !files.contains(&"shop/postgres.dump".to_owned()),
        "{files:?}"
    );
    stage.server.sql("postgres", &format!("DROP DATABASE \"{two}\""));
}

#[test]
fn whoever_is_no_superuser_gets_roles_without_passwords() {
    let stage = Stage::new();
    let (database, owner) = (fresh("owned"), fresh("owner"));
    stage.server.sql("postgres", &format!("CREATE ROLE {owner} LOGIN PASSWORD 'p%w'"));
    stage.server.sql("postgres", &format!("CREATE DATABASE {database} OWNER {owner}"));
    let url = stage.server.url(&owner, "p%25w", &database);
    stage.backup(options(client(&url))).unwrap();
    let globals = String::from_utf8(stage.bytes("shop/globals.sql")).unwrap();
    assert!(globals.contains(&format!("CREATE ROLE {owner}")) && !globals.contains("SCRAM"), "{globals}");
    let notes = &stage.newest().manifest.sources[0].notes;
    assert!(notes.iter().any(|n| n.contains("without their passwords")), "{notes:?}");
}

/// Takes what a container program takes, and gives the program in it nothing but the variables that were named.
const CONTAINER: &str = r#"#!/bin/bash
[ "$1" = exec ] || exit 99
shift
kept=()
while :; do
  case "$1" in
    -i) shift ;;
    -e) kept+=("$2=${!2}"); shift 2 ;;
    *) break ;;
  esac
done
[ "$1" = database ] || { echo "no container $1" >&2; exit 98; }
shift
exec env -i PATH="$PATH" "${kept[@]}" "$@"
"#;

#[test]
fn client_programs_in_a_container_get_the_password_by_name() {
    let stage = Stage::new();
    let database = fresh("contained");
    stage.server.sql("postgres", &format!("CREATE DATABASE {database}"));
    stage.server.sql(&database, "CREATE TABLE goods AS SELECT * FROM generate_series(1, 1000)");
    let dir = tempfile::tempdir().unwrap();
    let docker = script(dir.path(), "docker", CONTAINER);
    let prefix = Prefix::new([docker.as_os_str(), "exec".as_ref(), "database".as_ref()]);
    let contained = Client { prefix, ..stage.client(&database) };
    let report = stage.backup(options(contained.clone())).unwrap();
    assert_eq!(report.status, "completed", "{report:?}");
    let list = contained.list(stage.content(&format!("shop/{database}.dump"))).unwrap();
    assert_eq!((list.database.as_str(), list.tables().len()), (database.as_str(), 1));

    let prefix = Prefix::new([docker.as_os_str(), "exec".as_ref(), "gone".as_ref()]);
    let said = stage.refusal(options(Client { prefix, ..stage.client(&database) }));
    assert!(said.contains("no container gone"), "{said}");
}

#[test]
fn a_stored_archive_is_listed_and_read_through_without_a_server() {
    let stage = Stage::new();
    let database = fresh("listed");
    stage.server.pgbench(&database, 1);
    stage.backup(stage.options(&database)).unwrap();
    let file = format!("shop/{database}.dump");
    let nowhere = client("postgresql://nobody@127.0.0.1:1/none");
    let list = nowhere.list(stage.content(&file)).unwrap();
    assert!(list.has_table("pgbench_accounts") && list.entries.len() > 10, "{list:?}");
    assert!(list.server.starts_with(|c: char| c.is_ascii_digit()), "{list:?}");
    nowhere.read_through(stage.content(&file)).unwrap();

    let mut bytes = stage.bytes(&file);
    bytes.truncate(bytes.len() - 100_000);
    let cut = |into: &mut dyn Write| {
        into.write_all(&bytes).map_err(|e| chronos_snapshot::Error::file("x", e).into())
    };
    assert!(nowhere.list(cut).is_ok(), "the list is at the beginning");
    let said = nowhere.read_through(cut).unwrap_err().to_string();
    assert!(said.contains("damaged"), "{said}");
    let said = nowhere
        .list(|into| into.write_all(b"no archive").map_err(|e| chronos_snapshot::Error::file("x", e).into()));
    assert!(said.unwrap_err().to_string().contains("damaged"));
}
