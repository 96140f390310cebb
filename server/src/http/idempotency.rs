//! `Idempotency-Key`: whoever sends the same request with the same key again gets the answer of the first, and nothing is done twice.
//!
//! What always holds: a key belongs to one request of one caller; an answer that asks for another try frees it, and so does a service
//! that died. A request with a key is carried out to its end when its caller goes away.

use std::sync::Arc;

use axum::body::{Body, to_bytes};
use axum::extract::{Request, State};
use axum::http::{HeaderName, HeaderValue, StatusCode, header};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};

use crate::agent::Agent;
use crate::http::auth::Caller;
use crate::http::blocking::{look, within};
use crate::http::body::arrived;
use crate::http::problem::Problem;
use crate::http::service::Service;
use crate::operations::schedules;
use crate::state::{Known, Reply};

/// The header.
const KEY: &str = "idempotency-key";
/// Longest key.
pub(crate) const KEY_LEN_MAX: usize = 255;
/// Says that an answer is that of an earlier request.
const REPLAYED: HeaderName = HeaderName::from_static("idempotency-replayed");
/// Longest answer that is kept: that of a cleanup with some thousand snapshots fits.
const BODY_MAX: usize = 4 << 20;
/// Headers that belong to an answer.
const KEPT: [HeaderName; 2] = [header::CONTENT_TYPE, header::LOCATION];
/// Seconds after which the first request may have been answered.
const AGAIN_SECONDS: u64 = 2;
/// Answers below 500 that ask for another try.
const NOT_NOW: [StatusCode; 3] =
    [StatusCode::REQUEST_TIMEOUT, StatusCode::CONFLICT, StatusCode::TOO_MANY_REQUESTS];

/// Answers a request with a key once.
pub(crate) async fn idempotent(
    State(service): State<Arc<Service>>,
    request: Request,
    next: Next,
) -> Response {
    match request.headers().get(KEY).map(|value| key(value, &request)) {
        None => next.run(request).await,
        Some(Ok(key)) => once(service, key, request, next).await.unwrap_or_else(IntoResponse::into_response),
        Some(Err(problem)) => problem.into_response(),
    }
}

/// The key of this caller.
fn key(value: &HeaderValue, request: &Request) -> Result<String, Problem> {
    let text = value.to_str().ok().filter(|text| (1..=KEY_LEN_MAX).contains(&text.len()));
    let text = text.ok_or_else(|| {
        let why = format!("Idempotency-Key: 1 to {KEY_LEN_MAX} visible characters are expected");
        Problem::invalid("Idempotency-Key", why)
    })?;
    let caller = request.extensions().get::<Caller>().and_then(|caller| caller.name.clone());
    let agent = request.extensions().get::<Agent>().copied().unwrap_or_default();
    Ok(format!("{} {} {text}", agent.name(), caller.as_deref().unwrap_or_default()))
}

async fn once(service: Arc<Service>, key: String, request: Request, next: Next) -> Result<Response, Problem> {
    let (parts, body) = request.into_parts();
    let mut digest = blake3::Hasher::new();
    for text in [parts.method.as_str(), parts.uri.path(), parts.uri.query().unwrap_or_default()] {
        digest.update(&(text.len() as u64).to_le_bytes()).update(text.as_bytes());
    }
    let whole = Request::from_parts(parts.clone(), body);
    let bytes = arrived(whole, service.options().body_max).await?;
    let digest = digest.update(&bytes).finalize();
    let of = key.clone();
    let known = look(&service, move |service| {
        let workplace = service.workplace();
        let now = i64::try_from(workplace.env.clock.now()).unwrap_or(i64::MAX);
        service.state()?.begin_reply(&schedules::key(workplace), &of, digest.as_bytes(), now)
    });
    match known.await? {
        Known::Nothing => {}
        Known::Answered(reply) => return Ok(replayed(reply)),
        Known::Begun => {
            let why = "the first request with this Idempotency-Key has not been answered yet";
            return Err(Problem::new(StatusCode::CONFLICT, "busy", why).retry_after(AGAIN_SECONDS));
        }
        Known::Other => {
            let why = "this Idempotency-Key belongs to another request; take a new one for each";
            return Err(Problem::invalid("Idempotency-Key", why));
        }
    }
    let request = Request::from_parts(parts, Body::from(bytes));
    let answered = tokio::spawn(async move { kept(&service, key, next.run(request).await).await });
    answered.await.unwrap_or_else(|_| {
        let why = "a fault of this program ended the request; its log says more, and no snapshot was harmed";
        Err(Problem::new(StatusCode::INTERNAL_SERVER_ERROR, "fault", why))
    })
}

/// Keeps an answer; frees the key if it asks for another try, or cannot be kept.
async fn kept(service: &Arc<Service>, key: String, response: Response) -> Result<Response, Problem> {
    let (parts, body) = response.into_parts();
    let bytes = to_bytes(body, usize::MAX).await.map_err(Problem::malformed)?;
    let is_final = !parts.status.is_server_error() && !NOT_NOW.contains(&parts.status);
    let headers: Vec<(&str, &str)> = KEPT
        .iter()
        .filter_map(|name| Some((name.as_str(), parts.headers.get(name)?.to_str().ok()?)))
        .collect();
    let reply = (is_final && bytes.len() <= BODY_MAX).then(|| Reply {
        status: parts.status.as_u16(),
        // Texts can always be written.
        headers: serde_json::to_string(&headers).unwrap_or_default(),
        body: bytes.to_vec(),
    });
    let noted = within(service, move |service| {
        service.state()?.end_reply(&schedules::key(service.workplace()), &key, reply.as_ref())
    });
    if let Err(problem) = noted.await {
        // What was done is done: its answer counts, whether it can be repeated or not.
        tracing::warn!(detail = problem.detail(), "an answer was not kept for its key");
    }
    Ok(Response::from_parts(parts, Body::from(bytes)))
}

fn replayed(reply: Reply) -> Response {
    let mut response = Response::new(Body::from(reply.body));
    *response.status_mut() = StatusCode::from_u16(reply.status).unwrap_or(StatusCode::OK);
    let headers: Vec<(String, String)> = serde_json::from_str(&reply.headers).unwrap_or_default();
    for (name, value) in headers {
        if let (Ok(name), Ok(value)) = (HeaderName::try_from(name), HeaderValue::try_from(value)) {
            response.headers_mut().insert(name, value);
        }
    }
    response.headers_mut().insert(REPLAYED, HeaderValue::from_static("true"));
    response
}
