//! `/schedules`: listed, made, changed, removed.

use serde_json::json;

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
            .post("/schedules", r#"{"cron":"@daily","job":"drill"}"#)
            .problem(422)
            .contains("not in this version")
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
