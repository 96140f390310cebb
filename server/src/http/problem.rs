//! How a request fails: RFC 9457 `application/problem+json`.
//!
//! What always holds: `detail` is a sentence that a person can act on, and `error` repeats it.

mod of_error;

use axum::http::{HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use serde::Serialize;
use serde_json::{Map, Value};
use utoipa::ToSchema;

pub(crate) use of_error::sentence;

/// Content type of every failure.
pub(crate) const CONTENT_TYPE: &str = "application/problem+json";

/// Why a request failed.
#[derive(Clone, Debug)]
pub(crate) struct Problem {
    status: StatusCode,
    state: &'static str,
    detail: String,
    more: Map<String, Value>,
    retry_after: Option<u64>,
}

/// The document of a failure. Further members may follow.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = Problem)]
pub(crate) struct Document<'a> {
    /// Kind of the problem; `about:blank` where the status says it all.
    #[serde(rename = "type")]
    kind: &'static str,
    /// The status in words.
    title: &'a str,
    /// The status of the answer.
    status: u16,
    /// A sentence that a person can act on.
    detail: &'a str,
    /// The same sentence, by the name that older callers know.
    error: &'a str,
    /// The kind of failure in one word.
    state: &'a str,
    #[serde(flatten)]
    #[schema(ignore)]
    more: &'a Map<String, Value>,
}

impl Problem {
    /// A failure.
    pub(crate) fn new(status: StatusCode, state: &'static str, detail: impl ToString) -> Self {
        Self { status, state, detail: detail.to_string(), more: Map::new(), retry_after: None }
    }

    /// 400: the body is not what it should be.
    pub(crate) fn malformed(detail: impl ToString) -> Self {
        Self::new(StatusCode::BAD_REQUEST, "malformed", detail)
    }

    /// 422: a value is wrong.
    pub(crate) fn invalid(field: &str, detail: impl ToString) -> Self {
        Self::new(StatusCode::UNPROCESSABLE_ENTITY, "invalid", detail).with("field", field)
    }

    /// 403.
    pub(crate) fn forbidden(detail: impl ToString) -> Self {
        Self::new(StatusCode::FORBIDDEN, "forbidden", detail)
    }

    /// 404.
    pub(crate) fn not_found(detail: impl ToString) -> Self {
        Self::new(StatusCode::NOT_FOUND, "not_found", detail)
    }

    /// 503 for now.
    pub(crate) fn unavailable(state: &'static str, detail: impl ToString) -> Self {
        Self::new(StatusCode::SERVICE_UNAVAILABLE, state, detail)
    }

    /// Adds a member.
    pub(crate) fn with(mut self, name: &str, value: impl Into<Value>) -> Self {
        self.more.insert(name.to_owned(), value.into());
        self
    }

    /// Says after how many seconds it is worth another try.
    pub(crate) fn retry_after(mut self, seconds: u64) -> Self {
        self.retry_after = Some(seconds);
        self
    }

    /// The sentence.
    pub(crate) fn detail(&self) -> &str {
        &self.detail
    }

    /// The status.
    #[cfg(test)]
    pub(crate) fn status(&self) -> StatusCode {
        self.status
    }

    /// The document of this failure.
    pub(crate) fn document(&self) -> Value {
        let document = Document {
            kind: "about:blank",
            title: self.status.canonical_reason().unwrap_or_default(),
            status: self.status.as_u16(),
            detail: &self.detail,
            error: &self.detail,
            state: self.state,
            more: &self.more,
        };
        // A map of plain values can always be written.
        serde_json::to_value(document).unwrap_or_default()
    }
}

/// The failure that a document tells, as it was told before.
pub(crate) fn repeated(document: &Value) -> Option<Response> {
    let status = document.get("status")?.as_u64().and_then(|n| u16::try_from(n).ok());
    let status = StatusCode::from_u16(status?).ok()?;
    Some(answer(status, document))
}

fn answer(status: StatusCode, document: &Value) -> Response {
    let kind = HeaderValue::from_static(CONTENT_TYPE);
    let text = chronos_snapshot::harmless_json(document.to_string());
    (status, [(header::CONTENT_TYPE, kind)], text).into_response()
}

impl IntoResponse for Problem {
    fn into_response(self) -> Response {
        if self.status.is_server_error() {
            tracing::warn!(
                status = self.status.as_u16(),
                state = self.state,
                detail = self.detail,
                "request failed"
            );
        }
        let mut response = answer(self.status, &self.document());
        if let Some(seconds) = self.retry_after {
            response.headers_mut().insert(header::RETRY_AFTER, HeaderValue::from(seconds));
        }
        if self.status == StatusCode::UNAUTHORIZED {
            let scheme = HeaderValue::from_static("Bearer realm=\"chronos\"");
            response.headers_mut().insert(header::WWW_AUTHENTICATE, scheme);
        }
        response
    }
}
