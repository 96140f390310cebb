//! The query of a request: each parameter once, `tag` as often as wanted, `metadata.K=V` and `metadata[K]=V` as members of `metadata`.

use axum::extract::FromRequestParts;
use axum::http::request::Parts;
use serde::de::DeserializeOwned;
use serde_json::{Map, Value};
use utoipa::IntoParams;

use crate::http::fields;
use crate::http::problem::Problem;

/// Parameters that may be given several times: they are lists.
const LISTS: [&str; 1] = ["tag"];
/// The parameters that are maps.
const MAPS: [&str; 1] = ["metadata"];

/// The query as `T`.
#[derive(Debug)]
pub(crate) struct Query<T>(pub(crate) T);

impl<T: DeserializeOwned + IntoParams, S: Send + Sync> FromRequestParts<S> for Query<T> {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, _state: &S) -> Result<Self, Problem> {
        read(parts.uri.query().unwrap_or_default()).map(Self)
    }
}

fn read<T: DeserializeOwned + IntoParams>(query: &str) -> Result<T, Problem> {
    let known: Vec<String> = T::into_params(|| None).into_iter().map(|p| p.name).collect();
    let mut members = Map::new();
    for (name, value) in form_urlencoded::parse(query.as_bytes()) {
        let value = Value::String(value.into_owned());
        if let Some((map, key)) = of_map(&name, &known) {
            let entries = members.entry(map).or_insert_with(|| Value::Object(Map::new()));
            if let Value::Object(entries) = entries {
                entries.insert(key.to_owned(), value);
            }
        } else if LISTS.contains(&&*name) {
            let list = members.entry(name).or_insert_with(|| Value::Array(Vec::new()));
            if let Value::Array(list) = list {
                list.push(value);
            }
        } else if members.insert(name.to_string(), value).is_some() {
            let shown = fields::shortened(&name);
            return Err(Problem::invalid(&shown, format!("parameter {shown:?} is given twice")));
        }
    }
    fields::read(members, &known, "parameter")
}

/// The map that a parameter belongs to, and the key in it: `metadata.K`, or `metadata[K]` as `OpenAPI` writes it.
fn of_map<'n>(name: &'n str, known: &[String]) -> Option<(&'static str, &'n str)> {
    MAPS.into_iter().filter(|map| known.iter().any(|k| k == map)).find_map(|map| {
        let rest = name.strip_prefix(map)?;
        let key = rest.strip_prefix('.').or_else(|| rest.strip_prefix('[')?.strip_suffix(']'))?;
        Some((map, key))
    })
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "tests")]
    use std::collections::BTreeMap;

    use serde::Deserialize;

    use super::*;

    #[derive(Debug, Default, PartialEq, Deserialize, IntoParams)]
    #[serde(deny_unknown_fields, default)]
    struct Some {
        #[serde(deserialize_with = "fields::number")]
        limit: Option<u32>,
        #[serde(deserialize_with = "fields::switch")]
        quick: bool,
        tag: Vec<String>,
        metadata: BTreeMap<String, String>,
    }

    #[test]
    fn values_come_from_texts() {
        let found: Some = read("limit=7&quick&tag=a&tag=b%20c&metadata.k=v&metadata%5Bl%5D=w").unwrap();
        let wanted = Some {
            limit: std::option::Option::Some(7),
            quick: true,
            tag: vec!["a".into(), "b c".into()],
            metadata: [("k".to_owned(), "v".to_owned()), ("l".to_owned(), "w".to_owned())].into(),
        };
        assert_eq!(found, wanted);
        assert_eq!(read::<Some>("limit=").unwrap(), Some::default());
    }

    #[test]
    fn what_cannot_be_meant_is_named() {
        let said = |query: &str| read::<Some>(query).unwrap_err().detail().to_owned();
        assert_eq!(said("limt=1"), "unknown parameter \"limt\": did you mean limit?");
        assert_eq!(said("limit=many"), "parameter limit: \"many\" is not a whole number");
        assert_eq!(said("limit=1&limit=2"), "parameter \"limit\" is given twice");
        assert_eq!(said("quick=maybe"), "parameter quick: \"maybe\" is neither true nor false");
    }
}
