//! The life of the services: opened, ready, stopped by a signal.
//!
//! What always holds: requests that were begun are finished if that takes no longer than [`FINISH_MAX`]; what takes longer is asked to
//! stop at its next safe place, and what it stored is used by the next run.

use std::collections::BTreeSet;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::mpsc::RecvTimeoutError;
use std::time::Duration;

use hyper_util::server::graceful::GracefulShutdown;
use sd_notify::NotifyState;
use tokio::net::TcpListener;
use tokio::signal::unix::{SignalKind, signal};
use tokio::task::JoinSet;
use tokio_rustls::TlsAcceptor;

use crate::agent::Agent;
use crate::error::{Error, Kind, Result};
use crate::events::Sender;
use crate::http::options::ServeOptions;
use crate::http::router::router;
use crate::http::service::{CHECKING_MAX, LOOKING_MAX, Service, WORKING_MAX};
use crate::http::tls;
use crate::http::watch::Watch;
use crate::http::{connections, systemd};
use crate::operations::drill::tidy;
use crate::operations::{restore, schedules};
use crate::workplace::Workplace;
use chronos_snapshot::ErrorKind;

/// How long requests may take to finish after the signal: systemd waits 90 seconds by default.
const FINISH_MAX: Duration = Duration::from_mins(1);
/// How long the start waits for what an interrupted restore left: systemd waits 90 seconds for all of it.
const RESUME_MAX: Duration = Duration::from_secs(45);
/// How long it is waited before another try to bring restores to an end that could not be yet.
const RESUME_PAUSE: Duration = Duration::from_secs(30);
const RESUME_PAUSE_MAX: Duration = Duration::from_mins(15);
/// How long work may take to stop once it was asked to.
const STOP_MAX: Duration = Duration::from_secs(20);

/// Where the services answer.
#[derive(Clone, Copy, Debug, Default)]
pub struct Listening {
    /// CHRONOS, if it is served.
    pub chronos: Option<SocketAddr>,
    /// HADES, if it is served.
    pub hades: Option<SocketAddr>,
}

/// A listener, and whose it is.
type Bound = (Agent, TcpListener);

/// Serves until a signal ends it. `ready` is told the addresses once requests are answered there.
///
/// # Errors
/// What keeps it from starting: an address that is taken, a token file or a repository that cannot be used. A repository that is
/// merely not there may come later: until then the service is unhealthy.
pub fn serve<E: From<Error>>(
    workplace: &Workplace,
    options: ServeOptions,
    ready: impl FnOnce(Listening) -> Result<(), E>,
) -> Result<(), E> {
    options.check()?;
    let tls = options.tls.as_ref().map(tls::acceptor).transpose()?;
    connections::raise_limit();
    let service = Arc::new(Service::new(workplace, options)?);
    open(&service)?;
    resume(&service)?;
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .max_blocking_threads(LOOKING_MAX + WORKING_MAX + CHECKING_MAX + 1)
        .enable_all()
        .build();
    let runtime = runtime.map_err(|source| Error::Local { path: "threads".to_owned(), source })?;
    let ended = runtime.block_on(run(&service, tls, ready));
    runtime.shutdown_timeout(Duration::ZERO);
    ended
}

/// Opens the repository now, so that what is wrong is seen at the start.
fn open(service: &Service) -> Result<()> {
    match service.repository() {
        Ok(_) => Ok(()),
        Err(error) => match error.kind() {
            Kind::Library(ErrorKind::NoRepository | ErrorKind::Io | ErrorKind::Busy) => {
                tracing::warn!(detail = %error, "the repository cannot be used yet");
                Ok(())
            }
            _ => Err(error),
        },
    }
}

async fn run<E: From<Error>>(
    service: &Arc<Service>,
    tls: Option<TlsAcceptor>,
    ready: impl FnOnce(Listening) -> Result<(), E>,
) -> Result<(), E> {
    let (bound, listening) = bind(service).await?;
    free_keys(service);
    let mut watch = None;
    // Schedules and jobs are CHRONOS's: HADES alone leaves them to the process that serves it.
    if listening.chronos.is_some() {
        service.runner().begin();
        watch = Some(Watch::start(service)?);
    }
    let _sender = Sender::start(service.workplace())?;
    let stop = stopped().map_err(|source| Error::Local { path: "signals".to_owned(), source })?;
    let (ends, ended) = tokio::sync::watch::channel(());
    let mut answering = JoinSet::new();
    for (agent, listener) in bound {
        let (router, tls, mut ended) = (router(service, agent), tls.clone(), ended.clone());
        // Who ends says nothing more.
        let ended = async move { drop(ended.changed().await) };
        answering.spawn(connections::answer(listener, tls, router, ended));
    }
    let at = |address: Option<SocketAddr>| address.map(tracing::field::display);
    tracing::info!(
        chronos = at(listening.chronos),
        hades = at(listening.hades),
        version = env!("CARGO_PKG_VERSION"),
        "ready"
    );
    ready(listening)?;
    systemd::tell(&[NotifyState::Ready]);
    tokio::select! {
        () = stop => {}
        () = systemd::watchdog() => return Ok(()),
    }
    drop(ends);
    let open = answering.join_all().await;
    systemd::tell(&[NotifyState::Stopping]);
    tracing::info!("stopping");
    drop(watch);
    service.runner().stop();
    finish(service, open).await;
    tracing::info!("stopped");
    Ok(())
}

/// Listens at all addresses, or at none.
async fn bind(service: &Service) -> Result<(Vec<Bound>, Listening)> {
    let (mut bound, mut listening) = (Vec::new(), Listening::default());
    for (agent, wanted) in service.options().listeners() {
        let failed = |source| Error::Local { path: format!("{} at {wanted}", agent.name()), source };
        let listener = TcpListener::bind(wanted).await.map_err(failed)?;
        let address = listener.local_addr().map_err(failed)?;
        service.listens_at(agent, address.port());
        match agent {
            Agent::Chronos => listening.chronos = Some(address),
            Agent::Hades => listening.hades = Some(address),
        }
        bound.push((agent, listener));
    }
    Ok((bound, listening))
}

/// Brings restores to an end that a service of before did not come to end. A server that hangs keeps nobody from starting: what takes
/// longer goes on beside.
fn resume(service: &Arc<Service>) -> Result<()> {
    let (ends, ended) = std::sync::mpsc::channel::<()>();
    let service = Arc::clone(service);
    let work = move || {
        let workplace = service.workplace();
        if let Err(error) = tidy(workplace, &*workplace.monitor) {
            tracing::warn!(%error, "it cannot be looked whether killed drills have left something");
        }
        let mut told = BTreeSet::new();
        resumed(&service, &mut told);
        drop(ends);
        // A server may be away, or start later than this one.
        let mut pause = RESUME_PAUSE;
        while restore::is_unfinished(service.workplace()) {
            std::thread::sleep(pause);
            resumed(&service, &mut told);
            pause = RESUME_PAUSE_MAX.min(pause * 2);
        }
    };
    let thread = std::thread::Builder::new().name("resume".to_owned()).spawn(work);
    thread.map_err(|source| Error::Local { path: "threads".to_owned(), source })?;
    if ended.recv_timeout(RESUME_MAX) == Err(RecvTimeoutError::Timeout) {
        tracing::warn!("an interrupted restore is still being brought to its end");
    }
    Ok(())
}

/// Brings to an end what can be; tells what was not told before.
fn resumed(service: &Service, told: &mut BTreeSet<String>) {
    match restore::resume(service.workplace()) {
        Ok(lines) => {
            for line in lines.into_iter().filter(|line| told.insert(line.clone())) {
                tracing::warn!(detail = line, "a restore was interrupted");
            }
        }
        Err(error) if told.insert(error.to_string()) => {
            tracing::warn!(%error, "interrupted restores cannot be looked at");
        }
        Err(_) => {}
    }
}

/// Frees the keys of requests that the services of this process did not come to answer when they ran before.
fn free_keys(service: &Service) {
    for (agent, _) in service.options().listeners() {
        let key = schedules::key(service.workplace());
        let freed = service.state().and_then(|state| state.free_replies(&key, &format!("{} ", agent.name())));
        if let Err(error) = freed {
            tracing::warn!(%error, "the state of this host cannot be used");
        }
    }
}

/// The first signal that asks for the end.
fn stopped() -> std::io::Result<impl Future<Output = ()>> {
    let mut terminate = signal(SignalKind::terminate())?;
    let mut interrupt = signal(SignalKind::interrupt())?;
    let mut hang_up = signal(SignalKind::hangup())?;
    Ok(async move {
        tokio::select! {
            _ = terminate.recv() => {}
            _ = interrupt.recv() => {}
            _ = hang_up.recv() => {}
        }
    })
}

/// Waits for requests, for work whose callers went away and for jobs; asks what takes too long to stop. A job that was stopped
/// is begun again by the next service.
async fn finish(service: &Arc<Service>, open: Vec<GracefulShutdown>) {
    let all = u32::try_from(WORKING_MAX).unwrap_or(u32::MAX);
    let mut ends: JoinSet<()> = open.into_iter().map(GracefulShutdown::shutdown).collect();
    let idle = async {
        while ends.join_next().await.is_some() {}
        // Both fail when there is nothing left to wait for.
        drop(service.working().acquire_many(all).await);
        drop(service.runner().seen().wait_for(|seen| seen.is_over).await);
    };
    let mut idle = std::pin::pin!(idle);
    if tokio::time::timeout(FINISH_MAX, &mut idle).await.is_ok() {
        return;
    }
    tracing::warn!("work that goes on is asked to stop");
    service.reporter().stop();
    service.runner().interrupt();
    if tokio::time::timeout(STOP_MAX, &mut idle).await.is_err() {
        tracing::warn!("work that did not stop is left: the next run uses what it stored");
    }
}
