//! CHRONOS: its routes on one page, one file per resource.

mod words;

mod page;

mod asked;
mod awaited;

mod health;
mod job_events;
mod jobs;

mod backups;

mod restore;

mod backup;
mod backup_id;
mod cleanup;
mod document;
mod history;
mod metrics;
mod schedules;
mod verify;

pub(crate) use health::found;

use std::sync::Arc;

use axum::Router;
use axum::extract::Request;
use axum::middleware::from_fn_with_state;
use axum::response::IntoResponse;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use crate::http::auth::{Role, authenticate, require};
use crate::http::fields::shortened;
use crate::http::guard::guard;
use crate::http::idempotency::idempotent;
use crate::http::observe::observe;
use crate::http::problem::Problem;
use crate::http::service::Service;

/// Everything that CHRONOS answers.
pub(crate) fn router(service: &Arc<Service>) -> Router {
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
        .routes(routes!(history::get))
        .routes(routes!(metrics::get));
    let backup = OpenApiRouter::new()
        .routes(routes!(backup::post))
        .routes(routes!(backup::pre_deploy))
        .routes(routes!(backup_id::hold))
        .routes(routes!(verify::get))
        .routes(routes!(verify::post))
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
    let api = OpenApiRouter::new()
        .merge(needs(read, Role::Read))
        .merge(needs(backup, Role::Backup))
        .merge(needs(restore, Role::Restore))
        .merge(needs(admin, Role::Admin));
    let (router, api) = api.split_for_parts();
    let shared = || Arc::clone(service);
    router
        .merge(document::routes(&document::completed(api)))
        .fallback(unknown_path)
        .method_not_allowed_fallback(unknown_method)
        .layer(from_fn_with_state(shared(), authenticate))
        .layer(from_fn_with_state(shared(), guard))
        .layer(from_fn_with_state(shared(), observe))
        .with_state(shared())
}

fn needs(routes: OpenApiRouter<Arc<Service>>, role: Role) -> OpenApiRouter<Arc<Service>> {
    routes.route_layer(from_fn_with_state(role, require))
}

async fn unknown_path(request: Request) -> impl IntoResponse {
    let path = shortened(request.uri().path());
    Problem::not_found(format!("there is nothing at {path}; GET /openapi.json lists what there is"))
}

async fn unknown_method(request: Request) -> impl IntoResponse {
    let (path, method) = (shortened(request.uri().path()), shortened(request.method().as_str()));
    Problem::new(
        axum::http::StatusCode::METHOD_NOT_ALLOWED,
        "method_not_allowed",
        format!("{path} takes no {method}; the Allow header lists what it takes"),
    )
}
