//! The body of a request: JSON whatever the content type says, as existing callers send it.

use std::sync::Arc;
use std::time::Duration;

use axum::extract::{FromRequest, Request};
use axum::http::{StatusCode, header};
use http_body_util::BodyExt;
use serde::de::DeserializeOwned;
use serde_json::{Map, Value};
use utoipa::PartialSchema;

use crate::http::fields;
use crate::http::problem::Problem;
use crate::http::service::Service;

/// How long a body may take to arrive: the longest that is allowed comes over a slow line in it.
const ARRIVAL_MAX: Duration = Duration::from_secs(30);

/// Bytes beyond the limit that are read and thrown away.
const THROWN_AWAY_MAX: usize = 8 << 20;

/// The body as `T`. Nothing at all counts as an object without members.
#[derive(Debug)]
pub(crate) struct Body<T>(pub(crate) T);

impl<T: DeserializeOwned + PartialSchema> FromRequest<Arc<Service>> for Body<T> {
    type Rejection = Problem;

    async fn from_request(request: Request, service: &Arc<Service>) -> Result<Self, Problem> {
        let bytes = arrived(request, service.options().body_max).await?;
        fields::read(members(&bytes)?, &fields::names::<T>(), "field").map(Self)
    }
}

/// The bytes of a request's body.
pub(crate) async fn arrived(request: Request, limit: usize) -> Result<Vec<u8>, Problem> {
    let too_long = || {
        Problem::new(
            StatusCode::PAYLOAD_TOO_LARGE,
            "too_large",
            format!("the body is longer than the {limit} bytes that are taken"),
        )
    };
    let announced = request.headers().get(header::CONTENT_LENGTH).and_then(|v| v.to_str().ok());
    if announced
        .and_then(|v| v.parse::<usize>().ok())
        .is_some_and(|n| n > limit.saturating_add(THROWN_AWAY_MAX))
    {
        return Err(too_long());
    }
    match tokio::time::timeout(ARRIVAL_MAX, collected(request, limit)).await {
        Ok(Ok(Some(bytes))) => Ok(bytes),
        Ok(Ok(None)) => Err(too_long()),
        Ok(Err(error)) => Err(Problem::malformed(format!("the body broke off: {error}"))),
        Err(_) => Err(Problem::new(
            StatusCode::REQUEST_TIMEOUT,
            "timeout",
            format!("the body did not arrive within {} seconds", ARRIVAL_MAX.as_secs()),
        )),
    }
}

/// The bytes of a body; `None` if there are more than `limit`. What is too much is read on for a while, so that the caller comes to
/// reading why it was refused.
async fn collected(request: Request, limit: usize) -> Result<Option<Vec<u8>>, axum::Error> {
    let (mut body, mut bytes, mut seen) = (request.into_body(), Vec::new(), 0_usize);
    while let Some(frame) = body.frame().await {
        let Ok(data) = frame?.into_data() else { continue };
        seen = seen.saturating_add(data.len());
        if seen <= limit {
            bytes.extend_from_slice(&data);
        } else if seen > limit.saturating_add(THROWN_AWAY_MAX) {
            break;
        }
    }
    Ok((seen <= limit).then_some(bytes))
}

fn members(bytes: &[u8]) -> Result<Map<String, Value>, Problem> {
    if bytes.iter().all(u8::is_ascii_whitespace) {
        return Ok(Map::new());
    }
    let value = serde_json::from_slice(bytes)
        .map_err(|e| Problem::malformed(format!("the body is not JSON: {e}")))?;
    match value {
        Value::Object(members) => Ok(members),
        _ => Err(Problem::malformed("the body is not a JSON object such as {\"target\": \"prod\"}")),
    }
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "tests")]
    use super::*;

    #[test]
    fn nothing_is_an_empty_object_and_half_a_document_is_none() {
        assert!(members(b" \n").unwrap().is_empty());
        assert_eq!(members(b"{\"a\": 1}").unwrap().len(), 1);
        for bad in [&b"{\"a\""[..], b"[1]", b"3", b"\xff", b"{} {}"] {
            assert_eq!(members(bad).unwrap_err().status(), StatusCode::BAD_REQUEST, "{bad:?}");
        }
    }

    #[test]
    fn a_document_that_is_too_deep_is_refused() {
        assert!(members("[".repeat(100_000).as_bytes()).is_err());
    }
}
