//! Stored workflows on trial in a server that holds nothing else: taken in inactive, read back and compared, and removed again.
//!
//! What always holds: a server that holds any workflow that no trial made is left alone, whatever its address is; nothing that is taken in
//! is ever active, so that it calls nobody.

use std::collections::BTreeMap;

use chronos_store::Monitor;
use serde::Deserialize;
use serde_json::{Value, json};

use crate::error::{Error, Result};
use crate::n8n::client::Client;
use crate::n8n::instance::Instance;
use crate::n8n::listing::{Listed, list};
use crate::n8n::restore::{RestoreOptions, plan, restore};
use crate::names::random_name;

/// How the names of workflows begin that are there for trial.
const BEGINNING: &str = "chronos drill ";
/// Longest name that every version takes, in letters.
const NAME_MAX: usize = 128;

/// What came of it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Trial {
    /// Workflows that the server took.
    pub taken: usize,
    /// What the server shows otherwise than it is stored: id and what.
    pub differences: Vec<(String, String)>,
    /// What it did not take: id and why.
    pub errors: Vec<(String, String)>,
}

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

/// Tries workflows, by their ids, in a server that is reached over its API.
///
/// # Errors
/// The server holds something else, fails, or keeps what was tried.
pub fn try_workflows(
    instance: &Instance,
    stored: BTreeMap<String, Value>,
    monitor: &dyn Monitor,
) -> Result<Trial> {
    let Instance::Api(client) = instance else {
        let why = format!("{} is no server with an API, as a scratch n8n has to be", instance.shown());
        return Err(Error::Refused(why));
    };
    // What a trial left that was killed.
    empty(client)?;
    let mark = random_name()?;
    let stored: BTreeMap<String, Value> =
        stored.into_iter().map(|(id, workflow)| (id, still(workflow, &mark))).collect();
    let tried = tried(instance, &stored, monitor);
    let emptied = empty(client);
    let tried = tried?;
    emptied?;
    Ok(tried)
}

fn tried(instance: &Instance, stored: &BTreeMap<String, Value>, monitor: &dyn Monitor) -> Result<Trial> {
    let options = RestoreOptions::default();
    let plan = plan(instance, stored, &options, monitor)?;
    let report = restore(instance, stored, &plan, &options, monitor)?;
    let mut trial = Trial::default();
    for row in report.workflows {
        if let Some(why) = row.error {
            trial.errors.push((row.id, why));
            continue;
        }
        trial.taken += 1;
        let id = row.id;
        trial.differences.extend(row.differences.into_iter().map(|what| (id.clone(), what)));
    }
    Ok(trial)
}

/// A workflow that begins by nothing and is known for what it is.
fn still(workflow: Value, mark: &str) -> Value {
    let Value::Object(mut fields) = workflow else { return workflow };
    let name = fields.get("name").and_then(Value::as_str).unwrap_or_default();
    let name: String = format!("{BEGINNING}{mark} {name}").chars().take(NAME_MAX).collect();
    fields.insert("name".to_owned(), json!(name));
    fields.insert("tags".to_owned(), json!([]));
    fields.remove("isArchived");
    inactive(Value::Object(fields))
}

/// The same workflow, with nothing of it published.
pub fn inactive(workflow: Value) -> Value {
    let Value::Object(mut fields) = workflow else { return workflow };
    fields.insert("active".to_owned(), json!(false));
    for of_active in ["activeVersion", "activeVersionId"] {
        fields.remove(of_active);
    }
    Value::Object(fields)
}

/// Removes what trials have left; fails without touching anything if there is something else.
fn empty(client: &Client) -> Result<()> {
    let there = list::<Named>(client, &["workflows"], &[("excludePinnedData", "true")])?.items;
    if let Some(other) = there.values().find(|workflow| !workflow.name.starts_with(BEGINNING)) {
        return Err(Error::Refused(format!(
            "{} holds workflow {} that no drill made: it is no scratch n8n, and was left alone",
            client.server(),
            client.clean(&other.id)
        )));
    }
    for workflow in there.values() {
        client.remove_workflow(&workflow.id)?;
    }
    Ok(())
}
