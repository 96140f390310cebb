//! The worst day: a machine with n8n and its database, PostgreSQL, an SQLite file and configuration is lost, and rebuilt in an empty
//! folder from the repository and its recovery kit alone.

use std::fs;
use std::io::Write;
use std::path::Path;
use std::process::Command;
use std::time::Instant;

use chronos_tests::postgres::{ORDERS, Postgres};
use chronos_tests::targets::QUIET;
use chronos_tests::{N8n, OwnN8n, Program, configure, hourly};
use rusqlite::Connection;
use serde_json::{Value, json};

/// Everything that one machine may have.
const MACHINE: &str = r#"
[[target]]
name = "agents"
paths = ["HOME/agents"]

[[target]]
name = "control-plane"
restart = "HOME/env/start-n8n"
[target.health]
url = "N8N/healthz"
time_limit = "5min"
[[target.source]]
name = "env"
kind = "files"
component = "config"
paths = ["HOME/env", "DATA/config"]
[[target.source]]
name = "own"
kind = "sqlite"
path = "DATA/database.sqlite"
[[target.source]]
name = "flows"
kind = "n8n"
url = "N8N"
api_key = { file = "HOME/env/api-key" }

[[target]]
name = "supabase"
[[target.source]]
name = "crm"
kind = "postgres"
url = { file = "HOME/env/database-url" }

[[target]]
name = "event-bus"
[[target.source]]
name = "bus"
kind = "sqlite"
path = "HOME/bus.db"
"#;

/// What an operator would compare: the workflows as n8n shows them, the rows, the files.
fn state(server: &N8n, postgres: &Postgres, home: &Path) -> Value {
    let mut flows: Vec<Value> = server.ids().iter().map(|id| server.workflow(id).unwrap()).collect();
    for flow in &mut flows {
        // Which version is the published one, and when it became that, is a matter of each server.
        flow.as_object_mut().unwrap().retain(|key, _| {
            ["id", "name", "nodes", "connections", "active", "settings", "tags"].contains(&&**key)
        });
    }
    let events: i64 = Connection::open(home.join("bus.db"))
        .unwrap()
        .query_row("SELECT count(*) FROM events", [], |row| row.get(0))
        .unwrap();
    json!({
        "flows": flows,
        "orders": postgres.sql("crm", "SELECT id, item, total() FROM orders"),
        "policies": postgres.sql("crm", "SELECT polname FROM pg_policy"),
        "events": events,
        "agents": fs::read_to_string(home.join("agents/registry.yaml")).unwrap(),
    })
}

#[test]
fn a_machine_is_rebuilt_from_its_repository_and_its_kit() {
    let postgres = Postgres::start();
    postgres.sql("postgres", "CREATE DATABASE crm");
    postgres.sql("crm", ORDERS);
    let program = Program::with_repository();
    let home = program.home().to_owned();
    let n8n = OwnN8n::new("1.123.81", home.join("n8n"));
    let file = |below: &str, text: &str| {
        let path = home.join(below);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, text).unwrap();
    };
    file("env/start-n8n", &n8n.script());
    let start = home.join("env/start-n8n");
    assert!(Command::new("chmod").args(["0700", start.to_str().unwrap()]).status().unwrap().success());
    assert!(Command::new(&start).status().unwrap().success());
    let server = n8n.set_up();
    for (name, is_active) in [("Intake", true), ("Letters", false)] {
        let id = server.call("POST", "workflows", Some(&hourly(name)))["id"].as_str().unwrap().to_owned();
        if is_active {
            server.call("POST", &format!("workflows/{id}/activate"), None);
        }
    }
    file("env/api-key", &server.key);
    file("env/database-url", &postgres.superuser("crm"));
    file("agents/registry.yaml", "agents: [hermes]");
    let bus = Connection::open(home.join("bus.db")).unwrap();
    bus.execute_batch("CREATE TABLE events (text); INSERT INTO events VALUES ('first')").unwrap();
    drop(bus);
    let machine = MACHINE.replace("DATA", n8n.files().to_str().unwrap()).replace("N8N", &n8n.url());
    configure(&program, &[QUIET, &machine].concat());
    program.run(["backup", "--target", "all"]).expect_code(0);
    program.run(["backup", "--target", "chronos"]).expect_code(0);
    let before = state(&server, &postgres, &home);

    let password = home.join("kit-password");
    fs::write(&password, "four plain words here\n").unwrap();
    let kit = home.join("chronos-kit.html");
    let (kit, password) = (kit.to_str().unwrap(), password.to_str().unwrap());
    program.run(["kit", "export", "-o", kit, "--kit-password-file", password]).expect_code(0);

    // All is lost but the repository, the kit and what its password is.
    n8n.destroy();
    postgres.sql("postgres", "DROP DATABASE crm WITH (FORCE)");
    for lost in [".config", ".local", ".cache", "env", "agents"] {
        drop(fs::remove_dir_all(home.join(lost)));
    }
    fs::remove_file(home.join("bus.db")).unwrap();

    let began = Instant::now();
    let source = program.repository().to_str().unwrap();
    program.run(["snapshots"]).expect_code(12);
    let opened = ["kit", "open", kit, "--kit-password-file", password, "--no-config"];
    program.run(opened).expect_code(0);
    let dry = program.run(["rebuild", source, "--dry-run", "--json"]).expect_code(0).json();
    assert_eq!((&dry["status"], &dry["steps"][0]["target"]), (&json!("planned"), &json!("chronos")), "{dry}");
    assert!(!home.join("env").exists() && !home.join(".config/chronos/chronos.toml").exists());
    let rebuilt = program.run(["rebuild", source, "--json"]).expect_code(0).json();
    assert_eq!(rebuilt["status"], "completed", "{rebuilt:#}");
    let order: Vec<(&str, &str)> = rebuilt["steps"]
        .as_array()
        .unwrap()
        .iter()
        .map(|step| (step["target"].as_str().unwrap(), step["phase"].as_str().unwrap()))
        .collect();
    let expected = [
        ("chronos", "config"),
        ("control-plane", "config"),
        ("event-bus", "event_bus"),
        ("control-plane", "databases"),
        ("supabase", "databases"),
        ("control-plane", "control_n8n"),
        ("agents", "agents"),
    ];
    assert_eq!(order, expected);
    server.wait();
    let took = began.elapsed().as_secs_f64();
    writeln!(std::io::stderr(), "from the kit to a running machine in {took:.1} s").unwrap();
    assert_eq!(state(&server, &postgres, &home), before);
    // The machine goes on as it was: it knows its targets, and backs itself up.
    let again = program.run(["backup", "--target", "all", "--json"]).expect_code(0).json();
    assert_eq!(again["status"], "completed", "{again}");
}
