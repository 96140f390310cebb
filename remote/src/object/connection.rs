//! HTTP to an object store: what makes a connection end that leads nowhere, and what its answers mean.

use std::pin::pin;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use async_trait::async_trait;
use bytes::{Bytes, BytesMut};
use chronos_store::backend::{BackendError, BackendResult};
use futures_util::TryStreamExt;
use futures_util::future::{Either, select};
use http_body_util::BodyExt;
use object_store::client::{
    ClientConfigKey, ClientOptions, HttpClient, HttpConnector, HttpError, HttpErrorKind, HttpRequest,
    HttpResponse, HttpResponseBody, HttpService,
};
use reqwest::header::RANGE;
use reqwest::{Certificate, Client, ClientBuilder, Method, StatusCode, Url};
use tokio::time::Instant;

use super::failure::{Answer, Unfit};

/// How long a server may think before it answers, or pause within an answer.
pub(super) const PATIENCE: Duration = Duration::from_secs(90);
/// The same for the service by which a machine gives out keys.
const PATIENCE_WITH_METADATA: Duration = Duration::from_secs(5);
/// The slowest line that is waited for, in bytes per second, for what the system still holds of a request when all was handed to it. One
/// that is shared by several objects has many times that.
const UPLOAD_BYTES_PER_SECOND_MIN: u64 = 8 << 10;
/// Most that a system holds of what is sent over one connection (`net.ipv4.tcp_wmem`, as it comes).
const HELD_BYTES_MAX: u64 = 4 << 20;

/// How long a server may take to be there.
const CONNECT: Duration = Duration::from_secs(15);
/// The same for the service by which a machine gives out keys: it is next door, or there is none.
const CONNECT_TO_METADATA: Duration = Duration::from_secs(1);
/// How long what was sent may go without the other side's system having taken it. There is no limit for a whole request: an object of 16 MiB
/// takes minutes on a slow line.
const UNACKNOWLEDGED: Duration = Duration::from_mins(1);
/// How often a silent connection is asked whether it is still there.
const KEEPALIVE: Duration = Duration::from_secs(20);
/// Connections that are kept for the next request, for each server.
const IDLE_CONNECTIONS_MAX: usize = 16;
/// Most of an error's text that is read, in bytes.
const ANSWER_BYTES_MAX: usize = 64 << 10;
/// Longest answer that is no object: a list of a thousand names of a kilobyte, escaped, has less.
const SUCCESS_BYTES_MAX: usize = 16 << 20;

/// Makes connections.
#[derive(Debug)]
pub(super) struct Connector {
    certificates: Vec<Certificate>,
}

impl Connector {
    /// With the system's certificates, and those of a file in PEM if one is named.
    ///
    /// # Errors
    /// A file that cannot be read, or has none.
    pub(super) fn new(bundle: Option<&str>) -> BackendResult<Self> {
        let Some(path) = bundle else { return Ok(Self { certificates: Vec::new() }) };
        let bytes = std::fs::read(path).map_err(|e| BackendError::io(path, e))?;
        match Certificate::from_pem_bundle(&bytes) {
            Ok(certificates) if !certificates.is_empty() => Ok(Self { certificates }),
            Ok(_) => Err(BackendError::Invalid(format!("{path} has no certificate in PEM"))),
            Err(e) => Err(BackendError::Invalid(format!("{path}: {e}"))),
        }
    }
}

impl HttpConnector for Connector {
    fn connect(&self, options: &ClientOptions) -> object_store::Result<HttpClient> {
        let is_for_metadata =
            options.get_config_value(&ClientConfigKey::ConnectTimeout).as_deref() == Some("1s");
        let client = ClientBuilder::new()
            .user_agent(concat!("chronos/", env!("CARGO_PKG_VERSION")))
            .connect_timeout(if is_for_metadata { CONNECT_TO_METADATA } else { CONNECT })
            .tcp_user_timeout(UNACKNOWLEDGED)
            .tcp_keepalive(KEEPALIVE)
            .pool_max_idle_per_host(IDLE_CONNECTIONS_MAX)
            .redirect(reqwest::redirect::Policy::none())
            .http1_only()
            .tls_certs_merge(self.certificates.iter().cloned())
            .build()
            .map_err(|e| object_store::Error::Generic { store: "HTTP", source: Box::new(e) })?;
        Ok(HttpClient::new(Service { client, is_for_metadata }))
    }
}

/// A client whose answers keep their status: the library above tells only some of them apart.
#[derive(Debug)]
struct Service {
    client: Client,
    is_for_metadata: bool,
}

impl Service {
    /// The answer to a request, without what follows its head.
    async fn answer(&self, request: HttpRequest) -> Result<HttpResponse, HttpError> {
        let (parts, body) = request.into_parts();
        let refused = |e| HttpError::new(HttpErrorKind::Unknown, Unfit::Address(format!("{e}")));
        let url = Url::parse(&parts.uri.to_string()).map_err(refused)?;
        let mut sent = reqwest::Request::new(parts.method, url);
        *sent.headers_mut() = parts.headers;
        let progress = Arc::new(Progress::new(self.patience()));
        let counted = Arc::clone(&progress);
        *sent.body_mut() = Some(reqwest::Body::wrap(body.map_frame(move |frame| {
            counted.note(frame.data_ref().map_or(0, |bytes| bytes.len() as u64));
            frame
        })));
        let answer = match select(pin!(self.client.execute(sent)), pin!(progress.silence())).await {
            Either::Left((answer, _)) => answer.map_err(told)?,
            Either::Right(_) => return Err(late()),
        };
        let (status, headers) = (answer.status(), answer.headers().clone());
        let mut response =
            HttpResponse::new(HttpResponseBody::new(reqwest::Body::from(answer).map_err(told)));
        *response.status_mut() = status;
        *response.headers_mut() = headers;
        Ok(response)
    }

    fn patience(&self) -> Duration {
        if self.is_for_metadata { PATIENCE_WITH_METADATA } else { PATIENCE }
    }

    /// What follows the head of an answer, as far as `max` bytes, and whether that is all.
    async fn read(&self, body: HttpResponseBody, max: usize) -> Result<(Bytes, bool), HttpError> {
        let mut stream = body.bytes_stream();
        let mut all = BytesMut::new();
        loop {
            let next = tokio::time::timeout(self.patience(), stream.try_next());
            match next.await.map_err(|_| late())?? {
                None => return Ok((all.freeze(), true)),
                Some(part) => all.extend_from_slice(&part),
            }
            if all.len() > max {
                all.truncate(max);
                return Ok((all.freeze(), false));
            }
        }
    }
}

#[async_trait]
impl HttpService for Service {
    async fn call(&self, request: HttpRequest) -> Result<HttpResponse, HttpError> {
        let is_get = request.method() == Method::GET;
        let is_part = request.headers().contains_key(RANGE);
        let is_list = request.uri().query().is_some_and(|query| query.contains("list"));
        let response = self.answer(request).await?;
        let status = response.status();
        if status.is_success() && is_part && status != StatusCode::PARTIAL_CONTENT {
            return Err(HttpError::new(HttpErrorKind::Unknown, Unfit::Ranges));
        }
        if status.is_success() && is_get && !is_list && !self.is_for_metadata {
            // An object: whoever asked knows how long it may be.
            return Ok(response);
        }
        let (parts, body) = response.into_parts();
        if status.is_success() {
            let (body, is_all) = self.read(body, SUCCESS_BYTES_MAX).await?;
            if !is_all {
                return Err(HttpError::new(HttpErrorKind::Unknown, Unfit::TooLong));
            }
            return Ok(HttpResponse::from_parts(parts, body.into()));
        }
        // What a refusal says is worth having, and no more than its status.
        let (body, _) = self.read(body, ANSWER_BYTES_MAX).await.unwrap_or_default();
        let answer = Answer::new(status.as_u16(), &body);
        // The library knows what these mean for an object.
        let is_known = matches!(status, StatusCode::PRECONDITION_FAILED | StatusCode::NOT_MODIFIED)
            || answer.is_of_object()
            || answer.is_taken()
            // Then it asks by the older way, if that is allowed.
            || self.is_for_metadata && status == StatusCode::FORBIDDEN;
        if is_known {
            return Ok(HttpResponse::from_parts(parts, body.into()));
        }
        Err(HttpError::new(HttpErrorKind::Unknown, answer))
    }
}

/// How far the sending of a request has come. A slow line may take as long as it needs; a server that has everything may not.
#[derive(Debug)]
struct Progress {
    patience: Duration,
    /// When the last bytes were handed to the system, and how many there were until then.
    last: Mutex<(Instant, u64)>,
}

impl Progress {
    fn new(patience: Duration) -> Self {
        Self { patience, last: Mutex::new((Instant::now(), 0)) }
    }

    fn note(&self, bytes: u64) {
        let mut last = self.last.lock().unwrap_or_else(PoisonError::into_inner);
        *last = (Instant::now(), last.1.saturating_add(bytes));
    }

    /// Until when an answer is waited for if nothing more happens: what the system holds of the request has to go out first.
    fn deadline(&self) -> Instant {
        let (at, bytes) = *self.last.lock().unwrap_or_else(PoisonError::into_inner);
        at + self.patience + Duration::from_secs(bytes.min(HELD_BYTES_MAX) / UPLOAD_BYTES_PER_SECOND_MIN)
    }

    /// Ends when there was nothing for too long.
    async fn silence(&self) {
        while Instant::now() < self.deadline() {
            tokio::time::sleep_until(self.deadline()).await;
        }
    }
}

fn late() -> HttpError {
    HttpError::new(HttpErrorKind::Timeout, std::io::Error::from(std::io::ErrorKind::TimedOut))
}

/// An error of the connection, in the words of the library.
fn told(error: reqwest::Error) -> HttpError {
    let kind = if error.is_timeout() {
        HttpErrorKind::Timeout
    } else if error.is_connect() {
        HttpErrorKind::Connect
    } else if error.is_request() || error.is_body() || error.is_decode() {
        HttpErrorKind::Interrupted
    } else {
        HttpErrorKind::Unknown
    };
    HttpError::new(kind, error)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_answer_is_waited_for_as_long_as_what_was_sent_may_take_and_no_longer() {
        let waited = |bytes: &[u64]| {
            let progress = Progress::new(PATIENCE);
            bytes.iter().for_each(|n| progress.note(*n));
            let (last, _) = *progress.last.lock().unwrap_or_else(PoisonError::into_inner);
            (progress.deadline() - last).as_secs()
        };
        assert_eq!(waited(&[]), 90);
        assert_eq!(waited(&[64 << 10, 64 << 10]), 90 + 16);
        assert_eq!(waited(&[16 << 20]), 90 + 512, "what the system holds is bounded");
    }
}
