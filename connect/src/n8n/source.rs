//! An n8n as a source of a snapshot, over its public API.
//!
//! Gives `{source}/credentials_metadata.json`, `{source}/tags.json` and `{source}/workflows/{id}.json`, in the order of their
//! paths. Listing and reading begin when it is opened; a few threads read, a few workflows ahead.

use std::sync::Arc;
use std::sync::mpsc::sync_channel;

use chronos_snapshot::{Item, Source, SourceOutcome, TreePath};

use crate::n8n::client::Client;
use crate::n8n::error::{Error, Result};
use crate::n8n::items::Items;
use crate::n8n::node;
use crate::n8n::options::{Limits, Parts, Server};
use crate::n8n::reading::Reading;
use crate::n8n::said::Said;

/// What an n8n source takes, and from where.
#[derive(Clone, Debug)]
pub struct N8nOptions {
    /// Its name, and its folder in the snapshot.
    pub name: String,
    /// The server.
    pub server: Server,
    /// Limits of its calls.
    pub limits: Limits,
    /// What is taken.
    pub parts: Parts,
    /// Only the workflow of this id.
    pub workflow: Option<String>,
}

/// The workflows, tags and credential names of one n8n.
#[derive(Debug)]
pub struct N8nSource {
    options: N8nOptions,
    folder: TreePath,
    client: Arc<Client>,
    said: Said,
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
        let folder = node::folder(&options.name)?;
        let client = Arc::new(Client::new(&options.server, options.limits.clone())?);
        Ok(Self { options, folder, client, said: Said::default() })
    }

    /// The client, which counts its calls.
    pub fn client(&self) -> &Arc<Client> {
        &self.client
    }

    /// Where the error will be that ends this source.
    pub fn failure(&self) -> Failure {
        Failure(self.said.clone())
    }
}

impl Source for N8nSource {
    fn name(&self) -> String {
        self.options.name.clone()
    }

    fn kind(&self) -> &'static str {
        "n8n"
    }

    fn component(&self) -> String {
        self.options.parts.component().to_owned()
    }

    fn paths(&self) -> Vec<String> {
        vec![node::label(&self.folder, self.options.workflow.as_deref(), self.options.parts)]
    }

    fn open(&mut self) -> chronos_snapshot::Result<Box<dyn Iterator<Item = Item> + Send>> {
        self.said.clear();
        let (sender, prepared) = sync_channel(1);
        let reading = Reading {
            client: Arc::clone(&self.client),
            said: self.said.clone(),
            folder: self.folder.clone(),
            workflow: self.options.workflow.clone(),
            parts: self.options.parts,
        };
        let items = Items::new(&self.folder, self.said.clone(), prepared);
        std::thread::spawn(move || {
            // Nobody listens any more: the backup has ended.
            let _ = sender.send(reading.prepare());
        });
        Ok(Box::new(items))
    }

    fn is_repeatable(&self) -> bool {
        true
    }

    fn outcome(&self) -> SourceOutcome {
        self.said.outcome()
    }
}
