//! `GET /diff`: what differs between two snapshots, or between one and what is there now.

use std::sync::Arc;

use axum::Json;
use axum::extract::State;
use chronos_snapshot::{Change, Error as Failed, counted};
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};

use crate::error::{Error, Result};
use crate::http::blocking::work;
use crate::http::common::words::{given, required, rows};
use crate::http::fields;
use crate::http::problem::Problem;
use crate::http::query::Query;
use crate::http::service::Service;
use crate::operations::diff::{DiffRequest, Reach, Row, Values, diff};

/// What is compared.
#[derive(Debug, Default, Deserialize, IntoParams)]
#[serde(deny_unknown_fields, default)]
#[into_params(parameter_in = Query)]
pub(super) struct Parameters {
    /// The older side: a snapshot by any of its names, or `live`.
    #[param(required = true)]
    from: Option<String>,
    /// The newer side: a snapshot by any of its names, or `live`.
    #[param(required = true)]
    to: Option<String>,
    /// Only at and below this path, as it stands in the snapshots.
    path: Option<String>,
    /// Differences, 1 to 1000; 50 if absent.
    #[serde(deserialize_with = "fields::number")]
    #[param(minimum = 1, maximum = 1000)]
    limit: Option<u32>,
}

/// What differs.
#[derive(Debug, Default, Serialize, ToSchema)]
#[schema(as = Differences)]
pub(super) struct Listing {
    /// Name of the older side.
    from: String,
    /// Name of the newer side.
    to: String,
    /// What is only in the newer one.
    added: Vec<Row>,
    /// What is only in the older one.
    removed: Vec<Row>,
    /// What is in both, and not the same. JSON files are compared value by value, as long as they are not too much.
    changed: Vec<Row>,
    /// How many of them.
    count: usize,
    /// There are more differences or errors than `limit`: name a path, or a higher one.
    has_more: bool,
    /// What cannot be compared with what is there, and why.
    not_compared: Vec<String>,
    /// What should be known of the names.
    warnings: Vec<String>,
    /// What could not be read.
    errors: Vec<String>,
}

/// What differs
///
/// Between two snapshots, or between one and `live`: the files at the configured places of its target, and the workflows of its n8n, read
/// as a backup reads them. Databases are named in `not_compared`. It shows what is in files, so it needs the role of those who restore.
#[utoipa::path(get, path = "/diff", tag = "rollback", params(Parameters), responses(
    (status = 200, description = "What differs, in the order of paths", body = Listing),
))]
pub(super) async fn get(
    State(service): State<Arc<Service>>,
    Query(asked): Query<Parameters>,
) -> Result<Json<Listing>, Problem> {
    let limit = rows(asked.limit)? as usize;
    let request = DiffRequest {
        from: required("from", asked.from)?,
        to: required("to", asked.to)?,
        path: given(asked.path),
        values: Values::All,
        reach: Reach::Configured,
    };
    work(&service, move |service| found(service, &request, limit)).await.map(Json)
}

fn found(service: &Service, request: &DiffRequest, limit: usize) -> Result<Listing> {
    let workplace = service.workplace();
    let catalog = service.catalog()?;
    let found = diff(workplace, &catalog, request)?;
    let is_all = found.parts == 1;
    let mut listing = Listing {
        from: found.from.clone(),
        to: found.to.clone(),
        not_compared: found.not_compared.clone(),
        warnings: found.notes.clone(),
        ..Listing::default()
    };
    let mut omitted = 0;
    for row in found {
        chronos_store::check_cancelled(&*workplace.monitor)?;
        if listing.count + listing.errors.len() == limit {
            listing.has_more = true;
            break;
        }
        match row {
            Ok(row) => {
                listing.count += 1;
                omitted += usize::from(row.values_omitted);
                match row.change {
                    Change::Added => listing.added.push(row),
                    Change::Removed => listing.removed.push(row),
                    Change::Changed => listing.changed.push(row),
                }
            }
            // Nothing else is compared.
            Err(error @ Error::Snapshot(Failed::Source { .. })) if is_all && listing.count == 0 => {
                return Err(error);
            }
            Err(error) => listing.errors.push(error.to_string()),
        }
    }
    if omitted > 0 {
        let files = counted(omitted, "JSON file");
        listing.warnings.push(format!(
            "{files} would be too much to compare value by value (values_omitted): name the path of one"
        ));
    }
    Ok(listing)
}
