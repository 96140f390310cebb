//! What all requests share: the workplace, the opened repository, and the limits.

use std::sync::atomic::{AtomicU16, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use axum::body::Bytes;
use chronos_store::Repository;
use tokio::sync::Semaphore;

use crate::agent::Agent;
use crate::catalog::Catalog;
use crate::error::Result;
use crate::http::auth::tokens::Watched;
use crate::http::auth::{Failures, Tokens};
use crate::http::metrics::Metrics;
use crate::http::options::ServeOptions;
use crate::http::problem::{Problem, sentence};
use crate::http::reporter::Reporter;
use crate::http::shared::Shared;
use crate::jobs::{Observer, OfJobs, Runner, RunnerOptions, Words};
use crate::state::State;
use crate::workplace::{Key, Opened, Workplace};

/// Requests that look at once: each holds one listing in memory.
pub(crate) const LOOKING_MAX: usize = 16;
/// Requests that read or write much at once; the others wait.
pub(crate) const WORKING_MAX: usize = 8;
/// Looks whether the service does well, which have turns of their own: whoever asks must hear that all others are taken.
pub(crate) const CHECKING_MAX: usize = 4;
/// Streams of events that are open at once: each looks twice a second.
const WATCHING_MAX: usize = 64;

/// A job that fails leaves what the request answers that waits for it.
const WORDS: Words = Words { sentence, document: |error| Problem::from(error).document() };

/// What all requests share.
#[derive(Debug)]
pub(crate) struct Service {
    access: Arc<Access>,
    reporter: Arc<Reporter>,
    options: ServeOptions,
    tokens: Watched,
    failures: Failures,
    metrics: Metrics,
    health: [Shared<(bool, Bytes)>; 2],
    looking: Arc<Semaphore>,
    working: Arc<Semaphore>,
    checking: Arc<Semaphore>,
    places: Arc<Semaphore>,
    watching: Arc<Semaphore>,
    runner: Runner,
    ports: [AtomicU16; 2],
}

impl Service {
    /// A service for the repository of this workplace, which need not be there yet.
    pub(crate) fn new(workplace: &Workplace, options: ServeOptions) -> Result<Self> {
        let reporter = Arc::new(Reporter::default());
        let workplace = workplace.reporting_to(Arc::clone(&reporter) as _);
        let limits = RunnerOptions::of(&workplace.config.limits)?;
        let access = Arc::new(Access { workplace, opened: Mutex::default() });
        let opener = Arc::clone(&access);
        let tells: Arc<dyn Observer> = Arc::new(OfJobs(access.workplace.clone()));
        let runner =
            Runner::prepare(&access.workplace, (limits, WORDS), vec![tells], move || opener.repository())?;
        Ok(Self {
            access,
            reporter,
            ports: [AtomicU16::new(0), AtomicU16::new(0)],
            tokens: Watched::open(options.token_file.clone())?,
            places: Arc::new(Semaphore::new(options.concurrent_max)),
            options,
            failures: Failures::default(),
            metrics: Metrics::default(),
            health: [Shared::default(), Shared::default()],
            looking: Arc::new(Semaphore::new(LOOKING_MAX)),
            working: Arc::new(Semaphore::new(WORKING_MAX)),
            checking: Arc::new(Semaphore::new(CHECKING_MAX)),
            watching: Arc::new(Semaphore::new(WATCHING_MAX)),
            runner,
        })
    }

    /// Where work is done.
    pub(crate) fn workplace(&self) -> &Workplace {
        &self.access.workplace
    }

    /// What the service was started with.
    pub(crate) fn options(&self) -> &ServeOptions {
        &self.options
    }

    /// The port that one of the services listens at.
    pub(crate) fn port(&self, agent: Agent) -> u16 {
        let [chronos, hades] = &self.ports;
        let port = if agent == Agent::Chronos { chronos } else { hades };
        port.load(Ordering::Relaxed)
    }

    /// Notes the port that the system chose.
    pub(crate) fn listens_at(&self, agent: Agent, port: u16) {
        let [chronos, hades] = &self.ports;
        let noted = if agent == Agent::Chronos { chronos } else { hades };
        noted.store(port, Ordering::Relaxed);
    }

    /// Who hears of problems, and stops the work.
    pub(crate) fn reporter(&self) -> &Reporter {
        &self.reporter
    }

    /// The tokens as they are now.
    pub(crate) fn tokens(&self) -> Result<Tokens> {
        self.tokens.now()
    }

    /// Wrong tokens.
    pub(crate) fn failures(&self) -> &Failures {
        &self.failures
    }

    /// How one of the services does: whether the repository can be used, and the document.
    pub(crate) fn health(&self, agent: Agent) -> &Shared<(bool, Bytes)> {
        let [chronos, hades] = &self.health;
        if agent == Agent::Chronos { chronos } else { hades }
    }

    /// What is measured.
    pub(crate) fn metrics(&self) -> &Metrics {
        &self.metrics
    }

    /// Turns of those that look.
    pub(crate) fn looking(&self) -> &Arc<Semaphore> {
        &self.looking
    }

    /// Turns of those that work.
    pub(crate) fn working(&self) -> &Arc<Semaphore> {
        &self.working
    }

    /// Turns of those that look whether the service does well.
    pub(crate) fn checking(&self) -> &Arc<Semaphore> {
        &self.checking
    }

    /// Places of those that have a turn or wait for one.
    pub(crate) fn places(&self) -> &Arc<Semaphore> {
        &self.places
    }

    /// Places of those that watch jobs.
    pub(crate) fn watching(&self) -> &Arc<Semaphore> {
        &self.watching
    }

    /// The state of this host.
    pub(crate) fn state(&self) -> Result<State> {
        State::open(&self.workplace().places.state)
    }

    /// Who carries out jobs.
    pub(crate) fn runner(&self) -> &Runner {
        &self.runner
    }

    /// The repository, opened by the first who needs it; made if it is this user's own and not there yet.
    pub(crate) fn repository(&self) -> Result<Repository> {
        self.access.repository()
    }

    /// The present moment of the repository.
    pub(crate) fn catalog(&self) -> Result<Catalog> {
        let repository = self.repository()?;
        repository.confirm()?;
        Catalog::new(&self.workplace().config, repository)
    }
}

/// The way to the repository, which requests and jobs share.
#[derive(Debug)]
struct Access {
    workplace: Workplace,
    opened: Mutex<Option<Repository>>,
}

impl Access {
    fn repository(&self) -> Result<Repository> {
        let mut kept = self.opened.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(repository) = &*kept {
            return Ok(repository.clone());
        }
        let Opened { repository, key } = self.workplace.open_or_create()?;
        told(&repository, &key);
        *kept = Some(repository.clone());
        Ok(repository)
    }
}

/// Says what opened the repository; where the key of a new one is, its owner must know.
fn told(repository: &Repository, key: &Key) {
    let location = repository.location();
    match key {
        Key::Given => tracing::info!(location, "repository opened"),
        Key::Own(file) => tracing::info!(location, key_file = %file.display(), "repository opened"),
        Key::Exposed(file) => {
            tracing::warn!(location, key_file = %file.display(), "others may read the key file: chmod 600");
        }
        Key::New(Some(file)) => tracing::warn!(
            location,
            key_file = %file.display(),
            "repository made: keep a copy of its key file elsewhere, without it nothing can be restored"
        ),
        Key::New(None) => tracing::info!(location, "repository made"),
    }
}
