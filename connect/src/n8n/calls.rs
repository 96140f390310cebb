//! The calls that change a server, each by its name.

use std::collections::BTreeMap;

use reqwest::Method;
use serde::Deserialize;
use serde_json::{Value, json};

use crate::n8n::client::{Again, Body, Call, Client};
use crate::n8n::error::{Error, Result};
use crate::n8n::listing::{Listed, list};
use crate::n8n::workflow::text_of;

/// Milliseconds between two looks at a workflow that is still being unpublished, and how often.
const SETTLE_PAUSE_MS: u64 = 100;
const SETTLE_LOOKS: u32 = 100;

#[derive(Deserialize)]
struct Named {
    id: String,
    name: String,
}

impl Listed for Named {
    fn id(&self) -> &str {
        &self.id
    }
}

#[derive(Deserialize)]
struct IdOnly {
    id: String,
}

impl Listed for IdOnly {
    fn id(&self) -> &str {
        &self.id
    }
}

fn send(client: &Client, method: &Method, path: &[&str], body: &Value, again: Again) -> Result<Value> {
    let body = if body.is_null() { Body::Nothing } else { Body::Json(body) };
    client.json(&Call { method, path, query: &[], body, again })
}

/// A workflow, or `None` if there is none.
pub(super) fn get(client: &Client, id: &str) -> Result<Option<Value>> {
    match client.json::<Value>(&Call::get(&["workflows", id])) {
        Ok(value) if text_of(&value, "id").is_some_and(|found| found == id) => Ok(Some(value)),
        Ok(_) => Err(Error::Unexpected {
            server: client.server().to_owned(),
            what: format!("GET /workflows/{}", client.clean(id)),
            why: "another workflow, or none".to_owned(),
        }),
        Err(Error::Refused { status: 404, .. }) => Ok(None),
        Err(error) => Err(error),
    }
}

/// Makes a workflow; the server gives it an id.
pub(super) fn create(client: &Client, body: &Value) -> Result<Value> {
    send(client, &Method::POST, &["workflows"], body, Again::Unsent)
}

/// Replaces a workflow.
pub(super) fn update(client: &Client, id: &str, body: &Value) -> Result<Value> {
    send(client, &Method::PUT, &["workflows", id], body, Again::Safe)
}

/// Makes a workflow active; from 2.x on with a chosen version.
pub(super) fn activate(client: &Client, id: &str, version: Option<&str>) -> Result<()> {
    let body = version.map_or_else(|| json!({}), |version| json!({"versionId": version}));
    send(client, &Method::POST, &["workflows", id, "activate"], &body, Again::Safe).map(drop)
}

/// Makes a workflow inactive; waits until it is.
pub(super) fn deactivate(client: &Client, id: &str) -> Result<()> {
    for _ in 0..SETTLE_LOOKS {
        match send(client, &Method::POST, &["workflows", id, "deactivate"], &json!({}), Again::Safe) {
            Ok(_) => return Ok(()),
            // Still being published or unpublished.
            Err(Error::Refused { status: 409, .. }) => {
                std::thread::sleep(std::time::Duration::from_millis(SETTLE_PAUSE_MS));
            }
            Err(error) => return Err(error),
        }
    }
    send(client, &Method::POST, &["workflows", id, "deactivate"], &json!({}), Again::Safe).map(drop)
}

/// Removes a workflow, which must be inactive; waits until it is. Says whether there was one.
pub(super) fn remove(client: &Client, id: &str) -> Result<bool> {
    let remove = || send(client, &Method::DELETE, &["workflows", id], &Value::Null, Again::Safe);
    for _ in 0..SETTLE_LOOKS {
        match remove() {
            Ok(_) => return Ok(true),
            Err(Error::Refused { status: 404, .. }) => return Ok(false),
            // Still being unpublished.
            Err(Error::Refused { status: 409, .. }) => {
                std::thread::sleep(std::time::Duration::from_millis(SETTLE_PAUSE_MS));
            }
            Err(error) => return Err(error),
        }
    }
    remove().map(|_| true)
}

/// Puts a workflow away, or takes it back; later 2.x only.
pub(super) fn set_archived(client: &Client, id: &str, archived: bool) -> Result<()> {
    let verb = if archived { "archive" } else { "unarchive" };
    send(client, &Method::POST, &["workflows", id, verb], &json!({}), Again::Safe).map(drop)
}

/// Ids of the tags by their names.
pub(super) fn tags(client: &Client) -> Result<BTreeMap<String, String>> {
    let listing = list::<Named>(client, &["tags"], &[])?;
    Ok(listing.items.into_values().map(|tag| (tag.name, tag.id)).collect())
}

/// Makes a tag; gives its id.
pub(super) fn create_tag(client: &Client, name: &str) -> Result<String> {
    let made = send(client, &Method::POST, &["tags"], &json!({"name": name}), Again::Unsent)?;
    text_of(&made, "id").map(std::borrow::Cow::into_owned).ok_or_else(|| Error::Unexpected {
        server: client.server().to_owned(),
        what: "POST /tags".to_owned(),
        why: "no id".to_owned(),
    })
}

/// Gives a workflow exactly these tags.
pub(super) fn set_tags(client: &Client, id: &str, tags: &[String]) -> Result<()> {
    let body: Vec<_> = tags.iter().map(|id| json!({"id": id})).collect();
    send(client, &Method::PUT, &["workflows", id, "tags"], &json!(body), Again::Safe).map(drop)
}

/// Takes a package of workflows in, which keep their ids; later 2.x only.
pub(super) fn import_package(client: &Client, package: &[u8]) -> Result<Value> {
    let body = Body::Package(package, &[("workflowConflictPolicy", "new-version")]);
    client.json(&Call {
        method: &Method::POST,
        path: &["n8n-packages", "import"],
        query: &[],
        body,
        again: Again::Unsent,
    })
}

impl Client {
    /// Ids of all workflows that are active.
    pub fn active_workflows(&self) -> Result<Vec<String>> {
        let listing =
            list::<IdOnly>(self, &["workflows"], &[("active", "true"), ("excludePinnedData", "true")])?;
        Ok(listing.items.into_keys().collect())
    }

    /// Names of all workflows by their ids. That a server did not hold still while they were listed is an error.
    pub fn workflow_names(&self) -> Result<BTreeMap<String, String>> {
        let listing = list::<Named>(self, &["workflows"], &[("excludePinnedData", "true")])?;
        if !listing.is_settled {
            return Err(Error::Unexpected {
                server: self.server().to_owned(),
                what: "GET /workflows".to_owned(),
                why: "workflows were added and deleted all the while they were listed; try again".to_owned(),
            });
        }
        Ok(listing.items.into_iter().map(|(id, workflow)| (id, workflow.name)).collect())
    }

    /// Makes a workflow inactive.
    pub fn deactivate_workflow(&self, id: &str) -> Result<()> {
        deactivate(self, id)
    }

    /// Makes a workflow active; from 2.x on with a version of its history, if one is named.
    pub fn activate_workflow(&self, id: &str, version: Option<&str>) -> Result<()> {
        activate(self, id, version)
    }

    /// Removes a workflow, also one that is active. Says whether there was one.
    pub fn remove_workflow(&self, id: &str) -> Result<bool> {
        let Some(live) = get(self, id)? else { return Ok(false) };
        if live.get("active").and_then(Value::as_bool).unwrap_or_default() {
            deactivate(self, id)?;
        }
        remove(self, id)
    }

    /// A workflow in the form in which it is stored; `None` if there is none.
    pub fn workflow(&self, id: &str) -> Result<Option<Value>> {
        Ok(get(self, id)?.map(crate::n8n::workflow::canonical))
    }
}
