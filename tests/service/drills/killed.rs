//! A drill that is killed.

use std::path::Path;
use std::process::Command;
use std::time::{Duration, Instant};

use chronos_tests::Service;

use super::*;

/// Longest that a server may take to start.
const LIMIT: Duration = Duration::from_mins(2);

#[test]
fn what_a_killed_drill_left_is_gone_with_the_next() {
    let rules = "[[target.source.drill]]\nqueries = [{ sql = \"SELECT pg_sleep(100000)\", answer = \"\" }]\n";
    let targets = [of_file("slow", "slow.sql", rules), of_file("quick", "quick.json", "")].concat();
    let stage = Stage::new("", &targets);
    fs::write(stage.path("slow.sql"), script("SELECT 1;")).unwrap();
    fs::write(stage.path("quick.json"), "[]").unwrap();
    stage.back_up("slow");
    stage.back_up("quick");
    let mut running = stage.program.command(["drill", "slow"]).spawn().unwrap();
    let server = server_below(stage.scratch.path());
    running.kill().unwrap();
    running.wait().unwrap();
    assert!(Path::new(&format!("/proc/{server}")).exists(), "it outlives who started it");
    assert_eq!(stage.left().len(), 1);

    // Looks at what is left itself.
    stage.drill("quick", 0);
    assert!(is_gone(server), "{server}");
    assert_eq!(outcomes(&stage), [("quick", "passed"), ("slow", "interrupted")].map(owned));

    // A service that dies leaves as little, and tells as much.
    let Stage { program, scratch } = stage;
    let service = Service::start(program, &["--only", "chronos"]);
    service.post("/drill", r#"{"target": "slow", "wait": false}"#).expect(202);
    let server = server_below(scratch.path());
    let stage = Stage { program: service.killed(), scratch };
    stage.drill("quick", 0);
    assert!(is_gone(server), "{server}");
    let expected =
        [("quick", "passed"), ("slow", "interrupted"), ("quick", "passed"), ("slow", "interrupted")];
    assert_eq!(outcomes(&stage), expected.map(owned));
}

#[test]
fn a_service_tells_at_its_start_of_a_drill_that_was_killed() {
    let rules = "[[target.source.drill]]\nqueries = [{ sql = \"SELECT pg_sleep(100000)\", answer = \"\" }]\n";
    let stage = Stage::new("", &of_file("slow", "slow.sql", rules));
    fs::write(stage.path("slow.sql"), script("SELECT 1;")).unwrap();
    let id = stage.back_up("slow");
    let mut running = stage.program.command(["drill", "slow"]).spawn().unwrap();
    let server = server_below(stage.scratch.path());
    // Whatever works elsewhere is not the server of the drill, also if its number stands there.
    let mut other = Command::new("sleep").arg("3600").current_dir("/").spawn().unwrap();
    let decoy = stage.scratch.path().join("drills/drill-decoy/pg/data");
    fs::create_dir_all(&decoy).unwrap();
    fs::write(decoy.join("postmaster.pid"), format!("{}\n", other.id())).unwrap();
    running.kill().unwrap();
    running.wait().unwrap();
    let Stage { program, scratch } = stage;
    let service = Service::start(program, &[]);
    assert!(is_gone(server), "{server}");
    assert_eq!(fs::read_dir(scratch.path().join("drills")).unwrap().count(), 0);
    assert!(!is_gone(other.id()));
    other.kill().unwrap();
    other.wait().unwrap();
    let drill = &service.get("/drills?status=interrupted").expect(200)["drills"][0];
    assert_eq!((&drill["backup_id"], &drill["proven_at"]), (&Value::from(id), &Value::Null), "{drill}");
    assert!(errors(drill).contains("its process ended before it did"), "{drill}");
}

/// Targets and outcomes of the drills of this host, the newest first.
fn outcomes(stage: &Stage) -> Vec<(String, String)> {
    let listed = stage.program.run(["drill", "--list", "--json"]).expect_code(0).json();
    let word = |drill: &Value, key: &str| drill[key].as_str().unwrap().to_owned();
    listed.as_array().unwrap().iter().map(|drill| (word(drill, "target"), word(drill, "status"))).collect()
}

fn owned((target, status): (&str, &str)) -> (String, String) {
    (target.to_owned(), status.to_owned())
}

/// Whether a process has ended.
fn is_gone(process: u32) -> bool {
    let state = fs::read_to_string(format!("/proc/{process}/stat")).unwrap_or_default();
    state.is_empty() || state.contains(") Z ")
}

/// The process of the server of the drill that goes on, once it takes connections.
fn server_below(scratch: &Path) -> u32 {
    let began = Instant::now();
    loop {
        assert!(began.elapsed() < LIMIT, "the drill starts no server");
        let base = scratch.join("drills");
        let places = fs::read_dir(base).into_iter().flatten().flatten();
        let files =
            places.filter_map(|place| fs::read_to_string(place.path().join("pg/data/postmaster.pid")).ok());
        let mut ready = files.filter(|text| text.lines().nth(7).is_some_and(|line| line.trim() == "ready"));
        if let Some(id) = ready.find_map(|text| text.lines().next()?.trim().parse().ok()) {
            return id;
        }
        std::thread::yield_now();
    }
}
