//! `GET /backups`, `GET /list`: what there is, newest first.

use std::collections::BTreeMap;
use std::sync::Arc;

use axum::Json;
use axum::extract::State;
use chronos_snapshot::{COMPONENTS, Snapshot};
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};

use crate::catalog::{Catalog, Filter, Row, target_name};
use crate::error::Error;
use crate::http::blocking::look;
use crate::http::chronos::page::{Direction, Key, Page, Value, Wanted, page};
use crate::http::common::words::{LIMIT_MAX, dashed, given, is_tier, is_type, one_of, rows, time};
use crate::http::document::Names;
use crate::http::fields;
use crate::http::problem::Problem;
use crate::http::query::Query;
use crate::http::service::Service;
use crate::operations::failures::{Failure, failures};

/// What rows can be sorted by.
pub(in crate::http) const SORTS: [&str; 7] =
    ["created-at", "size-bytes", "added-bytes", "name", "target", "tier", "backup-id"];
/// What a snapshot can be.
pub(in crate::http) const STATUSES: [&str; 6] =
    ["completed", "partial", "verified", "corrupted", "missing", "failed"];

/// Which snapshots are meant.
#[derive(Debug, Default, Deserialize, IntoParams)]
#[serde(deny_unknown_fields, default)]
#[into_params(parameter_in = Query)]
pub(in crate::http) struct Parameters {
    /// Of this target, or of the one with this alias.
    target: Option<String>,
    /// Of this tier.
    tier: Option<String>,
    /// The tier too; `full` and `incremental` mean the backup type.
    #[serde(rename = "type")]
    kind: Option<String>,
    /// With this component, or of the target of this name.
    component: Option<String>,
    /// In this state; `completed` also means those that were verified since. `failed`: backups that made no snapshot.
    status: Option<String>,
    /// With all of these tags.
    tag: Vec<String>,
    /// Taken at this time or later.
    since: Option<String>,
    /// Taken at this time or before.
    until: Option<String>,
    /// Rows of a page, 1 to 1000; 50 if absent.
    #[serde(deserialize_with = "fields::number")]
    #[param(minimum = 1, maximum = 1000)]
    limit: Option<u32>,
    /// `next_cursor` of the page before.
    cursor: Option<String>,
    /// `created_at`, `size_bytes`, `added_bytes`, `name`, `target`, `tier` or `backup_id`; with `-` before it the largest first.
    sort: Option<String>,
    /// Of this file or folder.
    path: Option<String>,
    /// With this metadata, each written as `metadata.KEY=VALUE`.
    #[param(style = DeepObject, explode)]
    metadata: BTreeMap<String, String>,
}

/// A row: a snapshot, or a backup that made none.
#[derive(ToSchema)]
#[schema(as = Listed)]
#[serde(untagged)]
#[expect(
    dead_code,
    clippy::large_enum_variant,
    reason = "the shape of rows in the document; they are built from the two kinds themselves"
)]
pub(in crate::http) enum Listed<'a> {
    /// A snapshot.
    Snapshot(Row<'a>),
    /// A backup that made none.
    Failure(Failure),
}

/// A page of snapshots.
#[derive(Debug, Serialize, ToSchema)]
pub(in crate::http) struct Listing {
    /// The rows.
    #[schema(value_type = Vec<Listed>)]
    backups: Vec<serde_json::Value>,
    /// Rows of this page.
    count: usize,
    /// Rows of all pages.
    total: usize,
    /// `cursor` of the next page.
    next_cursor: Option<String>,
}

/// Snapshots, newest first
#[utoipa::path(get, path = "/backups", tag = "backups", params(Parameters), responses(
    (status = 200, description = "A page of them", body = Listing),
    Names,
))]
pub(in crate::http) async fn list(
    State(service): State<Arc<Service>>,
    Query(asked): Query<Parameters>,
) -> Result<Json<Listing>, Problem> {
    look(&service, move |service| found(service, asked)).await.map(Json)
}

/// The component whose snapshots are meant.
#[derive(Debug, Default, Deserialize, IntoParams)]
#[serde(deny_unknown_fields, default)]
#[into_params(parameter_in = Query)]
pub(in crate::http) struct OfComponent {
    /// With this component, or of the target of this name.
    component: Option<String>,
}

/// All snapshots, as system B asks for them.
#[derive(Debug, Serialize, ToSchema)]
pub(in crate::http) struct All {
    /// The newest thousand.
    #[schema(value_type = Vec<Row>)]
    backups: Vec<serde_json::Value>,
    /// How many there are.
    total: usize,
}

/// The newest thousand snapshots
#[utoipa::path(get, path = "/list", tag = "backups", params(OfComponent), responses(
    (status = 200, description = "The snapshots", body = All),
    Names,
))]
pub(in crate::http) async fn all(
    State(service): State<Arc<Service>>,
    Query(asked): Query<OfComponent>,
) -> Result<Json<All>, Problem> {
    let asked = Parameters { component: asked.component, limit: Some(LIMIT_MAX), ..Parameters::default() };
    let found = look(&service, move |service| found(service, asked)).await?;
    Ok(Json(All { backups: found.backups, total: found.total }))
}

fn found(service: &Service, mut asked: Parameters) -> Result<Listing, Problem> {
    let (sort, direction) = sorting(given(asked.sort.take()).as_deref())?;
    let limit = rows(asked.limit)?;
    let wanted = Wanted { limit: limit as usize, cursor: given(asked.cursor.take()), direction };
    let filter = filter(asked)?;
    let catalog = service.catalog()?;
    known(&catalog, service, &filter)?;
    let Page { rows, total, next } = if filter.status.as_deref() == Some("failed") {
        failed(service, &catalog, &filter, &wanted)?
    } else {
        snapshots(&catalog, &filter, &sort, &wanted)?
    };
    Ok(Listing { count: rows.len(), backups: rows, total, next_cursor: next })
}

fn snapshots(
    catalog: &Catalog,
    filter: &Filter,
    sort: &str,
    wanted: &Wanted,
) -> Result<Page<serde_json::Value>, Problem> {
    let fitting = catalog.fitting(filter, &catalog.snapshots);
    let page = page(fitting.map(|s| (key(s, sort), s)).collect(), wanted)?;
    let location = catalog.repository.location();
    let rows = page.rows.into_iter().map(|s| document(&Row::new(s, &location)));
    Ok(Page { rows: rows.collect(), total: page.total, next: page.next })
}

fn failed(
    service: &Service,
    catalog: &Catalog,
    filter: &Filter,
    wanted: &Wanted,
) -> Result<Page<serde_json::Value>, Problem> {
    let all = failures(service.workplace(), &catalog.repository, filter)?;
    let keyed = all.into_iter().map(|f| {
        let key = Key(Value::Text(f.created_at.clone()), f.backup_id.clone());
        (key, document(&f))
    });
    page(keyed.collect(), wanted)
}

fn key(snapshot: &Snapshot, sort: &str) -> Key {
    let m = &snapshot.manifest;
    let number = |n: u64| Value::Number(i64::try_from(n).unwrap_or(i64::MAX));
    let text = |t: &str| Value::Text(t.to_owned());
    let value = match sort {
        "size-bytes" => number(m.size_bytes),
        "added-bytes" => number(m.added_bytes),
        "name" => text(m.name.as_deref().unwrap_or_default()),
        "target" => text(&m.target),
        "tier" => text(&m.tier),
        "backup-id" => text(&m.backup_id),
        _ => Value::Number(i64::try_from(snapshot.taken_at().as_nanosecond()).unwrap_or(i64::MAX)),
    };
    Key(value, snapshot.session.to_string())
}

fn sorting(text: Option<&str>) -> Result<(String, Direction), Problem> {
    let text = text.unwrap_or("-created_at");
    let (name, direction) = match text.strip_prefix('-') {
        Some(name) => (name, Direction::Down),
        None => (text, Direction::Up),
    };
    let name = match name {
        "size" => "size_bytes",
        "added" => "added_bytes",
        "time" | "created" => "created_at",
        name => name,
    };
    Ok((one_of("sort", name, &SORTS)?, direction))
}

fn filter(asked: Parameters) -> Result<Filter, Problem> {
    let mut filter = Filter {
        target: given(asked.target),
        component: given(asked.component),
        tags: asked.tag,
        metadata: asked.metadata.into_iter().collect(),
        path: given(asked.path).map(|p| if p == "/" { p } else { p.trim_end_matches('/').to_owned() }),
        since: given(asked.since).map(|t| time("since", &t)).transpose()?,
        until: given(asked.until).map(|t| time("until", &t)).transpose()?,
        status: given(asked.status).map(|s| one_of("status", &s, &STATUSES)).transpose()?,
        ..Filter::default()
    };
    for (field, word) in [("tier", given(asked.tier)), ("type", given(asked.kind))] {
        let Some(word) = word.map(|w| dashed(&w)) else { continue };
        match &filter.tier {
            _ if field == "type" && is_type(&word) => filter.backup_type = Some(word),
            _ if !is_tier(&word) => {
                return Err(one_of(field, &word, chronos_snapshot::TIERS)
                    .err()
                    .unwrap_or_else(|| Problem::invalid(field, "it is no tier")));
            }
            Some(other) if *other != word => {
                return Err(Problem::invalid(
                    "type",
                    format!("tier {other} and type {word} exclude each other"),
                ));
            }
            _ => filter.tier = Some(word),
        }
    }
    Ok(filter)
}

/// Refuses a target or component that neither the configuration nor any snapshot knows.
fn known(catalog: &Catalog, service: &Service, filter: &Filter) -> Result<(), Problem> {
    let config = &service.workplace().config;
    let is_target = |name: &str| {
        let target = target_name(config, name);
        config.target(name).is_some() || catalog.snapshots.iter().any(|s| s.manifest.target == target)
    };
    if let Some(name) = filter.target.as_deref().filter(|name| !is_target(name)) {
        return Err(Error::UnknownTarget { target: name.to_owned() }.into());
    }
    match filter.component.as_deref() {
        Some(name) if !COMPONENTS.contains(&name) && !is_target(name) => Err(Problem::not_found(format!(
            "component {:?} is neither a target nor one of {}",
            fields::shortened(name),
            COMPONENTS.join(", ")
        ))),
        _ => Ok(()),
    }
}

/// A row as JSON.
pub(in crate::http) fn document(row: &impl Serialize) -> serde_json::Value {
    // Rows have no keys that are not texts.
    serde_json::to_value(row).unwrap_or_default()
}
