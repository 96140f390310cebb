//! A workflow as it is stored: canonical JSON in a file named by its id.
//!
//! Keys are sorted, and what a server changes by itself is left out, so that an untouched workflow gives the same bytes
//! each time: counters, what happens when it is activated, and the account that owns it, which shows the day of the last login.

use std::borrow::Cow;
use std::fmt::Write;
use std::io::Read;

use chronos_snapshot::Time;
use serde_json::{Map, Value};

use crate::n8n::restore::references::referenced;

/// Longest file name of a workflow before `.json`, in bytes: file systems take 255.
const NAME_BYTES_MAX: usize = 240;
/// What ends the name of a workflow's file.
const SUFFIX: &str = ".json";
/// Fields of a workflow that change without anybody having changed it.
const VOLATILE: [&str; 2] = ["triggerCount", "versionCounter"];
/// Fields that a workflow changes by itself while it works.
const RESTLESS: [&str; 2] = ["staticData", "updatedAt"];
/// What is kept of an entry of `shared`, and of the project in it.
const SHARE: [&str; 3] = ["project", "projectId", "role"];
const PROJECT: [&str; 3] = ["id", "name", "type"];

/// Makes the one stored form of a workflow, from the API or the command line.
pub fn canonical(workflow: Value) -> Value {
    let Value::Object(mut fields) = workflow else { return workflow };
    for name in VOLATILE {
        fields.remove(name);
    }
    if let Some(Value::Object(active)) = fields.get_mut("activeVersion") {
        // One line more each time that the server starts.
        active.remove("workflowPublishHistory");
    }
    if let Some(Value::Array(shares)) = fields.get_mut("shared") {
        shares.iter_mut().for_each(|share| {
            keep(share, &SHARE);
            if let Some(project) = share.get_mut("project") {
                keep(project, &PROJECT);
            }
        });
        sort_by(shares, "projectId");
    }
    if let Some(Value::Array(tags)) = fields.get_mut("tags") {
        sort_by(tags, "id");
    }
    let mut value = Value::Object(fields);
    value.sort_all_objects();
    value
}

/// Stands for a workflow as somebody left it: what it changes by itself while it works does not count.
pub fn fingerprint(workflow: &Value) -> String {
    let mut kept = canonical(workflow.clone());
    if let Some(fields) = kept.as_object_mut() {
        fields.retain(|key, _| !RESTLESS.contains(&key.as_str()));
    }
    blake3::hash(&to_bytes(&kept)).to_hex().to_string()
}

/// A field that is true.
pub(super) fn flag(value: &Value, key: &str) -> bool {
    value.get(key).and_then(Value::as_bool).unwrap_or_default()
}

/// The version that is published, if the editor shows another one.
pub fn published_beside(workflow: &Value) -> Option<&str> {
    let version = |key: &str| workflow.get(key).and_then(Value::as_str);
    let published = version("activeVersionId").filter(|_| flag(workflow, "active"))?;
    (version("versionId")? != published).then_some(published)
}

/// The same, where no more is known of it than its id: the command line of older n8n shows no more.
pub fn published_unseen(workflow: &Value) -> Option<&str> {
    let is_seen = workflow.get("activeVersion").is_some_and(|published| published.get("nodes").is_some());
    published_beside(workflow).filter(|_| !is_seen)
}

/// The bytes of a stored file: sorted keys, two spaces, one line feed at the end.
pub(super) fn to_bytes(value: &Value) -> Vec<u8> {
    let mut bytes = format!("{value:#}").into_bytes();
    bytes.push(b'\n');
    bytes
}

/// The name of a workflow's file. What is no letter, digit, `-`, `_` or inner `.` is written as `%` and two digits.
///
/// `None` if the id is empty or too long for a name.
pub fn file_name(id: &str) -> Option<String> {
    let mut name = String::with_capacity(id.len() + SUFFIX.len());
    for (at, byte) in id.bytes().enumerate() {
        if byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_') || (byte == b'.' && at > 0) {
            name.push(char::from(byte));
        } else {
            // Writing to text does not fail.
            let _ = write!(name, "%{byte:02X}");
        }
    }
    if name.is_empty() || name.len() > NAME_BYTES_MAX {
        return None;
    }
    name.push_str(SUFFIX);
    Some(name)
}

/// The id of a workflow whose file has this name.
pub fn id_of_file(name: &str) -> Option<String> {
    let mut id = Vec::with_capacity(name.len());
    let mut rest = name.strip_suffix(SUFFIX)?.bytes();
    while let Some(byte) = rest.next() {
        let byte = match byte {
            b'%' => {
                let digits = [rest.next()?, rest.next()?];
                u8::from_str_radix(std::str::from_utf8(&digits).ok()?, 16).ok()?
            }
            other => other,
        };
        id.push(byte);
    }
    String::from_utf8(id).ok().filter(|id| file_name(id).as_deref() == Some(name))
}

/// When a workflow was changed last, as its server says.
pub(super) fn changed_at(workflow: &Value) -> Time {
    let text = workflow.get("updatedAt").and_then(Value::as_str).unwrap_or_default();
    let time = text.parse::<jiff::Timestamp>().unwrap_or_default();
    let nanos = u32::try_from(time.subsec_nanosecond()).unwrap_or_default();
    Time { seconds: time.as_second(), nanos }
}

/// What is said of a stored workflow by whoever reads it back.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Facts {
    /// Its id.
    pub id: String,
    /// Its name.
    pub name: String,
    /// Whether it was active.
    pub is_active: bool,
    /// Number of nodes.
    pub nodes: usize,
    /// Ids of the other workflows that it names: those that it calls, that are told of its errors, and that may call it.
    pub names: Vec<String>,
}

/// Reads a stored workflow and says whether it is one: an object with id, name, nodes that are fit for being written back,
/// connections between nodes that are there, settings.
pub fn check(content: impl Read) -> Result<Facts, String> {
    let value: Value =
        serde_json::from_reader(std::io::BufReader::new(content)).map_err(|e| format!("no JSON: {e}"))?;
    let text = |key: &str| match value.get(key) {
        Some(Value::String(text)) => Ok(text.clone()),
        _ => Err(format!("{key} is no text")),
    };
    let id = text("id")?;
    if id.is_empty() {
        return Err("its id is empty".to_owned());
    }
    let name = text("name")?;
    let nodes = check_graph(&value)?;
    if let Some(active) = value.get("activeVersion").filter(|v| !v.is_null()) {
        check_graph(active).map_err(|why| format!("its published version: {why}"))?;
    }
    if value.get("settings").is_some_and(|s| !s.is_object() && !s.is_null()) {
        return Err("settings are no object".to_owned());
    }
    let is_active = value.get("active").and_then(Value::as_bool).ok_or("active is neither true nor false")?;
    let mut names = referenced(&value);
    names.retain(|other| *other != id);
    Ok(Facts { id, name, is_active, nodes, names })
}

/// The number of nodes, if nodes and connections are what they should be.
fn check_graph(value: &Value) -> Result<usize, String> {
    let nodes = value.get("nodes").and_then(Value::as_array).ok_or("nodes are no list")?;
    for (at, node) in nodes.iter().enumerate() {
        for key in ["name", "type"] {
            if !node.get(key).is_some_and(Value::is_string) {
                return Err(format!("node {at} has no {key}"));
            }
        }
        if !node.get("parameters").is_some_and(Value::is_object) {
            return Err(format!("node {at} has no parameters"));
        }
    }
    if !value.get("connections").is_some_and(Value::is_object) {
        return Err("connections are no object".to_owned());
    }
    Ok(nodes.len())
}

/// A field as text, also where an old server gives a number.
pub(super) fn text_of<'v>(value: &'v Value, key: &str) -> Option<Cow<'v, str>> {
    match value.get(key)? {
        Value::String(text) => Some(Cow::Borrowed(text)),
        Value::Number(number) => Some(Cow::Owned(number.to_string())),
        _ => None,
    }
}

fn keep(value: &mut Value, wanted: &[&str]) {
    if let Value::Object(fields) = value {
        let kept: Map<_, _> =
            std::mem::take(fields).into_iter().filter(|(k, _)| wanted.contains(&k.as_str())).collect();
        *fields = kept;
    }
}

fn sort_by(values: &mut [Value], key: &str) {
    values.sort_by(|a, b| text_of(a, key).cmp(&text_of(b, key)));
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "tests")]

    use serde_json::json;

    use super::*;

    #[test]
    fn what_a_server_changes_by_itself_is_left_out_and_all_else_is_kept() {
        let given = json!({
            "versionCounter": 7, "triggerCount": 1, "name": "n", "id": "a", "active": true, "description": null,
            "staticData": {"z": 1, "a": {"y": 1, "b": 2.5}}, "pinData": {"N": []}, "meta": null,
            "tags": [{"id": "t2", "name": "b"}, {"id": "t1", "name": "c"}],
            "activeVersion": {"nodes": [], "workflowPublishHistory": [{"id": 1}]},
            "shared": [
                {"projectId": "p2", "role": "workflow:editor", "updatedAt": "x"},
                {"projectId": "p1", "role": "workflow:owner", "project": {"id": "p1", "name": "P", "type": "team",
                    "projectRelations": [{"user": {"lastActiveAt": "2026-11-21"}}]}},
            ],
        });
        let expected = json!({
            "name": "n", "id": "a", "active": true, "description": null,
            "staticData": {"z": 1, "a": {"y": 1, "b": 2.5}}, "pinData": {"N": []}, "meta": null,
            "tags": [{"id": "t1", "name": "c"}, {"id": "t2", "name": "b"}],
            "activeVersion": {"nodes": []},
            "shared": [
                {"projectId": "p1", "role": "workflow:owner", "project": {"id": "p1", "name": "P", "type": "team"}},
                {"projectId": "p2", "role": "workflow:editor"},
            ],
        });
        let made = canonical(given);
        assert_eq!(made, expected);
        let text = String::from_utf8(to_bytes(&made)).unwrap();
        assert!(text.starts_with("{\n  \"active\": true,\n  \"activeVersion\": {"), "{text}");
        let top: Vec<_> = text.lines().filter(|l| l.starts_with("  \"")).collect();
        assert!(top.is_sorted(), "{top:?}");
        assert!(text.ends_with("}\n"));
    }

    #[test]
    fn numbers_stay_what_they_are() {
        let text = "[0.1,4.2,1e21,123456789.12345679,-0.000001,9007199254740993,5e-324]";
        let value: Value = serde_json::from_str(text).unwrap();
        let again: Value = serde_json::from_slice(&to_bytes(&value)).unwrap();
        assert_eq!(value, again);
        assert_eq!(value.get(3).unwrap().as_f64().unwrap().to_bits(), 123_456_789.123_456_79_f64.to_bits());
        assert_eq!(value.get(6).unwrap().as_f64().unwrap().to_bits(), 1);
    }

    #[test]
    fn any_id_has_a_file_name_of_its_own_and_comes_back_from_it() {
        for id in [
            "rzAW3UffRJBgpyXS",
            "12",
            "a-b_c.d",
            "../../etc/passwd",
            ".hidden",
            "a/b",
            "ünï",
            "100%",
            "a b\n",
            "%41",
        ] {
            let name = file_name(id).unwrap();
            assert!(!name.contains('/') && !name.starts_with('.'), "{name}");
            assert_eq!(id_of_file(&name).as_deref(), Some(id));
        }
        assert_eq!(file_name(""), None);
        assert_eq!(file_name(&"x".repeat(241)), None);
        for name in ["x", "%4.json", "%zz.json", "%FF.json", ".json", "%c3%+1.json"] {
            assert_eq!(id_of_file(name), None, "{name}");
        }
    }

    #[test]
    fn a_stored_workflow_is_told_from_what_is_none() {
        let good = json!({"id": "a", "name": "n", "active": false, "connections": {}, "settings": {},
            "nodes": [{"name": "N", "type": "t", "parameters": {}}]});
        let of = |value: &Value| check(to_bytes(value).as_slice());
        let facts =
            Facts { id: "a".to_owned(), name: "n".to_owned(), is_active: false, nodes: 1, names: Vec::new() };
        assert_eq!(of(&good), Ok(facts));
        assert!(check(b"{\"id\": \"a\"".as_slice()).unwrap_err().contains("no JSON"));
        for (key, bad, why) in [
            ("id", json!(""), "empty"),
            ("id", json!(7), "id is no text"),
            ("name", json!(null), "name"),
            ("nodes", json!({}), "no list"),
            ("nodes", json!([{"name": "N", "parameters": {}}]), "no type"),
            ("nodes", json!([{"name": "N", "type": "t"}]), "no parameters"),
            ("connections", json!([]), "connections"),
            ("settings", json!([]), "settings"),
            ("active", json!("yes"), "neither"),
            ("activeVersion", json!({"nodes": 1}), "published"),
        ] {
            let mut value = good.clone();
            value.as_object_mut().unwrap().insert(key.to_owned(), bad);
            let error = of(&value).unwrap_err();
            assert!(error.contains(why), "{key}: {error}");
        }
    }

    #[test]
    fn the_time_of_the_last_change_is_read() {
        let time = changed_at(&json!({"updatedAt": "2026-11-21T22:27:59.194Z"}));
        assert_eq!(time, Time { seconds: 1_795_300_079, nanos: 194_000_000 });
        assert_eq!(changed_at(&json!({"updatedAt": 5})), Time::default());
    }
}
