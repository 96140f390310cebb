//! Which n8n, and how much patience with it.

use std::time::Duration;

use crate::secret::Secret;

/// Address of an n8n and how to be let in.
#[derive(Clone, Debug)]
pub struct Server {
    /// Base address: `http://host:5678`, with a path if n8n has one; `/api/v1` at its end is left out.
    pub url: String,
    /// API key, sent as `X-N8N-API-KEY`.
    pub key: Option<Secret>,
    /// User and password of a proxy in front of n8n.
    pub basic: Option<(String, Secret)>,
}

/// Limits of all calls.
#[derive(Clone, Debug)]
pub struct Limits {
    /// Until a connection stands.
    pub connect: Duration,
    /// From sending a call until the last byte of its answer.
    pub call: Duration,
    /// How often a call that may be repeated is tried.
    pub attempts: u32,
    /// Pause before the second attempt; it doubles each time.
    pub pause: Duration,
    /// Bytes of one answer.
    pub answer_bytes_max: u64,
    /// Calls at the same time.
    pub in_flight: usize,
    /// Items per page of a listing; at most [`PAGE`].
    pub page: usize,
}

/// Items per page: the most that every version takes.
pub const PAGE: usize = 250;

impl Default for Limits {
    fn default() -> Self {
        Self {
            connect: Duration::from_secs(10),
            // A page of 250 large workflows takes a busy server seconds.
            call: Duration::from_mins(1),
            attempts: 4,
            // 0.5 s, 1 s, 2 s: a server that is restarted by its supervisor is back by then or in the next run.
            pause: Duration::from_millis(500),
            // n8n takes 16 MiB per workflow unless told otherwise, and a published one is shown twice; a page of the
            // listing is not kept.
            answer_bytes_max: 1 << 30,
            // n8n has one thread for all of them.
            in_flight: 4,
            page: PAGE,
        }
    }
}

/// What of an n8n is taken.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Parts {
    /// Workflows, tags and credential metadata.
    #[default]
    All,
    /// Workflows and tags.
    Workflows,
    /// Credential metadata.
    Credentials,
}

impl Parts {
    /// Whether workflows are taken.
    pub fn has_workflows(self) -> bool {
        self != Self::Credentials
    }

    /// Whether credential metadata are taken.
    pub fn has_credentials(self) -> bool {
        self != Self::Workflows
    }

    /// Which component of its target that is.
    pub fn component(self) -> &'static str {
        if self == Self::Credentials { "credentials" } else { "workflows" }
    }
}
