//! In which way a live workflow differs from a stored one, as far as a restore could change it.

use std::collections::BTreeSet;

use serde_json::{Map, Value};

use crate::n8n::version::Era;
use crate::n8n::workflow::{flag, published_beside, published_unseen};

/// Who may call a workflow, if nobody said otherwise.
const CALLER_POLICY: &str = "workflowsFromSameOwner";
/// What takes the place of a default in settings.
const DEFAULT: &str = "DEFAULT";

/// That something else is published.
pub(super) const PUBLISHED: &str = "published version";

/// A difference.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Difference {
    /// What differs, for people.
    pub(super) what: String,
    /// Whether this server can be told over its API.
    pub(super) can_change: bool,
    /// Whether its command line can be told.
    pub(super) can_import: bool,
}

/// All differences, none if they are alike.
pub(super) fn differences(stored: &Value, live: &Value, era: Era) -> Vec<Difference> {
    let mut found = Vec::new();
    let mut add = |what: String, can_change| found.push(Difference { what, can_change, can_import: true });
    if stored.get("name") != live.get("name") {
        add("name".to_owned(), true);
    }
    nodes(stored, live).into_iter().for_each(|what| add(what, true));
    if !alike(stored.get("connections"), live.get("connections")) {
        add("connections".to_owned(), true);
    }
    settings(stored, live, era).into_iter().for_each(|(what, can)| add(what, can));
    if static_data(stored) != static_data(live) {
        add("staticData".to_owned(), true);
    }
    for (key, since) in [("pinData", Era::Late2), ("description", Era::Late2), ("nodeGroups", Era::Late2)] {
        // An older server does not know the field at all.
        let is_known = live.get(key).is_some();
        if is_known && !alike(stored.get(key), live.get(key)) {
            add(key.to_owned(), era >= since);
        }
    }
    if flag(stored, "isArchived") != flag(live, "isArchived") {
        add("isArchived".to_owned(), era >= Era::Late2);
    }
    if flag(stored, "active") != flag(live, "active") {
        add("active".to_owned(), true);
    } else if flag(stored, "active") && published_differs(stored, live) {
        add(PUBLISHED.to_owned(), era >= Era::Early2);
    }
    let (wanted, there) = (tag_names(stored), tag_names(live));
    if wanted != there {
        // An import gives tags, and takes none away.
        let can_import = !wanted.is_subset(&there);
        found.push(Difference { what: "tags".to_owned(), can_change: true, can_import });
    }
    found
}

/// Whether what is published is not what is shown in the editor.
pub(super) fn has_own_published_version(stored: &Value) -> bool {
    flag(stored, "active")
        && stored
            .get("activeVersion")
            .is_some_and(|published| published.get("nodes").is_some() && !same_graph(published, stored))
}

/// Names of the tags.
pub(super) fn tag_names(value: &Value) -> BTreeSet<&str> {
    let tags = value.get("tags").and_then(Value::as_array).into_iter().flatten();
    tags.filter_map(|tag| tag.get("name").and_then(Value::as_str)).collect()
}

fn published_differs(stored: &Value, live: &Value) -> bool {
    let graph = |v: &Value| v.get("activeVersion").filter(|g| g.get("nodes").is_some()).cloned();
    match (graph(stored), graph(live)) {
        (Some(stored), Some(live)) => !same_graph(&stored, &live),
        (None, None) => published_beside(stored) != published_beside(live),
        // Of one of them only the version is told: two that are not what the editor shows cannot be compared.
        _ => shows_other(stored) || shows_other(live),
    }
}

/// Whether the editor shows something else than what is published.
fn shows_other(workflow: &Value) -> bool {
    has_own_published_version(workflow) || published_unseen(workflow).is_some()
}

/// Whether two have the same nodes and connections.
pub(super) fn same_graph(a: &Value, b: &Value) -> bool {
    nodes(a, b).is_empty() && same_connections(a, b)
}

fn same_connections(a: &Value, b: &Value) -> bool {
    alike(a.get("connections"), b.get("connections"))
}

/// Equal, where null, nothing and emptiness are the same.
fn alike(a: Option<&Value>, b: Option<&Value>) -> bool {
    let is_blank = |v: Option<&Value>| match v {
        None | Some(Value::Null) => true,
        Some(Value::Object(o)) => o.is_empty(),
        Some(Value::Array(a)) => a.is_empty(),
        Some(Value::String(s)) => s.is_empty(),
        Some(_) => false,
    };
    a == b || (is_blank(a) && is_blank(b))
}

/// Which nodes differ, by their names.
fn nodes(stored: &Value, live: &Value) -> Vec<String> {
    let list = |v: &Value| -> Vec<Map<String, Value>> {
        let nodes = v.get("nodes").and_then(Value::as_array).into_iter().flatten();
        nodes.filter_map(Value::as_object).map(plain).collect()
    };
    let (stored, live) = (list(stored), list(live));
    let name =
        |node: &Map<String, Value>| node.get("name").and_then(Value::as_str).unwrap_or_default().to_owned();
    let mut found = Vec::new();
    for node in &stored {
        match live.iter().find(|l| name(l) == name(node)) {
            None => found.push(format!("node {:?} is missing", name(node))),
            Some(other) if other != node => {
                let keys: BTreeSet<_> =
                    node.keys().chain(other.keys()).filter(|k| node.get(*k) != other.get(*k)).collect();
                let keys: Vec<_> = keys.into_iter().map(String::as_str).collect();
                found.push(format!("node {:?}: {}", name(node), keys.join(", ")));
            }
            Some(_) => {}
        }
    }
    let extra = live.iter().filter(|l| !stored.iter().any(|s| name(s) == name(l)));
    found.extend(extra.map(|node| format!("node {:?} is there too", name(node))));
    if found.is_empty() && stored != live {
        found.push("order of nodes".to_owned());
    }
    found
}

/// A node without what says nothing.
fn plain(node: &Map<String, Value>) -> Map<String, Value> {
    let says = |(key, value): &(&String, &Value)| {
        !value.is_null() && !matches!(key.as_str(), "createdAt" | "updatedAt")
    };
    node.iter().filter(says).map(|(k, v)| (k.clone(), v.clone())).collect()
}

fn settings(stored: &Value, live: &Value, era: Era) -> Vec<(String, bool)> {
    let empty = Map::new();
    let of =
        |v: &'_ Value| v.get("settings").and_then(Value::as_object).cloned().unwrap_or_else(|| empty.clone());
    let (stored, live) = (of(stored), of(live));
    let mut found = Vec::new();
    for (key, value) in &stored {
        let says_nothing = value.is_null() || value == DEFAULT || is_added(key, value);
        if live.get(key) != Some(value)
            && !(says_nothing && live.get(key).is_none_or(|l| says_default(key, l)))
        {
            found.push((format!("setting {key}"), true));
        }
    }
    for (key, value) in &live {
        if !stored.contains_key(key) && !says_default(key, value) {
            // Settings are merged from late 1.x on, and only two can be taken away.
            let can = era < Era::Late1 || matches!(key.as_str(), "timezone" | "executionTimeout");
            found.push((format!("setting {key} is there too"), can));
        }
    }
    found
}

fn says_default(key: &str, value: &Value) -> bool {
    value.is_null() || value == DEFAULT || is_added(key, value)
}

/// Whether the server adds this setting by itself.
fn is_added(key: &str, value: &Value) -> bool {
    match key {
        "availableInMCP" => *value == Value::Bool(false),
        "callerPolicy" => value == CALLER_POLICY,
        _ => false,
    }
}

/// Static data without what the schedule trigger keeps of its own account whenever it is activated.
fn static_data(value: &Value) -> Map<String, Value> {
    let data = value.get("staticData").and_then(Value::as_object).into_iter().flatten();
    let is_schedule =
        |v: &Value| v.as_object().is_some_and(|o| o.keys().all(|k| k.starts_with("recurrenceRule")));
    data.filter(|(key, value)| !(key.starts_with("node:") && is_schedule(value)))
        .map(|(k, v)| (k.clone(), v.clone()))
        .collect()
}

#[cfg(test)]
mod tests {
    #![expect(clippy::indexing_slicing, reason = "tests")]

    use serde_json::json;

    use super::*;

    fn stored() -> Value {
        json!({
            "name": "n", "active": true, "nodes": [{"name": "A", "position": [0, 0], "notes": null}, {"name": "B"}],
            "connections": {"A": {}}, "settings": {"executionOrder": "v1", "saveManualExecutions": "DEFAULT"},
            "staticData": {"global": {"n": 1}}, "tags": [{"id": "1", "name": "x"}], "pinData": null,
        })
    }

    fn of(stored: &Value, live: &Value, era: Era) -> Vec<String> {
        let show = |d: Difference| format!("{}{}", d.what, if d.can_change { "" } else { "!" });
        differences(stored, live, era).into_iter().map(show).collect()
    }

    #[test]
    fn what_says_the_same_is_no_difference() {
        let mut live = stored();
        live["nodes"][0] = json!({"name": "A", "position": [0, 0]});
        live["settings"] = json!({"executionOrder": "v1", "callerPolicy": "workflowsFromSameOwner", "availableInMCP": false});
        live["staticData"]["node:Schedule"] =
            json!({"recurrenceRules": [], "recurrenceRuleSignatures": [null]});
        live["tags"] = json!([{"id": "other", "name": "x"}]);
        live["pinData"] = json!({});
        live["updatedAt"] = json!("later");
        assert_eq!(of(&stored(), &live, Era::Early2), [""; 0]);
    }

    #[test]
    fn each_difference_is_named_and_whether_it_can_be_mended() {
        let live = json!({
            "name": "m", "active": false, "nodes": [{"name": "A", "position": [1, 0], "disabled": true}, {"name": "C"}],
            "connections": {}, "settings": {"timezone": "UTC", "saveManualExecutions": true, "errorWorkflow": "e"},
            "staticData": {"global": {"n": 2}}, "tags": [], "pinData": {"A": [1]}, "isArchived": true,
        });
        let expected = [
            "name",
            "node \"A\": disabled, position",
            "node \"B\" is missing",
            "node \"C\" is there too",
            "connections",
            "setting executionOrder",
            "setting saveManualExecutions",
            "setting errorWorkflow is there too!",
            "setting timezone is there too",
            "staticData",
            "pinData!",
            "isArchived!",
            "active",
            "tags",
        ];
        assert_eq!(of(&stored(), &live, Era::Late1), expected);
        let late = of(&stored(), &live, Era::Late2);
        assert!(late.contains(&"pinData".to_owned()) && late.contains(&"isArchived".to_owned()), "{late:?}");
        let early = of(&stored(), &live, Era::Early1);
        assert!(early.contains(&"setting errorWorkflow is there too".to_owned()), "{early:?}");
    }

    #[test]
    fn a_published_version_of_its_own_is_seen() {
        let mut own = stored();
        own["activeVersion"] = json!({"nodes": own["nodes"], "connections": own["connections"]});
        assert!(!has_own_published_version(&own));
        let mut live = own.clone();
        live["activeVersion"]["nodes"] = json!([{"name": "A"}]);
        assert!(has_own_published_version(&live));
        assert_eq!(of(&own, &live, Era::Early2), ["published version"]);
        live["active"] = json!(false);
        assert!(!has_own_published_version(&live));
    }

    #[test]
    fn where_only_versions_are_told_it_counts_whether_they_are_one() {
        let shown = |active: &str| {
            let mut workflow = stored();
            (workflow["versionId"], workflow["activeVersionId"]) = (json!("1"), json!(active));
            workflow
        };
        assert_eq!(of(&shown("1"), &shown("1"), Era::Late2), [""; 0]);
        for (stored, live) in [("1", "2"), ("3", "1"), ("2", "3")] {
            assert_eq!(of(&shown(stored), &shown(live), Era::Late2), ["published version"]);
        }
        assert_eq!(of(&shown("2"), &shown("2"), Era::Late2), [""; 0]);
        assert_eq!((published_unseen(&shown("2")), published_unseen(&shown("1"))), (Some("2"), None));
        let mut told = shown("2");
        told["activeVersion"] = json!({"nodes": told["nodes"], "connections": told["connections"]});
        assert_eq!((of(&told, &shown("1"), Era::Late2), published_unseen(&told)), (Vec::new(), None));
        assert_eq!(of(&told, &shown("2"), Era::Late2), ["published version"]);
    }

    #[test]
    fn an_import_takes_no_tag_away() {
        let tagged = |names: &[&str]| {
            let mut workflow = stored();
            workflow["tags"] = names.iter().map(|name| json!({"name": name})).collect();
            workflow
        };
        let can = |wanted: &[&str], there: &[&str]| {
            let found = differences(&tagged(wanted), &tagged(there), Era::Late2);
            found.iter().map(|d| (d.can_change, d.can_import)).collect::<Vec<_>>()
        };
        assert_eq!(can(&["x"], &[]), [(true, true)]);
        assert_eq!(can(&["x"], &["y"]), [(true, true)]);
        assert_eq!(can(&["x"], &["x", "y"]), [(true, false)]);
    }

    #[test]
    fn the_order_of_nodes_counts() {
        let mut live = stored();
        live["nodes"] = json!([{"name": "B"}, {"name": "A", "position": [0, 0]}]);
        assert_eq!(of(&stored(), &live, Era::Late2), ["order of nodes"]);
    }
}
