//! The problems that an operation answers with: what all have in common, what follows from what it takes and from the role that it
//! needs, and what it says itself by [`Names`] and [`Reaches`].

use std::collections::BTreeMap;

use utoipa::IntoResponses;
use utoipa::openapi::header::HeaderBuilder;
use utoipa::openapi::path::{Operation, ParameterIn};
use utoipa::openapi::response::ResponseBuilder;
use utoipa::openapi::schema::{ObjectBuilder, Type};
use utoipa::openapi::{Content, ContentBuilder, Ref, RefOr, Response};

use crate::http::auth::Role;
use crate::http::document::PROBLEM;
use crate::http::problem::CONTENT_TYPE;

/// The header that says when it is worth another try.
const RETRY_AFTER: &str = "Retry-After";

/// What every operation can answer.
const OF_ALL: [(&str, &str); 6] = [
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
/// What those answer that take a body.
const OF_BODIES: [(&str, &str); 2] =
    [("408", "The body did not arrive in time"), ("413", "The body is too long")];
/// What those answer that take values.
const OF_VALUES: (&str, &str) = ("422", "A value is not one that is taken; `field` names it");
/// What those answer that name something.
const OF_NAMES: (&str, &str) = ("404", "There is nothing of this name");
/// What those answer that change something.
const OF_CHANGES: [(&str, &str); 2] =
    [("409", "It is held, busy, or not as the request expects"), ("507", "No space is left")];
/// What those answer that reach servers and commands.
const OF_SYSTEMS: [(&str, &str); 2] = [
    ("502", "A server or a command failed; `upstream_status` is its own"),
    ("504", "A server did not answer in time"),
];

/// Among the responses of an operation: it names something in its query or body.
pub(in crate::http) struct Names;

impl IntoResponses for Names {
    fn responses() -> BTreeMap<String, RefOr<Response>> {
        all(&[OF_NAMES])
    }
}

/// Among the responses of an operation: it reaches servers and commands.
pub(in crate::http) struct Reaches;

impl IntoResponses for Reaches {
    fn responses() -> BTreeMap<String, RefOr<Response>> {
        all(&OF_SYSTEMS)
    }
}

/// Adds what follows from the role that an operation needs: all but the first change something, and who restores names what, and
/// reaches the systems that it goes to.
pub(super) fn of_role(role: Role, operation: &mut Operation) {
    if role > Role::Read {
        known(operation, &OF_CHANGES);
    }
    if role == Role::Restore {
        known(operation, &[OF_NAMES]);
        known(operation, &OF_SYSTEMS);
    }
}

/// Adds what all answer and what follows from what an operation takes; completes what it says itself.
pub(super) fn add(method: &str, operation: &mut Operation) {
    let takes = |place: &ParameterIn| {
        operation.parameters.iter().flatten().any(|p| matches!(p, RefOr::T(p) if p.parameter_in == *place))
    };
    let has_body = operation.request_body.is_some() || method == "post";
    let names = takes(&ParameterIn::Path);
    let says = names || has_body || takes(&ParameterIn::Query);
    known(operation, &OF_ALL);
    for (is, further) in [(names, &[OF_NAMES][..]), (has_body, &OF_BODIES), (says, &[OF_VALUES])] {
        if is {
            known(operation, further);
        }
    }
    for (status, response) in &mut operation.responses.responses {
        if let RefOr::T(response) = response
            && status.starts_with(['4', '5'])
        {
            response.content.insert(CONTENT_TYPE.to_owned(), RefOr::T(problem()));
        }
    }
}

/// Adds what an operation does not say itself.
fn known(operation: &mut Operation, statuses: &[(&str, &str)]) {
    for (status, response) in all(statuses) {
        operation.responses.responses.entry(status).or_insert(response);
    }
}

fn all(statuses: &[(&str, &str)]) -> BTreeMap<String, RefOr<Response>> {
    statuses.iter().map(|(status, why)| ((*status).to_owned(), RefOr::T(described(status, why)))).collect()
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
