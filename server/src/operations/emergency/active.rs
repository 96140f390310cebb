//! Workflows that run by themselves: all of a target are stopped, and what was stopped is started again.

use chronos_connect::n8n::Client;
use chronos_snapshot::FileOptions;
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
struct Report {
    action: String,
    /// What is going to be stopped or started, noted before.
    meant: Vec<Flow>,
    /// What was.
    done: Vec<Flow>,
}

/// An n8n of a target.
struct Server {
    source: String,
    client: Client,
}

fn servers(workplace: &Workplace, target: &TargetConfig) -> Result<Vec<Server>> {
    let setting = setting(workplace, &FileOptions::default());
    let mut servers = Vec::new();
    for source in target.sources.iter().filter(|source| source.kind == SourceKind::N8n) {
        let client = n8n_client(source, &setting)?;
        servers.extend(client.map(|client| Server { source: source.name.clone(), client }));
    }
    if servers.is_empty() {
        let why = format!("target {} has no n8n that is reached over its API", target.name);
        return Err(Error::Value { place: "target".to_owned(), why });
    }
    Ok(servers)
}

fn target<'w>(workplace: &'w Workplace, name: &str) -> Result<&'w TargetConfig> {
    workplace.config.target(name).ok_or_else(|| Error::UnknownTarget { target: name.to_owned() })
}

fn active(servers: &[Server]) -> Result<Vec<Flow>> {
    let mut all = Vec::new();
    for server in servers {
        let ids = server.client.active_workflows().map_err(chronos_connect::Error::from)?;
        all.extend(ids.into_iter().map(|id| Flow { source: server.source.clone(), id }));
    }
    Ok(all)
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
    let target = target(workplace, name)?;
    let mut done = EmergencyDone::default();
    if !request.confirm {
        let active = active(&servers(workplace, target)?)?;
        done.plan = active.iter().map(|flow| format!("deactivate workflow {}", flow.id)).collect();
        return Ok(done);
    }
    let noted = Noted::begin(workplace, Action::DeactivateAll, name, None, &mut done.warnings)?;
    let mut report = noted.report();
    let went = stop(&servers_of(workplace, target, &noted)?, &noted, &mut report, &mut done);
    done.deactivated = ids(&report.done);
    done.message = match done.deactivated.len() {
        0 => format!("no workflow of {name} is active"),
        n => format!("{n} workflows of {name} were made inactive; action reactivate makes them active again"),
    };
    noted.ended(went, &report, &mut done, "deactivated_count")?;
    Ok(done)
}

fn servers_of(workplace: &Workplace, target: &TargetConfig, noted: &Noted<'_>) -> Result<Vec<Server>> {
    servers(workplace, target).map_err(|error| noted.failed(error))
}

/// Stops what is active until nothing is, or nothing more can be stopped.
fn stop(servers: &[Server], noted: &Noted<'_>, report: &mut Report, done: &mut EmergencyDone) -> Result<()> {
    for _ in 0..PASSES_MAX {
        let mut left = active(servers)?;
        left.retain(|flow| done.errors.iter().all(|failure| failure.id != flow.id));
        if left.is_empty() {
            return Ok(());
        }
        report.meant.extend(left.iter().cloned());
        report.meant.sort();
        report.meant.dedup();
        noted.note(report, &mut done.warnings);
        for flow in left {
            let Some(client) = client(servers, &flow) else { continue };
            match client.deactivate_workflow(&flow.id) {
                Ok(()) if report.done.contains(&flow) => {}
                Ok(()) => report.done.push(flow),
                Err(error) => done.errors.push(Failure { id: flow.id, error: error.to_string() }),
            }
        }
    }
    for flow in active(servers)? {
        let error = "somebody makes it active again as often as it is made inactive".to_owned();
        if done.errors.iter().all(|failure| failure.id != flow.id) {
            done.errors.push(Failure { id: flow.id, error });
        }
    }
    Ok(())
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
        done.plan = stopped.iter().map(|flow| format!("activate workflow {}", flow.id)).collect();
        return Ok(done);
    }
    let noted = Noted::begin(workplace, Action::Reactivate, name, None, &mut done.warnings)?;
    start_noted(workplace, target, &noted, stopped, &mut done)?;
    done.message = match done.reactivated.len() {
        0 => format!("no workflow of {name} is inactive since an emergency"),
        n => format!("{n} workflows of {name} are active again"),
    };
    Ok(done)
}

fn start_noted(
    workplace: &Workplace,
    target: &TargetConfig,
    noted: &Noted<'_>,
    stopped: Vec<Flow>,
    done: &mut EmergencyDone,
) -> Result<()> {
    let mut report = Report { meant: stopped, ..noted.report() };
    noted.note(&report, &mut done.warnings);
    let went = start(&servers_of(workplace, target, noted)?, &mut report, done);
    done.reactivated = ids(&report.done);
    noted.ended(went, &report, done, "reactivated_count")
}

/// Starts what is meant, and again as long as that helps: what is called must be active before what calls it.
fn start(servers: &[Server], report: &mut Report, done: &mut EmergencyDone) -> Result<()> {
    let is_active = active(servers)?;
    let mut waiting: Vec<Flow> = report.meant.iter().filter(|f| !is_active.contains(f)).cloned().collect();
    loop {
        let before = waiting.len();
        let mut refused = Vec::new();
        let mut errors = Vec::new();
        for flow in waiting {
            let Some(client) = client(servers, &flow) else {
                errors.push(Failure {
                    id: flow.id,
                    error: format!("source {} is no longer there", flow.source),
                });
                continue;
            };
            match client.activate_workflow(&flow.id) {
                Ok(()) => report.done.push(flow),
                Err(error) => {
                    errors.push(Failure { id: flow.id.clone(), error: error.to_string() });
                    refused.push(flow);
                }
            }
        }
        if refused.is_empty() || refused.len() == before {
            done.errors = errors;
            return Ok(());
        }
        waiting = refused;
    }
}

/// What was made inactive in emergencies, but for what was made active again later.
fn stopped(state: &State, target: &str) -> Result<Vec<Flow>> {
    let filter = RollbackFilter { target: Some(target), ..RollbackFilter::default() };
    let (mut stopped, mut started) = (Vec::new(), Vec::new());
    for row in state.rollbacks(&filter, LOOKED_MAX)? {
        let Some(report) = report_of(state, &row)? else { continue };
        match &*report.action {
            action if action == Action::Reactivate.word() => started.extend(report.done),
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
    let report = report_of(state, row)?.filter(|report| report.action == Action::DeactivateAll.word());
    let report = report.ok_or_else(|| not("it made no workflow inactive and put nothing back"))?;
    let flows = if row.status == RollbackStatus::Interrupted { report.meant } else { report.done };
    let target = target(workplace, &row.target)?;
    let mut undid = Undid { undoes: row.rollback_id.clone(), ..Undid::default() };
    if mode.is_dry() {
        "planned".clone_into(&mut undid.status);
        undid.message = format!("would activate {}; nothing was changed", ids(&flows).join(", "));
        return Ok(undid);
    }
    let mut done = EmergencyDone::default();
    let undoes = Some(&*row.rollback_id);
    let noted = Noted::begin(workplace, Action::Reactivate, &row.target, undoes, &mut done.warnings)?;
    undid.rollback_id = Some(noted.call.id.clone());
    start_noted(workplace, target, &noted, flows, &mut done)?;
    undid.message = format!("{} workflows of {} are active again", done.reactivated.len(), row.target);
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

    fn ended(&self, went: Result<()>, report: &Report, done: &mut EmergencyDone, count: &str) -> Result<()> {
        done.rollback_id = Some(self.call.id.clone());
        if let Err(error) = went {
            if report.done.is_empty() {
                return Err(self.failed(error));
            }
            done.errors.push(Failure { id: self.target.clone(), error: error.to_string() });
        }
        let status = status(&done.errors, !report.done.is_empty());
        status.word().clone_into(&mut done.status);
        let why = done.errors.first().map(|first| format!("{}: {}", first.id, first.error));
        let details = json!({ "rollback_id": self.call.id, count: report.done.len() });
        let event =
            ended(&self.workplace.env, self.action.event(), &self.target, (status, why.as_deref()), details);
        self.call.ended((status, why.as_deref()), report, &event);
        Ok(())
    }

    /// Notes that nothing was done; the error with its place in the history.
    fn failed(&self, error: Error) -> Error {
        let why = error.to_string();
        let status = RollbackStatus::Failed;
        let details = json!({ "rollback_id": self.call.id });
        let event =
            ended(&self.workplace.env, self.action.event(), &self.target, (status, Some(&why)), details);
        self.call.ended((status, Some(&why)), &self.report(), &event);
        let report = json!({
            "rollback_id": self.call.id, "action": self.action.word(), "target": self.target, "message": why,
        });
        Error::NotRestored { rollback_id: self.call.id.clone(), report, cause: Box::new(error) }
    }
}
