//! An n8n that is looked at and changed: over its API, or by its command line where there is no other way in.

use std::collections::BTreeMap;

use serde_json::Value;

use crate::n8n::client::Client;
use crate::n8n::command_line::CommandLine;
use crate::n8n::error::Result;
use crate::n8n::version::ServerVersion;
use crate::n8n::workflow::flag;

/// A way to an n8n.
#[derive(Debug)]
pub enum Instance {
    /// Over its public API.
    Api(Client),
    /// By its command line alone.
    Command(CommandLine),
}

impl Instance {
    /// Where it is, for people.
    pub fn shown(&self) -> String {
        match self {
            Self::Api(client) => client.server().to_owned(),
            Self::Command(line) => line.shown(),
        }
    }

    /// Looks at it anew: until then its command line tells what the last look has shown. Over its API every question is a new one.
    ///
    /// # Errors
    /// Those of the command.
    pub fn look(&self) -> Result<()> {
        match self {
            Self::Api(_) => Ok(()),
            Self::Command(line) => line.look(),
        }
    }

    /// A workflow in the form in which it is stored; `None` if there is none.
    ///
    /// # Errors
    /// Those of the server, or of the command.
    pub fn workflow(&self, id: &str) -> Result<Option<Value>> {
        match self {
            Self::Api(client) => client.workflow(id),
            Self::Command(line) => line.workflow(id),
        }
    }

    /// Names of all workflows by their ids.
    ///
    /// # Errors
    /// Those of the server, or of the command.
    pub fn workflow_names(&self) -> Result<BTreeMap<String, String>> {
        match self {
            Self::Api(client) => client.workflow_names(),
            Self::Command(line) => line.workflow_names(),
        }
    }

    /// Whether a workflow, as it is shown, is as far gone as one can be here: the command line removes none, and puts them away instead.
    pub fn is_gone(&self, live: &Value) -> bool {
        matches!(self, Self::Command(_)) && flag(live, "isArchived") && !flag(live, "active")
    }

    /// Which n8n it is.
    pub(super) fn version(&self) -> Result<ServerVersion> {
        match self {
            Self::Api(client) => ServerVersion::ask(client),
            Self::Command(line) => line.version(),
        }
    }
}
