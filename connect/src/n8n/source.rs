//! An n8n as a source of a snapshot, over its public API or by its command line.
//!
//! Gives `{source}/credentials_metadata.json`, `{source}/tags.json` and `{source}/workflows/{id}.json`, in the order of their
//! paths. Reading begins when it is opened; over the API a few threads read, a few workflows ahead.

use std::sync::Arc;

use chronos_snapshot::{Item, Source, SourceOutcome, TreePath};

use crate::n8n::client::Client;
use crate::n8n::error::{Error, Result};
use crate::n8n::exported::Export;
use crate::n8n::node;
use crate::n8n::options::{Limits, Parts, Server};
use crate::n8n::reading::Reading;
use crate::n8n::said::Said;
use crate::process::Process;

/// What an n8n source takes, and from where.
#[derive(Clone, Debug)]
pub struct N8nOptions {
    /// Its name, and its folder in the snapshot.
    pub name: String,
    /// How it is read.
    pub way: Way,
    /// What is taken.
    pub parts: Parts,
    /// Only the workflow of this id.
    pub workflow: Option<String>,
}

/// How an n8n is read.
#[derive(Clone, Debug)]
pub enum Way {
    /// Over its public API.
    Api {
        /// The server.
        server: Server,
        /// Limits of its calls.
        limits: Limits,
    },
    /// By its command line.
    Command {
        /// `n8n`, behind a prefix if it has one.
        command: Process,
        /// Also `credentials_encrypted.json`: with the values, encrypted with the key of the instance.
        has_encrypted_credentials: bool,
    },
}

/// The workflows, tags and credential names of one n8n.
#[derive(Debug)]
pub struct N8nSource {
    name: String,
    folder: TreePath,
    reader: Reader,
    parts: Parts,
    workflow: Option<String>,
    said: Said,
}

/// What reads.
#[derive(Debug)]
enum Reader {
    Api(Arc<Client>),
    Command { command: Process, has_encrypted_credentials: bool },
}

/// Why a source failed, for whoever gave it away.
#[derive(Clone, Debug)]
pub struct Failure(Said);

impl Failure {
    /// Takes the error that ended the source.
    pub fn take(&self) -> Option<Error> {
        self.0.take_failure()
    }
}

impl N8nSource {
    /// Prepares a source; no call is made.
    pub fn new(options: N8nOptions) -> Result<Self> {
        let N8nOptions { name, way, parts, workflow } = options;
        let folder = node::folder(&name)?;
        let reader = match way {
            Way::Api { server, limits } => Reader::Api(Arc::new(Client::new(&server, limits)?)),
            Way::Command { command, has_encrypted_credentials } => {
                Reader::Command { command, has_encrypted_credentials }
            }
        };
        Ok(Self { name, folder, reader, parts, workflow, said: Said::default() })
    }

    /// Where the error will be that ends this source.
    pub fn failure(&self) -> Failure {
        Failure(self.said.clone())
    }
}

impl Source for N8nSource {
    fn name(&self) -> String {
        self.name.clone()
    }

    fn kind(&self) -> &'static str {
        "n8n"
    }

    fn component(&self) -> String {
        self.parts.component().to_owned()
    }

    fn paths(&self) -> Vec<String> {
        vec![node::label(&self.folder, self.workflow.as_deref(), self.parts)]
    }

    fn open(&mut self) -> chronos_snapshot::Result<Box<dyn Iterator<Item = Item> + Send>> {
        self.said.clear();
        let (said, folder) = (self.said.clone(), self.folder.clone());
        let (workflow, parts) = (self.workflow.clone(), self.parts);
        Ok(match &self.reader {
            Reader::Api(client) => {
                let client = Arc::clone(client);
                Box::new(Reading { client, said, folder, workflow, parts }.begin())
            }
            Reader::Command { command, has_encrypted_credentials } => {
                let (command, has_encrypted_credentials) = (command.clone(), *has_encrypted_credentials);
                let export = Export { command, has_encrypted_credentials, said, folder, workflow, parts };
                Box::new(export.begin())
            }
        })
    }

    fn is_repeatable(&self) -> bool {
        true
    }

    fn outcome(&self) -> SourceOutcome {
        self.said.outcome()
    }
}
