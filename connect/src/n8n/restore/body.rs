//! What a server is sent of a stored workflow: only what its generation accepts, since one field too many is refused as a
//! whole, often without being named.

use serde_json::{Map, Value, json};

use crate::n8n::version::Era;

/// Fields of a node that all generations accept.
const NODE: [&str; 17] = [
    "id",
    "name",
    "type",
    "typeVersion",
    "position",
    "parameters",
    "credentials",
    "webhookId",
    "disabled",
    "notes",
    "notesInFlow",
    "executeOnce",
    "alwaysOutputData",
    "retryOnFail",
    "maxTries",
    "waitBetweenTries",
    "continueOnFail",
];
/// Another one, and one of later 2.x.
const NODE_ON_ERROR: &str = "onError";
const NODE_LATE: &str = "customTelemetryTags";
/// Fields of a node that the server itself writes.
const NODE_READ_ONLY: [&str; 2] = ["createdAt", "updatedAt"];

/// Settings that all generations accept.
const SETTINGS: [&str; 8] = [
    "saveExecutionProgress",
    "saveManualExecutions",
    "saveDataErrorExecution",
    "saveDataSuccessExecution",
    "executionTimeout",
    "errorWorkflow",
    "timezone",
    "executionOrder",
];
/// Since late 1.x.
const SETTINGS_LATE_1: [&str; 4] = ["callerPolicy", "callerIds", "timeSavedPerExecution", "availableInMCP"];
/// Since later 2.x.
const SETTINGS_LATE_2: [&str; 5] =
    ["binaryMode", "credentialResolverId", "timeSavedMode", "redactionPolicy", "customTelemetryTags"];
/// Settings whose default the editor writes as a word that the API refuses.
const SETTINGS_WITHOUT_DEFAULT: [&str; 3] =
    ["saveDataErrorExecution", "saveExecutionProgress", "saveManualExecutions"];

/// Which settings are sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Settings {
    /// Those of the generation.
    Known,
    /// Those that every version accepts: the way out when one of the others is refused.
    Oldest,
}

/// What the body is for.
#[derive(Clone, Copy, Debug)]
pub(super) enum Aim<'v> {
    Create,
    /// In place of this live workflow.
    Update(&'v Value),
}

/// A body, and what of the workflow is not in it.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Body {
    pub(super) value: Value,
    pub(super) lost: Vec<String>,
}

/// Makes the body of a call.
pub(super) fn body(stored: &Value, era: Era, aim: Aim<'_>, which: Settings) -> Body {
    let mut lost = Vec::new();
    let nodes = nodes(stored.get("nodes"), era, &mut lost);
    let live = match aim {
        Aim::Create => None,
        Aim::Update(live) => Some(live),
    };
    let settings = settings(stored, live, era, which, &mut lost);
    let mut value = json!({
        "name": stored.get("name").cloned().unwrap_or_default(),
        "nodes": nodes,
        "connections": stored.get("connections").cloned().unwrap_or_else(|| json!({})),
        "settings": settings,
    });
    let mut set = |key: &str, field: Value| {
        if let Some(fields) = value.as_object_mut() {
            fields.insert(key.to_owned(), field);
        }
    };
    set("staticData", stored.get("staticData").cloned().unwrap_or_default());
    if era >= Era::Late2 {
        let had = |key: &str| live.and_then(|l| l.get(key)).is_some_and(|v| !v.is_null());
        match stored.get("pinData") {
            Some(pinned @ Value::Object(_)) => set("pinData", pinned.clone()),
            _ if had("pinData") => set("pinData", json!({})),
            _ => {}
        }
        if let Some(groups @ Value::Array(_)) = stored.get("nodeGroups") {
            set("nodeGroups", groups.clone());
        }
        // A new workflow takes none; there is no way to write that there is none.
        if live.is_some() {
            match stored.get("description") {
                Some(text @ Value::String(_)) => set("description", text.clone()),
                _ if had("description") => set("description", json!("")),
                _ => {}
            }
        }
    }
    Body { value, lost }
}

fn nodes(stored: Option<&Value>, era: Era, lost: &mut Vec<String>) -> Vec<Value> {
    let is_known =
        |key: &str| NODE.contains(&key) || key == NODE_ON_ERROR || (key == NODE_LATE && era >= Era::Late2);
    let mut nodes = Vec::new();
    for node in stored.and_then(Value::as_array).into_iter().flatten() {
        let mut kept = Map::new();
        for (key, value) in node.as_object().into_iter().flatten() {
            if is_known(key) {
                if !value.is_null() {
                    kept.insert(key.clone(), value.clone());
                }
            } else if !NODE_READ_ONLY.contains(&key.as_str()) && !value.is_null() {
                let name = node.get("name").and_then(Value::as_str).unwrap_or_default();
                lost.push(format!("node {name:?}: {key} is not accepted by this n8n"));
            }
        }
        nodes.push(Value::Object(kept));
    }
    nodes
}

fn settings(
    stored: &Value,
    live: Option<&Value>,
    era: Era,
    which: Settings,
    lost: &mut Vec<String>,
) -> Map<String, Value> {
    let is_known = |key: &str| {
        SETTINGS.contains(&key)
            || (which == Settings::Known
                && ((SETTINGS_LATE_1.contains(&key) && era >= Era::Late1)
                    || (SETTINGS_LATE_2.contains(&key) && era >= Era::Late2)))
    };
    let mut kept = Map::new();
    let wanted = stored.get("settings").and_then(Value::as_object);
    for (key, value) in wanted.into_iter().flatten() {
        if value.is_null() || (SETTINGS_WITHOUT_DEFAULT.contains(&key.as_str()) && value == "DEFAULT") {
            continue;
        }
        if is_known(key) {
            kept.insert(key.clone(), value.clone());
        } else {
            lost.push(format!("setting {key} is not accepted by this n8n"));
        }
    }
    // Settings are merged from late 1.x on; these two values take away what is there.
    let has = |key: &str| live.and_then(|l| l.get("settings")).is_some_and(|s| s.get(key).is_some());
    for (key, none) in [("timezone", json!("DEFAULT")), ("executionTimeout", json!(-1))] {
        if era >= Era::Late1 && has(key) && !wanted.is_some_and(|w| w.contains_key(key)) {
            kept.insert(key.to_owned(), none);
        }
    }
    kept
}

#[cfg(test)]
mod tests {
    #![expect(clippy::indexing_slicing, reason = "tests")]

    use super::*;

    fn stored() -> Value {
        json!({
            "id": "a", "name": "n", "active": true, "tags": [], "versionId": "v", "meta": {}, "isArchived": false,
            "description": "d", "pinData": {"N": []}, "staticData": null, "nodeGroups": [],
            "nodes": [{"id": "1", "name": "N", "type": "t", "parameters": {}, "disabled": null, "issues": {}, "updatedAt": "x"}],
            "connections": {},
            "settings": {"executionOrder": "v1", "callerPolicy": "any", "binaryMode": "x", "mystery": 1,
                "saveManualExecutions": "DEFAULT", "saveDataSuccessExecution": "DEFAULT"},
        })
    }

    fn keys(value: &Value) -> Vec<&str> {
        value.as_object().map(|o| o.keys().map(String::as_str).collect()).unwrap_or_default()
    }

    #[test]
    fn each_generation_gets_what_it_accepts_and_the_rest_is_named() {
        let of = |era, aim| body(&stored(), era, aim, Settings::Known);
        let live = json!({});
        let early = of(Era::Early1, Aim::Update(&live));
        assert_eq!(keys(&early.value), ["connections", "name", "nodes", "settings", "staticData"]);
        assert_eq!(keys(&early.value["settings"]), ["executionOrder", "saveDataSuccessExecution"]);
        assert_eq!(keys(&early.value["nodes"][0]), ["id", "name", "parameters", "type"]);
        assert_eq!(early.lost.len(), 4, "{:?}", early.lost);
        assert!(early.lost[0].contains("\"N\": issues"));
        let late = of(Era::Late1, Aim::Create);
        assert!(late.value["settings"].get("callerPolicy").is_some());
        assert_eq!(late.lost.len(), 3);
        let created = of(Era::Late2, Aim::Create);
        assert_eq!(
            keys(&created.value),
            ["connections", "name", "nodeGroups", "nodes", "pinData", "settings", "staticData"]
        );
        let updated = of(Era::Late2, Aim::Update(&live));
        assert_eq!(updated.value["description"], "d");
        assert!(updated.lost.iter().any(|l| l.contains("mystery")));
    }

    #[test]
    fn the_way_out_sends_the_oldest_settings_alone() {
        let made = body(&stored(), Era::Late2, Aim::Create, Settings::Oldest);
        assert_eq!(keys(&made.value["settings"]), ["executionOrder", "saveDataSuccessExecution"]);
        assert_eq!(made.lost.iter().filter(|l| l.starts_with("setting")).count(), 3);
    }

    #[test]
    fn what_the_live_workflow_has_too_much_is_taken_away_where_that_can_be_said() {
        let live = json!({"settings": {"timezone": "UTC", "executionTimeout": 5}, "pinData": {"N": []}, "description": "x"});
        let mut stored = stored();
        stored["pinData"] = json!(null);
        stored["description"] = json!(null);
        let made = body(&stored, Era::Late2, Aim::Update(&live), Settings::Known);
        assert_eq!(made.value["settings"]["timezone"], "DEFAULT");
        assert_eq!(made.value["settings"]["executionTimeout"], -1);
        assert_eq!((&made.value["pinData"], &made.value["description"]), (&json!({}), &json!("")));
        let made = body(&stored, Era::Early1, Aim::Update(&live), Settings::Known);
        assert!(made.value["settings"].get("timezone").is_none());
    }
}
