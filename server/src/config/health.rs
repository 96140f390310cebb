//! `[target.health]`: how it is seen that a target works.

use serde::{Deserialize, Serialize};

use crate::config::hook::check_limit;
use crate::config::problems::{Place, Problems};
use crate::config::web::check_url;

/// How it is seen that a target works, once it was put back.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct HealthConfig {
    /// Address that answers with a status of 200 to 299.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub url: Option<String>,
    /// Command that ends with 0.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub command: Option<String>,
    /// How long it may take until it works; a minute if absent.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub time_limit: Option<String>,
}

impl HealthConfig {
    pub(super) fn check(&self, at: &Place, problems: &mut Problems<'_>) {
        match (&self.url, &self.command) {
            (Some(url), None) => problems.check(&at.key("url"), check_url(url)),
            (None, Some(command)) if command.trim().is_empty() => {
                problems.value(&at.key("command"), "is empty");
            }
            (None, Some(_)) => {}
            _ => problems.value(&at.key("command or url"), "one of them is needed, and only one"),
        }
        check_limit("time_limit", self.time_limit.as_deref(), at, problems);
    }
}
