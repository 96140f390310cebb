//! Workflows into n8n by its command line, which keeps ids and everything else, except whether they are active.

use serde_json::{Map, Value, json};

use crate::error::Result;
use crate::process::Process;

/// Fields that the command line takes over.
const FIELDS: [&str; 13] = [
    "name",
    "nodes",
    "connections",
    "settings",
    "staticData",
    "pinData",
    "meta",
    "description",
    "isArchived",
    "versionId",
    "createdAt",
    "updatedAt",
    "nodeGroups",
];

/// What the command line takes of a stored workflow, to be found under this id. It is inactive afterwards whatever stands here.
fn entity(stored: &Value, live_id: &str) -> Value {
    let mut kept = Map::new();
    for (key, value) in stored.as_object().into_iter().flatten() {
        if FIELDS.contains(&key.as_str()) {
            kept.insert(key.clone(), value.clone());
        }
    }
    let tags = stored.get("tags").and_then(Value::as_array).into_iter().flatten();
    let tags: Vec<_> = tags.map(|t| json!({"id": t.get("id"), "name": t.get("name")})).collect();
    kept.insert("id".to_owned(), json!(live_id));
    kept.insert("tags".to_owned(), json!(tags));
    kept.insert("active".to_owned(), json!(false));
    Value::Object(kept)
}

/// Gives workflows, each with its id on the server, to `n8n import:workflow`, one after the other.
pub(super) fn import(n8n: &Process, workflows: impl Iterator<Item = Result<(Value, String)>>) -> Result<()> {
    let command = n8n.and(["import:workflow", "--input=/dev/stdin"]);
    let mut is_first = true;
    command.feed_explained(|to| {
        let broken =
            |e: std::io::Error| crate::error::Error::Command { command: n8n.shown(), why: e.to_string() };
        for workflow in workflows {
            let (stored, live_id) = workflow?;
            let text = entity(&stored, &live_id).to_string();
            to.write_all(if is_first { b"[" } else { b"," }).map_err(broken)?;
            to.write_all(text.as_bytes()).map_err(broken)?;
            is_first = false;
        }
        to.write_all(if is_first { b"[]" } else { b"]" }).map_err(broken)
    })
}
