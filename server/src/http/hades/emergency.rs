//! `POST /emergency`: what is done at once, in two steps.

use std::sync::Arc;

use axum::Json;
use axum::extract::State;
use serde::Deserialize;
use utoipa::ToSchema;

use crate::http::blocking::work;
use crate::http::body::Body;
use crate::http::common::words::{dashed, given, required};
use crate::http::fields::shortened;
use crate::http::problem::Problem;
use crate::http::service::Service;
use crate::operations::emergency::{Action, EmergencyDone, EmergencyRequest, emergency};
use crate::operations::versions::FIRST;

/// What is done.
#[derive(Debug, Default, Deserialize, ToSchema)]
#[serde(deny_unknown_fields, default)]
#[schema(as = EmergencyAction)]
pub(super) struct Asked {
    /// `restore_latest`, `restore_all`, `deactivate_all`, `restart_services` or `reactivate`.
    action: Option<String>,
    /// The target; `control-plane` if absent.
    target: Option<String>,
    /// Without it, it is only said what would be done.
    confirm: Option<bool>,
}

/// Act in an emergency
///
/// Without `confirm` nothing is touched: `status` is `confirmation_required`, and `plan` says what would be done. Each action can be
/// repeated, and its answer lists exactly what it did.
#[utoipa::path(post, path = "/emergency", tag = "recovery", request_body = Asked, responses(
    (status = 200, description = "What was done, or would be", body = EmergencyDone),
))]
pub(super) async fn post(
    State(service): State<Arc<Service>>,
    Body(asked): Body<Asked>,
) -> Result<Json<EmergencyDone>, Problem> {
    let request = EmergencyRequest {
        action: action(&required("action", asked.action)?)?,
        target: given(asked.target).unwrap_or_else(|| FIRST.to_owned()),
        confirm: asked.confirm.unwrap_or_default(),
    };
    let done =
        work(&service, move |service| emergency(service.workplace(), &|| service.repository(), &request));
    Ok(Json(done.await?))
}

/// An action that is not known is a malformed request, as its callers have always been told.
fn action(word: &str) -> Result<Action, Problem> {
    let known = Action::ALL.into_iter().find(|action| dashed(action.word()) == dashed(word));
    known.ok_or_else(|| {
        let words = Action::ALL.map(Action::word).join(", ");
        Problem::malformed(format!("action: {:?} is not known; there are {words}", shortened(word)))
    })
}
