//! Who is told: the Event Bus, those of `[[notify]]`; of what, and in which form.

use std::time::Duration;

use crate::catalog::target_name;
use crate::config::{Config, EventsConfig, NotifyConfig, NotifyKind, Occasion};
use crate::events::happened::UNCHANGED;
use crate::events::{Event, notice};
use crate::outgoing::{Outgoing, Unheard, Verb, limit};
use crate::secret::SecretRef;
use crate::state::Letter;
use crate::workplace::Workplace;

/// How long one call may take, where nobody chose.
const LIMIT: Duration = Duration::from_secs(10);
/// Name of the queue of the Event Bus.
const BUS: &str = "event-bus";
/// What comes before the names of others.
const NOTIFY: &str = "notify/";
/// How long a letter waits: whoever was away for a week reads the listing.
pub(crate) const LETTER_AGE_MAX: Duration = Duration::from_hours(7 * 24);
/// The same of a sign of life, which says nothing of today when it is older.
const PING_AGE_MAX: Duration = Duration::from_hours(24);

/// Somebody who is told.
#[derive(Clone, Debug)]
pub(crate) struct Receiver {
    /// Name of the queue.
    pub(crate) name: String,
    kind: Kind,
    /// Targets by their names; all if empty.
    targets: Vec<String>,
    url: String,
    token: Option<SecretRef>,
    limit: Duration,
}

#[derive(Clone, Debug)]
enum Kind {
    Bus { actions: Vec<String> },
    Webhook { on: Vec<Occasion> },
    Ping,
}

impl Receiver {
    /// Everybody whom the configuration names.
    pub(crate) fn all(config: &Config) -> Vec<Self> {
        let bus = config.events.url.as_deref().map(|url| Self::bus(config, &config.events, url));
        let others = config.notify.iter().map(|notify| Self::other(config, notify));
        bus.into_iter().chain(others).collect()
    }

    fn bus(config: &Config, events: &EventsConfig, url: &str) -> Self {
        Self {
            name: BUS.to_owned(),
            kind: Kind::Bus { actions: events.actions.clone() },
            targets: named(config, &events.targets),
            url: format!("{}/events", url.trim_end_matches('/')),
            token: events.token.clone(),
            limit: limit(events.timeout.as_deref(), LIMIT),
        }
    }

    fn other(config: &Config, notify: &NotifyConfig) -> Self {
        Self {
            name: format!("{NOTIFY}{}", notify.name),
            kind: match notify.kind {
                NotifyKind::Webhook => Kind::Webhook { on: notify.on.clone() },
                NotifyKind::Ping => Kind::Ping,
            },
            targets: named(config, &notify.targets),
            url: notify.url.clone(),
            token: notify.token.clone(),
            limit: limit(notify.timeout.as_deref(), LIMIT),
        }
    }

    /// Whether it is told of something.
    pub(crate) fn wants(&self, event: &Event) -> bool {
        let concerns = |target: &String| self.targets.is_empty() || self.targets.contains(target);
        let is_concerned = match (&event.concerns, &self.kind) {
            (Some(target), _) => concerns(target),
            (None, _) => true,
        };
        is_concerned
            && match &self.kind {
                Kind::Bus { actions } => {
                    event.action != UNCHANGED
                        && (actions.is_empty() || actions.iter().any(|a| a == event.action))
                }
                Kind::Webhook { on } => event.occasion.is_some_and(|o| on.is_empty() || on.contains(&o)),
                Kind::Ping => event.is_good_backup,
            }
    }

    /// What it is sent.
    pub(crate) fn body(&self, event: &Event) -> String {
        match self.kind {
            Kind::Bus { .. } => event.envelope().to_string(),
            Kind::Webhook { .. } => notice::document(event).to_string(),
            Kind::Ping => String::new(),
        }
    }

    /// Whether only the newest of what waits is worth sending.
    pub(crate) fn wants_latest(&self) -> bool {
        matches!(self.kind, Kind::Ping)
    }

    /// How long it is tried.
    pub(crate) fn age_max(&self) -> Duration {
        if self.wants_latest() { PING_AGE_MAX } else { LETTER_AGE_MAX }
    }

    /// The way to it.
    pub(crate) fn open(&self, workplace: &Workplace) -> Result<Outgoing, Unheard> {
        Outgoing::new(workplace, &self.url, self.token.as_ref(), self.limit)
    }

    /// Sends it a letter.
    pub(crate) fn send(&self, way: &Outgoing, letter: &Letter) -> Result<(), Unheard> {
        let verb = match self.kind {
            Kind::Ping => Verb::Get,
            _ => Verb::Post { body: &letter.body, id: Some(&letter.event) },
        };
        way.call(verb).map(drop)
    }
}

/// Targets by their own names; none if all are meant.
fn named(config: &Config, targets: &[String]) -> Vec<String> {
    if targets.iter().any(|t| t == "all") {
        return Vec::new();
    }
    targets.iter().map(|t| target_name(config, t)).collect()
}
