//! `POST /recover` and `POST /rebuild`: everything back, in the fixed order.

use std::sync::Arc;

use axum::extract::State;
use axum::{Extension, Json};
use serde::Deserialize;
use utoipa::ToSchema;

use crate::catalog::LATEST;
use crate::error::Error;
use crate::http::auth::Caller;
use crate::http::blocking::work;
use crate::http::body::Body;
use crate::http::chronos::restore::NAMES_MAX;
use crate::http::common::words::{given, required};
use crate::http::problem::Problem;
use crate::http::service::Service;
use crate::operations::Mode;
use crate::operations::recover::{RebuildRequest, RecoverRequest, Recovery, rebuild, recover};
use crate::state::RollbackType;

/// What is recovered.
#[derive(Debug, Default, Deserialize, ToSchema)]
#[serde(deny_unknown_fields, default)]
#[schema(as = Recover)]
pub(super) struct Asked {
    /// A snapshot, a run, or `latest` (usual). A snapshot names a moment: all else comes from its newest good snapshot that is not later.
    backup_id: Option<String>,
    /// Only these targets, components or sources; `all`, or absent: everything that is configured.
    components: Option<Vec<String>>,
    /// Only say what would be done.
    dry_run: Option<bool>,
    /// `false`: only say what would be done.
    confirm: Option<bool>,
    /// A recovery that broke off, by its id: what it brought back stays, the rest comes from the same snapshots.
    resume: Option<String>,
    /// Also where no snapshot of what is there can be made first.
    force: Option<bool>,
}

/// What is rebuilt.
#[derive(Debug, Default, Deserialize, ToSchema)]
#[serde(deny_unknown_fields, default)]
#[schema(as = Rebuild)]
pub(super) struct AskedRebuild {
    /// Where the repository is. What opens it comes from the environment of the service.
    backup_source: Option<String>,
    /// Only these targets, components or sources; `all`, or absent: everything.
    components: Option<Vec<String>>,
    /// Only say what would be done.
    dry_run: Option<bool>,
    /// `false`: only say what would be done.
    confirm: Option<bool>,
    /// A rebuild that broke off, by its id: what it brought back stays, the rest comes from the same snapshots.
    resume: Option<String>,
    /// Also where no snapshot of what is there can be made first.
    force: Option<bool>,
}

fn names(components: Option<Vec<String>>) -> Result<Vec<String>, Problem> {
    let names = components.unwrap_or_default();
    if names.len() > NAMES_MAX {
        let why = format!("components has more than {NAMES_MAX} entries");
        return Err(Problem::invalid("components", why));
    }
    Ok(names)
}

fn mode(dry_run: Option<bool>, confirm: Option<bool>) -> Mode {
    Mode::dry(dry_run.unwrap_or_default() || confirm == Some(false))
}

/// Recover everything
///
/// In the fixed order: config, event bus, databases, files, the n8n of control, production and development, agents. Each step makes an
/// `emergency` snapshot first and is confirmed by the health check of its target, if it has one. What cannot be brought back is named and
/// keeps only later steps of the same target from being done; `status` is then `partial`, and the call can be resumed.
#[utoipa::path(post, path = "/recover", tag = "recovery", request_body = Asked, responses(
    (status = 200, description = "What was done, or would be, step by step", body = Recovery),
))]
pub(super) async fn post(
    State(service): State<Arc<Service>>,
    Body(asked): Body<Asked>,
) -> Result<Json<Recovery>, Problem> {
    let request = RecoverRequest {
        backup: given(asked.backup_id).unwrap_or_else(|| LATEST.to_owned()),
        components: names(asked.components)?,
        resume: given(asked.resume),
        mode: mode(asked.dry_run, asked.confirm),
        kind: RollbackType::Recover,
        force: asked.force.unwrap_or_default(),
    };
    let done = work(&service, move |service| recover(service.workplace(), &service.repository()?, &request));
    Ok(Json(done.await?))
}

/// Rebuild from a repository
///
/// The same from a repository that is named, onto a machine that may be empty: where no target is configured the configuration comes from
/// the newest snapshot of target `chronos` first. It needs a token, also on this host.
#[utoipa::path(post, path = "/rebuild", tag = "recovery", request_body = AskedRebuild, responses(
    (status = 200, description = "What was done, or would be, step by step", body = Recovery),
))]
pub(super) async fn rebuild_all(
    State(service): State<Arc<Service>>,
    Extension(caller): Extension<Caller>,
    Body(asked): Body<AskedRebuild>,
) -> Result<Json<Recovery>, Problem> {
    if caller.name.is_none() {
        return Err(Problem::forbidden(
            "a rebuild needs a token, also on this host: `chronos tokens add` makes one; the command `chronos rebuild` needs none",
        ));
    }
    let request = RebuildRequest {
        source: required("backup_source", asked.backup_source)?,
        components: names(asked.components)?,
        resume: given(asked.resume),
        mode: mode(asked.dry_run, asked.confirm),
        force: asked.force.unwrap_or_default(),
    };
    let done = work(&service, move |service| match rebuild(service.workplace(), &request) {
        // It is not the service's own that is missing.
        Err(missing @ Error::NoRepository { .. }) => Ok(Err(missing)),
        done => done.map(Ok),
    });
    done.await?.map(Json).map_err(Problem::not_found)
}
