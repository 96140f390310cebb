//! A drill of the whole recovery.

use chronos_tests::Service;
use rusqlite::Connection;
use serde_json::json;

use super::*;

/// Three targets, in another order than that in which they come back.
fn targets() -> String {
    [
        "[[target]]\nname = \"agents\"\npaths = [\"HOME/agents\"]\n",
        &of_file("shop", "shop.sql", "[[target.source.drill]]\nrows = { t = 1 }\n"),
        "[[target.source]]\nname = \"env\"\nkind = \"files\"\ncomponent = \"config\"\npaths = [\"HOME/.env\"]\n",
        "[[target]]\nname = \"event-bus\"\n[[target.source]]\nname = \"bus\"\nkind = \"sqlite\"\npath = \"HOME/bus.sqlite\"\n",
    ]
    .concat()
}

/// Phases, targets, sources and outcomes.
fn parts(drilled: &Value) -> Vec<[String; 4]> {
    let word = |value: &Value| value.as_str().unwrap().to_owned();
    let sources = drilled["sources"].as_array().unwrap().iter();
    let part = |s: &Value| {
        [word(&s["part"]["phase"]), word(&s["part"]["target"]), word(&s["source"]), word(&s["status"])]
    };
    sources.map(part).collect()
}

#[test]
fn everything_comes_back_in_its_order_for_trial_and_what_no_snapshot_has_fails() {
    let stage = Stage::new("", &targets());
    fs::create_dir(stage.path("agents")).unwrap();
    fs::write(stage.path("agents/one.yaml"), "a: 1").unwrap();
    fs::write(stage.path(".env"), "A=1").unwrap();
    fs::write(stage.path("shop.sql"), script("CREATE TABLE t(x int);\nINSERT INTO t VALUES (1);")).unwrap();
    let bus = Connection::open(stage.path("bus.sqlite")).unwrap();
    bus.execute_batch("CREATE TABLE a(x); INSERT INTO a VALUES (1)").unwrap();
    stage.program.run(["drill", "all", "--json"]).expect_code(1);
    let ids = ["shop", "agents"].map(|target| stage.back_up(target));
    let expected = |bus: &str| {
        [
            ["config", "shop", "env", "passed"],
            ["databases", "shop", "dump", "passed"],
            ["agents", "agents", "files", "passed"],
            ["event_bus", "event-bus", "bus", bus],
        ]
        .map(|part| part.map(str::to_owned))
        .to_vec()
    };
    // What no snapshot has is told last.
    let drilled = stage.drill("all", 4);
    assert_eq!(parts(&drilled), expected("failed"), "{drilled}");
    assert!(errors(&drilled).contains("event-bus: bus: no good snapshot has it"), "{drilled}");

    let Stage { program, scratch } = stage;
    let service = Service::start(program, &[]);
    let health = service.get("/health").expect(200);
    assert_eq!(health["status"], "degraded", "{health}");
    assert!(
        health["problems"]
            .to_string()
            .contains("the last drill of the whole recovery failed: event-bus: bus"),
        "{health}"
    );
    let recovery = &health["recovery"];
    assert_eq!(
        (&recovery["last_drill"]["status"], &recovery["last_proven"]),
        (&json!("failed"), &Value::Null)
    );
    let text = service.get("/metrics").text;
    for line in [
        "chronos_last_drill_passed{target=\"all\"} 0",
        "chronos_last_proven_timestamp_seconds{target=\"all\"} 0",
    ] {
        assert!(text.contains(line), "{line}: {text}");
    }
    let stage = Stage { program: service.killed(), scratch };
    stage.back_up("event-bus");
    // Whoever looked at what is live would wait or find nothing, and whoever wrote would leave something.
    bus.execute_batch("BEGIN EXCLUSIVE").unwrap();
    fs::remove_dir_all(stage.path("agents")).unwrap();
    fs::remove_file(stage.path(".env")).unwrap();
    fs::remove_file(stage.path("shop.sql")).unwrap();
    let before = fs::read(stage.path("bus.sqlite")).unwrap();
    let Stage { program, scratch } = stage;
    let service = Service::start(program, &[]);
    let drilled = service.post("/drill", r#"{"target": "all"}"#).expect(200);
    let drilled = &drilled["drills"][0];
    let mut whole = expected("passed");
    whole[1..].rotate_right(1);
    assert_eq!((&drilled["status"], parts(drilled)), (&json!("passed"), whole), "{drilled}");
    assert_eq!(drilled["sources"][0]["part"]["backup_id"], ids[0], "{drilled}");
    assert_eq!(drilled["target"], "all", "{drilled}");
    let health = service.get("/health").expect(200);
    let recovery = &health["recovery"];
    assert!(drilled["proven_at"].is_string(), "{drilled}");
    assert_eq!(
        (&health["problems"], &recovery["last_proven"]["proven_at"], &recovery["last_drill"]["status"]),
        (&json!([]), &drilled["proven_at"], &json!("passed")),
        "{health}"
    );
    let text = service.get("/metrics").text;
    for line in [
        "chronos_last_drill_passed{target=\"all\"} 1",
        "chronos_last_proven_timestamp_seconds{target=\"all\"} 1",
    ] {
        assert!(text.contains(line), "{line}: {text}");
    }
    assert_eq!(&service.get("/drills?target=all").expect(200)["drills"][0], drilled);
    assert_eq!(fs::read_dir(scratch.path().join("drills")).unwrap().count(), 0);
    assert!(!["agents", ".env", "shop.sql"].iter().any(|name| service.path(name).exists()));
    // Nothing live was put back, and nothing stands in the history of what was.
    assert_eq!(fs::read(service.path("bus.sqlite")).unwrap(), before);
    assert_eq!(service.hades().get("/history").expect(200)["count"], 0);
    let job = service.post("/drill", r#"{"target": "all", "wait": false}"#).expect(202);
    let ended = crate::http::jobs::ended(&service, job["id"].as_str().unwrap());
    assert_eq!(
        (&ended["status"], &ended["result"]["drills"][0]["target"]),
        (&json!("completed"), &json!("all")),
        "{ended}"
    );
}
