//! `[[hook]]`: commands and webhooks before and after what is done (contract §13).

use serde::{Deserialize, Serialize};

use crate::config::problems::{Place, Problems};
use crate::config::web::check_url;
use crate::secret::{SecretRef, serialize_receiver_if_any};
use crate::values::parse_duration;

/// One hook.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct HookConfig {
    /// When it is called.
    pub on: Vec<HookMoment>,
    /// For which targets; all if empty.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub targets: Vec<String>,
    /// Shell command, which gets the document on its standard input.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub command: Option<String>,
    /// Address, to which the document is posted.
    #[serde(skip_serializing_if = "Option::is_none", serialize_with = "serialize_receiver_if_any")]
    pub url: Option<String>,
    /// Token that is sent to `url`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub token: Option<SecretRef>,
    /// How long it may take, such as `30s`; a minute if absent.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub timeout: Option<String>,
    /// What its failure means.
    pub policy: HookPolicy,
}

/// When a hook is called.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum HookMoment {
    /// Before sources are opened.
    BeforeBackup,
    /// When the snapshot is decided.
    AfterBackup,
    /// Before anything is written.
    BeforeRestore,
    /// When it is written.
    AfterRestore,
    /// Before chunks are removed.
    BeforePrune,
    /// When they are.
    AfterPrune,
    /// When something failed.
    OnFailure,
}

impl HookMoment {
    /// Whether it comes before anything is touched, so that it can be stopped.
    pub fn is_before(self) -> bool {
        matches!(self, Self::BeforeBackup | Self::BeforeRestore | Self::BeforePrune)
    }
}

/// What the failure of a hook means.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum HookPolicy {
    /// The operation is stopped before anything is touched.
    Veto,
    /// It is told.
    #[default]
    Warn,
    /// Nothing.
    Ignore,
}

impl HookConfig {
    pub(super) fn check(&self, at: &Place, problems: &mut Problems<'_>) {
        if self.on.is_empty() {
            problems.value(&at.key("on"), "says nothing: name before_backup, after_backup, …");
        }
        if self.policy == HookPolicy::Veto
            && let Some(late) = self.on.iter().find(|moment| !moment.is_before())
        {
            problems.value(
                &at.key("policy"),
                format!("nothing is left to be stopped in {late:?}; veto is for before_…"),
            );
        }
        match (&self.command, &self.url) {
            (Some(command), None) if command.trim().is_empty() => {
                problems.value(&at.key("command"), "is empty");
            }
            (Some(_), None) if self.token.is_some() => problems.value(&at.key("token"), "belongs to url"),
            (Some(_), None) => {}
            (None, Some(url)) => problems.check(&at.key("url"), check_url(url)),
            _ => problems.value(&at.key("command or url"), "one of them is needed, and only one"),
        }
        check_timeout(self.timeout.as_deref(), at, problems);
        check_token(self.token.as_ref(), at, problems);
    }
}

/// A time limit that leaves no time, or is none.
pub(super) fn check_timeout(timeout: Option<&str>, at: &Place, problems: &mut Problems<'_>) {
    check_limit("timeout", timeout, at, problems);
}

/// The same by another key.
pub(super) fn check_limit(key: &str, limit: Option<&str>, at: &Place, problems: &mut Problems<'_>) {
    match limit.map(parse_duration) {
        Some(Ok(0)) => problems.value(&at.key(key), "0 leaves no time"),
        Some(checked) => problems.check(&at.key(key), checked),
        None => {}
    }
}

/// A token that nobody can find.
pub(super) fn check_token(token: Option<&SecretRef>, at: &Place, problems: &mut Problems<'_>) {
    if let Some(why) = token.and_then(SecretRef::wrong) {
        problems.value(&at.key("token"), why);
    }
}
