//! Workflows of all sorts, put on a server with fixed names and ids of nodes.

use chronos_tests::N8n;
use serde_json::{Value, json};

/// A node.
pub(crate) fn node(number: usize, name: &str, kind: &str, version: f64, parameters: Value) -> Value {
    json!({
        "id": format!("00000000-0000-4000-8000-{number:012}"), "name": name, "type": format!("n8n-nodes-base.{kind}"),
        "typeVersion": version, "position": [220 * (number % 10), 40], "parameters": parameters,
    })
}

/// What the API takes for a new workflow.
pub(crate) fn workflow(name: &str, nodes: Vec<Value>, settings: Value) -> Value {
    let names: Vec<_> = nodes.iter().map(|n| n["name"].as_str().unwrap()).collect();
    let connections: serde_json::Map<_, _> = names
        .windows(2)
        .map(|pair| (pair[0].to_owned(), json!({"main": [[{"node": pair[1], "type": "main", "index": 0}]]})))
        .collect();
    json!({"name": name, "nodes": nodes, "connections": connections, "settings": settings})
}

/// A webhook and what it sets; can be active.
pub(crate) fn webhook(number: usize) -> Value {
    let mut hook = node(
        number * 10,
        "Webhook",
        "webhook",
        2.0,
        json!({"path": format!("hook-{number}"), "httpMethod": "POST", "options": {}}),
    );
    hook["webhookId"] = json!(format!("10000000-0000-4000-8000-{number:012}"));
    let value = json!({"assignments": {"assignments": [{"id": "a", "name": "msg", "value": "={{ $json.x }} ünïcode ✓", "type": "string"}]}, "options": {}});
    let set = node(number * 10 + 1, "Edit Fields", "set", 3.4, value);
    workflow(
        &format!("Webhook {number}"),
        vec![hook, set],
        json!({"executionOrder": "v1", "timezone": "Europe/Paris"}),
    )
}

/// Every six hours, with a credential; can be active.
pub(crate) fn schedule(number: usize, credential: &Value) -> Value {
    let rule = json!({"rule": {"interval": [{"field": "hours", "hoursInterval": 6}]}});
    let trigger = node(number * 10, "Schedule Trigger", "scheduleTrigger", 1.2, rule);
    let call = json!({"url": "http://127.0.0.1:9/never", "authentication": "genericCredentialType", "genericAuthType": "httpHeaderAuth", "options": {"timeout": 1000.5}});
    let mut http = node(number * 10 + 1, "HTTP Request", "httpRequest", 4.2, call);
    http["credentials"] = json!({"httpHeaderAuth": credential});
    http["notes"] = json!("calls the CRM");
    http["retryOnFail"] = json!(true);
    workflow(&format!("Schedule {number}"), vec![trigger, http], json!({"executionOrder": "v1"}))
}

/// By hand only; cannot be active.
pub(crate) fn manual(number: usize) -> Value {
    let code = json!({"jsCode": format!("return items.map(i => ({{json: {{...i.json, k: {number}}}}}));\n")});
    let nodes = vec![
        node(number * 10, "When clicking", "manualTrigger", 1.0, json!({})),
        node(number * 10 + 1, "Code", "code", 2.0, code),
        node(
            number * 10 + 2,
            "Sticky Note",
            "stickyNote",
            1.0,
            json!({"content": "## About\n*this*", "height": 200, "width": 300}),
        ),
    ];
    workflow(&format!("Manual {number}"), nodes, json!({}))
}

/// What others call.
pub(crate) fn child(number: usize) -> Value {
    let nodes = vec![
        node(
            number * 10,
            "When Executed",
            "executeWorkflowTrigger",
            1.1,
            json!({"inputSource": "passthrough"}),
        ),
        node(number * 10 + 1, "NoOp", "noOp", 1.0, json!({})),
    ];
    workflow(&format!("Child {number}"), nodes, json!({"executionOrder": "v1"}))
}

/// Calls the workflow of an id, and names it for its errors; can be active where that is.
pub(crate) fn parent(number: usize, child: &str) -> Value {
    let rule = json!({"rule": {"interval": [{"field": "days"}]}});
    let call = json!({"workflowId": {"__rl": true, "mode": "list", "value": child, "cachedResultName": "Child"}, "workflowInputs": {"mappingMode": "defineBelow", "value": {}}, "options": {}});
    let nodes = vec![
        node(number * 10, "Schedule Trigger", "scheduleTrigger", 1.2, rule),
        node(number * 10 + 1, "Call", "executeWorkflow", 1.2, call),
    ];
    workflow(&format!("Parent {number}"), nodes, json!({"executionOrder": "v1", "errorWorkflow": child}))
}

/// What [`furnish`] put on a server.
#[derive(Debug)]
pub(crate) struct Furnished {
    /// Ids of the workflows: webhook, schedule, manual, child, parent.
    pub(crate) ids: Vec<String>,
    /// Id of the credential that the schedule's node names.
    pub(crate) credential: String,
}

/// Puts five workflows on a server: three active, two with tags, with static data.
pub(crate) fn furnish(server: &N8n) -> Furnished {
    let data = json!({"name": "Authorization", "value": "s3cr3t-of-the-credential"});
    let credential = server.call(
        "POST",
        "credentials",
        Some(&json!({"name": "CRM", "type": "httpHeaderAuth", "data": data})),
    );
    let credential = credential["id"].as_str().unwrap().to_owned();
    let tags: Vec<_> = ["prod", "crm"]
        .map(|name| json!({"id": server.call("POST", "tags", Some(&json!({"name": name})))["id"]}))
        .into();
    let make = |mut body: Value| {
        body["staticData"] = json!({"global": {"seen": body["name"]}});
        server.call("POST", "workflows", Some(&body))["id"].as_str().unwrap().to_owned()
    };
    let child_id = make(child(4));
    let ids = vec![
        make(webhook(1)),
        make(schedule(2, &json!({"id": credential, "name": "CRM"}))),
        make(manual(3)),
        child_id.clone(),
        make(parent(5, &child_id)),
    ];
    server.call("PUT", &format!("workflows/{}/tags", ids[0]), Some(&json!(tags)));
    server.call("PUT", &format!("workflows/{}/tags", ids[2]), Some(&json!(tags[..1])));
    // From 2.x on what is called must be active before what calls it; before that it cannot be.
    if !server.version.starts_with("1.") {
        activate(server, &ids[3]);
    }
    for id in [&ids[0], &ids[1], &ids[4]] {
        activate(server, id);
    }
    if server.version.starts_with("2.40") {
        wait_for_schedule(server, &ids[1]);
        wait_for_schedule(server, &ids[4]);
    }
    Furnished { ids, credential }
}

/// Waits until a schedule trigger keeps its own account: later 2.x activates behind its own back.
fn wait_for_schedule(server: &N8n, id: &str) {
    for _ in 0..600 {
        let data = server.workflow(id).unwrap()["staticData"].clone();
        if data.as_object().is_some_and(|data| data.keys().any(|key| key.starts_with("node:"))) {
            return;
        }
        std::thread::park_timeout(std::time::Duration::from_millis(100));
    }
    panic!("{}: workflow {id} is not activated", server.version);
}

/// Makes a workflow active.
pub(crate) fn activate(server: &N8n, id: &str) {
    server.call("POST", &format!("workflows/{id}/activate"), Some(&json!({})));
}
