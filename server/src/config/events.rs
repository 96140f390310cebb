//! `[events]` and `[[notify]]`: who is told of what happens.

use serde::{Deserialize, Serialize};

use crate::config::hook::{check_timeout, check_token};
use crate::config::problems::{Place, Problems};
use crate::config::web::check_url;
use crate::secret::{SecretRef, serialize_receiver};

/// Where the Event Bus is if only its use is asked for.
pub const EVENT_BUS_URL: &str = "http://localhost:8099";

/// The Event Bus.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct EventsConfig {
    /// Its address; without one nothing is posted.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub url: Option<String>,
    /// Token that is sent to it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub token: Option<SecretRef>,
    /// Only these actions; all if empty.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub actions: Vec<String>,
    /// Only what concerns these targets, and what concerns none; all if empty.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub targets: Vec<String>,
    /// How long one post may take, such as `10s`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub timeout: Option<String>,
}

/// Somebody who is told.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct NotifyConfig {
    /// Name.
    pub name: String,
    /// Address.
    #[serde(serialize_with = "serialize_receiver")]
    pub url: String,
    /// What is sent there.
    pub kind: NotifyKind,
    /// Kind `webhook`: of what it is told; of everything if empty.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub on: Vec<Occasion>,
    /// For which targets; all if empty.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub targets: Vec<String>,
    /// Token that is sent.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub token: Option<SecretRef>,
    /// How long one call may take.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub timeout: Option<String>,
}

/// What is sent.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum NotifyKind {
    /// A document, when there is an occasion.
    #[default]
    Webhook,
    /// A sign of life after every good backup: whoever waits for it notices when it stays away.
    Ping,
}

/// Of what somebody is told.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Occasion {
    /// A backup, verification or cleanup failed.
    Failure,
    /// A target that had failed or was overdue is good again.
    Recovery,
    /// A target has no good snapshot that is young enough.
    Overdue,
    /// Stored data are damaged or missing.
    Damage,
}

impl EventsConfig {
    pub(super) fn check(&self, at: &Place, problems: &mut Problems<'_>) {
        if let Some(url) = &self.url {
            problems.check(&at.key("url"), check_url(url));
        }
        if self.url.is_none() && *self != Self::default() {
            problems.value(&at.key("url"), format!("is missing; the usual one is {EVENT_BUS_URL}"));
        }
        check_timeout(self.timeout.as_deref(), at, problems);
        check_token(self.token.as_ref(), at, problems);
    }
}

impl NotifyConfig {
    pub(super) fn check(&self, at: &Place, problems: &mut Problems<'_>) {
        if let Err(e) = chronos_snapshot::check_name("name", &self.name) {
            problems.value(&at.key("name"), e.to_string());
        }
        problems.check(&at.key("url"), check_url(&self.url));
        if self.kind == NotifyKind::Ping && !self.on.is_empty() {
            problems.value(
                &at.key("on"),
                "belongs to kind = \"webhook\"; a ping is sent after every good backup",
            );
        }
        check_timeout(self.timeout.as_deref(), at, problems);
        check_token(self.token.as_ref(), at, problems);
    }
}
