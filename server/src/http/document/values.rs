//! Which words a field takes, where they are those of a list.
//!
//! What always holds: the words are those that the handlers look up.

use chronos_snapshot::{BACKUP_TYPES, TIERS};
use utoipa::openapi::schema::{Object, Schema, SchemaType, Type};
use utoipa::openapi::{OpenApi, RefOr};

use crate::http::chronos::backups::{SORTS, STATUSES};
use crate::http::chronos::jobs::KINDS;
use crate::http::common::words::STRATEGIES;
use crate::http::document::SCHEMAS;
use crate::state::{DrillStatus, JobStatus, RollbackStatus};

/// The schema of what changes a schedule, and of a new one, which must say when.
const SCHEDULE_CHANGE: &str = "ScheduleChange";
pub(super) const NEW_SCHEDULE: &str = "NewSchedule";
/// The strategy that writes to none of the places that things come from.
const NEW_LOCATION: &str = "new-location";
/// Blanks of every writing, as they stand between the brackets of a pattern: around words they do not count, and a text of nothing
/// else is none. `\s` means other ones wherever a pattern is read.
pub(super) const BLANK: &str = r"\t-\r \u0085\u00a0\u1680\u2000-\u200a\u2028\u2029\u202f\u205f\u3000";

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
    for holder in ["Rollback", "WorkflowRestore"] {
        if let Some(strategy) = field(components.schemas.get_mut(holder), "strategy") {
            strategy.pattern = Some(words(STRATEGIES.iter().filter(|word| **word != NEW_LOCATION)));
        }
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
        ("/backups", "sort") => format!("^[{BLANK}]*$|^-?{}$", either(SORTS.iter())),
        ("/backups", "cursor") => format!("^[{BLANK}]*$|^([0-9a-f]{{2}})+$"),
        ("/diff", "from" | "to") => format!("[^{BLANK}]"),
        ("/drills", "status") => words(DrillStatus::ALL.map(DrillStatus::word).iter()),
        ("/history", "status") => words(RollbackStatus::ALL.map(RollbackStatus::word).iter()),
        ("/jobs", "status") => {
            format!("^[{BLANK}]*$|^{}$", either(JobStatus::ALL.map(JobStatus::word).iter()))
        }
        ("/jobs", "kind") => format!("^[{BLANK}]*$|^{}$", either(KINDS.iter())),
        ("/jobs", "cursor") => format!("^[{BLANK}]*$|^[0-9]{{1,18}}$"),
        _ => return None,
    })
}

/// One of these words, or nothing.
fn words<'w>(words: impl Iterator<Item = &'w &'w str>) -> String {
    format!("^[{BLANK}]*{}?[{BLANK}]*$", either(words))
}

/// One of these words, with `-` or `_`.
pub(super) fn either<'w>(words: impl Iterator<Item = &'w &'w str>) -> String {
    let all: Vec<String> = words.map(|word| word.replace(['-', '_'], "[-_]")).collect();
    format!("({})", all.join("|"))
}

/// A field of a schema, which is a text.
pub(super) fn field<'d>(holder: Option<&'d mut RefOr<Schema>>, name: &str) -> Option<&'d mut Object> {
    let Some(RefOr::T(Schema::Object(holder))) = holder else { return None };
    match holder.properties.get_mut(name) {
        Some(RefOr::T(Schema::Object(field))) => Some(field),
        _ => None,
    }
}
