//! The one error type of the n8n side. Its texts say what to do, and hold no key and no password.

use std::io;
use std::time::Duration;

/// Result of talking to an n8n.
pub type Result<T, E = Error> = std::result::Result<T, E>;

/// What n8n answers while its database does not answer it, before it looks at a call.
const NOT_READY: &str = "Database is not ready";

/// How to make an API key, for people.
const MAKE_A_KEY: &str = "make one in n8n under Settings, n8n API, as the owner of the instance (another user's key sees only that user's \
     workflows), and give it as N8N_API_KEY";

/// Why talking to an n8n failed. Names the server as it was configured.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// No key was given.
    #[error("n8n at {server} wants an API key: {}{MAKE_A_KEY}", if *.has_password { "user and password are for a proxy in front of it only; " } else { "" })]
    NoKey {
        /// Base address.
        server: String,
        /// Whether user and password were given in its place.
        has_password: bool,
    },
    /// 401 from n8n: the key is wrong, expired or deleted.
    #[error("n8n at {server} does not accept the API key: {said}; {MAKE_A_KEY}")]
    WrongKey {
        /// Base address.
        server: String,
        /// What it said.
        said: String,
    },
    /// 401 that n8n did not write.
    #[error(
        "what stands in front of n8n at {server} wants a user and a password that are right (N8N_USER, N8N_PASS)"
    )]
    WrongPassword {
        /// Base address.
        server: String,
    },
    /// 403: the key may not do this.
    #[error("n8n at {server} does not allow {what}: {said}; the API key needs the scope for it")]
    Forbidden {
        /// Base address.
        server: String,
        /// The call.
        what: String,
        /// What it said.
        said: String,
    },
    /// Nothing listens there, or the name is not known, or the encryption fails.
    #[error("n8n at {server} cannot be reached: {why}")]
    Unreachable {
        /// Base address.
        server: String,
        /// What the system said.
        why: String,
    },
    /// The connection ended in the middle.
    #[error("the connection to n8n at {server} ended during {what}: {why}")]
    Broken {
        /// Base address.
        server: String,
        /// The call.
        what: String,
        /// What the system said.
        why: String,
    },
    /// No answer in time.
    #[error("n8n at {server} did not answer {what} within {seconds} s")]
    TooSlow {
        /// Base address.
        server: String,
        /// The call.
        what: String,
        /// The limit.
        seconds: u64,
    },
    /// Something else than JSON where JSON belongs.
    #[error(
        "{server} answered {what} with {status} and {found} instead of JSON: is this the address of an n8n with its public API on?"
    )]
    NotJson {
        /// Base address.
        server: String,
        /// The call.
        what: String,
        /// HTTP status.
        status: u16,
        /// What came, for people.
        found: String,
    },
    /// A status of 500 or more.
    #[error("n8n at {server} failed on {what} with {status}: {said}")]
    Failing {
        /// Base address.
        server: String,
        /// The call.
        what: String,
        /// HTTP status.
        status: u16,
        /// What it said.
        said: String,
    },
    /// A status from 300 to 499 that nothing else here is about.
    #[error("n8n at {server} refused {what} with {status}: {said}")]
    Refused {
        /// Base address.
        server: String,
        /// The call.
        what: String,
        /// HTTP status.
        status: u16,
        /// What it said.
        said: String,
    },
    /// JSON that is not what this call answers, or an answer that has no end.
    #[error("n8n at {server} answered {what} with something unexpected: {why}")]
    Unexpected {
        /// Base address.
        server: String,
        /// The call.
        what: String,
        /// What is wrong with it.
        why: String,
    },
    /// No workflow of that id.
    #[error("n8n at {server} has no workflow {id:?}")]
    NoWorkflow {
        /// Base address.
        server: String,
        /// The id.
        id: String,
    },
    /// The command line of n8n failed.
    #[error(transparent)]
    Command(#[from] Box<crate::error::Error>),
    /// A value that cannot be used.
    #[error("{0}")]
    Invalid(String),
    /// A temporary file failed.
    #[error("temporary file: {0}")]
    Temporary(#[from] io::Error),
    /// Somebody asked to stop.
    #[error("interrupted")]
    Interrupted,
}

impl Error {
    /// The HTTP status that n8n answered with, if that is what failed.
    pub fn upstream_status(&self) -> Option<u16> {
        match self {
            Self::WrongKey { .. } | Self::WrongPassword { .. } => Some(401),
            Self::Forbidden { .. } => Some(403),
            Self::NoWorkflow { .. } => Some(404),
            Self::NotJson { status, .. } | Self::Failing { status, .. } | Self::Refused { status, .. } => {
                Some(*status)
            }
            _ => None,
        }
    }

    /// Whether all further calls would fail like this one.
    pub fn is_of_the_server(&self) -> bool {
        matches!(
            self,
            Self::NoKey { .. }
                | Self::WrongKey { .. }
                | Self::WrongPassword { .. }
                | Self::Unreachable { .. }
                | Self::Broken { .. }
                | Self::TooSlow { .. }
                | Self::Command(_)
                | Self::Interrupted
        )
    }

    /// Whether the call never reached the server.
    pub(super) fn is_before_sending(&self) -> bool {
        match self {
            Self::Unreachable { .. } => true,
            Self::Failing { status: 503, said, .. } => said.contains(NOT_READY),
            _ => false,
        }
    }

    /// Whether the same call may work a little later.
    pub(super) fn is_passing(&self) -> bool {
        match self {
            Self::Unreachable { .. } | Self::Broken { .. } | Self::TooSlow { .. } => true,
            Self::Failing { status, .. } => *status != 501,
            Self::NotJson { status, .. } => *status >= 500,
            Self::Refused { status, .. } => matches!(status, 408 | 425 | 429),
            _ => false,
        }
    }
}

/// How the rest of the program sees it.
impl From<Error> for crate::error::Error {
    fn from(error: Error) -> Self {
        let status = error.upstream_status();
        match error {
            Error::NoWorkflow { id, .. } => Self::NotFound { what: "workflow", name: id },
            Error::TooSlow { server, what, seconds } => Self::TimedOut {
                what: format!("n8n at {server}: {what}"),
                limit: Duration::from_secs(seconds),
            },
            Error::Invalid(why) => Self::Invalid(why),
            Error::Interrupted => Self::Interrupted,
            Error::Command(error) => *error,
            Error::Temporary(source) => Self::File { path: "temporary file".to_owned(), source },
            other => Self::Upstream { system: "n8n".to_owned(), status, why: other.to_string() },
        }
    }
}
