//! From routes to what a listener serves: the document of the routes, and what stands before every one of them.

use std::sync::Arc;

use axum::extract::Request;
use axum::middleware::from_fn_with_state;
use axum::response::IntoResponse;
use axum::{Extension, Router};
use utoipa_axum::router::OpenApiRouter;

use crate::agent::Agent;
use crate::http::auth::{Role, authenticate, require};
use crate::http::fields::shortened;
use crate::http::guard::guard;
use crate::http::observe::observe;
use crate::http::problem::Problem;
use crate::http::service::Service;
use crate::http::{chronos, document, hades};

/// Everything that one of the two services answers.
pub(super) fn router(service: &Arc<Service>, agent: Agent) -> Router {
    let (routes, about) = match agent {
        Agent::Chronos => (chronos::routes(service), chronos::ABOUT),
        Agent::Hades => (hades::routes(service), hades::ABOUT),
    };
    let (router, api) = routes.split_for_parts();
    let shared = || Arc::clone(service);
    router
        .merge(document::routes(&document::completed(api, agent, about)))
        .fallback(unknown_path)
        .method_not_allowed_fallback(unknown_method)
        .layer(Extension(agent))
        .layer(from_fn_with_state(shared(), authenticate))
        .layer(from_fn_with_state(shared(), guard))
        .layer(from_fn_with_state(shared(), observe))
        .with_state(shared())
}

/// Routes that a role opens.
pub(super) fn needs(mut routes: OpenApiRouter<Arc<Service>>, role: Role) -> OpenApiRouter<Arc<Service>> {
    document::need(routes.get_openapi_mut(), role);
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
