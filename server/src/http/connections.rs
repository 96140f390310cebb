//! From a listener to requests: at most so many connections, none that sends nothing, and an end that lets requests finish.
//!
//! What always holds: connections take at most half of the files that the process may open, so that work finds the other half.

use std::convert::Infallible;
use std::future::Future;
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::body::Body;
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use hyper_util::server::graceful::{GracefulShutdown, Watcher};
use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::Semaphore;
use tokio_rustls::TlsAcceptor;
use tokio_rustls::server::TlsStream;
use tower::ServiceExt;

use crate::http::auth::Ends;

/// Open connections; the next ones wait in the system's queue.
const CONNECTIONS_MAX: usize = 1024;
/// Open files that the process asks the system for: four times what connections take.
const FILES_WANTED: u64 = 4096;
/// How long a connection may take to agree on its keys.
const HANDSHAKE_MAX: Duration = Duration::from_secs(10);
/// How long a connection may stay without a whole request head.
const HEAD_MAX: Duration = Duration::from_mins(1);
/// Longest request head.
const HEAD_BYTES_MAX: usize = 64 << 10;
/// Headers of a request.
const HEADERS_MAX: usize = 100;
/// Pause after the system had no place for a connection.
const PAUSE: Duration = Duration::from_millis(100);

/// Answers connections until `stop`; gives what waits for the last of them to end.
pub(super) async fn answer(
    listener: TcpListener,
    tls: Option<TlsAcceptor>,
    router: Router,
    stop: impl Future<Output = ()>,
) -> GracefulShutdown {
    let open = Arc::new(Semaphore::new(most()));
    let graceful = GracefulShutdown::new();
    let mut stop = std::pin::pin!(stop);
    loop {
        let accepted = async {
            let place = Arc::clone(&open).acquire_owned().await;
            (place, listener.accept().await)
        };
        let (place, accepted) = tokio::select! {
            accepted = accepted => accepted,
            () = &mut stop => return graceful,
        };
        match accepted {
            Ok((stream, peer)) => {
                let Ok(local) = stream.local_addr() else { continue };
                let (router, ends, watcher, tls) =
                    (router.clone(), Ends { peer, local }, graceful.watcher(), tls.clone());
                tokio::spawn(async move {
                    match tls {
                        None => serve(watcher, stream, router, ends).await,
                        Some(tls) => match secured(&tls, stream).await {
                            Ok(stream) => serve(watcher, stream, router, ends).await,
                            Err(error) => tracing::debug!(%error, "no TLS"),
                        },
                    }
                    drop(place);
                });
            }
            Err(error) => {
                tracing::warn!(%error, "a connection could not be taken");
                tokio::time::sleep(PAUSE).await;
            }
        }
    }
}

/// Asks the system for as many open files as are wanted, as far as it allows.
pub(super) fn raise_limit() {
    let limit = getrlimit(Resource::Nofile);
    let wanted = limit.maximum.map_or(FILES_WANTED, |most| most.min(FILES_WANTED));
    if limit.current.is_some_and(|now| now < wanted) {
        let raised = Rlimit { current: Some(wanted), ..limit };
        if let Err(error) = setrlimit(Resource::Nofile, raised) {
            tracing::warn!(%error, "the limit of open files stays as it is");
        }
    }
}

/// Connections of one service at once: a quarter of the files that may be open, at most [`CONNECTIONS_MAX`].
fn most() -> usize {
    let files = getrlimit(Resource::Nofile).current.and_then(|files| usize::try_from(files).ok());
    files.map_or(CONNECTIONS_MAX, |files| (files / 4).clamp(1, CONNECTIONS_MAX))
}

/// A connection whose two ends have agreed on keys.
async fn secured(tls: &TlsAcceptor, stream: TcpStream) -> std::io::Result<TlsStream<TcpStream>> {
    tokio::time::timeout(HANDSHAKE_MAX, tls.accept(stream)).await?
}

async fn serve<S>(watcher: Watcher, stream: S, router: Router, ends: Ends)
where
    S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
{
    if let Err(error) = watcher.watch(connection(stream, router, ends)).await {
        tracing::debug!(%error, "connection ended");
    }
}

fn connection<S: AsyncRead + AsyncWrite + Unpin + Send + 'static>(
    stream: S,
    router: Router,
    ends: Ends,
) -> impl hyper_util::server::graceful::GracefulConnection<Error = hyper::Error> {
    let service = service_fn(move |mut request: hyper::Request<Incoming>| {
        request.extensions_mut().insert(ends);
        let router = router.clone();
        async move {
            Ok::<_, Infallible>(router.oneshot(request.map(Body::new)).await.unwrap_or_else(|e| match e {}))
        }
    });
    http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(HEAD_MAX)
        .max_buf_size(HEAD_BYTES_MAX)
        .max_headers(HEADERS_MAX)
        .serve_connection(TokioIo::new(stream), service)
}
