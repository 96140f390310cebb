//! What CHRONOS is doing, as HADES sees it from outside: asked where `CHRONOS_URL` says, and never needed.

use std::time::Duration;

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use crate::environment::CHRONOS_URL;
use crate::outgoing::{Outgoing, Verb};
use crate::workplace::Workplace;

/// How long it may take to answer: whoever asks for the health of HADES waits for it.
const TIME_MAX: Duration = Duration::from_secs(2);
/// Jobs that are asked for.
const PATH: &str = "jobs?status=running&limit=20";

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

/// Asks.
pub(super) fn ask(workplace: &Workplace) -> Neighbour {
    let url = workplace.environment.chronos_url.as_deref().unwrap_or(CHRONOS_URL);
    let full = format!("{}/{PATH}", url.trim_end_matches('/'));
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
