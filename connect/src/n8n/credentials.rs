//! Which credentials there are: id, name and type, never a value.

use std::borrow::Cow;
use std::collections::BTreeSet;

use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::n8n::client::Client;
use crate::n8n::error::{Error, Result};
use crate::n8n::listing::{Listed, list};
use crate::n8n::version::Era;
use crate::n8n::workflow::text_of;

/// A credential as far as a backup knows it.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Credential {
    /// Its id; `None` where a node names it by its name only.
    pub id: Option<String>,
    /// Its name.
    pub name: String,
    /// Its type.
    #[serde(rename = "type")]
    pub kind: String,
}

#[derive(Deserialize)]
struct Row {
    id: String,
    #[serde(default)]
    name: String,
    #[serde(rename = "type", default)]
    kind: String,
}

impl Listed for Row {
    fn id(&self) -> &str {
        &self.id
    }
}

/// Those that the server lists, ordered by id; or why it does not.
pub(super) fn listed(client: &Client, era: Era) -> Result<Result<Vec<Credential>, String>> {
    if !era.lists_credentials() {
        return Ok(Err("this n8n does not list credentials".to_owned()));
    }
    match list::<Row>(client, &["credentials"], &[]) {
        Ok(listing) => {
            let rows = listing.items.into_values();
            Ok(Ok(rows.map(|r| Credential { id: Some(r.id), name: r.name, kind: r.kind }).collect()))
        }
        Err(error @ (Error::Forbidden { .. } | Error::Refused { .. })) => Ok(Err(error.to_string())),
        Err(error) => Err(error),
    }
}

/// Adds those that one node names: `{type: {id, name}}`, or `{type: name}` in workflows of the first versions.
pub(super) fn named(credentials: &Value, all: &mut BTreeSet<Credential>) {
    for (kind, value) in credentials.as_object().into_iter().flatten() {
        let id = text_of(value, "id").map(Cow::into_owned);
        let name = text_of(value, "name").map(Cow::into_owned).or_else(|| value.as_str().map(str::to_owned));
        if id.is_some() || name.is_some() {
            all.insert(Credential { id, name: name.unwrap_or_default(), kind: kind.clone() });
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn nodes_name_credentials_in_two_ways() {
        let mut all = BTreeSet::new();
        named(
            &json!({"a": {"id": "1", "name": "n"}, "b": "old", "c": {"id": null, "name": "x"}, "d": {}, "e": 5}),
            &mut all,
        );
        named(&json!({"a": {"id": "1", "name": "n"}}), &mut all);
        named(&json!(null), &mut all);
        let of = |id: Option<&str>, name: &str, kind: &str| Credential {
            id: id.map(str::to_owned),
            name: name.to_owned(),
            kind: kind.to_owned(),
        };
        assert_eq!(
            all.into_iter().collect::<Vec<_>>(),
            [of(None, "old", "b"), of(None, "x", "c"), of(Some("1"), "n", "a")]
        );
    }
}
