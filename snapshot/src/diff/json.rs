//! What differs inside two JSON documents, by JSON pointer (RFC 6901).

use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::error::{Error, Result};
use crate::node::NodeKind;
use crate::path::TreePath;
use crate::read::ByteRange;
use crate::tree::Tree;

/// Longest document that is compared inside; both are held in memory, several times their length.
pub const JSON_BYTES_MAX: u64 = 16 << 20;

/// One difference inside a document.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct JsonChange {
    /// JSON pointer: in the newer document, or in the older one for what was removed.
    pub pointer: String,
    /// The older value, if there is one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub before: Option<Value>,
    /// The newer value, if there is one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub after: Option<Value>,
}

/// What differs between two documents, in the order of keys and places.
pub fn json_diff(before: &[u8], after: &[u8]) -> Result<Vec<JsonChange>> {
    let parse =
        |bytes| serde_json::from_slice::<Value>(bytes).map_err(|e| Error::Invalid(format!("not JSON: {e}")));
    let mut found = Vec::new();
    compare(&mut String::new(), &parse(before)?, &parse(after)?, &mut found);
    Ok(found)
}

impl Tree {
    /// What differs inside the JSON file at `path`; `None` if one of the two is not a file, too long, or not JSON.
    pub fn diff_json(&self, newer: &Self, path: &TreePath) -> Result<Option<Vec<JsonChange>>> {
        match (self.small_file(path)?, newer.small_file(path)?) {
            (Some(before), Some(after)) => Ok(json_diff(&before, &after).ok()),
            _ => Ok(None),
        }
    }

    fn small_file(&self, path: &TreePath) -> Result<Option<Vec<u8>>> {
        match self.find(path)? {
            Some(entry)
                if matches!(entry.node.kind, NodeKind::File(_)) && entry.node.size() <= JSON_BYTES_MAX =>
            {
                let mut bytes = Vec::new();
                self.write_content(&entry, ByteRange::ALL, &mut bytes)?;
                Ok(Some(bytes))
            }
            _ => Ok(None),
        }
    }
}

fn compare(at: &mut String, before: &Value, after: &Value, found: &mut Vec<JsonChange>) {
    match (before, after) {
        (Value::Object(a), Value::Object(b)) => {
            for (key, old) in a {
                let mark = push(at, &key.replace('~', "~0").replace('/', "~1"));
                match b.get(key) {
                    Some(new) => compare(at, old, new, found),
                    None => note(at, Some(old), None, found),
                }
                at.truncate(mark);
            }
            for (key, new) in b.iter().filter(|(key, _)| !a.contains_key(*key)) {
                let mark = push(at, &key.replace('~', "~0").replace('/', "~1"));
                note(at, None, Some(new), found);
                at.truncate(mark);
            }
        }
        (Value::Array(a), Value::Array(b)) => compare_arrays(at, a, b, found),
        _ if before == after => {}
        _ => note(at, Some(before), Some(after), found),
    }
}

/// Leaves out what both arrays begin and end with, and compares the rest place by place.
fn compare_arrays(at: &mut String, a: &[Value], b: &[Value], found: &mut Vec<JsonChange>) {
    let head = a.iter().zip(b).take_while(|(x, y)| x == y).count();
    let rest = a.len().min(b.len()) - head;
    let tail = a.iter().rev().zip(b.iter().rev()).take(rest).take_while(|(x, y)| x == y).count();
    let old = a.get(head..a.len() - tail).unwrap_or_default();
    let new = b.get(head..b.len() - tail).unwrap_or_default();
    for i in 0..old.len().max(new.len()) {
        let mark = push(at, &(head + i).to_string());
        match (old.get(i), new.get(i)) {
            (Some(x), Some(y)) => compare(at, x, y, found),
            (x, y) => note(at, x, y, found),
        }
        at.truncate(mark);
    }
}

/// Appends a step to a pointer and returns its length before.
fn push(at: &mut String, step: &str) -> usize {
    let mark = at.len();
    at.push('/');
    at.push_str(step);
    mark
}

fn note(at: &str, before: Option<&Value>, after: Option<&Value>, found: &mut Vec<JsonChange>) {
    found.push(JsonChange { pointer: at.to_owned(), before: before.cloned(), after: after.cloned() });
}
