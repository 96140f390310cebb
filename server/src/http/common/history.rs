//! `GET /history`: every call that put something back, also those that failed.

use std::sync::Arc;

use axum::Json;
use axum::extract::State;
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};

use crate::http::blocking::look;
use crate::http::common::words::{given, one_of, rows};
use crate::http::document::Names;
use crate::http::fields;
use crate::http::name::RollbackId;
use crate::http::problem::Problem;
use crate::http::query::Query;
use crate::http::service::Service;
use crate::operations::history::{HistoryEntry, HistoryRow, entry, history};
use crate::state::RollbackStatus;

/// Which rows are meant.
#[derive(Debug, Default, Deserialize, IntoParams)]
#[serde(deny_unknown_fields, default)]
#[into_params(parameter_in = Query)]
pub(in crate::http) struct Parameters {
    /// Rows, 1 to 1000; 50 if absent.
    #[serde(deserialize_with = "fields::number")]
    #[param(minimum = 1, maximum = 1000)]
    limit: Option<u32>,
    /// Of this target alone: one that is configured, or of which there are rows.
    target: Option<String>,
    /// `running`, `completed`, `partial`, `failed` or `interrupted`.
    status: Option<String>,
}

/// The history.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = History)]
pub(in crate::http) struct Listing {
    /// The rows, newest first.
    history: Vec<HistoryRow>,
    /// How many.
    count: usize,
}

/// What was put back, newest first
///
/// One whose process ended without a word is `interrupted`; `pre_rollback_backup` is then what to look at.
#[utoipa::path(get, path = "/history", tag = "restore", params(Parameters), responses(
    (status = 200, description = "The newest of them", body = Listing),
    Names,
))]
pub(in crate::http) async fn get(
    State(service): State<Arc<Service>>,
    Query(asked): Query<Parameters>,
) -> Result<Json<Listing>, Problem> {
    look(&service, move |service| page(service, asked)).await.map(Json)
}

/// One call that put something back
///
/// With what it answered, its parts, and what undid it.
#[utoipa::path(get, path = "/history/{id}", tag = "restore", params(RollbackId), responses(
    (status = 200, description = "The call", body = HistoryEntry),
))]
pub(in crate::http) async fn one(
    State(service): State<Arc<Service>>,
    RollbackId(id): RollbackId,
) -> Result<Json<HistoryEntry>, Problem> {
    look(&service, move |service| entry(service.workplace(), &id)).await.map(Json)
}

fn page(service: &Service, asked: Parameters) -> Result<Listing, Problem> {
    let limit = rows(asked.limit)?;
    let known = RollbackStatus::ALL.map(RollbackStatus::word);
    let status = given(asked.status).map(|word| one_of("status", &word, &known)).transpose()?;
    let status = status.as_deref().and_then(RollbackStatus::of_word);
    let history = history(service.workplace(), given(asked.target).as_deref(), status, limit)?;
    Ok(Listing { count: history.len(), history })
}
