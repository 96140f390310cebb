//! What an outside system answered that made its source fail: callers over HTTP are told its own status.

use chronos_connect::n8n;

use crate::error::Upstream;

/// The outside systems of a run.
#[derive(Debug, Default)]
pub struct Watched(Vec<n8n::Failure>);

impl Watched {
    pub(super) fn add(&mut self, failure: n8n::Failure) {
        self.0.push(failure);
    }

    /// The first that failed.
    pub fn failure(&self) -> Option<Upstream> {
        let error = self.0.iter().find_map(n8n::Failure::take)?;
        let timed_out = matches!(error, n8n::Error::TooSlow { .. });
        Some(Upstream { status: error.upstream_status(), timed_out })
    }
}
