//! What can happen to a request on its way.

use std::io;
use std::time::Duration;

use hyper::Request;
use hyper::body::Incoming;
use s3s::service::S3Service;
use s3s::{Body, HttpResponse};

use super::Shared;

/// What happens to a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum S3Fault {
    /// It is not carried out, and answered with this status.
    Refused(u16),
    /// It is not carried out: something on the way answers with this status and a page for people.
    Page(u16),
    /// It is carried out, and answered with this status.
    DoneButAnswered(u16),
    /// It is not carried out: the connection closes.
    Closed,
    /// It is carried out, and the connection closes without an answer.
    DoneButClosed,
    /// The answer comes after this time.
    Late(Duration),
}

/// Which requests a fault strikes.
#[derive(Clone, Debug)]
pub struct S3Rule {
    /// `PUT`, `GET`, `HEAD`, `DELETE`, `LIST`; `None`: any.
    pub method: Option<&'static str>,
    /// How many such requests pass unharmed first.
    pub skip: u64,
    /// How many are struck then.
    pub times: u64,
    /// Every so many of them; 1: all.
    pub every: u64,
    /// What happens to them.
    pub fault: S3Fault,
}

impl S3Rule {
    /// Strikes each request of that method.
    pub fn always(method: Option<&'static str>, fault: S3Fault) -> Self {
        Self { method, skip: 0, times: u64::MAX, every: 1, fault }
    }

    /// Strikes the first request of that method.
    pub fn once(method: &'static str, fault: S3Fault) -> Self {
        Self { times: 1, ..Self::always(Some(method), fault) }
    }

    fn strikes(&mut self, method: &str) -> bool {
        if self.method.is_some_and(|m| m != method) || self.times == 0 {
            return false;
        }
        if self.skip > 0 {
            self.skip -= 1;
            return false;
        }
        self.skip = self.every - 1;
        self.times -= 1;
        true
    }
}

/// Answers a request, as the rules have it.
pub(super) async fn answer(
    service: &S3Service,
    shared: &Shared,
    request: Request<Incoming>,
) -> io::Result<HttpResponse> {
    let prefix = request.uri().query().filter(|query| query.contains("list-type")).map(|query| {
        let pairs = query.split('&').filter_map(|pair| pair.split_once('='));
        pairs
            .filter(|(key, _)| *key == "prefix" || *key == "start-after")
            .map(|(k, v)| format!("{k}={v} "))
            .collect::<String>()
    });
    let method = if prefix.is_some() { "LIST" } else { request.method().as_str() }.to_owned();
    let key = prefix.unwrap_or_else(|| request.uri().path().to_owned());
    shared.requests.lock().unwrap().push((method.clone(), key));
    let fault = {
        let mut rules = shared.rules.lock().unwrap();
        let struck: Vec<S3Fault> =
            rules.iter_mut().filter_map(|r| r.strikes(&method).then_some(r.fault)).collect();
        struck.first().copied()
    };
    let request = request.map(Body::from);
    let done = async |request| service.call(request).await.map_err(|e| io::Error::other(format!("{e:?}")));
    match fault {
        None => done(request).await,
        Some(S3Fault::Refused(status)) => Ok(status_alone(status)),
        Some(S3Fault::Page(status)) => Ok(status_alone(status).map(|_| Body::from(PAGE.to_owned()))),
        Some(S3Fault::Closed) => Err(io::ErrorKind::ConnectionReset.into()),
        Some(S3Fault::DoneButAnswered(status)) => done(request).await.map(|_| status_alone(status)),
        Some(S3Fault::DoneButClosed) => {
            done(request).await?;
            Err(io::ErrorKind::ConnectionReset.into())
        }
        Some(S3Fault::Late(time)) => {
            tokio::time::sleep(time).await;
            done(request).await
        }
    }
}

/// What a proxy says.
const PAGE: &str = "<html><body>Nothing here.</body></html>";

fn status_alone(status: u16) -> HttpResponse {
    let mut response = HttpResponse::new(Body::empty());
    *response.status_mut() = http::StatusCode::from_u16(status).unwrap();
    response
}
