//! Carries a plan out: what is gone is made, everything is written, what was active is activated, all is read back.

use std::collections::BTreeMap;

use chronos_store::{Monitor, check_cancelled};
use serde_json::Value;

use crate::error::Result;
use crate::n8n::calls;
use crate::n8n::client::Client;
use crate::n8n::command_line::CommandLine;
use crate::n8n::instance::Instance;
use crate::n8n::restore::compare::{PUBLISHED, differences, tag_names};
use crate::n8n::restore::references::{referenced, rewrite};
use crate::n8n::restore::write::{NotWritten, Writer, Written};
use crate::n8n::restore::{Action, Plan, Planned, RestoreOptions, RestoreReport, Restored, Stored};
use crate::n8n::version::Era;
use crate::n8n::workflow::{flag, published_beside, text_of};

/// What is told of a version that n8n has forgotten.
const FORGOTTEN: &str = "the editor showed another version than the one that was published, which the snapshot does not have; \
     n8n was asked for it by its id";

/// Carries out what [`plan`](super::plan()) said. Each workflow has its own result; an error means that the rest was not
/// begun, and the report is lost.
pub fn restore(
    instance: &Instance,
    stored: &dyn Stored,
    plan: &Plan,
    options: &RestoreOptions,
    monitor: &dyn Monitor,
) -> Result<RestoreReport> {
    let (ids, era, rows) = (plan.ids.clone(), plan.version.era, plan.workflows.iter().map(Row::of).collect());
    let mut run = Run { instance, stored, monitor, ids, era, rows, is_broken: false };
    monitor.phase("restore");
    monitor.total(plan.workflows.len() as u64, 0);
    match instance {
        Instance::Api(client) => {
            let mut writer = Writer { client, era, tags: calls::tags(client)? };
            run.over_api(&mut writer, options.command.as_ref());
        }
        Instance::Command(line) => run.by_command(line),
    }
    let is_written = run.rows.iter().any(|row| row.result.touched);
    let needs_start = is_written && matches!(instance, Instance::Command(_));
    let is_broken = run.is_broken;
    let mut new_ids = run.ids;
    new_ids.retain(|old, new| old != new && !plan.ids.contains_key(old));
    let mut workflows: Vec<_> = run.rows.into_iter().map(|row| row.result).collect();
    workflows.extend(plan.errors.iter().map(|(id, error)| Restored {
        id: id.clone(),
        live_id: id.clone(),
        name: String::new(),
        action: Action::Unchanged,
        differences: Vec::new(),
        touched: false,
        error: Some(error.clone()),
        upstream_status: None,
    }));
    Ok(RestoreReport { workflows, new_ids, is_broken, needs_start })
}

pub(super) struct Run<'r> {
    instance: &'r Instance,
    pub(super) stored: &'r dyn Stored,
    pub(super) monitor: &'r dyn Monitor,
    /// Stored id, id on the server; only those that differ.
    ids: BTreeMap<String, String>,
    pub(super) era: Era,
    pub(super) rows: Vec<Row>,
    /// The server failed: nothing more is asked of it.
    is_broken: bool,
}

pub(super) struct Row {
    pub(super) result: Restored,
    /// What was there, as the plan has it; none if nothing was.
    pub(super) live: Option<String>,
    pub(super) is_active: bool,
    lost: Vec<String>,
    /// The version that is to be published, if it is not the one in the editor.
    pub(super) publish: Option<String>,
    /// The same, if the snapshot has no more of it than its id.
    pub(super) unseen: Option<String>,
}

impl Row {
    fn of(planned: &Planned) -> Self {
        let result = Restored {
            id: planned.id.clone(),
            live_id: planned.live_id.clone(),
            name: planned.name.clone(),
            action: planned.action,
            differences: Vec::new(),
            touched: false,
            error: None,
            upstream_status: None,
        };
        let (live, unseen) = (planned.live.clone(), planned.published_unseen.clone());
        Self { result, live, is_active: planned.active, lost: Vec::new(), publish: unseen.clone(), unseen }
    }

    /// What is told if it is back, and could not be published.
    pub(super) fn not_published(&self, why: &str) -> String {
        let is_asked_for = self.publish.is_some() && self.publish == self.unseen;
        let of_version = if is_asked_for { format!("{FORGOTTEN}: ") } else { String::new() };
        format!("it is restored but inactive: {of_version}{why}")
    }

    pub(super) fn is_to_be_written(&self) -> bool {
        self.result.action != Action::Unchanged && self.result.error.is_none()
    }
}

impl Run<'_> {
    /// Over the API; what the command line can do beside it, by that.
    fn over_api(&mut self, writer: &mut Writer<'_>, command: Option<&CommandLine>) {
        match command {
            Some(line) => self.import(writer.client, line),
            None => self.write(writer),
        }
        if self.is_broken {
            return self.leave(writer.client);
        }
        self.activate(writer.client);
        if command.is_some() {
            self.untag(writer);
        }
        self.read_back();
    }

    /// First what is gone, so that all new ids are known, then everything. When the server fails, the rest is left as it is; so it is
    /// when somebody asks to stop.
    fn write(&mut self, writer: &mut Writer<'_>) {
        for at in 0..self.rows.len() {
            if self.is_to_stop(at) {
                return;
            }
            let Some(row) = self.rows.get(at).filter(|r| r.result.action == Action::Created) else {
                continue;
            };
            let id = row.result.id.clone();
            self.touch(at);
            let made = self.stored_now(&id).and_then(|stored| Ok(writer.create(&stored, &id)?));
            match made {
                Ok(new) => {
                    if let Some(row) = self.rows.get_mut(at) {
                        row.result.live_id.clone_from(&new);
                    }
                    self.ids.insert(id, new);
                }
                Err(error) => self.not_written(at, error),
            }
        }
        for at in 0..self.rows.len() {
            if self.is_to_stop(at) {
                return;
            }
            let Some(row) = self.rows.get(at).filter(|r| r.is_to_be_written()) else { continue };
            let (id, live_id) = (row.result.id.clone(), row.result.live_id.clone());
            self.monitor.item(row.result.name.as_bytes());
            self.touch(at);
            match self.overwrite(writer, &id, &live_id) {
                Ok(written) => {
                    if let Some(row) = self.rows.get_mut(at) {
                        row.lost = written.lost;
                        row.publish = written.publish.or(row.publish.take());
                    }
                }
                Err(error) => self.not_written(at, error),
            }
            self.monitor.advance(1, 0);
        }
    }

    /// Whether somebody asks to stop; then this one and all later ones are not begun.
    pub(super) fn is_to_stop(&mut self, at: usize) -> bool {
        if self.check().is_ok() {
            return false;
        }
        if self.rows.iter().skip(at).any(Row::is_to_be_written) {
            let why = "not begun: the restore was asked to stop".to_owned();
            self.is_broken = true;
            let later = self.rows.iter_mut().skip(at).filter(|r| r.is_to_be_written());
            later.for_each(|row| row.result.error = Some(why.clone()));
        }
        self.is_broken
    }

    /// Ends what was written before the server failed or somebody asked to stop: what was active is activated as far as that can
    /// be, and none of it counts as proven.
    fn leave(&mut self, client: &Client) {
        let mut answers = true;
        for row in self.rows.iter_mut().filter(|r| r.is_to_be_written()) {
            let activated = if row.is_active && answers {
                let active = calls::activate(client, &row.result.live_id, row.publish.as_deref());
                answers = active.is_ok();
                active.is_ok()
            } else {
                !row.is_active
            };
            let state = if activated { "written" } else { "written but inactive" };
            row.result.error = Some(format!("it is {state}, and was not read back: the restore broke off"));
        }
    }

    /// Says so of a workflow, and if the server is to blame of all that come later.
    fn not_written(&mut self, at: usize, error: NotWritten) {
        if error.is_of_the_server {
            let why = format!("not begun: {}", error.why);
            let later = self.rows.iter_mut().skip(at + 1).filter(|r| r.is_to_be_written());
            later.for_each(|row| row.result.error = Some(why.clone()));
            self.is_broken = true;
        }
        if let Some(row) = self.rows.get_mut(at) {
            row.result.error = Some(error.why);
            row.result.upstream_status = error.status;
        }
    }

    /// Notes that it may be changed from now on.
    fn touch(&mut self, at: usize) {
        if let Some(row) = self.rows.get_mut(at) {
            row.result.touched = true;
        }
    }

    fn overwrite(&self, writer: &mut Writer<'_>, id: &str, live_id: &str) -> Result<Written, NotWritten> {
        let stored = self.stored_now(id)?;
        let Some(live) = calls::get(writer.client, live_id)? else {
            let why = "it was deleted since the plan was made".to_owned();
            return Err(NotWritten { why, is_of_the_server: false, status: None });
        };
        writer.update(&stored, live_id, &live)
    }

    fn stored_now(&self, id: &str) -> Result<Value, NotWritten> {
        self.load(id).map_err(|e| NotWritten { why: e.to_string(), is_of_the_server: false, status: None })
    }

    /// By the command line, all at once. What is active must be made inactive before, or its triggers go on.
    fn import(&mut self, client: &Client, line: &CommandLine) {
        if self.touch_all() == 0 {
            return;
        }
        let mut stopped = Vec::new();
        let imported = self
            .deactivate(client, &mut stopped)
            .and_then(|()| self.check())
            .and_then(|()| self.import_published(line))
            .and_then(|()| line.import(self.to_import()));
        let Err(error) = imported else { return };
        let mut left = Vec::new();
        for (id, published) in stopped {
            if calls::activate(client, &id, published.as_deref()).is_err() {
                left.push(id);
            }
        }
        let state = match left.as_slice() {
            [] => "what was active is active again".to_owned(),
            left => format!("these were active and are not: {}", left.join(", ")),
        };
        for row in self.rows.iter_mut().filter(|r| r.is_to_be_written()) {
            row.result.error = Some(format!("{error}; {state}"));
        }
    }

    /// Makes inactive what is going to be written; `stopped` gets their ids, and the published version where the editor shows another one.
    fn deactivate(&self, client: &Client, stopped: &mut Vec<(String, Option<String>)>) -> Result<()> {
        for row in self.rows.iter().filter(|r| r.result.action == Action::Updated) {
            let id = &row.result.live_id;
            if let Some(live) = calls::get(client, id)?.filter(|live| flag(live, "active")) {
                calls::deactivate(client, id)?;
                stopped.push((id.clone(), published_beside(&live).map(str::to_owned)));
            }
        }
        Ok(())
    }

    /// An import takes no tag away.
    fn untag(&mut self, writer: &mut Writer<'_>) {
        for at in 0..self.rows.len() {
            let Some(row) = self.rows.get(at).filter(|r| r.is_to_be_written()) else { continue };
            let (id, live_id) = (row.result.id.clone(), row.result.live_id.clone());
            let tagged = self.load(&id).and_then(|stored| {
                let live = calls::get(writer.client, &live_id)?.unwrap_or_default();
                if tag_names(&live) == tag_names(&stored) {
                    return Ok(());
                }
                // The import has made some.
                writer.tags = calls::tags(writer.client)?;
                Ok(writer.tag(&stored, &live_id)?)
            });
            if let (Err(error), Some(row)) = (tagged, self.rows.get_mut(at)) {
                row.result.error = Some(format!("it is restored, with tags that it did not have: {error}"));
            }
        }
    }

    /// Notes that all that are to be written may be changed from now on; gives how many they are.
    pub(super) fn touch_all(&mut self) -> usize {
        let written = self.rows.iter_mut().filter(|row| row.is_to_be_written());
        written.map(|row| row.result.touched = true).count()
    }

    /// What the command line is given.
    pub(super) fn to_import(&self) -> impl Iterator<Item = Result<(Value, String)>> {
        let written = self.rows.iter().filter(|row| row.is_to_be_written()).map(|row| &row.result);
        written.map(|row| Ok((self.load(&row.id)?, row.live_id.clone())))
    }

    /// Makes active what is to be, in the order of the plan, and again as long as that helps: what is called must be active first.
    fn activate(&mut self, client: &Client) {
        let mut waiting: Vec<usize> = (0..self.rows.len())
            .filter(|at| self.rows.get(*at).is_some_and(|r| r.is_active && r.is_to_be_written()))
            .collect();
        loop {
            let before = waiting.len();
            let mut refused = Vec::new();
            for at in waiting {
                let Some(row) = self.rows.get_mut(at) else { continue };
                match calls::activate(client, &row.result.live_id, row.publish.as_deref()) {
                    Ok(()) => (row.result.error, row.result.upstream_status) = (None, None),
                    Err(error) => {
                        row.result.upstream_status = error.upstream_status();
                        row.result.error = Some(row.not_published(&error.to_string()));
                        refused.push(at);
                    }
                }
            }
            if refused.is_empty() || refused.len() == before {
                return;
            }
            waiting = refused;
        }
    }

    pub(super) fn read_back(&mut self) {
        for at in 0..self.rows.len() {
            let Some(row) = self.rows.get(at) else { continue };
            let (id, live_id) = (row.result.id.clone(), row.result.live_id.clone());
            let mut renamed = Vec::new();
            let found = self.stored.load(&id).and_then(|mut stored| {
                renamed = self.renamed(&stored);
                rewrite(&mut stored, &self.ids);
                let live = self.instance.workflow(&live_id)?;
                let mut found = live.as_ref().map(|live| differences(&stored, live, self.era));
                // Where what is published is not shown, it is known by its version.
                let is_published = |live: &Value| {
                    self.rows.get(at).is_some_and(|row| {
                        row.publish.is_some()
                            && row.publish.as_deref() == text_of(live, "activeVersionId").as_deref()
                    })
                };
                if live.as_ref().is_some_and(is_published) {
                    found.iter_mut().for_each(|found| found.retain(|d| d.what != PUBLISHED));
                }
                Ok(found)
            });
            let Some(row) = self.rows.get_mut(at) else { continue };
            row.result.differences = std::mem::take(&mut row.lost);
            row.result.differences.extend(renamed);
            match found {
                Ok(Some(found)) => row.result.differences.extend(found.into_iter().map(|d| d.what)),
                Ok(None) if row.result.error.is_some() => {}
                Ok(None) => row.result.error = Some("it is not there when it is read back".to_owned()),
                Err(error) => {
                    let why = format!("it could not be read back: {error}");
                    row.result.error.get_or_insert(why);
                }
            }
        }
    }

    /// What a stored workflow names that has another id now.
    fn renamed(&self, stored: &Value) -> Vec<String> {
        let new = |id: String| self.ids.get(&id).filter(|new| **new != id).map(|new| (id, new));
        let told = |(id, new)| format!("names workflow {id}, which is {new} now");
        referenced(stored).into_iter().filter_map(|id| new(id).map(told)).collect()
    }

    /// A stored workflow with the ids that hold now.
    pub(super) fn load(&self, id: &str) -> Result<Value> {
        let mut stored = self.stored.load(id)?;
        rewrite(&mut stored, &self.ids);
        Ok(stored)
    }

    fn check(&self) -> Result<()> {
        Ok(check_cancelled(self.monitor).map_err(chronos_snapshot::Error::from)?)
    }
}
