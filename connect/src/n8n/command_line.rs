//! An n8n by its command line, which works on its database, beside the server or without it: an export shows everything, an import
//! writes everything at once, and what is active is said one by one. A server that runs takes that up when it is started anew.

use std::collections::BTreeMap;
use std::sync::{Mutex, MutexGuard, OnceLock, PoisonError};

use serde_json::{Value, json};

use crate::n8n::error::{Error, Result};
use crate::n8n::restore::{flag, import};
use crate::n8n::spool::Spool;
use crate::n8n::version::{Era, ServerVersion};
use crate::n8n::workflow::{file_name, id_of_file, text_of};
use crate::process::Process;

/// What it may say beside the workflows.
const SAID_BYTES_MAX: usize = 1 << 20;

/// The command line of an n8n, and what the last look has shown.
pub struct CommandLine {
    command: Process,
    seen: Mutex<Option<Spool>>,
    version: OnceLock<ServerVersion>,
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
        let said = self.run(&["--version"])?;
        // Warnings may stand before it.
        let release =
            said.lines().rev().map(str::trim).find(|line| line.starts_with(|c: char| c.is_ascii_digit()));
        let version = ServerVersion::of_release(release.unwrap_or_default());
        Ok(self.version.get_or_init(|| version).clone())
    }

    /// Writes workflows, each under its id there; all of them or none. They are inactive afterwards, and keep the tags that they have
    /// there beside those that they get.
    pub(super) fn import(
        &self,
        workflows: impl Iterator<Item = crate::Result<(Value, String)>>,
    ) -> crate::Result<()> {
        import(&self.command, workflows)
    }

    /// Has a workflow be active from the next start of its server on: as it was imported last, or with a version that its history has.
    pub(super) fn publish(&self, id: &str, version: Option<&str>) -> Result<()> {
        let id = format!("--id={id}");
        if self.version()?.era < Era::Early2 {
            return self.run(&["update:workflow", &id, "--active=true"]).map(drop);
        }
        let version = version.map(|version| format!("--versionId={version}"));
        let words: Vec<&str> = ["publish:workflow", &*id].into_iter().chain(version.as_deref()).collect();
        self.run(&words).map(drop)
    }

    /// Puts workflows away, which is as near to removing them as it comes: they are archived and inactive, and their webhooks and
    /// schedules end with the next start of their server.
    ///
    /// # Errors
    /// Those of the command; none of them is put away then.
    pub fn archive(&self, ids: &[&str]) -> crate::Result<()> {
        if ids.is_empty() {
            return Ok(());
        }
        let mut live = Vec::new();
        for id in ids {
            live.extend(self.workflow(id)?.map(|workflow| (workflow, (*id).to_owned())));
        }
        for (workflow, _) in &mut live {
            if let Some(fields) = workflow.as_object_mut() {
                fields.insert("isArchived".to_owned(), json!(true));
            }
        }
        self.import(live.into_iter().map(Ok))?;
        self.look()?;
        let is_left = |id: &&&str| match self.workflow(id) {
            Ok(Some(live)) => !flag(&live, "isArchived"),
            Ok(None) => false,
            Err(_) => true,
        };
        let left: Vec<&str> = ids.iter().filter(is_left).copied().collect();
        if left.is_empty() {
            Ok(())
        } else {
            Err(self.failed(&format!("{} could not be archived", left.join(", "))))
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

    fn run(&self, words: &[&str]) -> Result<String> {
        let said = self.command.and(words.iter().copied()).explaining_by_output().output(SAID_BYTES_MAX);
        let said = said.map_err(|error| Error::Command(Box::new(error)))?;
        Ok(String::from_utf8_lossy(&said).into_owned())
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
