//! `/backups/{id}`: one snapshot, by any of its names.

use std::sync::Arc;

use axum::Json;
use axum::extract::State;
use chronos_snapshot::{Resolved, Snapshot};
use serde::Serialize;
use utoipa::ToSchema;

use crate::catalog::{Catalog, Filter, Row};
use crate::error::{Error, Result};
use crate::http::blocking::{look, work};
use crate::http::chronos::backups::{Listed, document};
use crate::http::name::Name;
use crate::http::problem::Problem;
use crate::http::service::Service;
use crate::operations::Mode;
use crate::operations::backup::{AnswerFile, files_of};
use crate::operations::delete::delete as forget;
use crate::operations::failures::failures;
use crate::operations::hold::{Hold, hold as mark};

/// One snapshot: the members of a row, and these.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct One {
    #[serde(flatten)]
    #[schema(value_type = Listed)]
    row: serde_json::Value,
    /// What it is of.
    #[serde(skip_serializing_if = "Option::is_none")]
    manifest: Option<Manifest>,
    /// What a caller must know of the name: which fitted several, and what was taken.
    #[serde(skip_serializing_if = "Option::is_none")]
    note: Option<String>,
}

/// What a snapshot is of.
#[derive(Debug, Serialize, ToSchema)]
struct Manifest {
    backup_id: String,
    target: String,
    backup_type: String,
    tier: String,
    created_at: String,
    description: String,
    files: Vec<AnswerFile>,
}

impl From<&Snapshot> for Manifest {
    fn from(snapshot: &Snapshot) -> Self {
        let m = &snapshot.manifest;
        Self {
            backup_id: m.backup_id.clone(),
            target: m.target.clone(),
            backup_type: m.backup_type.clone(),
            tier: m.tier.clone(),
            created_at: m.created_at.clone(),
            description: m.description.clone(),
            files: m.sources.iter().flat_map(files_of).collect(),
        }
    }
}

/// One snapshot
///
/// It is named by its backup id, a unique beginning of its content id, its timestamp, `latest` or `latest:TARGET`. A backup
/// that made no snapshot is found by the id that it would have had.
#[utoipa::path(get, path = "/backups/{id}", tag = "backups", params(Name), responses(
    (status = 200, description = "The snapshot", body = One),
))]
pub(super) async fn get(State(service): State<Arc<Service>>, Name(id): Name) -> Result<Json<One>, Problem> {
    look(&service, move |service| one(service, &id)).await.map(Json)
}

fn one(service: &Service, id: &str) -> Result<One> {
    let catalog = service.catalog()?;
    let Resolved { snapshot, note } = match catalog.resolve(id) {
        Ok(found) => found,
        Err(unknown) => return failed(service, &catalog, id).ok_or(unknown),
    };
    let row = document(&Row::new(&snapshot, &catalog.repository.location()));
    Ok(One { row, manifest: Some(Manifest::from(&snapshot)), note })
}

/// A backup that made no snapshot.
fn failed(service: &Service, catalog: &Catalog, id: &str) -> Option<One> {
    // A history that cannot be read knows of nothing.
    let all = failures(service.workplace(), &catalog.repository, &Filter::default()).ok()?;
    let found = all.into_iter().find(|f| f.backup_id == id)?;
    Some(One { row: document(&found), manifest: None, note: None })
}

/// What was deleted.
#[derive(Debug, Serialize, ToSchema)]
#[expect(clippy::struct_field_names, reason = "the names that callers know")]
pub(super) struct Deleted {
    /// The snapshot's name.
    deleted: String,
    /// Its content id.
    snapshot: String,
    /// `deleted`.
    status: &'static str,
}

/// Delete a snapshot
///
/// It can be brought back by `chronos undelete` until the next cleanup. A held one is refused.
#[utoipa::path(delete, path = "/backups/{id}", tag = "backups", params(Name), responses(
    (status = 200, description = "It is deleted", body = Deleted),
))]
pub(super) async fn delete(
    State(service): State<Arc<Service>>,
    Name(id): Name,
) -> Result<Json<Deleted>, Problem> {
    let snapshot = work(&service, move |service| {
        let catalog = service.catalog()?;
        let snapshot = catalog.resolve(&id)?.snapshot;
        forget(&catalog, std::slice::from_ref(&snapshot), Mode::Apply)?;
        Ok(snapshot)
    });
    let snapshot = snapshot.await?;
    let (deleted, snapshot) = (snapshot.manifest.backup_id, snapshot.id.to_string());
    Ok(Json(Deleted { deleted, snapshot, status: "deleted" }))
}

/// Whether a snapshot is held.
#[derive(Debug, Serialize, ToSchema)]
#[expect(clippy::struct_field_names, reason = "the names that callers know")]
pub(super) struct Held {
    /// Its name.
    backup_id: String,
    /// Its content id.
    snapshot: String,
    /// Whether neither retention nor deletion removes it.
    held: bool,
}

/// Hold a snapshot: neither retention nor deletion removes it
#[utoipa::path(post, path = "/backups/{id}/hold", tag = "backups", params(Name), responses(
    (status = 200, description = "It is held", body = Held),
))]
pub(super) async fn hold(State(service): State<Arc<Service>>, Name(id): Name) -> Result<Json<Held>, Problem> {
    set(&service, id, Hold::Held).await
}

/// Release a snapshot
#[utoipa::path(delete, path = "/backups/{id}/hold", tag = "backups", params(Name), responses(
    (status = 200, description = "Retention decides about it", body = Held),
))]
pub(super) async fn release(
    State(service): State<Arc<Service>>,
    Name(id): Name,
) -> Result<Json<Held>, Problem> {
    set(&service, id, Hold::Released).await
}

async fn set(service: &Arc<Service>, id: String, wanted: Hold) -> Result<Json<Held>, Problem> {
    let marked = work(service, move |service| {
        let catalog = service.catalog()?;
        let snapshot = catalog.resolve(&id)?.snapshot;
        mark(&catalog, std::slice::from_ref(&snapshot), wanted, Mode::Apply)?;
        Ok::<_, Error>(snapshot)
    });
    let snapshot = marked.await?;
    let (backup_id, snapshot) = (snapshot.manifest.backup_id, snapshot.id.to_string());
    Ok(Json(Held { backup_id, snapshot, held: wanted == Hold::Held }))
}
