//! Workflows that run by themselves: all of a target are stopped, and what was stopped is started again.

use chronos_connect::n8n::Client;
use chronos_snapshot::{FileOptions, counted};
use serde::{Deserialize, Serialize};
use serde_json::json;

use crate::config::{SourceKind, TargetConfig};
use crate::error::{Error, Result};
use crate::events::ended;
use crate::operations::Mode;
use crate::operations::backup::setting;
use crate::operations::emergency::{Action, EmergencyDone, EmergencyRequest, Failure, status};
use crate::operations::restore::{About, Call};
use crate::operations::undo::Undid;
use crate::sources::n8n_client;
use crate::state::{Rollback, RollbackFilter, RollbackStatus, RollbackType, State};
use crate::workplace::Workplace;

/// Passes over what is active: what is activated meanwhile by others is found by the next.
const PASSES_MAX: usize = 3;
/// Calls of the history that are looked at for what is inactive since an emergency.
const LOOKED_MAX: u32 = 1000;

/// A workflow of a source.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
struct Flow {
    source: String,
    id: String,
}

/// What the history keeps of such a call.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
#[serde(default)]
struct Report {
    action: String,
    /// What is going to be stopped or started, noted before.
    meant: Vec<Flow>,
    /// What was.
    done: Vec<Flow>,
    /// What was to be started and ran already.
    found: Vec<Flow>,
}

/// An n8n of a target.
struct Server {
    source: String,
    client: Client,
}

/// What failed: it keeps nothing else from being done.
#[derive(Default)]
struct Troubles {
    all: Vec<Failure>,
    /// The first, as it was.
    first: Option<Error>,
}

impl Troubles {
    fn add(&mut self, id: &str, error: impl Into<Error>) {
        let error = error.into();
        let failure = Failure { id: id.to_owned(), error: error.to_string() };
        if !self.all.contains(&failure) {
            self.all.push(failure);
        }
        self.first.get_or_insert(error);
    }
}

/// The n8n of a target; those that cannot be reached are troubles.
fn servers(workplace: &Workplace, target: &TargetConfig, troubles: &mut Troubles) -> Result<Vec<Server>> {
    let setting = setting(workplace, &FileOptions::default());
    let mut servers = Vec::new();
    for source in target.sources.iter().filter(|source| source.kind == SourceKind::N8n) {
        match n8n_client(source, &setting) {
            Ok(Some(client)) => servers.push(Server { source: source.name.clone(), client }),
            Ok(None) => {
                let why = "its workflows can be stopped and started over its API alone: give it a url and an api_key";
                troubles.add(&source.name, Error::StepFailed(why.to_owned()));
            }
            Err(error) => troubles.add(&source.name, error),
        }
    }
    if servers.is_empty() && troubles.all.is_empty() {
        let why = format!("target {} has no n8n", target.name);
        return Err(Error::Value { place: "target".to_owned(), why });
    }
    Ok(servers)
}

fn target<'w>(workplace: &'w Workplace, name: &str) -> Result<&'w TargetConfig> {
    workplace.config.target(name).ok_or_else(|| Error::UnknownTarget { target: name.to_owned() })
}

/// What is active. A server that does not say so is a trouble.
fn active(servers: &[Server], troubles: &mut Troubles) -> Vec<Flow> {
    let mut all = Vec::new();
    for server in servers {
        match server.client.active_workflows() {
            Ok(ids) => all.extend(ids.into_iter().map(|id| Flow { source: server.source.clone(), id })),
            Err(error) => troubles.add(&server.source, chronos_connect::Error::from(error)),
        }
    }
    all
}

fn ids(flows: &[Flow]) -> Vec<String> {
    flows.iter().map(|flow| flow.id.clone()).collect()
}

fn client<'s>(servers: &'s [Server], flow: &Flow) -> Option<&'s Client> {
    servers.iter().find(|server| server.source == flow.source).map(|server| &server.client)
}

/// Makes every active workflow of a target inactive.
pub(super) fn deactivate_all(
    workplace: &Workplace,
    request: &EmergencyRequest,
    name: &str,
) -> Result<EmergencyDone> {
    let (target, mut troubles) = (target(workplace, name)?, Troubles::default());
    let servers = servers(workplace, target, &mut troubles)?;
    let mut done = EmergencyDone::default();
    if !request.confirm {
        let active = active(&servers, &mut troubles);
        done.plan = active.iter().map(|flow| format!("deactivate workflow {}", flow.id)).collect();
        done.errors = troubles.all;
        return Ok(done);
    }
    let noted = Noted::begin(workplace, Action::DeactivateAll, name, None, &mut done.warnings)?;
    let mut report = noted.report();
    stop(&servers, &noted, &mut report, (&mut done.warnings, &mut troubles));
    done.deactivated = ids(&report.done);
    done.message = match done.deactivated.len() {
        0 => format!("no workflow of {name} is active"),
        n => format!("made inactive: {} of {name}; action reactivate undoes it", counted(n, "workflow")),
    };
    noted.ended(troubles, &report, &mut done, "deactivated_count")?;
    Ok(done)
}

/// Stops what is active until nothing is, or nothing more can be stopped.
fn stop(
    servers: &[Server],
    noted: &Noted<'_>,
    report: &mut Report,
    (warnings, troubles): (&mut Vec<String>, &mut Troubles),
) {
    let mut refused: Vec<(Flow, Error)> = Vec::new();
    for _ in 0..PASSES_MAX {
        let mut left = active(servers, troubles);
        left.retain(|flow| refused.iter().all(|(known, _)| known != flow));
        if left.is_empty() {
            break;
        }
        report.meant.extend(left.iter().cloned());
        report.meant.sort();
        report.meant.dedup();
        noted.note(report, warnings);
        for flow in left {
            let Some(client) = client(servers, &flow) else { continue };
            match client.deactivate_workflow(&flow.id) {
                Ok(()) if report.done.contains(&flow) => {}
                Ok(()) => report.done.push(flow),
                Err(error) => refused.push((flow, chronos_connect::Error::from(error).into())),
            }
        }
    }
    let left = active(servers, troubles);
    for (flow, error) in refused {
        // It was stopped, and only the answer was lost.
        let was_heard = !left.contains(&flow) && troubles.all.iter().all(|failure| failure.id != flow.source);
        if was_heard {
            report.done.push(flow);
        } else {
            troubles.add(&flow.id, error);
        }
    }
    for flow in left.iter().filter(|flow| report.done.contains(flow)) {
        let why = "somebody makes it active again as often as it is made inactive";
        troubles.add(&flow.id, Error::StepFailed(why.to_owned()));
    }
}

/// Makes active again what was made inactive in emergencies and is not active since.
pub(super) fn reactivate(
    workplace: &Workplace,
    request: &EmergencyRequest,
    name: &str,
) -> Result<EmergencyDone> {
    let target = target(workplace, name)?;
    let stopped = stopped(&State::open(&workplace.places.state)?, name)?;
    let mut done = EmergencyDone::default();
    if !request.confirm {
        servers(workplace, target, &mut Troubles::default())?;
        done.plan = stopped.iter().map(|flow| format!("activate workflow {}", flow.id)).collect();
        return Ok(done);
    }
    start_noted(workplace, target, stopped, None, &mut done)?;
    Ok(done)
}

fn start_noted(
    workplace: &Workplace,
    target: &TargetConfig,
    stopped: Vec<Flow>,
    undoes: Option<&str>,
    done: &mut EmergencyDone,
) -> Result<()> {
    let mut troubles = Troubles::default();
    let servers = servers(workplace, target, &mut troubles)?;
    let noted = Noted::begin(workplace, Action::Reactivate, &target.name, undoes, &mut done.warnings)?;
    let mut report = Report { meant: stopped, ..noted.report() };
    noted.note(&report, &mut done.warnings);
    start(&servers, &mut report, &mut troubles);
    done.reactivated = ids(&report.done);
    done.message = match done.reactivated.len() {
        0 => format!("no workflow of {} is inactive since an emergency", target.name),
        n => format!("active again: {} of {}", counted(n, "workflow"), target.name),
    };
    noted.ended(troubles, &report, done, "reactivated_count")
}

/// Starts what is meant, and again as long as that helps: what is called must be active before what calls it.
fn start(servers: &[Server], report: &mut Report, troubles: &mut Troubles) {
    let is_active = active(servers, troubles);
    let (found, mut waiting): (Vec<Flow>, Vec<Flow>) =
        report.meant.iter().cloned().partition(|flow| is_active.contains(flow));
    report.found = found;
    loop {
        let before = waiting.len();
        let mut refused = Vec::new();
        for flow in waiting {
            let Some(client) = client(servers, &flow) else {
                let why = format!("its source {} cannot be reached", flow.source);
                refused.push((flow, Error::StepFailed(why)));
                continue;
            };
            match client.activate_workflow(&flow.id, None) {
                Ok(()) => report.done.push(flow),
                Err(error) => refused.push((flow, chronos_connect::Error::from(error).into())),
            }
        }
        if refused.is_empty() || refused.len() == before {
            refused.into_iter().for_each(|(flow, error)| troubles.add(&flow.id, error));
            return;
        }
        waiting = refused.into_iter().map(|(flow, _)| flow).collect();
    }
}

/// What was made inactive in emergencies, but for what was made active again later.
fn stopped(state: &State, target: &str) -> Result<Vec<Flow>> {
    let filter = RollbackFilter { target: Some(target), ..RollbackFilter::default() };
    let (mut stopped, mut started) = (Vec::new(), Vec::new());
    for row in state.rollbacks(&filter, LOOKED_MAX)? {
        let Some(report) = report_of(state, &row)? else { continue };
        match &*report.action {
            action if action == Action::Reactivate.word() => {
                started.extend(report.done.into_iter().chain(report.found));
            }
            // Of a call that was interrupted nobody knows how far it came.
            action if action == Action::DeactivateAll.word() => {
                let flows =
                    if row.status == RollbackStatus::Interrupted { report.meant } else { report.done };
                stopped.extend(flows.into_iter().filter(|flow| !started.contains(flow)));
            }
            _ => {}
        }
    }
    stopped.sort();
    stopped.dedup();
    Ok(stopped)
}

/// What the history keeps of a call, if it is one of these.
fn report_of(state: &State, row: &Rollback) -> Result<Option<Report>> {
    let is_one = [RollbackType::Emergency, RollbackType::Undo].iter().any(|t| t.word() == row.rollback_type);
    if !is_one {
        return Ok(None);
    }
    Ok(state.report(row.number)?.and_then(|text| serde_json::from_str(&text).ok()))
}

/// Undoes a call that made workflows inactive.
pub(in crate::operations) fn undo(
    workplace: &Workplace,
    state: &State,
    row: &Rollback,
    mode: Mode,
) -> Result<Undid> {
    let not = |why: &str| Error::NotUndoable { rollback_id: row.rollback_id.clone(), why: why.to_owned() };
    let report = report_of(state, row)?.ok_or_else(|| not("it put nothing back"))?;
    match &*report.action {
        action if action == Action::DeactivateAll.word() => {}
        action if action == Action::Reactivate.word() => {
            return Err(not("emergency action deactivate_all makes workflows inactive again"));
        }
        _ => return Err(not("what was started again stays so")),
    }
    let flows = if row.status == RollbackStatus::Interrupted { report.meant } else { report.done };
    let target = target(workplace, &row.target)?;
    let mut undid = Undid { undoes: row.rollback_id.clone(), ..Undid::default() };
    if mode.is_dry() {
        "planned".clone_into(&mut undid.status);
        undid.message = format!("would activate {}; nothing was changed", ids(&flows).join(", "));
        return Ok(undid);
    }
    let mut done = EmergencyDone::default();
    start_noted(workplace, target, flows, Some(&row.rollback_id), &mut done)?;
    undid.rollback_id = done.rollback_id;
    undid.message = done.message;
    undid.status = done.status;
    undid.reactivated = done.reactivated;
    undid.errors =
        done.errors.into_iter().map(|failure| format!("{}: {}", failure.id, failure.error)).collect();
    undid.warnings = done.warnings;
    Ok(undid)
}

/// A call that is in the history.
struct Noted<'w> {
    workplace: &'w Workplace,
    call: Call<'w>,
    action: Action,
    target: String,
}

impl<'w> Noted<'w> {
    fn begin(
        workplace: &'w Workplace,
        action: Action,
        target: &str,
        undoes: Option<&str>,
        warnings: &mut Vec<String>,
    ) -> Result<Self> {
        let about = About {
            repository: &workplace.place_id(),
            kind: if undoes.is_some() { RollbackType::Undo } else { RollbackType::Emergency },
            target,
            source: None,
            undoes,
        };
        let call = Call::begin(workplace, &about, warnings)?;
        Ok(Self { workplace, call, action, target: target.to_owned() })
    }

    fn report(&self) -> Report {
        Report { action: self.action.word().to_owned(), ..Report::default() }
    }

    /// What cannot be noted keeps nobody from stopping a fire: it is told.
    fn note(&self, report: &Report, warnings: &mut Vec<String>) {
        if let Err(error) = self.call.note(report) {
            warnings.push(format!("the history does not have these workflows, keep this answer: {error}"));
        }
    }

    /// Notes how it ended.
    ///
    /// # Errors
    /// [`Error::NotRestored`] if nothing was done and something failed.
    fn ended(
        &self,
        troubles: Troubles,
        report: &Report,
        done: &mut EmergencyDone,
        count: &str,
    ) -> Result<()> {
        done.rollback_id = Some(self.call.id.clone());
        done.errors.extend(troubles.all);
        let status = status(&done.errors, !report.done.is_empty());
        status.word().clone_into(&mut done.status);
        let why = done.errors.first().map(|first| format!("{}: {}", first.id, first.error));
        if let Some(why) = &why {
            done.message = format!("{} of {} failed for {why}", self.action.word(), self.target);
        }
        let details = json!({ "rollback_id": self.call.id, count: report.done.len() });
        let event =
            ended(&self.workplace.env, self.action.event(), &self.target, (status, why.as_deref()), details);
        self.call.ended((status, why.as_deref()), report, &event);
        match troubles.first {
            Some(error) if status == RollbackStatus::Failed => {
                // Texts, numbers and lists can always be written.
                let report = serde_json::to_value(&*done).unwrap_or_default();
                Err(Error::NotRestored { rollback_id: self.call.id.clone(), report, cause: Box::new(error) })
            }
            _ => Ok(()),
        }
    }
}
