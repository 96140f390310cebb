//! What can be asked about an answer: the operations that take its snapshot, its job or its schedule.

use serde_json::Value;
use utoipa::openapi::link::Link;
use utoipa::openapi::path::Operation;
use utoipa::openapi::{RefOr, Response};

use crate::http::document::operation_id;

/// Where an answer has the name of a snapshot, and who takes it.
const OF_SNAPSHOTS: (&str, &[(&str, &str)]) = (
    "$response.body#/backup_id",
    &[("get", "/backups/{id}"), ("get", "/verify/{id}"), ("post", "/backups/{id}/hold")],
);
/// The same of a job.
const OF_JOBS: (&str, &[(&str, &str)]) =
    ("$response.body#/id", &[("get", "/jobs/{id}"), ("get", "/jobs/{id}/events"), ("delete", "/jobs/{id}")]);
/// The same of a schedule.
const OF_SCHEDULES: (&str, &[(&str, &str)]) =
    ("$response.body#/id", &[("patch", "/schedules/{id}"), ("delete", "/schedules/{id}")]);

/// Adds the links of an operation's answers.
pub(super) fn add(method: &str, path: &str, operation: &mut Operation) {
    if let Some(RefOr::T(accepted)) = operation.responses.responses.get_mut("202") {
        link(accepted, OF_JOBS);
    }
    let of_done = match (method, path) {
        ("post", "/backup" | "/backup/pre-deploy") => OF_SNAPSHOTS,
        ("post", "/schedules") => OF_SCHEDULES,
        _ => return,
    };
    if let Some(RefOr::T(done)) = operation.responses.responses.get_mut("200") {
        link(done, of_done);
    }
}

fn link(response: &mut Response, (place, takers): (&str, &[(&str, &str)])) {
    for (method, path) in takers {
        let taker = operation_id(method, path);
        let link = Link::builder().operation_id(&taker).parameter("id", Value::from(place)).build();
        response.links.insert(taker, RefOr::T(link));
    }
}
