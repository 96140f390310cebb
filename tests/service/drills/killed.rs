//! A drill that is killed.

use std::path::Path;
use std::time::{Duration, Instant};

use super::*;

/// Longest that a server may take to start.
const LIMIT: Duration = Duration::from_mins(2);

#[test]
fn what_a_killed_drill_left_is_gone_with_the_next() {
    let rules = "[[target.source.drill]]\nqueries = [{ sql = \"SELECT pg_sleep(100000)\", answer = \"\" }]\n";
    let script =
        "--\n-- PostgreSQL database dump\n--\nCREATE TABLE t(x int);\n-- PostgreSQL database dump complete\n";
    let targets = [of_file("slow", "slow.sql", rules), of_file("quick", "quick.json", "")].concat();
    let stage = Stage::new("", &targets);
    fs::write(stage.path("slow.sql"), script).unwrap();
    fs::write(stage.path("quick.json"), "[]").unwrap();
    stage.back_up("slow");
    stage.back_up("quick");
    let mut running = stage.program.command(["drill", "slow"]).spawn().unwrap();
    let server = server_of(&stage);
    running.kill().unwrap();
    running.wait().unwrap();
    assert!(Path::new(&format!("/proc/{server}")).exists(), "it outlives who started it");
    assert_eq!(stage.left().len(), 1);

    // Looks at what is left itself.
    stage.drill("quick", 0);
    let state = fs::read_to_string(format!("/proc/{server}/stat")).unwrap_or_default();
    assert!(state.is_empty() || state.contains(") Z "), "{state}");
}

/// The process of the server of the drill that goes on, once it takes connections.
fn server_of(stage: &Stage) -> u32 {
    let began = Instant::now();
    loop {
        assert!(began.elapsed() < LIMIT, "the drill starts no server");
        let base = stage.scratch.path().join("drills");
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
