//! `GET /versions`: what could be gone back to: the snapshots of a target, the distinct versions of a workflow or of a path.

use std::sync::Arc;

use axum::Json;
use axum::extract::State;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use utoipa::{IntoParams, ToSchema};

use crate::catalog::Row;
use crate::error::Error;
use crate::http::blocking::look;
use crate::http::common::words::given;
use crate::http::document::Names;
use crate::http::problem::Problem;
use crate::http::query::Query;
use crate::http::service::Service;
use crate::operations::versions::{PathVersion, WorkflowVersion, find_workflow, of_path, snapshots_of};

/// Versions of one answer; the newest.
const VERSIONS_MAX: usize = 1000;

/// What is asked about.
#[derive(Debug, Default, Deserialize, IntoParams)]
#[serde(deny_unknown_fields, default)]
#[into_params(parameter_in = Query)]
pub(super) struct Parameters {
    /// Of this target, source or component alone.
    component: Option<String>,
    /// The distinct versions of this workflow, by its id.
    workflow_id: Option<String>,
    /// The distinct versions of this path, as it stands in the snapshots.
    path: Option<String>,
}

/// One version.
#[derive(Debug, Serialize, ToSchema)]
#[serde(untagged)]
#[schema(as = Version)]
pub(super) enum Version {
    /// Of a workflow.
    Workflow(Box<WorkflowVersion>),
    /// Of a path.
    Path(Box<PathVersion>),
    /// A snapshot, with the fields of `GET /backups`.
    #[schema(value_type = Object)]
    Snapshot(Value),
}

/// What could be gone back to.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = Versions)]
pub(super) struct Listing {
    /// The versions, newest first; at most a thousand.
    versions: Vec<Version>,
    /// How many of them.
    count: usize,
    /// How many there are.
    total: usize,
    /// The target that has the workflow.
    #[serde(skip_serializing_if = "Option::is_none")]
    target: Option<String>,
    /// The source that has it.
    #[serde(skip_serializing_if = "Option::is_none")]
    source: Option<String>,
    /// What could not be read.
    errors: Vec<String>,
}

/// What could be gone back to
///
/// Without `workflow_id` and `path` the snapshots; with one of them the distinct versions of that one item, each with its `version_id`, when
/// it was first and last seen, and a snapshot that has it.
#[utoipa::path(get, path = "/versions", tag = "rollback", params(Parameters), responses(
    (status = 200, description = "The newest of them", body = Listing),
    Names,
))]
pub(super) async fn get(
    State(service): State<Arc<Service>>,
    Query(asked): Query<Parameters>,
) -> Result<Json<Listing>, Problem> {
    look(&service, move |service| found(service, asked)).await.map(Json)
}

fn found(service: &Service, asked: Parameters) -> Result<Listing, Problem> {
    let component = given(asked.component);
    let catalog = service.catalog()?;
    let config = &service.workplace().config;
    let snapshots = snapshots_of(&catalog, config, component.as_deref())?;
    match (given(asked.workflow_id), given(asked.path)) {
        (Some(_), Some(_)) => {
            Err(Problem::invalid("path", "workflow_id and path cannot both be asked about"))
        }
        (Some(id), None) => {
            let workflow = find_workflow(&catalog, &snapshots, &id)?;
            let versions = workflow.versions.into_iter().map(|v| Version::Workflow(Box::new(v)));
            let place = Some((workflow.target, workflow.source));
            Ok(Listing::of(versions.collect(), place, workflow.errors))
        }
        (None, Some(path)) => {
            let (versions, errors) = of_path(&catalog, &snapshots, &path)?;
            if versions.is_empty() && errors.is_empty() {
                let count = snapshots.len();
                return Err(Error::Absent { path, count }.into());
            }
            let versions = versions.into_iter().map(|v| Version::Path(Box::new(v))).collect();
            Ok(Listing::of(versions, None, errors))
        }
        (None, None) => {
            let location = catalog.repository.location();
            let row = |s| serde_json::to_value(Row::new(s, &location)).unwrap_or_default();
            let versions = snapshots.iter().rev().take(VERSIONS_MAX).map(|s| Version::Snapshot(row(s)));
            Ok(Listing { total: snapshots.len(), ..Listing::of(versions.collect(), None, Vec::new()) })
        }
    }
}

impl Listing {
    fn of(mut versions: Vec<Version>, place: Option<(String, String)>, errors: Vec<String>) -> Self {
        let total = versions.len();
        versions.truncate(VERSIONS_MAX);
        let (target, source) = place.unzip();
        Self { count: versions.len(), total, versions, target, source, errors }
    }
}
