//! CHRONOS: its routes on one page, one file per resource.

mod page;

pub(in crate::http) mod asked;
mod awaited;

mod health;

mod job_events;
pub(in crate::http) mod jobs;

pub(in crate::http) mod backups;
pub(in crate::http) mod restore;

mod backup;
mod backup_id;
mod cleanup;
mod drill;
mod metrics;
mod schedules;
mod sync;
mod verify;

pub(crate) use health::found;

use std::sync::Arc;

use axum::middleware::from_fn_with_state;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use crate::http::auth::Role;
use crate::http::common::history;
use crate::http::idempotency::idempotent;
use crate::http::router::needs;
use crate::http::service::Service;

/// What the document says of it.
pub(in crate::http) const ABOUT: &str = "Backups of n8n, PostgreSQL, SQLite, files and commands: made, listed, verified, held and cleaned \
    up. Bodies are JSON whatever their content type says. Every failure is a problem of RFC 9457 whose `detail` is a sentence.";

/// Everything that CHRONOS answers.
pub(in crate::http) fn routes(service: &Arc<Service>) -> OpenApiRouter<Arc<Service>> {
    let once = || from_fn_with_state(Arc::clone(service), idempotent);
    let read = OpenApiRouter::new()
        .routes(routes!(health::health))
        .routes(routes!(backups::list))
        .routes(routes!(backups::all))
        .routes(routes!(backup_id::get))
        .routes(routes!(jobs::list))
        .routes(routes!(jobs::get))
        .routes(routes!(job_events::events))
        .routes(routes!(schedules::list))
        .routes(routes!(drill::list))
        .routes(routes!(history::get))
        .routes(routes!(history::one))
        .routes(routes!(metrics::get));
    let backup = OpenApiRouter::new()
        .routes(routes!(backup::post))
        .routes(routes!(backup::pre_deploy))
        .routes(routes!(backup_id::hold))
        .routes(routes!(verify::get))
        .routes(routes!(verify::post))
        .routes(routes!(drill::post))
        .routes(routes!(sync::post))
        .routes(routes!(jobs::cancel))
        .route_layer(once());
    let restore = OpenApiRouter::new().routes(routes!(restore::post)).route_layer(once());
    let admin = OpenApiRouter::new()
        .routes(routes!(backup_id::delete))
        .routes(routes!(backup_id::release))
        .routes(routes!(cleanup::post))
        .routes(routes!(schedules::post))
        .routes(routes!(schedules::patch))
        .routes(routes!(schedules::delete))
        .route_layer(once());
    OpenApiRouter::new()
        .merge(needs(read, Role::Read))
        .merge(needs(backup, Role::Backup))
        .merge(needs(restore, Role::Restore))
        .merge(needs(admin, Role::Admin))
}
