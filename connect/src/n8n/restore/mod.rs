//! The way back: stored workflows into an n8n. First planned, then carried out, then read back and compared.
//!
//! A workflow that is there is updated in place; one that is gone is made again, with its id where there is a way in that
//! keeps it (the command line; packages of later 2.x), else with a new one, and whatever names it in the same restore is
//! rewritten. A workflow that cannot be written is put back as it was.

mod body;
mod by_command;
mod compare;
mod package;
mod plan;
pub(in crate::n8n) mod references;
mod run;
mod write;

use std::collections::BTreeMap;

use serde::Serialize;
use serde_json::Value;

use crate::error::Result;
use crate::n8n::command_line::CommandLine;
use crate::n8n::version::ServerVersion;

pub use plan::plan;
pub use run::restore;

/// Where stored workflows are read from.
pub trait Stored {
    /// Ids of those that are to be restored.
    fn ids(&self) -> Vec<String>;

    /// One of them.
    fn load(&self, id: &str) -> Result<Value>;
}

impl Stored for BTreeMap<String, Value> {
    fn ids(&self) -> Vec<String> {
        self.keys().cloned().collect()
    }

    fn load(&self, id: &str) -> Result<Value> {
        let missing = || crate::error::Error::NotFound { what: "workflow", name: id.to_owned() };
        self.get(id).cloned().ok_or_else(missing)
    }
}

/// How workflows get into a server.
#[derive(Debug, Default)]
pub struct RestoreOptions {
    /// Its command line, beside its API: keeps ids and all fields.
    pub command: Option<CommandLine>,
    /// Workflows that earlier restores made again: their id before, their id afterwards.
    pub known_ids: BTreeMap<String, String>,
}

/// What becomes of a workflow.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Action {
    /// Written over the one that is there.
    Updated,
    /// Made again.
    Created,
    /// Left alone: it is as it was.
    Unchanged,
    /// Removed: it was not there then.
    Removed,
}

/// What is planned for one workflow.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Planned {
    /// Stored id.
    pub id: String,
    /// Id on the server.
    pub live_id: String,
    /// Hash of what is there now, so that a plan that was made before an edit is another one; none if nothing is.
    pub live: Option<String>,
    /// Stored name.
    pub name: String,
    /// What is done.
    pub action: Action,
    /// In which way the live workflow differs.
    pub differences: Vec<String>,
    /// Whether it is to be active.
    pub active: bool,
    /// The version that is to be published, if the snapshot has no more of it than its id: n8n has to know it still.
    pub published_unseen: Option<String>,
    /// Stored ids of the workflows that it calls.
    pub calls: Vec<String>,
    /// Stored ids of all workflows that it names.
    pub names: Vec<String>,
}

/// What a restore would do, in the order in which it does it: what is called before what calls it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Plan {
    /// The server.
    pub version: ServerVersion,
    /// Of [`RestoreOptions::known_ids`] what holds now: stored id, id on the server.
    pub ids: BTreeMap<String, String>,
    /// Each workflow.
    pub workflows: Vec<Planned>,
    /// What could not be planned: id and why.
    pub errors: Vec<(String, String)>,
}

/// What became of one workflow.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Restored {
    /// Stored id.
    pub id: String,
    /// Id on the server; another one if it could not be kept.
    pub live_id: String,
    /// Its name.
    pub name: String,
    /// What was done.
    pub action: Action,
    /// What is not as it was stored, as read back.
    pub differences: Vec<String>,
    /// Whether anything was sent that may have changed it.
    pub touched: bool,
    /// Why it is not restored, and in which state it was left.
    pub error: Option<String>,
    /// The status that n8n answered, if that is why.
    pub upstream_status: Option<u16>,
}

/// What a restore did.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct RestoreReport {
    /// Each workflow, in the order of the plan.
    pub workflows: Vec<Restored>,
    /// Those that have another id now: stored id, id now.
    pub new_ids: BTreeMap<String, String>,
    /// The server failed, or somebody asked to stop: what comes later in the plan was not begun.
    pub is_broken: bool,
    /// A server that runs knows nothing yet of what was written by its command line alone: it has to be started anew.
    pub needs_start: bool,
}

impl RestoreReport {
    /// Whether all were restored.
    pub fn is_complete(&self) -> bool {
        self.workflows.iter().all(|w| w.error.is_none())
    }
}
