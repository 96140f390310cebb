//! `/schedules`: listed, made, changed, removed; and those that look whether something changed.

use chronos_tests::{Program, Service, configure, n8n};
use serde_json::{Value, json};

use super::service;

#[test]
fn schedules_are_made_listed_changed_and_removed() {
    let service = service();
    let body = r#"{"target":"notes","tier":"daily","cron":"30 2 * * *","timezone":"Europe/Berlin"}"#;
    let made = service.post("/schedules", body);
    let schedule = made.expect(200);
    assert_eq!(schedule["id"], "notes-daily", "{schedule}");
    assert_eq!(made.header("location"), Some("/schedules/notes-daily"));
    assert!(schedule["next_run"].is_string() && schedule["last_run"].is_null(), "{schedule}");
    let listed = service.get("/schedules").expect(200);
    assert_eq!(listed["count"], 2, "{listed}");
    let change = |id: &str, body: &str| service.call("PATCH", &format!("/schedules/{id}"), &[], body);
    let off = change("notes-daily", r#"{"enabled":false,"cron":"@hourly"}"#).expect(200);
    assert_eq!(
        (&off["enabled"], &off["next_run"], &off["cron"]),
        (&json!(false), &json!(null), &json!("@hourly"))
    );
    assert_eq!(service.delete("/schedules/notes-daily").expect(200)["deleted"], "notes-daily");
    assert_eq!(service.get("/schedules").expect(200)["count"], 1);
}

#[test]
fn what_cannot_be_is_refused_with_its_reason() {
    let service = service();
    assert!(service.post("/schedules", "{}").problem(422).contains("cron"));
    assert!(service.post("/schedules", r#"{"cron":"0 0 30 2 *"}"#).problem(422).contains("never comes"));
    service.post("/schedules", r#"{"cron":"@daily","target":"nowhere"}"#).problem(422);
    assert!(
        service
            .post("/schedules", r#"{"cron":"@daily","job":"sync"}"#)
            .problem(422)
            .contains("no place for a copy is configured")
    );
    service.post("/schedules", r#"{"cron":"@daily","id":"x"}"#).expect(200);
    service.post("/schedules", r#"{"cron":"@daily","id":"x"}"#).problem(409);
    let change = |id: &str, body: &str| service.call("PATCH", &format!("/schedules/{id}"), &[], body);
    change("nothing", r#"{"enabled":false}"#).problem(404);
    change("never", r#"{"enabled":true}"#).problem(409);
    change("x", r#"{"id":"y"}"#).problem(422);
    service.delete("/schedules/nothing").problem(404);
    service.delete("/schedules/never").problem(409);
}

/// One that looks whether workflows changed, once for each time that it is to look; none is due while the test runs.
const LOOKS: [&str; 5] = ["first", "second", "third", "fourth", "fifth"];

/// Makes it due while the service is not there, and waits until the service that is started then has seen to it.
fn looks(service: Service, schedule: &str) -> Service {
    let file = service.path(".local/state/chronos/chronos.sqlite");
    let state = rusqlite::Connection::open(file).unwrap();
    let known = "SELECT count(*) FROM schedule_memory WHERE id = ?1";
    while state.query_row(known, [schedule], |row| row.get::<_, u32>(0)).unwrap() == 0 {
        std::thread::yield_now();
    }
    let program = service.killed();
    let years = 2 * 366 * 86_400 * 1_000_000_000_i64;
    let shift = "UPDATE schedule_memory SET since = since - ?2 WHERE id = ?1";
    state.execute(shift, rusqlite::params![schedule, years]).unwrap();
    let service = Service::start(program, &[]);
    let ended = "SELECT last_status FROM schedule_memory WHERE id = ?1";
    loop {
        let status: Option<String> = state.query_row(ended, [schedule], |row| row.get(0)).unwrap();
        match status.as_deref() {
            None | Some("running") => std::thread::yield_now(),
            status => break assert_eq!(status, Some("completed")),
        }
    }
    service
}

#[test]
fn one_edit_in_a_real_n8n_is_one_snapshot_and_none_is_none() {
    let server = n8n("2.40.7");
    let id = server.call("POST", "workflows", Some(&crate::n8n::workflows::manual(1)))["id"].clone();
    let program = Program::with_repository();
    let schedule = |name: &&str| {
        format!(
            "[[schedule]]\nname = \"{name}\"\njob = \"backup\"\ntarget = \"flows\"\ntier = \"auto\"\ntype = \"workflows\"\n\
             on_change = true\ncron = \"0 0 1 1 *\"\n"
        )
    };
    let target = format!(
        "[[target]]\nname = \"flows\"\n[[target.source]]\nname = \"n8n\"\nkind = \"n8n\"\nurl = \"{}\"\napi_key = \"{}\"\n",
        server.url(),
        server.key
    );
    configure(&program, &(LOOKS.iter().map(schedule).collect::<String>() + &target));
    let mut service = Service::start(program, &[]);
    let rows = |service: &Service| -> Vec<Value> {
        let list = service.get("/backups?target=flows&tier=auto").expect(200);
        list["backups"].as_array().unwrap().clone()
    };
    // What is there at first; nothing; one edit; nothing; a deletion.
    let mut ids = Vec::new();
    for (look, snapshots) in LOOKS.into_iter().zip([1, 1, 2, 2, 3]) {
        match look {
            "third" => {
                let mut edited = crate::n8n::workflows::manual(1);
                edited["name"] = json!("Edited");
                server.call("PUT", &format!("workflows/{}", id.as_str().unwrap()), Some(&edited));
            }
            "fifth" => server.delete(id.as_str().unwrap()),
            _ => {}
        }
        service = looks(service, look);
        let found = rows(&service);
        assert_eq!(found.len(), snapshots, "after the {look} look: {found:?}");
        assert!(found.iter().all(|row| row["unchanged"] != true), "{found:?}");
        ids = found.iter().map(|row| row["backup_id"].clone()).collect();
    }
    // One workflow was there, then another one of the same id.
    let of = |n: usize| ids[n].as_str().unwrap().to_owned();
    let path = format!("n8n/workflows/{}.json", id.as_str().unwrap());
    let text = |snapshot: &str| service.program().run(["cat", &format!("{snapshot}:{path}")]);
    assert_eq!(text(&of(2)).expect_code(0).json()["name"], "Manual 1");
    assert_eq!(text(&of(1)).expect_code(0).json()["name"], "Edited");
    assert_ne!(text(&of(0)).code, 0);
}
