//! `GET /metrics`: what Prometheus asks for.

use std::sync::Arc;

use axum::extract::State;
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Response};

use crate::error::Result;
use crate::http::blocking::check;
use crate::http::metrics::OfTarget;
use crate::http::problem::Problem;
use crate::http::service::Service;
use crate::operations::offsite::offsite;
use crate::operations::restore::ALL;
use crate::operations::schedules::late;
use crate::operations::targets::{LastDrill, LastProven, recovery, targets};
use crate::state::DrillStatus;

/// Content type of the text.
const CONTENT_TYPE: &str = "application/openmetrics-text; version=1.0.0; charset=utf-8";

/// Metrics as Prometheus reads them
#[utoipa::path(get, path = "/metrics", tag = "service", responses(
    (status = 200, description = "The metrics", body = String, content_type = "application/openmetrics-text"),
))]
pub(super) async fn get(State(service): State<Arc<Service>>) -> Result<Response, Problem> {
    let text = check(&service, |service| {
        // What the repository cannot tell is left as it was; `up` says so.
        let is_up = measured(service).is_ok();
        service.metrics().up.set(i64::from(is_up));
        Ok::<_, Problem>(service.metrics().text())
    });
    let text = text.await?.map_err(|_| {
        Problem::new(StatusCode::INTERNAL_SERVER_ERROR, "fault", "the metrics could not be written")
    })?;
    Ok(([(header::CONTENT_TYPE, CONTENT_TYPE)], text).into_response())
}

fn measured(service: &Service) -> Result<()> {
    let running = service.runner().seen().borrow().running;
    service.metrics().jobs_running.set(i64::try_from(running).unwrap_or(i64::MAX));
    service.metrics().queues.take(&service.state()?.queues(&service.workplace().key())?);
    let catalog = service.catalog()?;
    let overdue = late(service.workplace(), &catalog)?;
    for state in targets(service.workplace(), Some(&catalog))? {
        let is_overdue = overdue.iter().any(|o| o.target == state.target);
        let label = OfTarget { target: state.target };
        service.metrics().overdue.get_or_create(&label).set(i64::from(is_overdue));
        let count = i64::try_from(state.snapshots).unwrap_or(i64::MAX);
        service.metrics().snapshots.get_or_create(&label).set(count);
        let at = state.last_good.and_then(|good| good.created_at.parse::<jiff::Timestamp>().ok());
        service.metrics().last_good.get_or_create(&label).set(at.map_or(0, jiff::Timestamp::as_second));
        drilled(service, &label, state.last_proven.as_ref(), state.last_drill.as_ref());
    }
    service.metrics().copies.take(&offsite(service.workplace(), Some(&catalog))?);
    let recovery = recovery(service.workplace(), Some(&catalog))?;
    let label = OfTarget { target: ALL.to_owned() };
    drilled(service, &label, recovery.last_proven.as_ref(), recovery.last_drill.as_ref());
    Ok(())
}

fn drilled(service: &Service, label: &OfTarget, proven: Option<&LastProven>, last: Option<&LastDrill>) {
    let at = proven.and_then(|proven| proven.proven_at.parse::<jiff::Timestamp>().ok());
    service.metrics().last_proven.get_or_create(label).set(at.map_or(0, jiff::Timestamp::as_second));
    if let Some(drill) = last {
        let passed = drill.status == DrillStatus::Passed;
        service.metrics().drill_passed.get_or_create(label).set(i64::from(passed));
        let seconds = drill.duration_ms as f64 / 1000.0;
        service.metrics().drill_seconds.get_or_create(label).set(seconds);
    }
}
