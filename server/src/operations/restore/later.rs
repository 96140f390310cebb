//! Workflows that go: those that a snapshot does not have, where strategy `replace` asks for that, and those that a restore made which is
//! undone. What is active among them is made inactive before anything is written, so that it keeps no webhook that others need; removed
//! they are last, when everything else is there. The command line of n8n removes none: by it they are archived, which makes them inactive.

use std::collections::BTreeSet;

use chronos_connect::n8n::restore::{Action, Plan};
use chronos_connect::n8n::{Client, CommandLine, Instance, SEES_NOT_ALL, fingerprint, published_beside};
use chronos_snapshot::SourceResult;
use chronos_store::Monitor;
use serde_json::Value;

use crate::error::{Error, Result};
use crate::operations::restore::Task;
use crate::operations::restore::done::WorkflowDone;

/// What is told of one that the command line was to remove.
const ARCHIVED: &str = "it is archived: the command line of n8n removes no workflow";

/// What somebody edits.
const CONTENT: [&str; 6] = ["name", "nodes", "connections", "settings", "tags", "isArchived"];

/// A workflow that goes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Gone {
    /// Its id on the server.
    pub(super) id: String,
    /// Its name.
    pub(super) name: String,
    /// Hash of what it is, so that a plan that was made before an edit is another one.
    pub(super) live: String,
    /// Whether it is active.
    is_active: bool,
    /// The version that is published, if the editor shows another one.
    published: Option<String>,
    /// What it says.
    content: Value,
}

impl Gone {
    /// What a server shows.
    pub(super) fn of(id: &str, live: &Value) -> Self {
        let text = |key: &str| live.get(key).and_then(Value::as_str);
        Self {
            id: id.to_owned(),
            name: text("name").unwrap_or_default().to_owned(),
            live: fingerprint(live),
            content: Self::content(live),
            published: published_beside(live).map(str::to_owned),
            is_active: live.get("active").and_then(Value::as_bool).unwrap_or_default(),
        }
    }

    /// For people.
    pub(super) fn named(&self) -> String {
        format!("{} ({})", self.name, self.id)
    }

    /// It stays.
    pub(super) fn stays(&self, why: &str) -> WorkflowDone {
        WorkflowDone { touched: false, ..self.done(Some(format!("it was not removed, {why}"))) }
    }

    /// What it is, but for being active, which was taken from it.
    fn content(live: &Value) -> Value {
        let mut content = live.clone();
        if let Some(fields) = content.as_object_mut() {
            fields.retain(|key, _| CONTENT.contains(&key.as_str()));
        }
        content
    }

    fn done(&self, error: Option<String>) -> WorkflowDone {
        WorkflowDone {
            id: self.id.clone(),
            name: self.name.clone(),
            action: Action::Removed,
            live_id: None,
            differences: Vec::new(),
            touched: true,
            error,
            upstream_status: None,
        }
    }
}

impl Task<'_> {
    /// The workflows that are there and that the snapshot does not have; or why that cannot be told.
    pub(super) fn came_later(
        &self,
        source: &SourceResult,
        planned: &Plan,
        instance: &Instance,
    ) -> Result<std::result::Result<Vec<Gone>, String>> {
        let of_plan = planned.workflows.iter().flat_map(|w| [&w.id, &w.live_id]);
        let of_errors = planned.errors.iter().map(|(id, _)| id);
        let mut stored: BTreeSet<&String> = of_plan.chain(of_errors).collect();
        // Also one that cannot be read from the snapshot is there, perhaps under another id.
        let elsewhere: Vec<&String> =
            planned.ids.iter().filter(|(id, _)| stored.contains(id)).map(|(_, now)| now).collect();
        stored.extend(elsewhere);
        let there = instance.workflow_names().map_err(chronos_connect::Error::from)?;
        let later = gone(instance, there.keys().filter(|id| !stored.contains(id)))?;
        if let Some(why) = self.may_lack(source).filter(|_| !later.is_empty()) {
            return Ok(Err(format!(
                "strategy replace removes what came later, and {why}, so that this cannot be told: choose overwrite"
            )));
        }
        Ok(Ok(later))
    }

    /// Why workflows may have been there that the snapshot does not have.
    fn may_lack(&self, source: &SourceResult) -> Option<String> {
        let manifest = &self.snapshot.manifest;
        let paths = if source.paths.is_empty() { &manifest.paths } else { &source.paths };
        let (all, workflows) = (format!("/{}", source.name), format!("/{}/workflows", source.name));
        let id = &manifest.backup_id;
        if !paths.iter().any(|path| *path == all || *path == workflows) {
            return Some(format!("{id} is of some workflows only"));
        }
        if source.notes.iter().any(|note| note.contains(SEES_NOT_ALL)) {
            return Some(format!("{id} was read with a key that may not see all workflows"));
        }
        if !self.snapshot.is_good() || source.failed {
            return Some(format!("{id} is {}", self.snapshot.status()));
        }
        // As many as `read_errors_max` allows make no partial snapshot.
        let is_of_workflows =
            |path: &str| path.trim_start_matches('/').starts_with(&*format!("{}/", source.name));
        let is_whole_list = manifest.error_count == manifest.errors.len() as u64;
        if !is_whole_list || manifest.errors.iter().any(|e| is_of_workflows(&e.path)) {
            return Some(format!("{id} lacks what could not be read when it was made"));
        }
        None
    }
}

/// Those of these ids that are there.
pub(super) fn gone<'i>(instance: &Instance, ids: impl Iterator<Item = &'i String>) -> Result<Vec<Gone>> {
    let mut gone = Vec::new();
    for id in ids {
        let live = instance.workflow(id).map_err(chronos_connect::Error::from)?;
        gone.extend(live.filter(|live| !instance.is_gone(live)).map(|live| Gone::of(id, &live)));
    }
    Ok(gone)
}

/// Makes those that are active inactive; if that fails all are as they were.
pub(super) fn stop(instance: &Instance, gone: &[Gone]) -> Result<()> {
    let Instance::Api(client) = instance else { return Ok(()) };
    for (at, one) in gone.iter().enumerate().filter(|(_, one)| one.is_active) {
        if let Err(error) = client.deactivate_workflow(&one.id) {
            let error = chronos_connect::Error::from(error);
            return Err(not_stopped(error.into(), &start(client, gone.get(..=at).unwrap_or_default())));
        }
    }
    Ok(())
}

/// The error of a restore that ended before anything was written, and makes those active again that were.
pub(super) fn not_begun(instance: &Instance, gone: &[Gone], error: Error) -> Error {
    match instance {
        Instance::Api(client) => not_stopped(error, &start(client, gone)),
        Instance::Command(_) => error,
    }
}

/// The same error, with those that are inactive now.
fn not_stopped(error: Error, left: &[String]) -> Error {
    if left.is_empty() {
        return error;
    }
    let why = format!("{error}; these were active and are not: {}", left.join(", "));
    chronos_connect::Error::Refused(why).into()
}

/// Makes those active again that were, again and again as long as that helps, since what is called must be active first; gives those that
/// are not.
fn start(client: &Client, gone: &[Gone]) -> Vec<String> {
    let mut left: Vec<&Gone> = gone.iter().filter(|one| one.is_active).collect();
    loop {
        let before = left.len();
        left.retain(|one| client.activate_workflow(&one.id, one.published.as_deref()).is_err());
        if left.is_empty() || left.len() == before {
            return left.into_iter().map(Gone::named).collect();
        }
    }
}

/// Removes them, each with its own result; what was edited since it was looked at stays.
pub(super) fn remove(instance: &Instance, gone: &[Gone], monitor: &dyn Monitor) -> Vec<WorkflowDone> {
    match instance {
        Instance::Api(client) => {
            let removed = |one: &Gone| {
                check(instance, one, monitor)?;
                client.remove_workflow(&one.id).map(drop).map_err(|e| e.to_string())
            };
            gone.iter().map(|one| one.done(removed(one).err())).collect()
        }
        Instance::Command(line) => archive(instance, line, gone, monitor),
    }
}

/// Puts them away, all at once.
fn archive(
    instance: &Instance,
    line: &CommandLine,
    gone: &[Gone],
    monitor: &dyn Monitor,
) -> Vec<WorkflowDone> {
    let checked: Vec<_> = gone.iter().map(|one| (one, check(instance, one, monitor))).collect();
    let ids: Vec<&str> = checked.iter().filter(|(_, may)| may.is_ok()).map(|(one, _)| &*one.id).collect();
    let archived = line.archive(&ids).map_err(|e| e.to_string());
    let done = checked.into_iter().map(|(one, may)| match may.and_then(|()| archived.clone()) {
        Ok(()) => WorkflowDone { differences: vec![ARCHIVED.to_owned()], ..one.done(None) },
        Err(why) => one.done(Some(why)),
    });
    done.collect()
}

/// Why one stays.
fn check(instance: &Instance, one: &Gone, monitor: &dyn Monitor) -> std::result::Result<(), String> {
    if monitor.cancelled() {
        return Err("it was not removed, since the restore was stopped".to_owned());
    }
    match instance.workflow(&one.id) {
        Ok(Some(live)) if Gone::content(&live) != one.content => {
            Err("it was not removed, since it was edited meanwhile".to_owned())
        }
        Ok(_) => Ok(()),
        Err(error) => Err(error.to_string()),
    }
}

/// What is told of them when the restore broke off: they stay.
pub(super) fn stay(instance: &Instance, gone: &[Gone]) -> Vec<WorkflowDone> {
    let Instance::Api(client) = instance else {
        return gone.iter().map(|one| one.stays("since not everything else is back")).collect();
    };
    let inactive = start(client, gone);
    let stays = |one: &Gone| {
        let state = if inactive.contains(&one.named()) { ", and is inactive now" } else { "" };
        WorkflowDone {
            touched: one.is_active,
            ..one.stays(&format!("since not everything else is back{state}"))
        }
    };
    gone.iter().map(stays).collect()
}
