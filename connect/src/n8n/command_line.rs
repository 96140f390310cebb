//! An n8n by its command line, which works on its database, beside the server or without it: an export shows everything, an import
//! writes everything at once, and what is active is said one by one. A server that runs takes that up when it is started anew.

use std::collections::BTreeMap;
use std::sync::{Mutex, MutexGuard, OnceLock, PoisonError};

use serde_json::{Value, json};

use crate::n8n::error::{Error, Result};
use crate::n8n::import::import;
use crate::n8n::spool::Spool;
use crate::n8n::version::{Era, ServerVersion};
use crate::n8n::workflow::{file_name, flag, id_of_file, text_of};
use crate::process::Process;

/// Bytes of its version, with the warnings that may stand before it.
const VERSION_BYTES_MAX: usize = 1 << 20;

/// The command line of an n8n, and what the last look has shown.
pub struct CommandLine {
    command: Process,
    seen: Mutex<Option<Spool>>,
    version: OnceLock<ServerVersion>,
}

/// A workflow that was active before an import.
struct Active {
    id: String,
    version: String,
    published: String,
}

impl std::fmt::Debug for CommandLine {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("CommandLine").field("command", &self.command).finish_non_exhaustive()
    }
}

impl CommandLine {
    /// By `n8n`, behind a prefix if it has one; nothing is run.
    pub fn new(command: Process) -> Self {
        Self { command, seen: Mutex::new(None), version: OnceLock::new() }
    }

    /// Its words, for people.
    pub fn shown(&self) -> String {
        self.command.shown()
    }

    /// Exports everything.
    pub(super) fn look(&self) -> Result<()> {
        let spool = self.export()?;
        *self.lock() = Some(spool);
        Ok(())
    }

    /// A workflow of the last look, in the form in which it is stored.
    pub(super) fn workflow(&self, id: &str) -> Result<Option<Value>> {
        let Some(name) = file_name(id) else { return Ok(None) };
        self.with(|spool| match spool.files.get(&name).copied() {
            Some(place) => self.parsed(&spool.read(place)?).map(Some),
            None => Ok(None),
        })
    }

    /// Names of all workflows of the last look, by their ids.
    pub(super) fn workflow_names(&self) -> Result<BTreeMap<String, String>> {
        self.with(|spool| {
            let mut names = BTreeMap::new();
            for (name, place) in spool.files.clone() {
                let workflow = self.parsed(&spool.read(place)?)?;
                let name_of = text_of(&workflow, "name").unwrap_or_default().into_owned();
                names.extend(id_of_file(&name).map(|id| (id, name_of)));
            }
            Ok(names)
        })
    }

    /// Which n8n it is; asked once.
    pub(super) fn version(&self) -> Result<ServerVersion> {
        if let Some(known) = self.version.get() {
            return Ok(known.clone());
        }
        let said = self.command.and(["--version"]).output(VERSION_BYTES_MAX).map_err(Box::new)?;
        let said = String::from_utf8_lossy(&said);
        let lines = said.lines().rev().map(str::trim);
        let release = lines.into_iter().find(|line| line.starts_with(|c: char| c.is_ascii_digit()));
        let version = ServerVersion::of_release(release.unwrap_or_default());
        Ok(self.version.get_or_init(|| version).clone())
    }

    /// Writes workflows, each under its id there. They are inactive afterwards, and keep the tags that they have there beside those that
    /// they get.
    ///
    /// n8n takes all in one transaction, but for those that a policy of its own forbids. If it fails nothing is written; n8n may have made
    /// inactive before what it was going to write over, and what the last look has shown as active is published again then.
    pub(super) fn import(
        &self,
        workflows: impl Iterator<Item = crate::Result<(Value, String)>>,
    ) -> crate::Result<()> {
        let mut ids = Vec::new();
        let noted = workflows.inspect(|workflow| ids.extend(workflow.iter().map(|(_, id)| id.clone())));
        let error = match import(&self.command, noted) {
            Ok(()) => return Ok(()),
            Err(error) => error,
        };
        // Whoever called compares what is there with what was: how far this has come shows there.
        drop(self.publish_again(&ids));
        Err(error)
    }

    fn publish_again(&self, ids: &[String]) -> Result<()> {
        if self.lock().is_none() {
            return Ok(());
        }
        let mut before = Vec::new();
        for id in ids {
            before.extend(self.workflow(id)?.as_ref().and_then(|live| Active::of(id, live)));
        }
        if before.is_empty() {
            return Ok(());
        }
        self.look()?;
        for Active { id, version, published } in before {
            let now = self.workflow(&id)?;
            let is_unwritten = now.is_some_and(|now| {
                !flag(&now, "active") && text_of(&now, "versionId").is_some_and(|now| now == version)
            });
            if is_unwritten {
                self.publish(&id, &published)?;
            }
        }
        self.look()
    }

    /// Has a version of a workflow be active from the next start of its server on. Before 2.x there is only one.
    pub(super) fn publish(&self, id: &str, version: &str) -> Result<()> {
        let words = if self.version()?.era < Era::Early2 {
            ["update:workflow".to_owned(), format!("--id={id}"), "--active=true".to_owned()]
        } else {
            ["publish:workflow".to_owned(), format!("--id={id}"), format!("--versionId={version}")]
        };
        self.command.and(words).feed_explained(|_| Ok(())).map_err(|error| Error::Command(Box::new(error)))
    }

    /// Puts workflows away, which is as near to removing them as it comes: they are archived and inactive, and their webhooks and
    /// schedules end with the next start of their server.
    ///
    /// # Errors
    /// Those of the command; what is not put away stays as it is, unless it says otherwise.
    pub fn archive(&self, ids: &[&str]) -> crate::Result<()> {
        if ids.is_empty() {
            return Ok(());
        }
        let archived = ids.iter().filter_map(|id| {
            let live = self.workflow(id).transpose()?;
            Some(live.map(|live| (archived(live), (*id).to_owned())).map_err(crate::Error::from))
        });
        // They are read while the command takes them: nothing looks anew meanwhile.
        self.import(archived)?;
        self.look()?;
        let mut left = Vec::new();
        for id in ids {
            left.extend(self.workflow(id)?.filter(|live| !flag(live, "isArchived")).map(|_| *id));
        }
        if left.is_empty() {
            Ok(())
        } else {
            Err(self.failed(&format!("{} were not archived", left.join(", "))))
        }
    }

    fn export(&self) -> Result<Spool> {
        let export = || {
            let mut spool = Spool::new()?;
            spool.fill(&self.command.and(["export:workflow", "--all"]))?;
            Ok(spool)
        };
        export().map_err(|error: crate::Error| Error::Command(Box::new(error)))
    }

    /// What the last look has shown; looks if nobody has.
    fn with<T>(&self, read: impl FnOnce(&mut Spool) -> crate::Result<T>) -> Result<T> {
        let mut seen = self.lock();
        let spool = match &mut *seen {
            Some(spool) => spool,
            None => seen.insert(self.export()?),
        };
        read(spool).map_err(|error| Error::Command(Box::new(error)))
    }

    fn parsed(&self, bytes: &[u8]) -> crate::Result<Value> {
        serde_json::from_slice(bytes).map_err(|e| self.failed(&e.to_string()))
    }

    fn failed(&self, why: &str) -> crate::Error {
        crate::Error::Command { command: self.command.shown(), why: why.to_owned() }
    }

    fn lock(&self) -> MutexGuard<'_, Option<Spool>> {
        self.seen.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Active {
    fn of(id: &str, live: &Value) -> Option<Self> {
        let text = |key: &str| text_of(live, key).map(std::borrow::Cow::into_owned);
        let (version, published) = text("versionId").zip(text("activeVersionId"))?;
        flag(live, "active").then(|| Self { id: id.to_owned(), version, published })
    }
}

fn archived(mut workflow: Value) -> Value {
    if let Some(fields) = workflow.as_object_mut() {
        fields.insert("isArchived".to_owned(), json!(true));
    }
    workflow
}
