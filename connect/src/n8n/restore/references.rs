//! Which workflows a workflow names, and how those names change when one of them comes back under another id.

use std::collections::BTreeMap;

use serde_json::Value;

/// Node types that call a workflow; the id is their parameter `workflowId`.
const CALLERS: [&str; 2] = ["executeWorkflow", "toolWorkflow"];

/// Ids that stand in a workflow, each once: what its nodes call, what handles its errors, who may call it.
pub(in crate::n8n) fn referenced(workflow: &Value) -> Vec<String> {
    let mut found = Vec::new();
    let mut copy = workflow.clone();
    each(&mut copy, &mut |id| {
        if !found.contains(id) {
            found.push(id.clone());
        }
    });
    found
}

/// Ids of the workflows that its nodes call: these must be active before it.
pub(super) fn called(workflow: &Value) -> Vec<String> {
    let mut copy = workflow.clone();
    if let Some(fields) = copy.as_object_mut() {
        fields.remove("settings");
    }
    referenced(&copy)
}

/// Replaces ids; says whether any was there.
pub(super) fn rewrite(workflow: &mut Value, ids: &BTreeMap<String, String>) -> bool {
    let mut is_changed = false;
    each(workflow, &mut |id| {
        if let Some(new) = ids.get(id.as_str()) {
            id.clone_from(new);
            is_changed = true;
        }
    });
    is_changed
}

/// Shows every id to `see`, which may change it.
fn each(workflow: &mut Value, see: &mut dyn FnMut(&mut String)) {
    if let Some(settings) = workflow.get_mut("settings") {
        if let Some(Value::String(id)) = settings.get_mut("errorWorkflow")
            && id != "DEFAULT"
            && !id.is_empty()
        {
            see(id);
        }
        if let Some(Value::String(list)) = settings.get_mut("callerIds") {
            let mut ids: Vec<String> =
                list.split(',').map(|id| id.trim().to_owned()).filter(|id| !id.is_empty()).collect();
            let before = ids.clone();
            ids.iter_mut().for_each(&mut *see);
            if ids != before {
                *list = ids.join(",");
            }
        }
    }
    each_called(workflow, see);
    if let Some(published) = workflow.get_mut("activeVersion") {
        each_called(published, see);
    }
}

fn each_called(graph: &mut Value, see: &mut dyn FnMut(&mut String)) {
    for node in graph.get_mut("nodes").and_then(Value::as_array_mut).into_iter().flatten() {
        let kind = node.get("type").and_then(Value::as_str).unwrap_or_default();
        if !CALLERS.iter().any(|caller| kind.ends_with(caller)) {
            continue;
        }
        let id = match node.pointer_mut("/parameters/workflowId") {
            Some(Value::Object(locator)) => locator.get_mut("value"),
            other => other,
        };
        // An expression is known when it runs.
        if let Some(Value::String(id)) = id
            && !id.is_empty()
            && !id.starts_with('=')
        {
            see(id);
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn workflow() -> Value {
        let call =
            |id: Value| json!({"type": "n8n-nodes-base.executeWorkflow", "parameters": {"workflowId": id}});
        json!({
            "settings": {"errorWorkflow": "e", "callerIds": "c1, c2"},
            "nodes": [call(json!({"__rl": true, "value": "a"})), call(json!("b")), call(json!("={{ $json.id }}")),
                {"type": "@n8n/n8n-nodes-langchain.toolWorkflow", "parameters": {"workflowId": {"value": "t"}}},
                {"type": "n8n-nodes-base.set", "parameters": {"workflowId": "no"}}],
            "activeVersion": {"nodes": [call(json!("p"))]},
        })
    }

    #[test]
    fn all_that_is_named_is_found() {
        assert_eq!(referenced(&workflow()), ["e", "c1", "c2", "a", "b", "t", "p"]);
        assert_eq!(called(&workflow()), ["a", "b", "t", "p"]);
        assert_eq!(referenced(&json!({"settings": null, "nodes": 5})), [""; 0]);
    }

    #[test]
    fn new_ids_stand_where_the_old_ones_stood() {
        let mut workflow = workflow();
        let ids =
            [("e", "E"), ("c2", "C2"), ("a", "A"), ("p", "P")].map(|(a, b)| (a.to_owned(), b.to_owned()));
        assert!(rewrite(&mut workflow, &ids.into()));
        assert_eq!(referenced(&workflow), ["E", "c1", "C2", "A", "b", "t", "P"]);
        assert!(!rewrite(&mut workflow, &BTreeMap::from([("x".to_owned(), "y".to_owned())])));
    }
}
