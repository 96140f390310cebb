//! The name of a snapshot or of a schedule, or the id of a job, in a path.

use axum::extract::{FromRequestParts, Path};
use axum::http::request::Parts;
use utoipa::IntoParams;

use crate::http::problem::Problem;

/// The name of a snapshot.
#[derive(Debug, IntoParams)]
#[into_params(names("id"), parameter_in = Path)]
pub(crate) struct Name(pub(crate) String);

impl<S: Send + Sync> FromRequestParts<S> for Name {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, Problem> {
        text(parts, state).await.map(Self)
    }
}

/// The id of a job.
#[derive(Debug, IntoParams)]
#[into_params(names("id"), parameter_in = Path)]
pub(crate) struct JobId(pub(crate) String);

impl<S: Send + Sync> FromRequestParts<S> for JobId {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, Problem> {
        text(parts, state).await.map(Self)
    }
}

/// The name of a schedule.
#[derive(Debug, IntoParams)]
#[into_params(names("id"), parameter_in = Path)]
pub(crate) struct ScheduleId(pub(crate) String);

impl<S: Send + Sync> FromRequestParts<S> for ScheduleId {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, Problem> {
        text(parts, state).await.map(Self)
    }
}

/// The id of a rollback.
#[derive(Debug, IntoParams)]
#[into_params(names("id"), parameter_in = Path)]
pub(crate) struct RollbackId(pub(crate) String);

impl<S: Send + Sync> FromRequestParts<S> for RollbackId {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, Problem> {
        text(parts, state).await.map(Self)
    }
}

async fn text<S: Send + Sync>(parts: &mut Parts, state: &S) -> Result<String, Problem> {
    let found = Path::<String>::from_request_parts(parts, state).await;
    found.map(|Path(text)| text).map_err(|e| Problem::malformed(format!("the path cannot be read: {e}")))
}
