//! `GET /openapi.json`, `GET /docs`: what the service answers, as it follows from its routes.

mod failures;
mod links;
mod texts;
mod values;

use std::collections::BTreeSet;

use axum::Router;
use axum::http::header;
use axum::routing::get;
use utoipa::PartialSchema;
use utoipa::openapi::path::{Operation, Parameter, ParameterBuilder, ParameterIn, PathItem};
use utoipa::openapi::request_body::RequestBody;
use utoipa::openapi::schema::{ObjectBuilder, Schema, Type};
use utoipa::openapi::security::{HttpAuthScheme, HttpBuilder, SecurityRequirement, SecurityScheme};
use utoipa::openapi::{InfoBuilder, OpenApi, RefOr, Required};
use utoipa_swagger_ui::{Config, SwaggerUi};

use crate::agent::Agent;
use crate::http::auth::Role;
use crate::http::idempotency::KEY_LEN_MAX;
use crate::http::problem::Document;

pub(super) use failures::{Names, Reaches};

/// Name of the schema of failures.
const PROBLEM: &str = "Problem";
/// What stands before the name of a schema where it is meant.
const SCHEMAS: &str = "#/components/schemas/";
/// What a header can hold: visible characters, then also blanks, of which those at its end are lost on the way.
const VISIBLE: &str = "^[!-~][\\t -~]*$";
/// Name of the security scheme.
const TOKEN: &str = "token";

/// The document in full: what every operation has in common is added in one place.
pub(super) fn completed(mut document: OpenApi, agent: Agent, about: &str) -> OpenApi {
    document.info = InfoBuilder::new()
        .title(agent.name())
        .version(env!("CARGO_PKG_VERSION"))
        .description(Some(about))
        .build();
    let components = document.components.get_or_insert_default();
    components.schemas.insert(PROBLEM.to_owned(), Document::schema());
    let bearer = HttpBuilder::new().scheme(HttpAuthScheme::Bearer).build();
    components.security_schemes.insert(TOKEN.to_owned(), SecurityScheme::Http(bearer).into());
    values::complete(&mut document);
    texts::complete(&mut document);
    let free = without_required(&document);
    for (path, item) in &mut document.paths.paths {
        for (method, operation) in operations(item) {
            operation.operation_id = Some(operation_id(method, path));
            if method == "post" {
                operation.parameters.get_or_insert_default().push(idempotency_key().into());
            }
            if let Some(RefOr::T(body)) = &mut operation.request_body
                && schema_of(body).is_some_and(|name| free.contains(name))
            {
                body.required = Some(Required::False);
            }
            failures::add(method, operation);
            links::add(method, path, operation);
        }
    }
    document
}

/// Says of the operations of some routes who may ask for them: callers of this host, and those with a token of this role or a
/// higher one. What an operation can fail with follows from it.
pub(super) fn need(document: &mut OpenApi, role: Role) {
    for item in document.paths.paths.values_mut() {
        for (_, operation) in operations(item) {
            let token = SecurityRequirement::new(TOKEN, [role.word()]);
            operation.security = Some(vec![SecurityRequirement::default(), token]);
            failures::of_role(role, operation);
        }
    }
}

/// The operations at a path, by their methods.
fn operations(item: &mut PathItem) -> impl Iterator<Item = (&'static str, &mut Operation)> {
    let all = [
        ("get", &mut item.get),
        ("post", &mut item.post),
        ("delete", &mut item.delete),
        ("patch", &mut item.patch),
        ("put", &mut item.put),
    ];
    all.into_iter().filter_map(|(method, operation)| Some((method, operation.as_mut()?)))
}

/// A name that no other operation has: handlers of two resources may be called alike.
fn operation_id(method: &str, path: &str) -> String {
    let words = path.split(|c: char| !c.is_ascii_alphanumeric()).filter(|word| !word.is_empty());
    std::iter::once(method).chain(words).collect::<Vec<_>>().join("_")
}

/// Every request that makes something may carry a key.
fn idempotency_key() -> Parameter {
    ParameterBuilder::new()
        .name("Idempotency-Key")
        .parameter_in(ParameterIn::Header)
        .required(Required::False)
        .description(Some(
            "Whoever repeats a request with its key gets its answer, and nothing is done twice",
        ))
        .schema(Some(
            ObjectBuilder::new()
                .schema_type(Type::String)
                .min_length(Some(1))
                .max_length(Some(KEY_LEN_MAX))
                .pattern(Some(VISIBLE)),
        ))
        .build()
}

/// The schemas that a body without members fits: such a body may as well be left out.
fn without_required(document: &OpenApi) -> BTreeSet<String> {
    let schemas = document.components.iter().flat_map(|components| &components.schemas);
    let free =
        schemas.filter(|(_, schema)| matches!(schema, RefOr::T(Schema::Object(o)) if o.required.is_empty()));
    free.map(|(name, _)| name.clone()).collect()
}

/// Name of the schema of a body.
fn schema_of(body: &RequestBody) -> Option<&str> {
    body.content.values().find_map(|content| match content {
        RefOr::T(content) => match &content.schema {
            Some(RefOr::Ref(schema)) => schema.ref_location.strip_prefix(SCHEMAS),
            _ => None,
        },
        RefOr::Ref(_) => None,
    })
}

/// The document and the page for people.
pub(super) fn routes<S: Clone + Send + Sync + 'static>(document: &OpenApi) -> Router<S> {
    // It is made of texts alone.
    let text = document.to_json().unwrap_or_default();
    let answer = move || async move { ([(header::CONTENT_TYPE, "application/json")], text) };
    // Its badge would ask a server of others what that makes of this one's document.
    let page = SwaggerUi::new("/docs").config(Config::from("/openapi.json").validator_url("none"));
    Router::from(page).route("/openapi.json", get(answer))
}
