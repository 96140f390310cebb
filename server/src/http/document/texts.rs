//! What the texts and lists of a request hold: which characters, how many of them, and whether they must be there.
//!
//! What always holds: the limits are those that requests are held to. They count bytes where a schema counts characters: what is within
//! both is taken.

use chronos_snapshot::{NAME_BYTES_MAX, TAGS_MAX, TEXT_BYTES_MAX};
use utoipa::openapi::schema::{
    AdditionalProperties, Array, ArrayItems, Object, ObjectBuilder, Schema, SchemaType, Type,
};
use utoipa::openapi::{OpenApi, RefOr};

use crate::http::chronos::asked::LIST_MAX;
use crate::http::chronos::restore::NAMES_MAX;
use crate::http::document::values::{BLANK, NEW_SCHEDULE, either, field};
use crate::operations::emergency::Action;

/// What names and tags are made of.
const OF_NAMES: &str = r"[^/,\u0000-\u001f\u007f-\u009f]";
/// A text for people.
const TEXT: &str = r"^[^\u0000]*$";
/// Fields that must be there, with more than blanks in them.
const NEEDED: [(&str, &str); 6] = [
    ("Rollback", "backup_id"),
    ("WorkflowRollback", "workflow_id"),
    ("WorkflowRestore", "backup_id"),
    ("UndoOf", "rollback_id"),
    ("Rebuild", "backup_source"),
    (EMERGENCY, "action"),
];
/// The schema of what is done in an emergency.
const EMERGENCY: &str = "EmergencyAction";
/// Lists, and how long they may be.
const LISTS: [(&str, &str, usize); 12] = [
    ("Backup", "components", LIST_MAX),
    ("Backup", "include_patterns", LIST_MAX),
    ("Backup", "exclude_patterns", LIST_MAX),
    ("Backup", "target_modules", LIST_MAX),
    ("Backup", "tags", TAGS_MAX),
    ("Restore", "components", NAMES_MAX),
    ("Restore", "tables", NAMES_MAX),
    ("Restore", "schemas", NAMES_MAX),
    ("Rollback", "tables", NAMES_MAX),
    ("Rollback", "schemas", NAMES_MAX),
    ("Recover", "components", NAMES_MAX),
    ("Rebuild", "components", NAMES_MAX),
];

/// Completes the parameters and schemas of the document.
pub(super) fn complete(document: &mut OpenApi) {
    let workflow = document.paths.paths.get_mut("/backup/pre-deploy").and_then(|item| item.post.as_mut());
    for parameter in workflow.and_then(|post| post.parameters.as_mut()).into_iter().flatten() {
        if let RefOr::T(parameter) = parameter
            && parameter.name == "workflow_id"
            && let Some(RefOr::T(Schema::Object(id))) = &mut parameter.schema
        {
            name(id, 0);
        }
    }
    let Some(components) = &mut document.components else { return };
    let schemas = &mut components.schemas;
    for (holder, list, max) in LISTS {
        if let Some(list) = property(schemas.get_mut(holder), list).and_then(array) {
            list.max_items = Some(max);
        }
    }
    if let Some(given) = field(schemas.get_mut("Backup"), "name") {
        name(given, 0);
    }
    for text in ["description", "reason"] {
        if let Some(text) = field(schemas.get_mut("Backup"), text) {
            text.pattern = Some(TEXT.to_owned());
            text.max_length = Some(TEXT_BYTES_MAX);
        }
    }
    if let Some(tag) = items(property(schemas.get_mut("Backup"), "tags")) {
        name(tag, 1);
    }
    if let Some(module) = items(property(schemas.get_mut("Backup"), "target_modules")) {
        module.pattern = Some("^[^/]+$".to_owned());
    }
    if let Some(map) = field(schemas.get_mut("Backup"), "metadata") {
        metadata(map);
    }
    if let Some(id) = field(schemas.get_mut(NEW_SCHEDULE), "id") {
        name(id, 1);
    }
    for (holder, needed) in NEEDED {
        if let Some(text) = field(schemas.get_mut(holder), needed) {
            text.schema_type = SchemaType::Type(Type::String);
            text.pattern = Some(format!("[^{BLANK}]"));
        }
        if let Some(RefOr::T(Schema::Object(holder))) = schemas.get_mut(holder) {
            holder.required.push(needed.to_owned());
        }
    }
    if let Some(action) = field(schemas.get_mut(EMERGENCY), "action") {
        action.pattern =
            Some(format!("^[{BLANK}]*{}[{BLANK}]*$", either(Action::ALL.map(Action::word).iter())));
    }
}

/// A name or a tag. Where none may be given, blanks are none too.
fn name(text: &mut Object, min: usize) {
    let blank = if min == 0 { format!("^[{BLANK}]*$|") } else { String::new() };
    text.pattern = Some(format!("{blank}^{OF_NAMES}+$"));
    text.min_length = Some(min).filter(|min| *min > 0);
    text.max_length = Some(NAME_BYTES_MAX);
}

/// Names, and what is kept under them: a text, or anything else as it is written in JSON.
fn metadata(map: &mut Object) {
    let mut key = ObjectBuilder::new().schema_type(Type::String).build();
    name(&mut key, 1);
    let value = ObjectBuilder::new()
        .schema_type(SchemaType::AnyValue)
        .pattern(Some(TEXT))
        .max_length(Some(TEXT_BYTES_MAX));
    map.property_names = Some(Box::new(Schema::Object(key)));
    map.additional_properties = Some(Box::new(AdditionalProperties::RefOr(RefOr::T(value.build().into()))));
    map.max_properties = Some(TAGS_MAX);
}

fn property<'d>(holder: Option<&'d mut RefOr<Schema>>, name: &str) -> Option<&'d mut RefOr<Schema>> {
    match holder {
        Some(RefOr::T(Schema::Object(holder))) => holder.properties.get_mut(name),
        _ => None,
    }
}

fn array(list: &mut RefOr<Schema>) -> Option<&mut Array> {
    match list {
        RefOr::T(Schema::Array(list)) => Some(list),
        _ => None,
    }
}

/// What a list holds, which are texts.
fn items(list: Option<&mut RefOr<Schema>>) -> Option<&mut Object> {
    let ArrayItems::RefOrSchema(item) = &mut array(list?)?.items else { return None };
    match &mut **item {
        RefOr::T(Schema::Object(item)) => Some(item),
        _ => None,
    }
}
