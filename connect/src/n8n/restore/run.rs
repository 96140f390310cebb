//! Carries a plan out: what is gone is made, everything is written, what was active is activated, all is read back.

use std::collections::BTreeMap;

use chronos_store::{Monitor, check_cancelled};
use serde_json::Value;

use crate::error::Result;
use crate::n8n::calls;
use crate::n8n::client::Client;
use crate::n8n::restore::compare::{differences, flag};
use crate::n8n::restore::import::import;
use crate::n8n::restore::references::{referenced, rewrite};
use crate::n8n::restore::write::{NotWritten, Writer, Written};
use crate::n8n::restore::{Action, Plan, Planned, RestoreOptions, RestoreReport, Restored, Stored};

/// Carries out what [`plan`](super::plan()) said. Each workflow has its own result; an error means that the rest was not
/// begun, and the report is lost.
pub fn restore(
    client: &Client,
    stored: &dyn Stored,
    plan: &Plan,
    options: &RestoreOptions,
    monitor: &dyn Monitor,
) -> Result<RestoreReport> {
    let writer = Writer { client, era: plan.version.era, tags: calls::tags(client)? };
    let mut run =
        Run { writer, stored, options, monitor, ids: plan.ids.clone(), rows: Vec::new(), is_broken: false };
    run.rows = plan.workflows.iter().map(Row::of).collect();
    monitor.phase("restore");
    monitor.total(plan.workflows.len() as u64, 0);
    match &options.command {
        Some(_) => run.import(),
        None => run.write(),
    }
    if run.is_broken {
        run.leave();
    } else {
        run.activate();
        run.read_back();
    }
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
    }));
    Ok(RestoreReport { workflows, new_ids, is_broken })
}

struct Run<'r> {
    writer: Writer<'r>,
    stored: &'r dyn Stored,
    options: &'r RestoreOptions,
    monitor: &'r dyn Monitor,
    /// Stored id, id on the server; only those that differ.
    ids: BTreeMap<String, String>,
    rows: Vec<Row>,
    /// The server failed: nothing more is asked of it.
    is_broken: bool,
}

struct Row {
    result: Restored,
    is_active: bool,
    lost: Vec<String>,
    publish: Option<String>,
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
        };
        Self { result, is_active: planned.active, lost: Vec::new(), publish: None }
    }

    fn is_to_be_written(&self) -> bool {
        self.result.action != Action::Unchanged && self.result.error.is_none()
    }
}

impl Run<'_> {
    /// Over the API: first what is gone, so that all new ids are known, then everything. When the server fails, the rest is
    /// left as it is; so it is when somebody asks to stop.
    fn write(&mut self) {
        for at in 0..self.rows.len() {
            if self.is_to_stop(at) {
                return;
            }
            let Some(row) = self.rows.get(at).filter(|r| r.result.action == Action::Created) else {
                continue;
            };
            let id = row.result.id.clone();
            self.touch(at);
            let made = self.stored_now(&id).and_then(|stored| Ok(self.writer.create(&stored, &id)?));
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
            match self.overwrite(&id, &live_id) {
                Ok(written) => {
                    if let Some(row) = self.rows.get_mut(at) {
                        (row.lost, row.publish) = (written.lost, written.publish);
                    }
                }
                Err(error) => self.not_written(at, error),
            }
            self.monitor.advance(1, 0);
        }
    }

    /// Whether somebody asks to stop; then this one and all later ones are not begun.
    fn is_to_stop(&mut self, at: usize) -> bool {
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
    fn leave(&mut self) {
        let mut answers = true;
        for row in self.rows.iter_mut().filter(|r| r.is_to_be_written()) {
            let activated = if row.is_active && answers {
                let active = calls::activate(self.writer.client, &row.result.live_id, row.publish.as_deref());
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
        }
    }

    /// Notes that it may be changed from now on.
    fn touch(&mut self, at: usize) {
        if let Some(row) = self.rows.get_mut(at) {
            row.result.touched = true;
        }
    }

    fn overwrite(&mut self, id: &str, live_id: &str) -> Result<Written, NotWritten> {
        let stored = self.stored_now(id)?;
        let Some(live) = calls::get(self.writer.client, live_id)? else {
            let why = "it was deleted since the plan was made".to_owned();
            return Err(NotWritten { why, is_of_the_server: false });
        };
        self.writer.update(&stored, live_id, &live)
    }

    fn stored_now(&self, id: &str) -> Result<Value, NotWritten> {
        self.load(id).map_err(|e| NotWritten { why: e.to_string(), is_of_the_server: false })
    }

    /// By the command line, all at once. What is active must be made inactive before, or its triggers go on.
    fn import(&mut self) {
        let Some(command) = &self.options.command else { return };
        let written = self.rows.iter().filter(|r| r.is_to_be_written()).map(|r| &r.result);
        let written: Vec<_> = written.map(|row| (row.id.clone(), row.live_id.clone())).collect();
        if written.is_empty() {
            return;
        }
        for row in self.rows.iter_mut().filter(|row| row.is_to_be_written()) {
            row.result.touched = true;
        }
        let mut stopped = Vec::new();
        let imported = self.deactivate(&mut stopped).and_then(|()| self.check()).and_then(|()| {
            import(command, written.iter().map(|(id, live_id)| Ok((self.load(id)?, &**live_id))))
        });
        let Err(error) = imported else { return };
        let left: Vec<_> = stopped
            .iter()
            .filter(|id| calls::activate(self.writer.client, id, None).is_err())
            .cloned()
            .collect();
        let state = match left.as_slice() {
            [] => "what was active is active again".to_owned(),
            left => format!("these were active and are not: {}", left.join(", ")),
        };
        for row in self.rows.iter_mut().filter(|r| r.is_to_be_written()) {
            row.result.error = Some(format!("{error}; {state}"));
        }
    }

    /// Makes inactive what is going to be written; `stopped` gets their ids.
    fn deactivate(&self, stopped: &mut Vec<String>) -> Result<()> {
        for row in self.rows.iter().filter(|r| r.result.action == Action::Updated) {
            let id = &row.result.live_id;
            if calls::get(self.writer.client, id)?.is_some_and(|live| flag(&live, "active")) {
                calls::deactivate(self.writer.client, id)?;
                stopped.push(id.clone());
            }
        }
        Ok(())
    }

    /// Makes active what is to be, in the order of the plan, and again as long as that helps: what is called must be active first.
    fn activate(&mut self) {
        let mut waiting: Vec<usize> = (0..self.rows.len())
            .filter(|at| self.rows.get(*at).is_some_and(|r| r.is_active && r.is_to_be_written()))
            .collect();
        loop {
            let before = waiting.len();
            let mut refused = Vec::new();
            for at in waiting {
                let Some(row) = self.rows.get_mut(at) else { continue };
                match calls::activate(self.writer.client, &row.result.live_id, row.publish.as_deref()) {
                    Ok(()) => row.result.error = None,
                    Err(error) => {
                        row.result.error = Some(format!("it is restored but inactive: {error}"));
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

    fn read_back(&mut self) {
        for at in 0..self.rows.len() {
            let Some(row) = self.rows.get(at) else { continue };
            let (id, live_id) = (row.result.id.clone(), row.result.live_id.clone());
            let mut renamed = Vec::new();
            let found = self.stored.load(&id).and_then(|mut stored| {
                renamed = self.renamed(&stored);
                rewrite(&mut stored, &self.ids);
                let live = calls::get(self.writer.client, &live_id)?;
                Ok(live.map(|live| differences(&stored, &live, self.writer.era)))
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
    fn load(&self, id: &str) -> Result<Value> {
        let mut stored = self.stored.load(id)?;
        rewrite(&mut stored, &self.ids);
        Ok(stored)
    }

    fn check(&self) -> Result<()> {
        Ok(check_cancelled(self.monitor).map_err(chronos_snapshot::Error::from)?)
    }
}
