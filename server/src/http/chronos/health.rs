//! `GET /health`: whether backups can be made, and how fresh they are.

use std::sync::Arc;

use axum::extract::State;
use axum::response::Response;
use chronos_snapshot::counted;
use jiff::{SignedDuration, Timestamp};
use serde::Serialize;
use utoipa::ToSchema;

use crate::agent::Agent;
use crate::catalog::Catalog;
use crate::error::{Error, Result};
use crate::http::common::health::answered;
use crate::http::problem::Problem;
use crate::http::service::Service;
use crate::jobs::list;
use crate::operations::offsite::{OffsiteState, offsite};
use crate::operations::schedules::late;
use crate::operations::targets::{
    LastDrill, LastGood, LastProven, LastRun, RecoveryState, TargetState, recovery, targets,
};
use crate::schedule::Overdue;
use crate::state::{DrillStatus, JobFilter, JobStatus};
use crate::workplace::Workplace;

/// The window of `backups_last_24h`.
const DAY: SignedDuration = SignedDuration::from_hours(24);
/// Verifications among which the last one that has ended is looked for: of one lane one runs at a time, the others wait.
const VERIFICATIONS_MAX: u32 = 100;

/// How the service does.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct Health {
    /// `healthy`, `degraded` or `unhealthy`.
    status: &'static str,
    /// `CHRONOS`.
    agent: &'static str,
    /// The port that it listens at.
    port: u16,
    /// Where the repository lies.
    backup_directory: String,
    /// Whether the repository can be used.
    backup_dir_accessible: bool,
    /// Snapshots of the last 24 hours.
    backups_last_24h: usize,
    /// When this was found.
    timestamp: String,
    /// Version of the program.
    version: &'static str,
    /// Why it is not healthy, for people.
    problems: Vec<String>,
    /// How fresh each configured target is.
    targets: Vec<Freshness>,
    /// When the recovery of everything was proven, and its last drill.
    #[schema(value_type = Object)]
    recovery: RecoveryState,
    /// How the copies at other places stand.
    offsite: Vec<OffsiteState>,
}

impl Health {
    /// `healthy`, `degraded` or `unhealthy`.
    pub(crate) fn status(&self) -> &'static str {
        self.status
    }

    /// Why it is not healthy.
    pub(crate) fn problems(&self) -> &[String] {
        &self.problems
    }
}

/// How fresh a target is.
#[derive(Debug, Serialize, ToSchema)]
struct Freshness {
    /// Its name.
    target: String,
    /// The newest good snapshot that takes all of it.
    #[schema(value_type = Option<Object>)]
    last_good: Option<LastGood>,
    /// How old that is.
    age_seconds: Option<u64>,
    /// Whether a scheduled snapshot is late.
    overdue: bool,
    /// The last run on this host.
    #[schema(value_type = Option<Object>)]
    last_run: Option<LastRun>,
    /// The snapshot that a drill has proven last.
    #[schema(value_type = Option<Object>)]
    last_proven: Option<LastProven>,
    /// The last drill on this host.
    #[schema(value_type = Option<Object>)]
    last_drill: Option<LastDrill>,
}

impl From<TargetState> for Freshness {
    fn from(state: TargetState) -> Self {
        Self {
            target: state.target,
            age_seconds: state.last_good.as_ref().map(|good| good.age_seconds),
            last_good: state.last_good,
            overdue: false,
            last_run: state.last_run,
            last_proven: state.last_proven,
            last_drill: state.last_drill,
        }
    }
}

/// How the service does
///
/// Answers 503 where the repository cannot be used; `degraded` where backups can be made and something is wrong.
#[utoipa::path(get, path = "/health", tag = "service", responses(
    (status = 200, description = "Backups can be made", body = Health),
    (status = 503, description = "The repository cannot be used", body = Health),
))]
pub(super) async fn health(State(service): State<Arc<Service>>) -> Result<Response, Problem> {
    answered(&service, Agent::Chronos, |service| {
        let found = found(service)?;
        Ok((found.backup_dir_accessible, found))
    })
    .await
}

/// How the service does now.
pub(crate) fn found(service: &Service) -> Result<Health> {
    let workplace = service.workplace();
    let now =
        Timestamp::from_nanosecond(workplace.env.clock.now()).map_err(|e| Error::Clock(e.to_string()))?;
    let catalog = service.catalog();
    service.metrics().up.set(i64::from(catalog.is_ok()));
    let (catalog, error) = match catalog {
        Ok(catalog) => (Some(catalog), None),
        Err(error) => (None, Some(Problem::from(error).detail().to_owned())),
    };
    let mut targets: Vec<Freshness> =
        targets(workplace, catalog.as_ref())?.into_iter().map(Freshness::from).collect();
    let mut problems: Vec<String> = error.into_iter().collect();
    problems.extend(
        catalog
            .iter()
            .filter(|c| c.is_damaged())
            .map(|_| "part of the repository cannot be read: `chronos check` names it".to_owned()),
    );
    if let Err(error) = alerts(workplace, catalog.as_ref(), &mut targets, &mut problems) {
        problems.push(format!("what is overdue or damaged is not known: {error}"));
    }
    for target in &targets {
        if let Some(run) = target.last_run.as_ref().filter(|run| run.status == "failed") {
            let why = run.error.as_deref().unwrap_or("it does not say why");
            problems.push(format!("the last backup of {} failed: {why}", target.target));
        }
        problems.extend(failed(target.last_drill.as_ref(), &target.target));
    }
    let recovery = recovery(workplace, catalog.as_ref())?;
    problems.extend(failed(recovery.last_drill.as_ref(), "the whole recovery"));
    let offsite = offsite(workplace, catalog.as_ref())?;
    problems.extend(offsite.iter().flat_map(OffsiteState::problems));
    problems.extend(unwritten(service.runner().unwritten().count()));
    let status = match (&catalog, problems.is_empty()) {
        (None, _) => "unhealthy",
        (Some(_), false) => "degraded",
        (Some(_), true) => "healthy",
    };
    Ok(Health {
        status,
        agent: Agent::Chronos.name(),
        port: service.port(Agent::Chronos),
        backup_directory: workplace.location.shown(),
        backup_dir_accessible: catalog.is_some(),
        backups_last_24h: catalog.as_ref().map_or(0, |c| since(c, now)),
        timestamp: now.to_string(),
        version: env!("CARGO_PKG_VERSION"),
        problems,
        targets,
        recovery,
        offsite,
    })
}

/// A sentence about the last drill of something, if that failed.
fn failed(drill: Option<&LastDrill>, what: &str) -> Option<String> {
    let drill = drill.filter(|drill| drill.status == DrillStatus::Failed)?;
    let why = drill.error.as_deref().unwrap_or("it does not say why");
    Some(format!("the last drill of {what} failed: {why}"))
}

/// Who is overdue, and what the last verification found.
fn alerts(
    workplace: &Workplace,
    catalog: Option<&Catalog>,
    targets: &mut [Freshness],
    problems: &mut Vec<String>,
) -> Result<()> {
    let overdue = catalog.map(|catalog| late(workplace, catalog)).transpose()?;
    for overdue in overdue.iter().flatten() {
        problems.push(missed(overdue));
        targets.iter_mut().filter(|t| t.target == overdue.target).for_each(|t| t.overdue = true);
    }
    problems.extend(verification(workplace)?);
    Ok(())
}

/// What is wrong with the last verification.
fn verification(workplace: &Workplace) -> Result<Option<String>> {
    let verifications = JobFilter { kind: Some("verify"), ..JobFilter::default() };
    let last =
        list(workplace, &verifications, VERIFICATIONS_MAX)?.into_iter().find(|job| job.status.is_end());
    Ok(last.filter(|job| job.status == JobStatus::Failed).map(|job| {
        let why = job.error.as_deref().unwrap_or("it does not say why");
        format!("the last verification (job {}) failed: {why}", job.id)
    }))
}

/// A sentence about ends of backups that could not be written down.
fn unwritten(count: usize) -> Option<String> {
    let backups = counted(count, "backup");
    (count > 0).then(|| {
        format!("the end of {backups} is neither noted nor told yet: the state of this host cannot be written, and the log says why")
    })
}

/// A sentence about a target that has no snapshot of when there should be one.
fn missed(overdue: &Overdue) -> String {
    let last = overdue
        .last_good
        .map_or_else(|| "it has none".to_owned(), |time| format!("the last good one is of {time}"));
    let Overdue { target, schedule, due, .. } = overdue;
    format!("{target} is overdue: schedule {schedule} was to make a snapshot at {due}, and {last}")
}

fn since(catalog: &Catalog, now: Timestamp) -> usize {
    let within = |at: Timestamp| now.duration_since(at) <= DAY && at <= now;
    catalog.snapshots.iter().filter(|s| within(s.taken_at())).count()
}
