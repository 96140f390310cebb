//! Who asks, and what he may do: callers of this host and of trusted networks without a token, all others with one.
//!
//! What always holds: a token that is wrong lets nobody in, whoever sent it; a caller whose request came through a proxy is not of
//! this host.

mod failures;
pub mod role;
pub mod tokens;

use std::net::SocketAddr;
use std::sync::Arc;

use axum::extract::{Request, State};
use axum::http::{HeaderMap, StatusCode, header};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};

use crate::http::problem::Problem;
use crate::http::service::Service;

pub(crate) use failures::Failures;
pub use role::Role;
pub use tokens::Tokens;

/// Headers that only a proxy adds.
const OF_PROXIES: [&str; 6] =
    ["forwarded", "via", "x-forwarded-for", "x-forwarded-host", "x-forwarded-proto", "x-real-ip"];

/// The two ends of a connection.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Ends {
    /// The caller's.
    pub(crate) peer: SocketAddr,
    /// The one that he reached.
    pub(crate) local: SocketAddr,
}

/// Who asks.
#[derive(Clone, Debug)]
pub(crate) struct Caller {
    /// What he may do.
    pub(crate) role: Role,
    /// Name of his token, if he has one.
    pub(crate) name: Option<Arc<str>>,
}

/// Finds out who asks.
pub(crate) async fn authenticate(
    State(service): State<Arc<Service>>,
    mut request: Request,
    next: Next,
) -> Response {
    match caller(&service, &request) {
        Ok(caller) => {
            request.extensions_mut().insert(caller.clone());
            let mut response = next.run(request).await;
            response.extensions_mut().insert(caller);
            response
        }
        Err(problem) => problem.into_response(),
    }
}

/// Lets only those through that may do what a route does.
pub(crate) async fn require(State(role): State<Role>, request: Request, next: Next) -> Response {
    match request.extensions().get::<Caller>() {
        Some(caller) if caller.role >= role => next.run(request).await,
        Some(caller) => Problem::forbidden(format!(
            "this needs a token of role {role}; this one is of role {}",
            caller.role
        ))
        .into_response(),
        None => unknown().into_response(),
    }
}

fn caller(service: &Service, request: &Request) -> Result<Caller, Problem> {
    let ends = request.extensions().get::<Ends>().ok_or_else(unknown)?;
    let address = ends.peer.ip().to_canonical();
    match token(request.headers())? {
        Some(token) => {
            service.failures().check(address)?;
            let Some(found) = service.tokens()?.find(token) else {
                service.failures().note(address);
                let why = "this token is not known here";
                return Err(Problem::new(StatusCode::UNAUTHORIZED, "unauthorized", why));
            };
            Ok(Caller { role: found.role, name: Some(found.name) })
        }
        None if address.is_loopback() && !came_through_proxy(request.headers()) => {
            Ok(Caller { role: Role::Admin, name: None })
        }
        None if service.options().trusted.iter().any(|n| n.contains(ends.peer.ip()))
            && !came_through_proxy(request.headers()) =>
        {
            Ok(Caller { role: Role::Admin, name: None })
        }
        None => Err(unknown()),
    }
}

fn unknown() -> Problem {
    Problem::new(
        StatusCode::UNAUTHORIZED,
        "unauthorized",
        "a token is needed: send it as `Authorization: Bearer TOKEN`; `chronos tokens add` makes one",
    )
}

fn came_through_proxy(headers: &HeaderMap) -> bool {
    OF_PROXIES.iter().any(|name| headers.contains_key(*name))
}

fn token(headers: &HeaderMap) -> Result<Option<&str>, Problem> {
    let Some(value) = headers.get(header::AUTHORIZATION) else { return Ok(None) };
    let bearer = value.to_str().ok().and_then(|text| text.split_once(' '));
    match bearer {
        Some((scheme, token)) if scheme.eq_ignore_ascii_case("bearer") => Ok(Some(token.trim())),
        _ => Err(Problem::new(
            StatusCode::UNAUTHORIZED,
            "unauthorized",
            "the Authorization header is not `Bearer TOKEN`",
        )),
    }
}
