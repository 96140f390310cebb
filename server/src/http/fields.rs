//! From the members of a request to the value that a handler takes: what is not known is refused by name.

use axum::http::StatusCode;
use serde::Deserialize;
use serde::de::{DeserializeOwned, Deserializer, Error as _};
use serde_json::{Map, Value};
use utoipa::PartialSchema;
use utoipa::openapi::RefOr;
use utoipa::openapi::schema::Schema;

use crate::http::problem::Problem;
use crate::values::nearest;

/// Longest name of a member that is repeated in an answer.
const SHOWN_MAX: usize = 100;

/// The names of the members of `T`, as its schema has them: what is documented is what is taken.
pub(crate) fn names<T: PartialSchema>() -> Vec<String> {
    match T::schema() {
        RefOr::T(Schema::Object(object)) => object.properties.keys().cloned().collect(),
        _ => Vec::new(),
    }
}

/// Reads `T` from members.
///
/// # Errors
/// 422 that names the member, and the known one that looks most like it.
pub(crate) fn read<T: DeserializeOwned>(
    members: Map<String, Value>,
    known: &[String],
    what: &str,
) -> Result<T, Problem> {
    if let Some(unknown) = members.keys().find(|name| !known.contains(name)) {
        let near = nearest(unknown, known.iter().map(String::as_str));
        let shown = shortened(unknown);
        let detail = match near {
            Some(near) => format!("unknown {what} {shown:?}: did you mean {near}?"),
            None if known.is_empty() => format!("unknown {what} {shown:?}: none is taken here"),
            None => format!("unknown {what} {shown:?}: there are {}", known.join(", ")),
        };
        let problem = Problem::invalid(&shown, detail);
        return Err(match near {
            Some(near) => problem.with("nearest", near),
            None => problem,
        });
    }
    serde_path_to_error::deserialize(Value::Object(members)).map_err(|e| {
        match e.path().to_string() {
            // Something is missing as a whole.
            place if place == "." => Problem::new(StatusCode::UNPROCESSABLE_ENTITY, "invalid", e.inner()),
            field => Problem::invalid(&field, format!("{what} {field}: {}", e.inner())),
        }
    })
}

/// A text of a caller, as it is repeated to him.
pub(crate) fn shortened(text: &str) -> String {
    let short: String = text.chars().take(SHOWN_MAX).collect();
    chronos_snapshot::printable(short.as_bytes())
}

/// A whole number that came as text.
pub(crate) fn number<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<u32>, D::Error> {
    let Some(text) = Option::<String>::deserialize(deserializer)?.filter(|t| !t.is_empty()) else {
        return Ok(None);
    };
    text.parse()
        .map(Some)
        .map_err(|_| D::Error::custom(format!("{:?} is not a whole number", shortened(&text))))
}

/// A switch that came as text; its name alone means yes.
pub(crate) fn switch<'de, D: Deserializer<'de>>(deserializer: D) -> Result<bool, D::Error> {
    let text = Option::<String>::deserialize(deserializer)?.unwrap_or_default();
    match text.to_ascii_lowercase().as_str() {
        "" | "1" | "true" | "yes" => Ok(true),
        "0" | "false" | "no" => Ok(false),
        _ => Err(D::Error::custom(format!("{:?} is neither true nor false", shortened(&text)))),
    }
}

/// A switch that came as text and may be absent.
pub(crate) fn choice<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<bool>, D::Error> {
    switch(deserializer).map(Some)
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "tests")]
    use utoipa::ToSchema;

    use super::*;

    #[derive(Debug, Deserialize, ToSchema)]
    #[serde(deny_unknown_fields)]
    struct Some {
        #[serde(rename = "type")]
        #[expect(dead_code, reason = "only read")]
        kind: Option<String>,
        #[expect(dead_code, reason = "only read")]
        tags: Option<Vec<String>>,
    }

    fn problem(text: &str) -> String {
        let members = serde_json::from_str(text).unwrap();
        read::<Some>(members, &names::<Some>(), "field").unwrap_err().detail().to_owned()
    }

    #[test]
    fn what_is_not_known_is_named_with_what_looks_like_it() {
        assert_eq!(problem(r#"{"typo": "x"}"#), "unknown field \"typo\": did you mean type?");
        assert_eq!(problem(r#"{"zzzzzzzz": 1}"#), "unknown field \"zzzzzzzz\": there are tags, type");
    }

    #[test]
    fn a_wrong_value_names_its_place() {
        assert!(problem(r#"{"tags": ["a", 7]}"#).starts_with("field tags[1]: invalid type: integer `7`"));
    }
}
