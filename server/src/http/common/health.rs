//! How a service says that it does well: one look for all who ask at the same time.

use std::sync::Arc;

use axum::body::Bytes;
use axum::http::StatusCode;
use axum::http::header::CONTENT_TYPE;
use axum::response::{IntoResponse, Response};
use serde::Serialize;

use crate::agent::Agent;
use crate::error::Result;
use crate::http::blocking::check;
use crate::http::problem::Problem;
use crate::http::service::Service;

/// What a look finds: 200 if the repository can be used, which `look` says with the document, else 503.
pub(in crate::http) async fn answered<T: Serialize + Send + 'static>(
    service: &Arc<Service>,
    agent: Agent,
    look: impl FnOnce(&Service) -> Result<(bool, T)> + Send + 'static,
) -> Result<Response, Problem> {
    let find = async {
        let (is_accessible, found) = check(service, look).await?;
        // Texts, numbers and lists can always be written.
        let text = serde_json::to_string(&found).unwrap_or_default();
        Ok::<_, Problem>((is_accessible, Bytes::from(text)))
    };
    let (is_accessible, text) = service.health(agent).look(find).await?;
    let status = if is_accessible { StatusCode::OK } else { StatusCode::SERVICE_UNAVAILABLE };
    Ok((status, [(CONTENT_TYPE, "application/json")], text).into_response())
}
