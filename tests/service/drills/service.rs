//! Drills over HTTP and by schedules: asked for, listed, told, measured.

use std::sync::mpsc::channel;
use std::time::Duration;

use chronos_tests::{HttpServer, Response, Service};
use serde_json::{Value, json};

use super::*;
use crate::http::jobs::ended;

/// Longest that an event may take.
const LIMIT: Duration = Duration::from_mins(1);

#[test]
fn a_drill_is_answered_listed_told_and_measured() {
    let (told, events) = channel();
    let bus = HttpServer::start(move |request| {
        told.send(serde_json::from_slice::<Value>(&request.body).unwrap()).unwrap();
        Response::json(200, &json!({}))
    });
    let scratch = tempfile::tempdir().unwrap();
    let section =
        format!("[drill]\nscratch = \"{}\"\n[events]\nurl = \"{}\"\n", scratch.path().display(), bus.url());
    let target = of_file("export", "export.json", "");
    let program = Program::with_repository();
    configure(&program, &[&*section, QUIET, &target].concat());
    // What a drill left that was killed before.
    fs::create_dir_all(scratch.path().join("drill-left/files-0")).unwrap();
    let service = Service::start(program, &[]);
    assert_eq!(fs::read_dir(scratch.path()).unwrap().count(), 0);
    service.post("/drill", r#"{"target": "export"}"#).problem(404);
    service.post("/drill", r#"{"target": "export", "backup_id": "latest"}"#).problem(422);

    service.file("export.json", "[1]");
    let good = service.post("/backup", r#"{"target": "export"}"#).expect(200);
    let health = service.get("/health").expect(200);
    assert_eq!((&health["status"], &health["targets"][0]["last_proven"]), (&json!("healthy"), &json!(null)));
    let passed = service.post("/drill", r#"{"target": "export"}"#).expect(200);
    assert_eq!(
        (&passed["status"], &passed["drills"][0]["backup_id"]),
        (&json!("passed"), &good["backup_id"])
    );
    let health = service.get("/health").expect(200);
    assert_eq!(health["status"], "healthy", "{health}");
    assert_eq!(health["targets"][0]["last_proven"]["backup_id"], good["backup_id"], "{health}");
    assert_eq!(
        service.get("/backups").expect(200)["backups"][0]["proven_at"],
        passed["drills"][0]["proven_at"]
    );

    service.file("export.json", "");
    service.post("/backup", r#"{"target": "export"}"#).expect(200);
    let job = service.post("/drill", r#"{"wait": false}"#).expect(202);
    let ended = ended(&service, job["id"].as_str().unwrap());
    assert_eq!((&ended["kind"], &ended["status"]), (&json!("drill"), &json!("failed")), "{ended}");
    assert_eq!(ended["result"]["drills"][0]["status"], "failed", "{ended}");
    let health = service.get("/health").expect(200);
    assert_eq!(health["status"], "degraded", "{health}");
    let problems = health["problems"].to_string();
    assert!(
        problems.contains("the last drill of export failed") && problems.contains("it is empty"),
        "{health}"
    );
    let target = &health["targets"][0];
    assert_eq!(target["last_proven"]["backup_id"], good["backup_id"], "{target}");

    let listed = service.get("/drills?target=export").expect(200);
    assert_eq!((&listed["count"], &listed["drills"][1]), (&json!(2), &passed["drills"][0]));
    assert_eq!(service.get("/drills?status=failed").expect(200)["count"], 1);
    service.get("/drills?status=lost").problem(422);
    let text = service.get("/metrics").text;
    for line in [
        "chronos_last_drill_passed{target=\"export\"} 0",
        "chronos_last_proven_timestamp_seconds{target=\"export\"} 1",
        "chronos_last_drill_seconds{target=\"export\"} ",
    ] {
        assert!(text.contains(line), "{line}: {text}");
    }
    let drills =
        std::iter::from_fn(|| events.recv_timeout(LIMIT).ok()).filter(|e| e["action"] == "drill_completed");
    let drills: Vec<Value> = drills.take(2).collect();
    assert_eq!((&drills[0]["target"], &drills[0]["details"]["status"]), (&json!("export"), &json!("passed")));
    assert_eq!(
        (&drills[1]["source_agent"], &drills[1]["details"]["status"]),
        (&json!("CHRONOS"), &json!("failed"))
    );
    assert!(drills[1]["details"]["errors"][0].as_str().unwrap().contains("it is empty"), "{drills:?}");
    assert_eq!(fs::read_dir(scratch.path()).unwrap().count(), 0);
}

#[test]
fn a_schedule_asks_for_drills() {
    let scratch = tempfile::tempdir().unwrap();
    let section = format!("[drill]\nscratch = \"{}\"\n", scratch.path().display());
    let schedule =
        "[[schedule]]\nname = \"often\"\njob = \"drill\"\ncron = \"* * * * *\"\ntarget = \"export\"\n";
    let program = Program::with_repository();
    configure(&program, &[&*section, schedule, &of_file("export", "export.json", "")].concat());
    let service = Service::start(program, &[]);
    let listed = service.get("/schedules").expect(200);
    assert_eq!(
        (&listed["schedules"][0]["job"], &listed["schedules"][0]["enabled"]),
        (&json!("drill"), &json!(true)),
        "{listed}"
    );
    let added = r#"{"cron": "@monthly", "job": "drill", "target": "export"}"#;
    assert_eq!(service.post("/schedules", added).expect(200)["job"], "drill");
}
