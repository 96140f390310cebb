//! `GET /health` of HADES: whether snapshots can be put back, and what else runs.

use std::sync::Arc;

use axum::extract::State;
use axum::response::Response;
use jiff::Timestamp;
use serde::Serialize;
use utoipa::ToSchema;

use crate::agent::Agent;
use crate::error::{Error, Result};
use crate::http::common::health::answered;
use crate::http::hades::neighbour::{Neighbour, ask};
use crate::http::problem::Problem;
use crate::http::service::Service;
use crate::operations::restore::settle;
use crate::state::{RollbackFilter, RollbackStatus, State as Kept};

/// Restores that are listed.
const RUNNING_MAX: u32 = 100;

/// How the service does.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = HadesHealth)]
pub(super) struct Health {
    /// `healthy`, `degraded` or `unhealthy`.
    status: &'static str,
    /// `HADES`.
    agent: &'static str,
    /// The port that it listens at.
    port: u16,
    /// Where the repository lies.
    backup_directory: String,
    /// Whether the repository can be used.
    backup_dir_accessible: bool,
    /// The configured targets.
    targets: Vec<String>,
    /// Restores that go on, by their ids in the history.
    running: Vec<String>,
    /// What CHRONOS is doing. HADES does not need it.
    chronos: Neighbour,
    /// When this was found.
    timestamp: String,
    /// Version of the program.
    version: &'static str,
    /// Why it is not healthy, for people.
    problems: Vec<String>,
}

/// How the service does
///
/// Answers 503 where the repository cannot be used; `degraded` where snapshots can be put back and something is wrong.
#[utoipa::path(get, path = "/health", tag = "service", responses(
    (status = 200, description = "Snapshots can be put back", body = Health),
    (status = 503, description = "The repository cannot be used", body = Health),
))]
pub(super) async fn health(State(service): State<Arc<Service>>) -> Result<Response, Problem> {
    answered(&service, Agent::Hades, |service| {
        let found = found(service)?;
        Ok((found.backup_dir_accessible, found))
    })
    .await
}

fn found(service: &Service) -> Result<Health> {
    let workplace = service.workplace();
    let now =
        Timestamp::from_nanosecond(workplace.env.clock.now()).map_err(|e| Error::Clock(e.to_string()))?;
    let mut problems = Vec::new();
    let catalog = service.catalog();
    let accessible = catalog.is_ok();
    match catalog {
        Ok(catalog) if catalog.is_damaged() => {
            problems.push("part of the repository cannot be read: `chronos check` names it".to_owned());
        }
        Ok(_) => {}
        Err(error) => problems.push(Problem::from(error).detail().to_owned()),
    }
    let running = running(service).unwrap_or_else(|error| {
        problems.push(format!("the history cannot be read: {error}"));
        Vec::new()
    });
    let status = match (accessible, problems.is_empty()) {
        (false, _) => "unhealthy",
        (true, false) => "degraded",
        (true, true) => "healthy",
    };
    Ok(Health {
        status,
        agent: Agent::Hades.name(),
        port: service.port(Agent::Hades),
        backup_directory: workplace.location.shown(),
        backup_dir_accessible: accessible,
        targets: workplace.config.targets.iter().map(|t| t.name.clone()).collect(),
        running,
        chronos: ask(service),
        timestamp: now.to_string(),
        version: env!("CARGO_PKG_VERSION"),
        problems,
    })
}

/// Restores that go on.
fn running(service: &Service) -> Result<Vec<String>> {
    let workplace = service.workplace();
    if !Kept::is_there(&workplace.places.state) {
        return Ok(Vec::new());
    }
    settle(workplace)?;
    let filter = RollbackFilter { status: Some(RollbackStatus::Running), ..RollbackFilter::default() };
    let rows = service.state()?.rollbacks(&filter, RUNNING_MAX)?;
    Ok(rows.into_iter().map(|row| row.rollback_id).collect())
}
