//! `POST /restore/{id}` of a service that is killed in the middle of it: the next one finds everything old or everything new, makes
//! databases usable again, and says which it is.

use std::fs;
use std::io::{BufRead, BufReader, Write};
use std::path::Path;
use std::process::{Child, ChildStdin, Stdio};
use std::time::{Duration, Instant};

use chronos_tests::compare::capture;
use chronos_tests::postgres::Postgres;
use chronos_tests::{Mounted, Program, Service, configure};
use rusqlite::Connection;
use serde_json::{Value, json};

/// Longest that anything here may take.
const LIMIT: Duration = Duration::from_mins(1);

/// No schedule is in force.
const NEVER: &str =
    "[[schedule]]\nname = \"never\"\njob = \"cleanup\"\ncron = \"0 0 1 1 *\"\nenabled = false\n";

fn service(targets: &str) -> Service {
    let program = Program::with_repository();
    configure(&program, &format!("{NEVER}{targets}"));
    Service::start(program, &[])
}

fn backed_up(service: &Service, target: &str) -> String {
    let made = service.post("/backup", &json!({ "target": target }).to_string()).expect(200);
    made["backup_id"].as_str().unwrap().to_owned()
}

fn restored(service: &Service, id: &str) -> Value {
    service.post(&format!("/restore/{id}"), "{}").expect(200)
}

fn wait_until(what: impl Fn() -> bool) {
    let limit = Instant::now() + LIMIT;
    while !what() {
        assert!(Instant::now() < limit);
        std::thread::yield_now();
    }
}

/// Restores, and kills the service once it has come to where it waits.
fn killed(service: Service, id: &str, is_there: impl Fn() -> bool) -> Program {
    killed_asked(service, id, "{}", is_there)
}

/// The same, asked for by this body.
fn killed_asked(service: Service, id: &str, body: &'static str, is_there: impl Fn() -> bool) -> Program {
    let url = format!("{}/restore/{id}", service.url());
    // It is killed before it can answer.
    let asking = std::thread::spawn(move || drop(chronos_tests::http_client().post(url).body(body).send()));
    wait_until(is_there);
    let program = service.killed();
    asking.join().unwrap();
    program
}

/// What the history says of the newest, which was interrupted.
fn told(service: &Service) -> String {
    let row = service.get("/history").expect(200)["history"][0].clone();
    assert_eq!(row["status"], "interrupted", "{row}");
    row["error_message"].as_str().unwrap().to_owned()
}

/// A database whose users are stopped and started by commands that wait where they are told to.
const BUS: &str = r#"
[[target]]
name = "bus"
[[target.source]]
name = "events"
kind = "sqlite"
path = "HOME/live/bus.sqlite"
stop = "echo stop >> HOME/said; test ! -e HOME/hold-stop || { touch HOME/reached; read line < HOME/gate; }"
start = "echo start >> HOME/said; test ! -e HOME/hold-start || { touch HOME/reached; read line < HOME/gate; }"
"#;

/// The rows of the database of this home.
fn rows(home: &Path) -> i64 {
    let database = Connection::open(home.join("live/bus.sqlite")).unwrap();
    database.query_row("SELECT count(*) FROM events", [], |row| row.get(0)).unwrap()
}

/// Killed while the command waits that this file holds; the service after it.
fn killed_at(hold: &str) -> Service {
    let service = service(BUS);
    fs::create_dir(service.path("live")).unwrap();
    let live = || Connection::open(service.path("live/bus.sqlite")).unwrap();
    live()
        .execute_batch(
            "PRAGMA journal_mode = wal; CREATE TABLE events(id INTEGER); INSERT INTO events VALUES (1)",
        )
        .unwrap();
    let id = backed_up(&service, "bus");
    live().execute_batch("INSERT INTO events VALUES (2)").unwrap();
    let gate = service.path("gate");
    assert!(std::process::Command::new("mkfifo").arg(&gate).status().unwrap().success());
    service.file(hold, "");
    let reached = service.path("reached");
    let program = killed(service, &id, || reached.exists());
    // The command outlives the service.
    fs::write(&gate, "go\n").unwrap();
    fs::remove_file(program.home().join(hold)).unwrap();
    Service::start(program, &[])
}

#[test]
fn an_sqlite_whose_users_were_stopped_is_the_old_one_and_they_are_started() {
    let service = killed_at("hold-stop");
    assert_eq!(fs::read_to_string(service.path("said")).unwrap(), "stop\nstart\n");
    assert_eq!(rows(&service.path("")), 2);
    let names: Vec<_> = fs::read_dir(service.path("live")).unwrap().map(|e| e.unwrap().file_name()).collect();
    assert!(!names.iter().any(|name| name.to_string_lossy().contains("chronos")), "{names:?}");
    let said = told(&service);
    assert!(said.contains("bus.sqlite is as it was before") && said.contains("were started"), "{said}");
    assert!(service.log().contains("bus.sqlite is as it was before"), "{}", service.log());
    // Nothing is left to be done twice.
    restored(&service, "latest:bus");
    assert_eq!(fs::read_to_string(service.path("said")).unwrap(), "stop\nstart\nstop\nstart\n");
    assert_eq!(rows(&service.path("")), 1);
}

#[test]
fn an_sqlite_that_was_in_place_stays_and_its_users_are_started() {
    let service = killed_at("hold-start");
    assert_eq!(fs::read_to_string(service.path("said")).unwrap(), "stop\nstart\nstart\n");
    assert_eq!(rows(&service.path("")), 1);
    let said = told(&service);
    assert!(said.contains("bus.sqlite is as in the snapshot") && said.contains("were started"), "{said}");
    // What was there before is where it says.
    let old = said.split("the one that was there is ").nth(1).unwrap().split(';').next().unwrap();
    let old = Connection::open(old).unwrap();
    assert_eq!(old.query_row("SELECT count(*) FROM events", [], |row| row.get::<_, i64>(0)).unwrap(), 2);
}

/// A database of a server that is backed up and then changed; the service and the snapshot.
fn changed(server: &Postgres, name: &str, more: &str) -> (Service, String) {
    server.sql("postgres", &format!("CREATE DATABASE {name}"));
    server.sql(name, &format!("CREATE TABLE orders(item text); INSERT INTO orders VALUES ('tea'); {more}"));
    let service = service(&format!(
        "[[target]]\nname = \"shop\"\n[[target.source]]\nname = \"crm\"\nkind = \"postgres\"\nurl = \"{}\"\n",
        server.superuser(name)
    ));
    let id = backed_up(&service, "shop");
    server.sql(name, "UPDATE orders SET item = 'coffee'");
    (service, id)
}

fn databases(server: &Postgres, name: &str) -> String {
    let like = format!("SELECT datname FROM pg_database WHERE datname LIKE '{name}%'");
    server.sql("postgres", &like)
}

#[test]
fn a_postgresql_that_was_being_filled_is_gone_and_the_old_one_stays() {
    let server = Postgres::shared();
    let name = "killed_filling";
    // In any other database than this one it never comes to an end.
    let slow = format!(
        "CREATE FUNCTION wait() RETURNS int LANGUAGE plpgsql AS
         $$ BEGIN IF current_database() <> '{name}' THEN PERFORM pg_catalog.pg_sleep(3600); END IF; RETURN 1; END $$;
         CREATE MATERIALIZED VIEW slow AS SELECT wait()"
    );
    let (service, id) = changed(&server, name, &slow);
    let waits = format!(
        "SELECT count(*) FROM pg_stat_activity WHERE datname LIKE '{name}_new_%' AND wait_event = 'PgSleep'"
    );
    let program = killed(service, &id, || server.sql("postgres", &waits) == "1");
    assert_ne!(databases(&server, name), name);
    let service = Service::start(program, &[]);
    assert_eq!(databases(&server, name), name);
    assert_eq!(server.sql(name, "SELECT item FROM orders"), "coffee");
    let said = told(&service);
    assert!(said.contains(&format!("database {name} is as it was before")), "{said}");
}

#[test]
fn a_postgresql_that_was_being_exchanged_can_be_used_again() {
    let server = Postgres::shared();
    let name = "killed_exchange";
    let (service, id) = changed(&server, name, "");
    // Holds the name.
    let mut holder = server
        .client("psql", &["-X", "-q", "-A", "-t", "-d", "postgres"])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let mut into = holder.stdin.take().unwrap();
    writeln!(into, "BEGIN; COMMENT ON DATABASE {name} IS 'held'; SELECT 'held';").unwrap();
    let mut line = String::new();
    BufReader::new(holder.stdout.take().unwrap()).read_line(&mut line).unwrap();
    assert_eq!(line.trim(), "held");
    let waits =
        "SELECT count(*) FROM pg_stat_activity WHERE query LIKE '%RENAME TO%' AND wait_event_type = 'Lock'";
    let program = killed(service, &id, || server.sql("postgres", waits) == "1");
    let is_open = format!("SELECT datallowconn FROM pg_database WHERE datname = '{name}'");
    assert_eq!(server.sql("postgres", &is_open), "f");
    let service = Service::start(program, &[]);
    drop(into);
    holder.wait().unwrap();
    assert_eq!(server.sql(name, "SELECT item FROM orders"), "coffee");
    assert_eq!(databases(&server, name), name);
    let said = told(&service);
    assert!(said.contains(&format!("database {name} is as it was before")), "{said}");
    restored(&service, &id);
    assert_eq!(server.sql(name, "SELECT item FROM orders"), "tea");
}

/// Whoever fills a view waits for a lock of the test.
const SLOW: &str = "CREATE FUNCTION wait() RETURNS int LANGUAGE plpgsql AS
         $$ BEGIN PERFORM pg_catalog.pg_advisory_xact_lock(7); RETURN 1; END $$;
         CREATE MATERIALIZED VIEW slow AS SELECT wait()";

/// The same, restored in place by programs behind a prefix.
fn changed_in_place(server: &Postgres, name: &str, prefix: &str, slow: &str) -> (Service, String) {
    server.sql("postgres", &format!("CREATE DATABASE {name}"));
    server.sql(name, &format!("CREATE TABLE orders(item text); INSERT INTO orders VALUES ('tea'); {slow}"));
    let program = Program::with_repository();
    fs::write(program.home().join("wrap"), prefix).unwrap();
    configure(
        &program,
        &format!(
            "{NEVER}[[target]]\nname = \"shop\"\n[[target.source]]\nname = \"crm\"\nkind = \"postgres\"\nurl = \"{}\"\n\
             restore = \"in_place\"\nprefix = [\"sh\", \"HOME/wrap\"]\n",
            server.superuser(name)
        ),
    );
    let service = Service::start(program, &[]);
    let id = backed_up(&service, "shop");
    server.sql(name, "UPDATE orders SET item = 'coffee'; CREATE TABLE later(x int)");
    (service, id)
}

/// A session that has the lock of the test until its input ends.
fn holding(server: &Postgres, name: &str) -> (Child, ChildStdin) {
    let mut holder = server
        .client("psql", &["-X", "-q", "-d", name])
        .stdin(Stdio::piped())
        .stdout(Stdio::null())
        .spawn()
        .unwrap();
    let mut into = holder.stdin.take().unwrap();
    writeln!(into, "SELECT pg_advisory_lock(7);").unwrap();
    (holder, into)
}

/// Whether a statement that begins so waits for that lock.
fn waits(server: &Postgres, name: &str, statement: &str) -> bool {
    let waits = format!(
        "SELECT count(*) FROM pg_stat_activity WHERE datname = '{name}' AND wait_event = 'advisory' AND query LIKE '{statement}%'"
    );
    server.sql("postgres", &waits) == "1"
}

#[test]
fn a_postgresql_in_place_that_was_being_filled_is_as_it_was() {
    let server = Postgres::shared();
    let name = "killed_in_place";
    let (service, id) = changed_in_place(&server, name, "exec \"$@\"", SLOW);
    let (mut holder, into) = holding(&server, name);
    let program = killed(service, &id, || waits(&server, name, "REFRESH"));
    let service = Service::start(program, &[]);
    let sessions = format!(
        "SELECT count(*) FROM pg_stat_activity WHERE application_name LIKE 'chronos %' AND datname = '{name}'"
    );
    assert_eq!(server.sql("postgres", &sessions), "0");
    assert_eq!(server.sql(name, "SELECT item, to_regclass('later') FROM orders"), "coffee|later");
    let said = told(&service);
    assert!(said.contains(&format!("database {name} is as it was before")), "{said}");
    drop(into);
    holder.wait().unwrap();
    restored(&service, &id);
    assert_eq!(server.sql(name, "SELECT item, to_regclass('later') IS NULL FROM orders"), "tea|t");
}

/// Restores, and kills the service when it compares afterwards; what looks before does not wait.
fn killed_comparing(service: Service, id: &str, body: &'static str) -> Program {
    let wrap = "case \"$*\" in *pg_dump*--schema-only*) test \"$(psql -XAtc 'SELECT item FROM orders')\" = coffee || { touch HOME/reached; read line < HOME/gate; } ;; esac; exec \"$@\"";
    let home = service.path("").display().to_string();
    fs::write(service.path("wrap"), wrap.replace("HOME", home.trim_end_matches('/'))).unwrap();
    let gate = service.path("gate");
    assert!(std::process::Command::new("mkfifo").arg(&gate).status().unwrap().success());
    let reached = service.path("reached");
    let program = killed_asked(service, id, body, || reached.exists());
    // What waits outlives the service.
    fs::write(&gate, "go\n").unwrap();
    fs::write(program.home().join("wrap"), "exec \"$@\"").unwrap();
    program
}

#[test]
fn a_postgresql_in_place_that_was_committed_is_as_in_the_snapshot() {
    let server = Postgres::shared();
    let name = "killed_committed";
    let (service, id) = changed_in_place(&server, name, "exec \"$@\"", SLOW);
    let program = killed_comparing(service, &id, "{}");
    let service = Service::start(program, &[]);
    assert_eq!(server.sql(name, "SELECT item, to_regclass('later') IS NULL FROM orders"), "tea|t");
    let said = told(&service);
    assert!(said.contains(&format!("database {name} is as in the snapshot")), "{said}");
}

/// An index that waits for the lock of the test where it is made, and a table beside the one that it is on.
const INDEXED: &str = "CREATE FUNCTION wait(item text) RETURNS text IMMUTABLE LANGUAGE plpgsql AS
         $$ BEGIN PERFORM pg_catalog.pg_advisory_xact_lock(7); RETURN item; END $$;
         CREATE INDEX slow ON orders(wait(item)); CREATE TABLE notes(x int)";

/// Undoes the newest restore, of a table; what came since beside it stays.
fn undone(service: &Service, server: &Postgres, name: &str) {
    server.sql(name, "INSERT INTO notes VALUES (1); UPDATE orders SET item = 'milk'");
    let id = service.get("/history").expect(200)["history"][0]["rollback_id"].clone();
    let undone = service.hades().post("/undo", &json!({ "rollback_id": id }).to_string()).expect(200);
    assert_eq!(undone["status"], "completed", "{undone}");
    assert_eq!(undone["restores"][0]["tables"], json!(["public.orders"]), "{undone}");
    assert_eq!(
        server.sql(name, "SELECT item, to_regclass('slow'), to_regclass('later') FROM orders"),
        "coffee|slow|later"
    );
    assert_eq!(server.sql(name, "SELECT count(*) FROM notes"), "1");
}

#[test]
fn a_table_that_was_being_put_back_is_as_it_was_and_only_it_is_undone() {
    let server = Postgres::shared();
    let name = "killed_table";
    let (service, id) = changed_in_place(&server, name, "exec \"$@\"", INDEXED);
    let (mut holder, into) = holding(&server, name);
    let asks = r#"{"tables": ["orders"]}"#;
    let program = killed_asked(service, &id, asks, || waits(&server, name, "CREATE INDEX"));
    let service = Service::start(program, &[]);
    drop(into);
    holder.wait().unwrap();
    assert_eq!(server.sql(name, "SELECT item FROM orders"), "coffee");
    let said = told(&service);
    assert!(said.contains(&format!("database {name} is as it was before")), "{said}");
    undone(&service, &server, name);
}

#[test]
fn a_table_whose_service_was_killed_after_the_commit_is_undone_alone() {
    let server = Postgres::shared();
    let name = "killed_table_after";
    let (service, id) = changed_in_place(&server, name, "exec \"$@\"", INDEXED);
    let program = killed_comparing(service, &id, r#"{"tables": ["orders"]}"#);
    let service = Service::start(program, &[]);
    assert_eq!(server.sql(name, "SELECT item, to_regclass('later') FROM orders"), "tea|later");
    let said = told(&service);
    assert!(said.contains(&format!("database {name} is as in the snapshot")), "{said}");
    undone(&service, &server, name);
}

/// A folder.
const SHOP: &str = "[[target]]\nname = \"shop\"\npaths = [\"HOME/disk/shop\"]\n";

/// The service of this home, killed at the `n`th call of this kind of one of its threads.
fn dies_at(program: Program, call: &str, n: u32) -> Service {
    let inject = format!("inject={call}:signal=SIGKILL:when={n}");
    let trace = format!("trace={call}");
    let strace = ["strace", "-f", "-qq", "-o", "/dev/null", "-e", &trace, "-e", &inject];
    let serve = program.command_under(&strace, ["serve", "--chronos-listen", "127.0.0.1:0"]);
    Service::of(program, serve)
}

/// Restores the shop with a service that is killed at one call of this kind after the other until one comes to its end; after each a new
/// service looks. `change` is done before each, `check` is told whether it came to its end and what the history says.
fn at_each(
    mut program: Program,
    call: &str,
    change: impl Fn(u32),
    check: impl Fn(u32, bool, &str),
) -> Program {
    // Calls are counted in each thread by itself, so how often it comes to that differs.
    for n in 1.. {
        change(n);
        let service = dies_at(program, call, n);
        let url = format!("{}/restore/latest:shop", service.url());
        let asked = chronos_tests::http_client().post(url).body(r#"{"strategy": "replace"}"#).send();
        let is_done = asked.is_ok_and(|answer| answer.status() == 200);
        let service = Service::start(service.killed(), &[]);
        // Before anything was begun there is no row, or one that names nothing.
        let history = service.get("/history").expect(200)["history"].clone();
        check(n, is_done, history[0]["error_message"].as_str().unwrap_or_default());
        program = service.killed();
        if is_done {
            assert!(n > 1, "{call}");
            break;
        }
    }
    program
}

#[test]
fn files_in_place_are_all_old_or_all_new_wherever_it_is_killed() {
    let mut program = Program::with_repository();
    configure(&program, &format!("{NEVER}{SHOP}"));
    let (shop, disk) = (program.home().join("disk/shop"), program.home().join("disk"));
    fs::create_dir_all(shop.join("sub")).unwrap();
    for name in ["page", "sub/part", "gone"] {
        fs::write(shop.join(name), name).unwrap();
    }
    program.run(["backup", "--target", "shop"]).expect_code(0);
    let whole = capture(&shop);
    for call in ["renameat2", "unlinkat"] {
        let before = std::cell::RefCell::default();
        let deface = |n: u32| {
            fs::write(shop.join("page"), format!("defaced {call} {n}")).unwrap();
            fs::write(shop.join("sub/part"), "defaced").unwrap();
            fs::write(shop.join("extra"), "extra").unwrap();
            drop(fs::remove_file(shop.join("gone")));
            before.replace(capture(&shop));
        };
        program = at_each(program, call, deface, |n, is_done, said| {
            let now = capture(&shop);
            assert!(now == *before.borrow() || now == whole, "{call} {n}: {now:?}");
            assert_eq!(fs::read_dir(&disk).unwrap().count(), 1);
            if is_done {
                assert_eq!(now, whole);
            } else if now == whole {
                assert!(said.contains("disk/shop is as in the snapshot"), "{call} {n}: {said}");
            } else if said.contains("disk/shop") {
                assert!(said.contains("disk/shop is as it was before"), "{call} {n}: {said}");
            }
        });
    }
}

/// A database without commands.
const LEDGER: &str = "[[target]]\nname = \"shop\"\n[[target.source]]\nname = \"ledger\"\nkind = \"sqlite\"\n\
    path = \"HOME/live/ledger.sqlite\"\n";

#[test]
fn an_sqlite_is_the_old_or_the_new_one_wherever_its_exchange_is_killed() {
    let mut program = Program::with_repository();
    configure(&program, &format!("{NEVER}{LEDGER}"));
    let folder = program.home().join("live");
    fs::create_dir(&folder).unwrap();
    let live = || Connection::open(folder.join("ledger.sqlite")).unwrap();
    live()
        .execute_batch(
            "PRAGMA journal_mode = wal; CREATE TABLE entries(n INTEGER); INSERT INTO entries VALUES (0)",
        )
        .unwrap();
    program.run(["backup", "--target", "shop"]).expect_code(0);
    for call in ["linkat", "renameat2", "unlink", "fsync"] {
        // Each time another row, in the log of the database.
        let write = |n: u32| live().execute_batch(&format!("UPDATE entries SET n = {n}")).unwrap();
        program = at_each(program, call, write, |n, is_done, said| {
            let of = |file: &Path| -> i64 {
                let database = Connection::open(file).unwrap();
                assert_eq!(
                    database.query_row("PRAGMA integrity_check", [], |row| row.get::<_, String>(0)).unwrap(),
                    "ok"
                );
                database.query_row("SELECT n FROM entries", [], |row| row.get(0)).unwrap()
            };
            let now = of(&folder.join("ledger.sqlite"));
            assert!(now == 0 || now == i64::from(n), "{call} {n}: {now}");
            assert!(!is_done || now == 0, "{call} {n}");
            if !is_done && said.contains("ledger.sqlite is as in the snapshot") {
                assert_eq!(now, 0, "{call} {n}: {said}");
            } else if !is_done && said.contains("ledger.sqlite is as it was before") {
                assert_eq!(now, i64::from(n), "{call} {n}: {said}");
            } else {
                assert!(is_done || now == i64::from(n), "{call} {n}: {said}");
            }
            // Nothing is left but what was there before, where it was taken away.
            for entry in fs::read_dir(&folder).unwrap() {
                let (path, name) = entry.map(|e| (e.path(), e.file_name())).unwrap();
                let name = name.to_string_lossy().into_owned();
                assert!(!name.contains("chronos-new"), "{call} {n}: {name}");
                if name.contains("chronos-old") {
                    assert!(now == 0, "{call} {n}: {name}: {said}");
                    fs::remove_file(path).unwrap();
                }
            }
        });
    }
}

#[test]
fn what_has_no_room_is_told_as_that_and_everything_is_as_it_was() {
    let service = service(SHOP);
    let disk = service.path("disk");
    let _mounted = Mounted::new(&["-t", "tmpfs", "-o", "size=4m", "tmpfs"], &disk);
    service.file("disk/shop/small", "small");
    service.file("disk/shop/big", vec![7; 2 << 20]);
    let id = backed_up(&service, "shop");
    service.file("disk/shop/small", "defaced");
    fs::remove_file(disk.join("shop/big")).unwrap();
    service.file("disk/other", vec![8; 3 << 20]);
    let before = capture(&disk);
    let said = service.post(&format!("/restore/{id}"), r#"{"strategy": "replace"}"#).problem(507);
    assert!(said.contains("shop/big") && said.contains("as it was before"), "{said}");
    assert_eq!(capture(&disk), before);
    let row = service.get("/history").expect(200)["history"][0].clone();
    assert_eq!(row["status"], "failed", "{row}");
    assert!(said.starts_with(row["error_message"].as_str().unwrap()), "{row} {said}");
    fs::remove_file(disk.join("other")).unwrap();
    restored(&service, &id);
    assert_eq!(fs::read(disk.join("shop/big")).unwrap(), vec![7; 2 << 20]);
}
