//! How failures are told, in the words of the service that carries out the jobs.

use serde_json::Value;

use crate::error::Error;

/// How failures are told.
#[derive(Clone, Copy, Debug)]
pub struct Words {
    /// A sentence that a person can act on.
    pub sentence: fn(&Error) -> String,
    /// The document of a failed job: what the same request answers that waits for it.
    pub document: fn(&Error) -> Value,
}
