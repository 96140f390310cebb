//! Which texts a field takes, where there is a rule that a schema can tell: the words of a list, names and tags.
//!
//! What always holds: the words are those that the handlers look up.

use chronos_snapshot::{BACKUP_TYPES, NAME_BYTES_MAX, TIERS};
use utoipa::openapi::schema::{ArrayItems, Object, Schema, SchemaType, Type};
use utoipa::openapi::{OpenApi, RefOr};

use crate::http::chronos::backups::{SORTS, STATUSES};
use crate::http::chronos::jobs::KINDS;
use crate::http::common::words::STRATEGIES;
use crate::http::document::SCHEMAS;
use crate::state::{JobStatus, RollbackStatus};

/// The schema of what changes a schedule, and of a new one, which must say when.
const SCHEDULE_CHANGE: &str = "ScheduleChange";
const NEW_SCHEDULE: &str = "NewSchedule";
/// What no name and no tag holds.
const NAME: &str = r"[^/,\u0000-\u001f\u007f-\u009f]";

/// Completes the parameters and schemas of the document.
pub(super) fn complete(document: &mut OpenApi) {
    for (path, item) in &mut document.paths.paths {
        for parameter in item.get.iter_mut().flat_map(|operation| operation.parameters.iter_mut().flatten()) {
            let RefOr::T(parameter) = parameter else { continue };
            if let Some(RefOr::T(Schema::Object(schema))) = &mut parameter.schema {
                schema.pattern = of_parameter(path, &parameter.name).or(schema.pattern.take());
            }
        }
    }
    let Some(components) = &mut document.components else { return };
    for (holder, names) in
        [("Backup", &["tier", "type", "backup_type"][..]), (SCHEDULE_CHANGE, &["tier", "backup_type"])]
    {
        for name in names {
            if let Some(field) = field(components.schemas.get_mut(holder), name) {
                field.pattern = Some(match (holder, *name) {
                    (_, "tier") => words(TIERS.iter()),
                    (SCHEDULE_CHANGE, _) => words(BACKUP_TYPES.iter()),
                    _ => words(TIERS.iter().chain(BACKUP_TYPES)),
                });
            }
        }
    }
    if let Some(strategy) = field(components.schemas.get_mut("Restore"), "strategy") {
        strategy.pattern = Some(words(STRATEGIES.iter()));
    }
    if let Some(RefOr::T(Schema::Object(backup))) = components.schemas.get_mut("Backup")
        && let Some(RefOr::T(Schema::Array(modules))) = backup.properties.get_mut("target_modules")
        && let ArrayItems::RefOrSchema(module) = &mut modules.items
        && let RefOr::T(Schema::Object(module)) = &mut **module
    {
        module.pattern = Some("^[^/]+$".to_owned());
    }
    if let Some(name) = field(components.schemas.get_mut("Backup"), "name") {
        name.pattern = Some(format!("^{NAME}*$"));
        name.max_length = Some(NAME_BYTES_MAX);
    }
    if let Some(RefOr::T(Schema::Object(mut new))) = components.schemas.get(SCHEDULE_CHANGE).cloned() {
        if let Some(RefOr::T(Schema::Object(cron))) = new.properties.get_mut("cron") {
            cron.schema_type = SchemaType::Type(Type::String);
        }
        new.required.push("cron".to_owned());
        components.schemas.insert(NEW_SCHEDULE.to_owned(), RefOr::T(Schema::Object(new)));
    }
    // A name stays as it is.
    if let Some(RefOr::T(Schema::Object(change))) = components.schemas.get_mut(SCHEDULE_CHANGE) {
        change.properties.remove("id");
    }
    let post = document.paths.paths.get_mut("/schedules").and_then(|item| item.post.as_mut());
    if let Some(RefOr::T(body)) = post.and_then(|operation| operation.request_body.as_mut()) {
        for content in body.content.values_mut() {
            if let RefOr::T(content) = content
                && let Some(RefOr::Ref(schema)) = &mut content.schema
            {
                schema.ref_location = format!("{SCHEMAS}{NEW_SCHEDULE}");
            }
        }
    }
}

/// What a parameter of a listing takes.
fn of_parameter(path: &str, name: &str) -> Option<String> {
    Some(match (path, name) {
        ("/backups", "tier") => words(TIERS.iter()),
        ("/backups", "type") => words(TIERS.iter().chain(BACKUP_TYPES)),
        ("/backups", "status") => words(STATUSES.iter()),
        ("/backups", "sort") => format!("^\\s*$|^-?{}$", either(SORTS.iter())),
        ("/backups", "cursor") => "^\\s*$|^([0-9a-f]{2})+$".to_owned(),
        ("/history", "status") => words(RollbackStatus::ALL.map(RollbackStatus::word).iter()),
        ("/jobs", "status") => format!("^\\s*$|^{}$", either(JobStatus::ALL.map(JobStatus::word).iter())),
        ("/jobs", "kind") => format!("^\\s*$|^{}$", either(KINDS.iter())),
        ("/jobs", "cursor") => "^\\s*$|^[0-9]{1,18}$".to_owned(),
        _ => return None,
    })
}

/// One of these words, or nothing.
fn words<'w>(words: impl Iterator<Item = &'w &'w str>) -> String {
    format!("^\\s*({})?\\s*$", either(words))
}

/// One of these words, with `-` or `_`.
fn either<'w>(words: impl Iterator<Item = &'w &'w str>) -> String {
    let all: Vec<String> = words.map(|word| word.replace('-', "[-_]")).collect();
    format!("({})", all.join("|"))
}

fn field<'d>(holder: Option<&'d mut RefOr<Schema>>, name: &str) -> Option<&'d mut Object> {
    let Some(RefOr::T(Schema::Object(holder))) = holder else { return None };
    match holder.properties.get_mut(name) {
        Some(RefOr::T(Schema::Object(field))) => Some(field),
        _ => None,
    }
}
