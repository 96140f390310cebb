//! `POST /restore/{id}`: a snapshot back to where it came from, or into a new place.

use std::path::PathBuf;
use std::sync::Arc;

use axum::extract::State;
use axum::response::{IntoResponse, Response};
use axum::{Extension, Json};
use chronos_connect::postgres::Part;
use chronos_snapshot::Strategy;
use serde::Deserialize;
use utoipa::ToSchema;

use crate::catalog::target_name;
use crate::error::Error;
use crate::http::auth::Caller;
use crate::http::blocking::{look, work};
use crate::http::body::Body;
use crate::http::chronos::jobs::queued;
use crate::http::common::words::{STRATEGIES, given, one_of};
use crate::http::name::Name;
use crate::http::problem::Problem;
use crate::http::service::Service;
use crate::jobs::{JobView, RestoreTask, Task};
use crate::operations::Mode;
use crate::operations::restore::{Reach, RestoreRequest, Restored, meant, restore};

/// Most names of one request.
pub(in crate::http) const NAMES_MAX: usize = 1000;

/// What is put back, and how.
#[derive(Debug, Default, Deserialize, ToSchema)]
#[serde(deny_unknown_fields, default)]
#[schema(as = Restore)]
pub(in crate::http) struct Asked {
    /// Only these kinds of sources (`files`, `config`, `database`, `workflows`, …), sources or targets; everything if absent.
    components: Option<Vec<String>>,
    /// Only these tables of a database, as `schema.name`, or by their names where one schema alone has it.
    tables: Option<Vec<String>>,
    /// Only these schemas of a database.
    schemas: Option<Vec<String>>,
    /// Only say what would be done.
    dry_run: Option<bool>,
    /// The target that is written to; the snapshot's own if absent.
    target: Option<String>,
    /// `new_location`, `overwrite`, `replace` or `merge`. Absent: over what is there, or into the place if one is named.
    strategy: Option<String>,
    /// The new place for `new_location`, below the configured `restore_root`; with a token anywhere.
    restore_target_path: Option<String>,
    /// The fingerprint of the plan of a dry run: if another one holds now, nothing is touched.
    fingerprint: Option<String>,
    /// Whether the answer waits for the end. `false`: it is a job.
    wait: Option<bool>,
}

/// Put a snapshot back
///
/// To the places of its target, as they are configured, after a snapshot of tier `emergency` of what is there; without that
/// nothing is touched. With strategy `new_location` into a new folder below the configured `restore_root`. What is carried out
/// answers 200, also where part of it is not back (`status` is then `partial`); where nothing is back the answer is a problem with
/// the `rollback_id` under which the history has it.
#[utoipa::path(post, path = "/restore/{id}", tag = "restore", params(Name), request_body = Asked, responses(
    (status = 200, description = "What was done, or would be", body = Restored),
    (status = 202, description = "A job that does it", body = JobView),
))]
pub(in crate::http) async fn post(
    State(service): State<Arc<Service>>,
    Extension(caller): Extension<Caller>,
    Name(id): Name,
    Body(asked): Body<Asked>,
) -> Result<Response, Problem> {
    let waits = asked.wait.unwrap_or(true) || asked.dry_run.unwrap_or_default();
    let request = read(id, asked, &caller)?;
    if !waits {
        let task = look(&service, move |service| later(service, request)).await?;
        return queued(&service, Task::Restore(Box::new(task))).await;
    }
    let done = work(&service, move |service| restore(service.workplace(), &service.repository()?, &request));
    Ok(Json(done.await?).into_response())
}

/// A job; which snapshot and which target are meant is found out now.
fn later(service: &Service, request: RestoreRequest) -> Result<RestoreTask, Error> {
    let snapshot = meant(&service.catalog()?, &service.workplace().config, &request)?.snapshot;
    let config = &service.workplace().config;
    let named = request.target.as_deref().unwrap_or(&snapshot.manifest.target);
    if config.target(named).is_none() {
        return Err(Error::UnknownTarget { target: named.to_owned() });
    }
    Ok(RestoreTask {
        target: target_name(config, named),
        backup_id: snapshot.manifest.backup_id,
        components: request.components,
        part: request.part,
        strategy: request.strategy,
        path: request.path,
        fingerprint: request.fingerprint,
        anywhere: request.reach == Reach::Anywhere,
    })
}

/// The part of a database that is asked for.
pub(in crate::http) fn part(
    tables: Option<Vec<String>>,
    schemas: Option<Vec<String>>,
) -> Result<Part, Problem> {
    let (tables, schemas) = (tables.unwrap_or_default(), schemas.unwrap_or_default());
    for (place, names) in [("tables", &tables), ("schemas", &schemas)] {
        if names.len() > NAMES_MAX {
            return Err(Problem::invalid(place, format!("{place} has more than {NAMES_MAX} entries")));
        }
    }
    Ok(Part { tables, schemas })
}

fn read(backup: String, asked: Asked, caller: &Caller) -> Result<RestoreRequest, Problem> {
    let components = asked.components.unwrap_or_default();
    if components.len() > NAMES_MAX {
        let why = format!("components has more than {NAMES_MAX} entries");
        return Err(Problem::invalid("components", why));
    }
    let strategy = given(asked.strategy).map(|word| one_of("strategy", &word, &STRATEGIES)).transpose()?;
    let path = given(asked.restore_target_path).map(PathBuf::from);
    // The words are those that it is read from. Whoever names a place and no strategy means that place.
    let strategy = strategy.and_then(|word| word.parse::<Strategy>().ok());
    let strategy = strategy.or_else(|| path.as_ref().map(|_| Strategy::NewLocation));
    Ok(RestoreRequest {
        backup,
        components,
        target: given(asked.target),
        part: part(asked.tables, asked.schemas)?,
        strategy,
        path,
        reach: if caller.name.is_some() { Reach::Anywhere } else { Reach::Root },
        mode: Mode::dry(asked.dry_run.unwrap_or_default()),
        fingerprint: given(asked.fingerprint),
        ..RestoreRequest::default()
    })
}
