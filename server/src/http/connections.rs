//! From a listener to requests: at most so many connections, none that sends nothing or takes nothing, and an end that lets requests
//! finish.
//!
//! What always holds: connections take at most half of the files that the process may open, so that work finds the other half; and
//! those of one peer at most a quarter of that, so that others find the rest.

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
use hyper_util::server::graceful::{GracefulConnection, GracefulShutdown, Watcher};
use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::Semaphore;
use tokio_io_timeout::TimeoutWriter;
use tokio_rustls::TlsAcceptor;
use tokio_rustls::server::TlsStream;
use tower::ServiceExt;

use crate::http::auth::Ends;
use crate::http::peers::Peers;

/// Open connections; the next ones wait in the system's queue.
const CONNECTIONS_MAX: usize = 1024;
/// Which part of them one peer may have. A proxy is one peer: it keeps a few for all of its callers.
const PEER_SHARE: usize = 4;
/// Open files that the process asks the system for: four times what connections take.
const FILES_WANTED: u64 = 4096;
/// How long a connection may take to agree on its keys.
const HANDSHAKE_MAX: Duration = Duration::from_secs(10);
/// How long a connection may stay without a whole request head.
const HEAD_MAX: Duration = Duration::from_mins(1);
/// How long what is sent may wait without any of it being taken.
const UNREAD_MAX: Duration = Duration::from_mins(1);
/// Longest request head.
const HEAD_BYTES_MAX: usize = 64 << 10;
/// Headers of a request.
const HEADERS_MAX: usize = 100;
/// Pause after the system had no place for a connection.
const PAUSE: Duration = Duration::from_millis(100);

/// What connections may take.
#[derive(Clone, Copy, Debug)]
struct Limits {
    /// Connections at once.
    open: usize,
    /// Those of one peer.
    of_peer: usize,
    /// How long what is sent may wait without any of it being taken.
    unread: Duration,
}

impl Limits {
    /// Those that the system allows.
    fn of_system() -> Self {
        let open = most();
        Self { open, of_peer: open.div_ceil(PEER_SHARE), unread: UNREAD_MAX }
    }
}

/// Answers connections until `stop`; gives what waits for the last of them to end.
pub(super) async fn answer(
    listener: TcpListener,
    tls: Option<TlsAcceptor>,
    router: Router,
    stop: impl Future<Output = ()>,
) -> GracefulShutdown {
    answer_within(Limits::of_system(), listener, tls, router, stop).await
}

async fn answer_within(
    limits: Limits,
    listener: TcpListener,
    tls: Option<TlsAcceptor>,
    router: Router,
    stop: impl Future<Output = ()>,
) -> GracefulShutdown {
    let open = Arc::new(Semaphore::new(limits.open));
    let peers = Arc::new(Peers::new(limits.of_peer));
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
                // Dropped, it is closed.
                let Some(of_peer) = peers.place(peer.ip()) else { continue };
                let (router, ends, watcher, tls) =
                    (router.clone(), Ends { peer, local }, graceful.watcher(), tls.clone());
                tokio::spawn(async move {
                    let unread = limits.unread;
                    match tls {
                        None => serve(watcher, connection(stream, router, ends, unread)).await,
                        Some(tls) => match secured(&tls, stream).await {
                            Ok(stream) => serve(watcher, connection(stream, router, ends, unread)).await,
                            Err(error) => tracing::debug!(%error, "no TLS"),
                        },
                    }
                    drop((place, of_peer));
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

async fn serve(watcher: Watcher, connection: impl GracefulConnection<Error = hyper::Error>) {
    if let Err(error) = watcher.watch(connection).await {
        tracing::debug!(%error, "connection ended");
    }
}

fn connection<S: AsyncRead + AsyncWrite + Unpin + Send + 'static>(
    stream: S,
    router: Router,
    ends: Ends,
    unread: Duration,
) -> impl GracefulConnection<Error = hyper::Error> {
    let mut stream = TimeoutWriter::new(stream);
    stream.set_timeout(Some(unread));
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
        .serve_connection(TokioIo::new(Box::pin(stream)), service)
}

#[cfg(test)]
mod tests;
