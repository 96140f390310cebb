//! The problems that an operation answers with: what all have in common, and what follows from what it takes and does.

use utoipa::openapi::header::HeaderBuilder;
use utoipa::openapi::path::{Operation, ParameterIn};
use utoipa::openapi::response::ResponseBuilder;
use utoipa::openapi::schema::{ObjectBuilder, Type};
use utoipa::openapi::{Content, ContentBuilder, Ref, RefOr, Response};

use crate::http::document::PROBLEM;
use crate::http::problem::CONTENT_TYPE;

/// The header that says when it is worth another try.
const RETRY_AFTER: &str = "Retry-After";

/// Adds the problems of an operation to its answers.
pub(super) fn add(method: &str, path: &str, operation: &mut Operation) {
    let takes = |place: &ParameterIn| {
        operation.parameters.iter().flatten().any(|p| matches!(p, RefOr::T(p) if p.parameter_in == *place))
    };
    let has_body = operation.request_body.is_some() || method == "post";
    let names = takes(&ParameterIn::Path);
    let says = names || has_body || takes(&ParameterIn::Query);
    let changes = method != "get" || path.starts_with("/verify");
    let captures = path.starts_with("/backup") && !path.starts_with("/backups");
    let restores = path.starts_with("/restore");
    let knows_targets = captures || path == "/backups" || path == "/list";
    let mut statuses = vec![
        ("400", "The request cannot be read"),
        ("401", "A token is needed, or this one is not known"),
        (
            "403",
            "The token's role does not allow it, or the request is meant for another host or made by another site",
        ),
        ("429", "Too many wrong tokens came from there"),
        ("500", "A fault of this program, which its log tells of"),
        ("503", "The repository or the service cannot do it now"),
    ];
    let further = [
        (names || knows_targets || path == "/verify", "404", "There is nothing of this name"),
        (has_body, "408", "The body did not arrive in time"),
        (changes, "409", "It is held, busy, or not as the request expects"),
        (has_body, "413", "The body is too long"),
        (says, "422", "A value is not one that is taken; `field` names it"),
        (captures || restores, "502", "A server or a command failed; `upstream_status` is its own"),
        (captures || restores, "504", "A server did not answer in time"),
        (changes, "507", "No space is left"),
    ];
    statuses.extend(further.into_iter().filter(|(is, ..)| *is).map(|(_, status, why)| (status, why)));
    for (status, why) in statuses {
        let known = operation.responses.responses.entry(status.to_owned());
        let response = known.or_insert_with(|| RefOr::T(described(status, why)));
        if let RefOr::T(response) = response {
            response.content.insert(CONTENT_TYPE.to_owned(), RefOr::T(problem()));
        }
    }
}

fn problem() -> Content {
    ContentBuilder::new().schema(Some(Ref::from_schema_name(PROBLEM))).build()
}

fn described(status: &str, why: &str) -> Response {
    let response = ResponseBuilder::new().description(why);
    let (name, about, kind) = match status {
        "401" => ("WWW-Authenticate", "How to send a token", Type::String),
        "429" | "503" => (RETRY_AFTER, "Seconds after which it is worth another try", Type::Integer),
        _ => return response.build(),
    };
    let header =
        HeaderBuilder::new().schema(Some(ObjectBuilder::new().schema_type(kind))).description(Some(about));
    response.header(name, header.build()).build()
}
