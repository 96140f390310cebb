//! Hooks (contract §13): commands and webhooks that are asked before something is done, and told of what was done.
//!
//! What always holds: each gets one JSON document and has a time limit. Only one with policy `veto` stops anything, and it does so
//! before anything is touched.

mod command;
#[cfg(test)]
mod tests;

pub(crate) use command::run as run_line;

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use chronos_store::{Monitor, check_cancelled};
use serde_json::{Value, json};

use crate::agent::Agent;
use crate::catalog::target_name;
use crate::config::{HookConfig, HookMoment, HookPolicy};
use crate::error::{Error, Result};
use crate::outgoing::{Outgoing, Verb, limit};
use crate::workplace::{Workplace, host};

/// How long a hook may take, where nobody chose.
const LIMIT: Duration = Duration::from_mins(1);

/// What is done, and who is asked and told.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Operation {
    /// A snapshot is made.
    Backup,
    /// Something is written back.
    Restore,
    /// Space is given back.
    Prune,
}

impl Operation {
    fn before(self) -> HookMoment {
        match self {
            Self::Backup => HookMoment::BeforeBackup,
            Self::Restore => HookMoment::BeforeRestore,
            Self::Prune => HookMoment::BeforePrune,
        }
    }

    fn after(self) -> HookMoment {
        match self {
            Self::Backup => HookMoment::AfterBackup,
            Self::Restore => HookMoment::AfterRestore,
            Self::Prune => HookMoment::AfterPrune,
        }
    }

    fn agent(self) -> Agent {
        match self {
            Self::Backup | Self::Prune => Agent::Chronos,
            Self::Restore => Agent::Hades,
        }
    }

    fn word(self) -> &'static str {
        match self {
            Self::Backup => "backup",
            Self::Restore => "restore",
            Self::Prune => "prune",
        }
    }
}

/// The hooks of one operation.
pub struct Hooks<'w> {
    workplace: &'w Workplace,
    monitor: Arc<dyn Monitor>,
    operation: Operation,
    /// Of which targets; empty: of the repository as a whole.
    targets: Vec<String>,
}

impl fmt::Debug for Hooks<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Hooks").field("operation", &self.operation).finish_non_exhaustive()
    }
}

impl<'w> Hooks<'w> {
    /// Those of an operation on some targets, or on the repository as a whole. What goes wrong without stopping it is told to the
    /// monitor.
    pub fn of(
        workplace: &'w Workplace,
        monitor: &Arc<dyn Monitor>,
        operation: Operation,
        targets: &[String],
    ) -> Self {
        let targets = targets.iter().map(|t| target_name(&workplace.config, t)).collect();
        Self { workplace, monitor: Arc::clone(monitor), operation, targets }
    }

    /// Asks before anything is touched; `about` says what is to be done.
    ///
    /// # Errors
    /// [`Error::Vetoed`]; interrupted if the monitor asks to stop.
    fn before(&self, about: &Value) -> Result<()> {
        let moment = self.operation.before();
        let document = self.document(moment, about);
        for hook in self.called(moment) {
            check_cancelled(&*self.monitor)?;
            if let Err(why) = self.call(hook, &document) {
                check_cancelled(&*self.monitor)?;
                if hook.policy == HookPolicy::Veto {
                    return Err(Error::Vetoed { hook: self.name(hook), why });
                }
                self.tell(hook, &why);
            }
        }
        Ok(())
    }

    /// Asks, does it, and tells what came of it.
    ///
    /// # Errors
    /// [`Error::Vetoed`] and interrupted, before anything is touched; those of `work`.
    pub fn around<T, E: From<Error>>(
        &self,
        about: &Value,
        work: impl FnOnce() -> Result<T, E>,
        told: impl FnOnce(&T) -> Value,
        error: impl FnOnce(&E) -> String,
    ) -> Result<T, E> {
        self.before(about)?;
        let done = work();
        match &done {
            Ok(made) => self.tell_all(self.operation.after(), &merged(about, &told(made))),
            Err(failure) => {
                let more = json!({ "status": "failed", "error": error(failure) });
                self.tell_all(HookMoment::OnFailure, &merged(about, &more));
            }
        }
        done
    }

    fn tell_all(&self, moment: HookMoment, about: &Value) {
        let document = self.document(moment, about);
        for hook in self.called(moment) {
            if let Err(why) = self.call(hook, &document) {
                self.tell(hook, &why);
            }
        }
    }

    /// The hooks that are called at a moment.
    fn called(&self, moment: HookMoment) -> impl Iterator<Item = &HookConfig> {
        let config = &self.workplace.config;
        let is_meant = move |hook: &&HookConfig| {
            self.targets.is_empty()
                || hook.targets.is_empty()
                || hook.targets.iter().any(|t| t == "all" || self.targets.contains(&target_name(config, t)))
        };
        config.hooks.iter().filter(move |hook| hook.on.contains(&moment)).filter(is_meant)
    }

    /// Calls one; what it says is kept in the log, or is why it failed.
    fn call(&self, hook: &HookConfig, document: &Value) -> std::result::Result<(), String> {
        let (limit, body) = (limit(hook.timeout.as_deref(), LIMIT), document.to_string());
        let at = document.get("hook").and_then(Value::as_str).unwrap_or_default();
        let said = match (&hook.command, &hook.url) {
            (Some(command), _) => {
                let is_cancelled = || at.starts_with("before") && self.monitor.cancelled();
                let without = self.workplace.config.secret_variables();
                command::run(command, &body, &without, limit, &is_cancelled)
            }
            (None, Some(url)) => Outgoing::new(self.workplace, url, hook.token.as_ref(), limit)
                .and_then(|way| way.call(Verb::Post { body: &body, id: None }))
                .map_err(|unheard| unheard.why),
            // The configuration is not accepted without one of them.
            (None, None) => Ok(String::new()),
        };
        let said = said?;
        tracing::info!(hook = self.name(hook), at, said, "hook");
        Ok(())
    }

    /// Tells that a hook failed, unless nobody wants to know.
    fn tell(&self, hook: &HookConfig, why: &str) {
        if hook.policy != HookPolicy::Ignore {
            self.monitor.problem(&format!("{} failed: {why}", self.name(hook)));
        }
    }

    /// By its place in the configuration: commands and addresses may hold secrets.
    fn name(&self, hook: &HookConfig) -> String {
        let at = self.workplace.config.hooks.iter().position(|h| std::ptr::eq(h, hook)).unwrap_or_default();
        format!("hook {}", at + 1)
    }

    fn document(&self, moment: HookMoment, about: &Value) -> Value {
        let now = jiff::Timestamp::from_nanosecond(self.workplace.env.clock.now()).unwrap_or_default();
        let shared = json!({
            "source_agent": self.operation.agent().name(),
            "hook": moment,
            "operation": self.operation.word(),
            "targets": self.targets,
            "target": match &*self.targets {
                [target] => Some(target),
                _ => None,
            },
            "repository": self.workplace.location.shown(),
            "host": host(),
            "timestamp": now.to_string(),
        });
        merged(&shared, about)
    }
}

/// The members of both; those of the second count.
fn merged(one: &Value, other: &Value) -> Value {
    let members = [one, other].into_iter().filter_map(Value::as_object).flatten();
    Value::Object(members.map(|(name, value)| (name.clone(), value.clone())).collect())
}
