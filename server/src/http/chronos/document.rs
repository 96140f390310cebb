//! `GET /openapi.json`, `GET /docs`: what the service answers, as it follows from its routes.

use axum::Router;
use axum::http::header;
use axum::routing::get;
use utoipa::PartialSchema;
use utoipa::openapi::path::{Operation, Parameter, ParameterBuilder, ParameterIn};
use utoipa::openapi::response::ResponseBuilder;
use utoipa::openapi::schema::{ObjectBuilder, Type};
use utoipa::openapi::security::{HttpAuthScheme, HttpBuilder, SecurityRequirement, SecurityScheme};
use utoipa::openapi::{ContentBuilder, InfoBuilder, OpenApi, Ref, RefOr, Required};
use utoipa_swagger_ui::{Config, SwaggerUi};

use crate::http::idempotency::KEY_LEN_MAX;
use crate::http::problem::{CONTENT_TYPE, Document};

/// Name of the schema of failures.
const PROBLEM: &str = "Problem";
/// Name of the security scheme.
const TOKEN: &str = "token";
/// What is said of the service.
const ABOUT: &str = "Backups of n8n, PostgreSQL, SQLite, files and commands: made, listed, verified, held and cleaned up. \
    Bodies are JSON whatever their content type says. Every failure is a problem of RFC 9457 whose `detail` is a sentence.";

/// The document in full: what every operation has in common is added in one place.
pub(super) fn completed(mut document: OpenApi) -> OpenApi {
    document.info = InfoBuilder::new()
        .title("CHRONOS")
        .version(env!("CARGO_PKG_VERSION"))
        .description(Some(ABOUT))
        .build();
    document.security = Some(vec![SecurityRequirement::default(), SecurityRequirement::new(TOKEN, [""; 0])]);
    let components = document.components.get_or_insert_default();
    components.schemas.insert(PROBLEM.to_owned(), Document::schema());
    let bearer = HttpBuilder::new().scheme(HttpAuthScheme::Bearer).build();
    components.security_schemes.insert(TOKEN.to_owned(), SecurityScheme::Http(bearer).into());
    for (path, item) in &mut document.paths.paths {
        for (method, operation) in [
            ("get", &mut item.get),
            ("post", &mut item.post),
            ("delete", &mut item.delete),
            ("patch", &mut item.patch),
            ("put", &mut item.put),
        ] {
            let Some(operation) = operation else { continue };
            operation.operation_id = Some(operation_id(method, path));
            add_problem(operation);
            if method == "post" {
                operation.parameters.get_or_insert_default().push(idempotency_key().into());
            }
        }
    }
    document
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
        .schema(Some(ObjectBuilder::new().schema_type(Type::String).max_length(Some(KEY_LEN_MAX))))
        .build()
}

fn add_problem(operation: &mut Operation) {
    let content = ContentBuilder::new().schema(Some(Ref::from_schema_name(PROBLEM))).build();
    let response = ResponseBuilder::new()
        .description("Why it was not done; nothing is half done")
        .content(CONTENT_TYPE, content)
        .build();
    operation.responses.responses.entry("default".to_owned()).or_insert(RefOr::T(response));
}

/// The document and the page for people.
pub(super) fn routes<S: Clone + Send + Sync + 'static>(document: &OpenApi) -> Router<S> {
    // It is made of texts alone.
    let text = document.to_json().unwrap_or_default();
    let answer = move || async move { ([(header::CONTENT_TYPE, "application/json")], text) };
    let page = SwaggerUi::new("/docs").config(Config::from("/openapi.json"));
    Router::from(page).route("/openapi.json", get(answer))
}
