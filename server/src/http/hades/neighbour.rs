//! What CHRONOS is doing, as HADES sees it from outside: asked where `CHRONOS_URL` says, and never needed.

use std::time::Duration;

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use crate::agent::Agent;
use crate::environment::CHRONOS_URL;
use crate::http::service::Service;
use crate::jobs::list;
use crate::outgoing::{Outgoing, Verb};
use crate::state::{JobFilter, JobStatus};

/// How long it may take to answer: whoever asks for the health of HADES waits for it.
const TIME_MAX: Duration = Duration::from_secs(2);
/// Jobs that are asked for.
const JOBS_MAX: u32 = 20;

/// CHRONOS, seen from outside.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct Neighbour {
    /// Where it is asked.
    url: String,
    /// Whether it answers.
    reachable: bool,
    /// The jobs that it carries out, if it says so.
    running_jobs: Option<Vec<Job>>,
    /// Why it does not answer, or does not say.
    #[serde(skip_serializing_if = "Option::is_none")]
    error: Option<String>,
}

/// A job that runs.
#[derive(Debug, Serialize, Deserialize, ToSchema)]
#[schema(as = RunningJob)]
struct Job {
    /// Its id.
    id: String,
    /// What it is.
    kind: String,
    /// What it is about.
    target: Option<String>,
}

/// The part of the answer that is looked at.
#[derive(Deserialize)]
struct Jobs {
    jobs: Vec<Job>,
}

/// Asks; the one of this process need not be called.
pub(super) fn ask(service: &Service) -> Neighbour {
    let workplace = service.workplace();
    if workplace.environment.chronos_url.is_none() && service.port(Agent::Chronos) != 0 {
        return here(service);
    }
    let url = workplace.environment.chronos_url.as_deref().unwrap_or(CHRONOS_URL);
    let full = format!("{}/jobs?status=running&limit={JOBS_MAX}", url.trim_end_matches('/'));
    let answer =
        Outgoing::new(workplace, &full, None, TIME_MAX).and_then(|outgoing| outgoing.call(Verb::Get));
    let (reachable, jobs) = match answer {
        Ok(text) => {
            (true, serde_json::from_str::<Jobs>(&text).map_err(|e| format!("its answer is none: {e}")))
        }
        Err(unheard) => (unheard.status.is_some(), Err(unheard.why)),
    };
    let (jobs, error) = match jobs {
        Ok(found) => (Some(found.jobs), None),
        Err(why) => (None, Some(why)),
    };
    Neighbour { url: url.to_owned(), reachable, running_jobs: jobs, error }
}

/// The CHRONOS of this process.
fn here(service: &Service) -> Neighbour {
    let scheme = if service.options().tls.is_some() { "https" } else { "http" };
    let url = format!("{scheme}://localhost:{}", service.port(Agent::Chronos));
    let filter = JobFilter { status: Some(JobStatus::Running), ..JobFilter::default() };
    let (running_jobs, error) = match list(service.workplace(), &filter, JOBS_MAX) {
        Ok(jobs) => {
            let job = |job: crate::jobs::JobView| Job { id: job.id, kind: job.kind, target: job.target };
            (Some(jobs.into_iter().map(job).collect()), None)
        }
        Err(error) => (None, Some(error.to_string())),
    };
    Neighbour { url, reachable: true, running_jobs, error }
}
