//! The workflows of an n8n: written over those that are there, made again where they are gone, each read back and compared.

use chronos_connect::n8n::restore::{Action, Plan, Planned, RestoreOptions, Stored, plan, restore};
use chronos_connect::n8n::{Instance, file_name, id_of_file, inactive, published_unseen};
use chronos_connect::{Error as Failed, Result as Outcome};
use chronos_snapshot::{ByteRange, FileOptions, Source, SourceResult, Strategy, Tree, TreePath};
use serde_json::Value;

use crate::config::{self, SourceKind, TargetConfig};
use crate::error::{Error, Result};
use crate::operations::backup::setting;
use crate::operations::restart;
use crate::operations::restore::Task;
use crate::operations::restore::acts::{Act, Noted};
use crate::operations::restore::done::{StepDone, StepStatus, WorkflowDone};
use crate::operations::restore::later::{Gone, not_begun, remove, stay, stop};
use crate::operations::restore::plan::StepPlan;
use crate::operations::restore::record::Record;
use crate::operations::restore::renamed::way_back;
use crate::operations::restore::safety::{Safety, Width};
use crate::operations::restore::step::{LeftOut, Step};
use crate::operations::versions::FOLDER;
use crate::sources::{Selection, n8n_instance, of_target};

/// Everything.
const WHOLE: ByteRange = ByteRange::ALL;
/// What no undo brings back of a workflow that was removed.
const LOST_WITH: &str = "executions of removed workflows, their history in n8n and with whom they are shared do not come back by an undo";

/// What is told of what its command line wrote.
const UNTIL_STARTED: &str = "n8n is written by its command line alone: if it runs, start it anew, or it goes on with what it had \
     (`restart` of the target does that)";

/// The workflows of a source.
#[derive(Debug)]
struct Workflows<'t> {
    task: &'t Task<'t>,
    plan: StepPlan,
    source: SourceResult,
    live: config::Source,
    instance: Instance,
    options: RestoreOptions,
    stored: OfTree,
    planned: Plan,
    /// What goes.
    gone: Vec<Gone>,
}

/// Stored workflows.
#[derive(Debug)]
pub(super) struct OfTree {
    tree: Tree,
    /// Id and file of each.
    all: Vec<(String, TreePath)>,
    /// They come back inactive.
    is_inactive: bool,
}

impl OfTree {
    /// Keeps those that are named by id or name; all, if none is. Gives the names that mean none.
    fn keep(&mut self, wanted: &[String]) -> Result<Vec<String>> {
        if wanted.is_empty() {
            return Ok(Vec::new());
        }
        let mut missing = Vec::new();
        let mut ids = Vec::new();
        let mut names: Option<Vec<(String, String)>> = None;
        for wanted in wanted {
            if self.all.iter().any(|(id, _)| id == wanted) {
                ids.push(wanted.clone());
                continue;
            }
            let known = match &mut names {
                Some(known) => known,
                None => names.insert(self.names()?),
            };
            let before = ids.len();
            ids.extend(known.iter().filter(|(_, name)| name == wanted).map(|(id, _)| id.clone()));
            if ids.len() == before {
                missing.push(wanted.clone());
            }
        }
        self.all.retain(|(id, _)| ids.contains(id));
        Ok(missing)
    }

    /// Id and name of each.
    fn names(&self) -> Result<Vec<(String, String)>> {
        let ids = self.all.iter().map(|(id, _)| id);
        ids.map(|id| {
            let name = self.load(id)?.get("name").and_then(Value::as_str).unwrap_or_default().to_owned();
            Ok((id.clone(), name))
        })
        .collect()
    }
}

impl Stored for OfTree {
    fn ids(&self) -> Vec<String> {
        self.all.iter().map(|(id, _)| id.clone()).collect()
    }

    fn load(&self, id: &str) -> Outcome<Value> {
        let found = self.all.iter().find(|(known, _)| known == id);
        let missing = || Failed::NotFound { what: "workflow", name: id.to_owned() };
        let (_, path) = found.ok_or_else(missing)?;
        let mut bytes = Vec::new();
        self.tree.cat(path, WHOLE, &mut bytes)?;
        let workflow = serde_json::from_slice(&bytes)
            .map_err(|e| Failed::Damaged { what: format!("workflow {id}"), why: e.to_string() })?;
        Ok(if self.is_inactive { inactive(workflow) } else { workflow })
    }
}

/// Workflows that were named and that no source has had yet.
#[derive(Debug, Default)]
pub(super) struct Missing(Option<Vec<String>>);

impl Missing {
    fn retain_in(&mut self, of_source: Vec<String>) {
        self.0 = Some(match self.0.take() {
            None => of_source,
            Some(missing) => missing.into_iter().filter(|name| of_source.contains(name)).collect(),
        });
    }

    /// Fails if one of them is in no source.
    pub(super) fn check(self) -> Result<()> {
        match self.0.into_iter().flatten().next() {
            Some(workflow) => Err(Error::NotStored { workflow }),
            None => Ok(()),
        }
    }
}

/// The step of a source that is an n8n; none if it has no workflow that was named.
pub(super) fn workflows<'t>(
    task: &'t Task<'t>,
    source: &SourceResult,
    missing: &mut Missing,
) -> Result<Option<Box<dyn Step + 't>>> {
    let left_out = |why: String| -> Result<Option<Box<dyn Step + 't>>> {
        Ok(Some(Box::new(LeftOut(task.left_out(source, why)))))
    };
    let replaces = task.strategy == Strategy::Replace && task.undone.is_none();
    if replaces && !task.workflows.is_empty() {
        let why = "strategy replace removes all workflows that the snapshot does not have, and only some are named: leave the filter \
                   out, or choose overwrite";
        return Err(Error::Value { place: "workflow_filter".to_owned(), why: why.to_owned() });
    }
    let Some(live) = task.source(source, SourceKind::N8n) else {
        return left_out(format!("target {} has no n8n that is named {}", task.target, source.name));
    };
    let mut stored = of_tree(&task.tree, source)?;
    stored.is_inactive = task.is_inactive;
    if stored.all.is_empty() && task.undone.is_none() {
        return left_out(Task::absent(source));
    }
    match &task.undone {
        Some(undone) => stored.all.retain(|(id, _)| undone.wrote(source, id)),
        None => missing.retain_in(stored.keep(&task.workflows)?),
    }
    if stored.all.is_empty() && task.undone.as_ref().is_none_or(|undone| !undone.may_have_made(source)) {
        return Ok(None);
    }
    let instance = n8n_instance(live, &setting(task.workplace, &FileOptions::default()))?;
    let options = way_back(task.workplace, task.repository, &task.target, live);
    let planned = look(task, &instance, &stored, &options)?;
    let gone = match &task.undone {
        Some(undone) => task.made(undone, source, &instance)?,
        None if replaces => match task.came_later(source, &planned, &instance)? {
            Ok(later) => later,
            Err(why) => return left_out(why),
        },
        None => Vec::new(),
    };
    let mut plan = StepPlan {
        into: vec![live.name.clone()],
        place: instance.shown(),
        removes: gone.iter().map(Gone::named).collect(),
        ..step_plan(task, source, &stored, &planned)?
    };
    match &instance {
        Instance::Api(_) if !gone.is_empty() => plan.not_exact.push(LOST_WITH.to_owned()),
        Instance::Command(_) if plan.has_work() => plan.not_exact.extend(task.by_command(&gone)),
        _ => {}
    }
    let live = live.clone();
    Ok(Some(Box::new(Workflows {
        task,
        plan,
        source: source.clone(),
        live,
        instance,
        options,
        stored,
        planned,
        gone,
    })))
}

impl Task<'_> {
    /// What is to be known of workflows that are put back by the command line alone.
    fn by_command(&self, gone: &[Gone]) -> Vec<String> {
        let start = match self.config.and_then(|target| target.restart.as_ref()) {
            Some(_) => format!(
                "n8n is written by its command line alone: the restart of target {} is run afterwards",
                self.target
            ),
            None => UNTIL_STARTED.to_owned(),
        };
        let archived = format!(
            "the command line of n8n removes no workflow: archived instead {}",
            gone.iter().map(Gone::named).collect::<Vec<_>>().join(", ")
        );
        [Some(start), (!gone.is_empty()).then_some(archived)].into_iter().flatten().collect()
    }

    /// Has a server take up what was written by its command line.
    fn start_anew(&self, done: &mut StepDone) {
        let Some((target, line)) = self.config.and_then(|t| Some((t, t.restart.as_ref()?))) else {
            done.notes.push(UNTIL_STARTED.to_owned());
            return;
        };
        // What is written has to come into effect: nobody stops that.
        match restart::run(self.workplace, target, line, &|| false) {
            Ok(_) => done.notes.push(format!("the restart of target {} was run", target.name)),
            Err(why) => done.lacks(
                format!("restart of target {}", target.name),
                format!("{why}; what is written is not in effect until n8n is started anew"),
            ),
        }
    }
}

/// What is going to be done with the workflows of a source, wherever they go.
fn step_plan(task: &Task<'_>, source: &SourceResult, stored: &OfTree, planned: &Plan) -> Result<StepPlan> {
    let mut step = StepPlan {
        sources: vec![source.name.clone()],
        kind: "n8n".to_owned(),
        not_exact: source.error.iter().cloned().collect(),
        ..StepPlan::default()
    };
    for workflow in &planned.workflows {
        match workflow.action {
            Action::Created => step.creates.push(|| named(workflow)),
            Action::Updated => step.overwrites.push(|| named(workflow)),
            Action::Unchanged | Action::Removed => {}
        }
        if workflow.action != Action::Unchanged {
            let path = stored.all.iter().find(|(id, _)| *id == workflow.id).map(|(_, path)| path);
            let node = path.map(|path| task.tree.get(path)).transpose()?.flatten();
            step.bytes += node.map_or(0, |node| node.size());
        }
    }
    let unseen =
        planned.workflows.iter().filter(|w| w.action != Action::Unchanged && w.published_unseen.is_some());
    step.not_exact.extend(unseen.map(|workflow| {
        format!(
            "workflow {}: the snapshot has what the editor showed, and of what was published the version alone; it stays inactive if n8n does \
             not know that any more",
            named(workflow)
        )
    }));
    step.not_exact.extend(planned.errors.iter().map(|(id, why)| format!("workflow {id}: {why}")));
    Ok(step)
}

/// The workflows of a source that the snapshot has.
pub(super) fn of_tree(tree: &Tree, source: &SourceResult) -> Result<OfTree> {
    let folder = TreePath::new(source.name.as_str())?.join(FOLDER)?;
    let mut all = Vec::new();
    for entry in tree.children(&folder) {
        let (path, _) = entry?;
        let id = std::str::from_utf8(path.name()).ok().and_then(id_of_file);
        all.extend(id.map(|id| (id, path)));
    }
    Ok(OfTree { tree: tree.clone(), all, is_inactive: false })
}

/// Whether a stored workflow is not all that its server has of it.
fn lacks_published(tree: &Tree, path: &TreePath) -> Result<bool> {
    let mut bytes = Vec::new();
    tree.cat(path, WHOLE, &mut bytes)?;
    // What is no workflow is told by whoever reads it for one.
    Ok(serde_json::from_slice(&bytes).is_ok_and(|stored| published_unseen(&stored).is_some()))
}

/// What is going to be done; of a merge, what is missing alone.
fn look(task: &Task<'_>, instance: &Instance, stored: &OfTree, options: &RestoreOptions) -> Result<Plan> {
    let monitor = &**task.repository.monitor();
    let mut planned = plan(instance, stored, options, monitor)?;
    if task.strategy == Strategy::Merge {
        planned.workflows.retain(|workflow| workflow.action == Action::Created);
    }
    Ok(planned)
}

/// What is as it was stored.
fn as_planned(workflow: &Planned) -> WorkflowDone {
    WorkflowDone {
        id: workflow.id.clone(),
        name: workflow.name.clone(),
        action: workflow.action,
        live_id: Some(workflow.live_id.clone()).filter(|live| *live != workflow.id),
        differences: workflow.differences.clone(),
        touched: false,
        error: None,
        upstream_status: None,
    }
}

fn named(workflow: &Planned) -> String {
    format!("{} ({})", workflow.name, workflow.id)
}

impl Workflows<'_> {
    /// Fails if what was looked at is not so any more.
    fn check_moved(&self) -> Result<()> {
        self.instance.look().map_err(chronos_connect::Error::from)?;
        let is_same = look(self.task, &self.instance, &self.stored, &self.options)? == self.planned
            && (self.task.undone.is_some()
                || self.task.strategy != Strategy::Replace
                || self.task.came_later(&self.source, &self.planned, &self.instance)?.as_ref()
                    == Ok(&self.gone));
        if is_same { Ok(()) } else { Err(Error::WorkflowsMoved) }
    }

    /// What is about to be done.
    fn act(&self) -> Act {
        let updated = self.planned.workflows.iter().filter(|w| w.action == Action::Updated);
        let written = updated.map(|w| &w.live_id).chain(self.gone.iter().map(|gone| &gone.id));
        let created = self.planned.workflows.iter().filter(|w| w.action == Action::Created);
        Act::Workflows {
            place: self.plan.place.clone(),
            source: self.live.name.clone(),
            written: written.cloned().collect(),
            created: created.map(|w| w.id.clone()).collect(),
        }
    }

    /// Puts everything back, and removes `gone`.
    fn write(&self, gone: &[Gone], done: &mut StepDone) -> Result<()> {
        let monitor = &**self.task.repository.monitor();
        stop(&self.instance, gone)?;
        let report = restore(&self.instance, &self.stored, &self.planned, &self.options, monitor);
        let report = report.map_err(|error| not_begun(&self.instance, gone, error.into()))?;
        for workflow in report.workflows {
            let live_id = Some(workflow.live_id).filter(|live| *live != workflow.id);
            let name = format!("{} ({})", workflow.name, workflow.id);
            if workflow.error.is_none() && workflow.action != Action::Unchanged {
                done.notes.extend(workflow.differences.iter().map(|d| format!("{name}: {d}")));
                done.notes.extend(live_id.iter().map(|live| format!("{name}: its id is {live} now")));
            }
            done.note(WorkflowDone {
                id: workflow.id,
                name: workflow.name,
                action: workflow.action,
                live_id,
                differences: workflow.differences,
                touched: workflow.touched,
                error: workflow.error,
                upstream_status: workflow.upstream_status,
            });
        }
        // What came later goes only if all that was there before is there again.
        let is_all_back = done.error_count == 0 && self.planned.errors.is_empty() && !monitor.cancelled();
        let stays = report.is_broken || self.task.undone.is_none() && !is_all_back;
        let went = if stays { stay(&self.instance, gone) } else { remove(&self.instance, gone, monitor) };
        let is_by_command = matches!(self.instance, Instance::Command(_));
        let needs_start = report.needs_start || is_by_command && went.iter().any(|gone| gone.touched);
        went.into_iter().for_each(|gone| done.note(gone));
        if needs_start {
            self.task.start_anew(done);
        }
        Ok(())
    }
}

impl Step for Workflows<'_> {
    fn plan(&self) -> &StepPlan {
        &self.plan
    }

    fn standing(&self) -> Vec<u8> {
        let written = self.planned.workflows.iter().filter_map(|w| w.live.as_deref());
        written.chain(self.gone.iter().map(|gone| &*gone.live)).collect::<String>().into_bytes()
    }

    fn live(&self, _width: Width) -> Result<Vec<Box<dyn Source>>> {
        let setting = setting(self.task.workplace, &FileOptions::default());
        let alone = TargetConfig {
            name: self.task.target.clone(),
            sources: vec![self.live.clone()],
            ..TargetConfig::default()
        };
        Ok(of_target(&alone, &Selection::default(), &setting)?.sources)
    }

    /// What is written over must be there: a workflow that its server did not give is a problem of a snapshot, and not its end. That it is
    /// the one of the plan is seen before it is written.
    fn check_kept(&self, safety: &Safety) -> Result<()> {
        let folder = TreePath::new(self.live.name.as_str())?.join(FOLDER)?;
        let written = self.planned.workflows.iter().filter(|w| w.action == Action::Updated);
        let written = written.map(|w| (&w.live_id, &w.name));
        for (id, name) in written.chain(self.gone.iter().map(|gone| (&gone.id, &gone.name))) {
            let file = file_name(id).unwrap_or_default();
            let path = folder.join(file.as_bytes())?;
            let is_kept = !file.is_empty() && safety.tree().get(&path)?.is_some();
            let why = if !is_kept {
                format!("workflow {name} ({id}) could not be read")
            } else if matches!(self.instance, Instance::Command(_)) && lacks_published(safety.tree(), &path)?
            {
                format!(
                    "of workflow {name} ({id}) something else is published than what the editor shows, and the command line of this n8n does \
                     not show that: give its source a url and an api_key"
                )
            } else {
                continue;
            };
            return Err(Error::NoSafety { target: self.task.target.clone(), why, cause: None });
        }
        Ok(())
    }

    fn apply(&self, safety: Option<&Safety>, record: &Record) -> Result<StepDone> {
        let mut done = StepDone::of(&self.plan);
        if !self.plan.has_work() && self.planned.errors.is_empty() {
            done.workflows.extend(self.planned.workflows.iter().map(as_planned));
            let has_died = self.task.undone.as_ref().is_some_and(|undone| undone.act.is_some());
            if has_died && matches!(self.instance, Instance::Command(_)) {
                // An import that died had told n8n to forget webhooks before it wrote anything.
                self.task.start_anew(&mut done);
            }
            return Ok(done.ended(StepStatus::Unchanged));
        }
        self.check_moved()?;
        let noted = Noted::begin(record, self.task.repository.monitor(), &self.act());
        let is_kept = safety.is_some() || self.task.undone.is_some();
        self.write(if is_kept { &self.gone } else { &[] }, &mut done)?;
        for gone in self.gone.iter().filter(|_| !is_kept) {
            done.note(gone.stays("since there is no snapshot of it"));
        }
        done.bytes_written = if done.error_count == 0 { self.plan.bytes } else { 0 };
        if done.error_count == 0 {
            noted.done();
        }
        let status = match (done.error_count, done.restored) {
            (0, _) => StepStatus::Completed,
            (_, 0) => StepStatus::Failed,
            _ => StepStatus::Partial,
        };
        if status == StepStatus::Failed {
            done.error = done.errors.first().map(|first| format!("{}: {}", first.what, first.error));
        }
        Ok(done.ended(status))
    }
}
