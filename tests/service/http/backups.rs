//! Listing, holding, deleting, cleaning up, and what is said of the service itself.

use serde_json::json;

use super::service;

#[test]
fn pages_hold_every_snapshot_once_newest_first() {
    let service = service();
    let ids: Vec<String> = (0..5)
        .map(|n| {
            service.file("notes/a.txt", n.to_string());
            let made = service.post("/backup", r#"{"target":"notes"}"#).expect(200);
            made["backup_id"].as_str().unwrap().to_owned()
        })
        .collect();
    let (mut found, mut cursor) = (Vec::new(), String::new());
    loop {
        let page = service.get(&format!("/backups?limit=2&cursor={cursor}")).expect(200);
        assert_eq!(page["total"], 5);
        found.extend(
            page["backups"].as_array().unwrap().iter().map(|b| b["backup_id"].as_str().unwrap().to_owned()),
        );
        match page["next_cursor"].as_str() {
            Some(next) => next.clone_into(&mut cursor),
            None => break,
        }
    }
    found.reverse();
    assert_eq!(found, ids);
    let up = service.get("/backups?sort=created_at&limit=1").expect(200);
    assert_eq!(up["backups"][0]["backup_id"], ids[0].as_str());
    let all = service.get("/list?component=notes").expect(200);
    assert_eq!((all["backups"].as_array().unwrap().len(), &all["total"]), (5, &json!(5)));
    assert_eq!(service.get("/list?component=database").expect(200)["total"], 0);
}

#[test]
fn parameters_that_cannot_be_meant_are_refused() {
    let service = service();
    for bad in [
        "limit=0",
        "limit=1001",
        "limit=x",
        "limt=1",
        "cursor=zz",
        "since=soon",
        "status=fine",
        "tier=full",
        "sort=colour",
        "target=shop&target=notes",
    ] {
        service.get(&format!("/backups?{bad}")).problem(422);
    }
    service.get("/backups?target=nowhere").problem(404);
    service.get("/backups?component=nowhere").problem(404);
    service.get("/backups/nothing").problem(404);
    assert_eq!(
        service.get("/backups?type=full&tier=manual&since=2026-01-01&path=/x&tag=t").expect(200)["total"],
        0
    );
}

#[test]
fn a_held_snapshot_is_not_deleted_until_it_is_released() {
    let service = service();
    let made = service.post("/backup", r#"{"target":"notes"}"#).expect(200);
    let id = made["backup_id"].as_str().unwrap();
    assert_eq!(service.post(&format!("/backups/{id}/hold"), "").expect(200)["held"], true);
    let refused = service.delete(&format!("/backups/{id}"));
    assert!(refused.problem(409).contains("held"));
    assert_eq!(refused.json()["state"], "held");
    assert_eq!(service.delete(&format!("/backups/{id}/hold")).expect(200)["held"], false);
    assert_eq!(service.delete("/backups/latest").expect(200)["deleted"], id);
    service.delete(&format!("/backups/{id}")).problem(404);
}

#[test]
fn a_cleanup_says_why_everything_stayed_and_what_went() {
    let service = service();
    service.post("/backup", r#"{"target":"notes"}"#).expect(200);
    let planned = service.post("/cleanup?dry_run=true", "").expect(200);
    assert_eq!((&planned["status"], &planned["count"]), (&json!("planned"), &json!(0)));
    assert!(!planned["kept"][0]["reasons"].as_array().unwrap().is_empty(), "{planned}");
    let made = service.post("/backup", r#"{"target":"shop"}"#).expect(200);
    service.delete(&format!("/backups/{}", made["backup_id"].as_str().unwrap())).expect(200);
    let done = service.post("/cleanup", "").expect(200);
    assert_eq!((&done["status"], &done["deleted"]), (&json!("completed"), &json!([])), "{done}");
    assert!(done["freed_bytes"].as_u64().unwrap() > 0, "{done}");
}

#[test]
fn damage_is_found_and_answered_as_an_outcome() {
    let service = service();
    let made = service.post("/backup", r#"{"target":"notes"}"#).expect(200);
    let body = json!({"backup_id": made["backup_id"]}).to_string();
    let good = service.post("/verify", &body).expect(200);
    assert_eq!(
        (&good["valid"], &good["integrity_check"], &good["file_count"]),
        (&json!(true), &json!("passed"), &json!(1))
    );
    assert!(
        good["bytes_read"].as_u64().unwrap() > 0
            && good["verified_at"].is_string()
            && good["errors"] == json!([])
    );
    std::fs::remove_dir_all(service.program().repository().join("packs")).unwrap();
    let bad = service.get(&format!("/verify/{}", made["backup_id"].as_str().unwrap())).expect(200);
    assert_eq!(bad["status"], "failed", "{bad}");
    assert!(bad["error"].is_string(), "{bad}");
    service.post("/verify", r#"{"backup_id":"nothing"}"#).problem(404);
    service.post("/verify", "{}").problem(422);
}

#[test]
fn the_document_holds_every_route_and_the_page_needs_nothing_from_outside() {
    let service = service();
    let api = service.get("/openapi.json").expect(200);
    assert!(api["openapi"].as_str().unwrap().starts_with("3.1"), "{}", api["openapi"]);
    let paths: Vec<&String> = api["paths"].as_object().unwrap().keys().collect();
    let wanted = [
        "/backup",
        "/backup/pre-deploy",
        "/backups",
        "/backups/{id}",
        "/backups/{id}/hold",
        "/cleanup",
        "/drill",
        "/drills",
        "/health",
        "/history",
        "/history/{id}",
        "/jobs",
        "/jobs/{id}",
        "/jobs/{id}/events",
        "/list",
        "/metrics",
        "/restore/{id}",
        "/schedules",
        "/schedules/{id}",
        "/sync",
        "/verify",
        "/verify/{id}",
    ];
    assert_eq!(paths, wanted);
    assert!(
        api["paths"]["/backups/{id}"]["get"].is_object()
            && api["paths"]["/backups/{id}"]["delete"].is_object()
    );
    assert!(
        api["paths"]["/backup"]["post"]["responses"]["422"]["content"]["application/problem+json"]
            .is_object()
    );
    let methods = |item: &serde_json::Value| item.as_object().unwrap().values().cloned().collect::<Vec<_>>();
    let operations: Vec<_> = api["paths"].as_object().unwrap().values().flat_map(methods).collect();
    let names: std::collections::BTreeSet<_> =
        operations.iter().map(|o| o["operationId"].as_str().unwrap()).collect();
    assert_eq!(names.len(), operations.len(), "{names:?}");
    let page = service.get("/docs/");
    assert_eq!(page.status, 200);
    assert!(page.text.contains("swagger") && !page.text.contains("https://"), "{}", page.text);
    assert!(service.get("/docs/swagger-ui-bundle.js").text.len() > 100_000);
    // Nobody else is asked what they make of it.
    assert!(service.get("/docs/swagger-initializer.js").text.contains(r#""validatorUrl": "none""#));
}

#[test]
fn metrics_tell_snapshots_freshness_and_requests() {
    let service = service();
    service.post("/backup", r#"{"target":"notes"}"#).expect(200);
    let text = service.get("/metrics").text;
    for line in [
        "chronos_snapshots{target=\"notes\"} 1",
        "chronos_snapshots{target=\"shop\"} 0",
        "chronos_repository_up 1",
    ] {
        assert!(text.contains(line), "{line}: {text}");
    }
    assert!(text.contains("chronos_last_good_snapshot_timestamp_seconds{target=\"shop\"} 0"), "{text}");
    assert!(text.contains("route=\"/backup\",status=\"200\"} 1"), "{text}");
    assert!(text.ends_with("# EOF\n"), "{text}");
}
