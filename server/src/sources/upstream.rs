//! What an outside system answered that made its source fail: callers over HTTP are told its own status, and jobs are tried again.

use chronos_connect::postgres::Outage;
use chronos_connect::{n8n, postgres};

use crate::error::Upstream;

/// The outside systems of a run.
#[derive(Debug, Default)]
pub struct Watched(Vec<Failure>);

/// Where one says why it failed.
#[derive(Debug)]
pub(super) enum Failure {
    N8n(n8n::Failure),
    Postgres(postgres::Failure),
}

impl Failure {
    fn take(&self) -> Option<Upstream> {
        match self {
            Self::N8n(failure) => failure.take().map(|error| Upstream {
                status: error.upstream_status(),
                timed_out: matches!(error, n8n::Error::TooSlow { .. }),
            }),
            Self::Postgres(failure) => {
                let timed_out = failure.take()? == Outage::TooSlow;
                Some(Upstream { status: None, timed_out })
            }
        }
    }
}

impl Watched {
    pub(super) fn add(&mut self, failure: Failure) {
        self.0.push(failure);
    }

    /// The first that failed.
    pub fn failure(&self) -> Option<Upstream> {
        self.0.iter().find_map(Failure::take)
    }
}
