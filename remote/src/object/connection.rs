//! HTTP to an object store: what makes a connection end that leads nowhere, and what its answers mean.

use std::time::Duration;

use async_trait::async_trait;
use chronos_store::backend::{BackendError, BackendResult};
use object_store::client::{
    ClientConfigKey, ClientOptions, HttpClient, HttpConnector, HttpError, HttpErrorKind, HttpRequest,
    HttpResponse, HttpService,
};
use reqwest::{Certificate, Client, ClientBuilder, StatusCode};

use super::failure::Answer;

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
        Ok(HttpClient::new(Service(client)))
    }
}

/// A client whose answers keep their status: the library above tells only some of them apart.
#[derive(Debug)]
struct Service(Client);

#[async_trait]
impl HttpService for Service {
    async fn call(&self, request: HttpRequest) -> Result<HttpResponse, HttpError> {
        let response = HttpService::call(&self.0, request).await?;
        let status = response.status();
        // The library knows what these mean for an object.
        if status.is_success() || matches!(status, StatusCode::PRECONDITION_FAILED | StatusCode::NOT_MODIFIED)
        {
            return Ok(response);
        }
        let (parts, body) = response.into_parts();
        let body = body.bytes().await.unwrap_or_default();
        let answer = Answer::new(status.as_u16(), body.get(..ANSWER_BYTES_MAX).unwrap_or(&body));
        if status == StatusCode::NOT_FOUND && !answer.is_of_bucket() || answer.is_taken() {
            return Ok(HttpResponse::from_parts(parts, body.into()));
        }
        Err(HttpError::new(HttpErrorKind::Unknown, answer))
    }
}
