//! The JSON documents of `--json`: every object at the top carries `schema_version`.

use serde::Serialize;
use serde_json::{Map, Value};

use crate::error::{Exit, Failure};

/// Version of the fields of all documents.
const SCHEMA_VERSION: u32 = 1;

/// The document of a command that failed.
#[derive(Debug, Serialize)]
pub(crate) struct Problem<'a> {
    status: &'static str,
    error: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    hint: Option<&'a str>,
    exit_code: u8,
}

impl<'a> From<&'a Failure> for Problem<'a> {
    fn from(failure: &'a Failure) -> Self {
        Self {
            status: if failure.exit == Exit::Interrupted { "interrupted" } else { "failed" },
            error: &failure.message,
            hint: failure.hint.as_deref(),
            exit_code: failure.exit.code(),
        }
    }
}

/// The text of a document, with `schema_version` in it and a line end after it.
pub(crate) fn document(value: &impl Serialize) -> Result<String, Failure> {
    let bad =
        |e: serde_json::Error| Failure::new(Exit::Failed, format!("the answer cannot be shown as JSON: {e}"));
    let mut value = serde_json::to_value(value).map_err(bad)?;
    match &mut value {
        Value::Array(items) => items.iter_mut().for_each(stamp),
        other => stamp(other),
    }
    let mut text = serde_json::to_string_pretty(&value).map_err(bad)?;
    text.push('\n');
    Ok(chronos_snapshot::harmless_json(text))
}

fn stamp(value: &mut Value) {
    if let Value::Object(fields) = value {
        let mut stamped = Map::with_capacity(fields.len() + 1);
        stamped.insert("schema_version".into(), SCHEMA_VERSION.into());
        stamped.append(fields);
        *fields = stamped;
    }
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "tests")]
    use super::*;

    #[test]
    fn objects_carry_the_schema_version_also_in_arrays() {
        assert_eq!(
            serde_json::from_str::<Value>(&document(&serde_json::json!({"a": 1})).unwrap()).unwrap(),
            serde_json::json!({"schema_version": 1, "a": 1})
        );
        assert_eq!(
            serde_json::from_str::<Value>(&document(&serde_json::json!([{"a": 1}])).unwrap()).unwrap(),
            serde_json::json!([{"schema_version": 1, "a": 1}])
        );
    }
}
