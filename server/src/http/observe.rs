//! Every answer is counted and leaves a line in the log. Neither bodies, queries nor headers are in it: secrets travel in them.

use std::sync::Arc;
use std::time::Instant;

use axum::extract::{MatchedPath, Request, State};
use axum::middleware::Next;
use axum::response::Response;

use crate::http::auth::{Caller, Ends};
use crate::http::fields::shortened;
use crate::http::service::Service;

/// Name of the route of what is not in the table.
const NO_ROUTE: &str = "none";

/// Counts and logs.
pub(crate) async fn observe(State(service): State<Arc<Service>>, request: Request, next: Next) -> Response {
    let began = Instant::now();
    let method = request.method().clone();
    let path = shortened(request.uri().path());
    let route = request.extensions().get::<MatchedPath>().map(|m| m.as_str().to_owned());
    let peer = request.extensions().get::<Ends>().map(|ends| ends.peer.ip().to_string());
    let response = next.run(request).await;
    let (status, took) = (response.status().as_u16(), began.elapsed());
    // A method is free text; only the usual ones are told apart.
    let known = if method.as_str().len() <= 7 && route.is_some() { method.as_str() } else { "other" };
    service.metrics().answered(known, route.as_deref().unwrap_or(NO_ROUTE), status, took);
    let token = response.extensions().get::<Caller>().and_then(|caller| caller.name.clone());
    tracing::info!(
        method = shortened(method.as_str()),
        path,
        status,
        duration_ms = u64::try_from(took.as_millis()).unwrap_or(u64::MAX),
        peer,
        token = token.as_deref(),
        "request"
    );
    response
}
