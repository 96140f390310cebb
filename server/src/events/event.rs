//! One event, and the document that the Event Bus gets (contract §3).

use chronos_store::Env;
use jiff::Timestamp;
use serde_json::{Map, Value, json};

use crate::agent::Agent;
use crate::config::Occasion;

/// Random bytes of an id.
const ID_BYTES: usize = 16;

/// Something that happened.
#[derive(Clone, Debug, PartialEq)]
pub struct Event {
    /// Who says it.
    pub agent: Agent,
    /// Its id; the same whenever it is sent.
    pub id: String,
    /// When.
    pub at: String,
    /// What.
    pub action: &'static str,
    /// Of what: a target, a snapshot, or nothing in particular.
    pub target: String,
    /// The target that it concerns, if it is one.
    pub concerns: Option<String>,
    /// On what occasion somebody is to be notified.
    pub occasion: Option<Occasion>,
    /// It is the end of a good backup.
    pub is_good_backup: bool,
    /// A sentence for people.
    pub message: String,
    /// More of it.
    pub details: Map<String, Value>,
}

impl Event {
    /// Something that happened now.
    pub(crate) fn new(env: &Env, action: &'static str, target: &str, details: Value) -> Self {
        let at = Timestamp::from_nanosecond(env.clock.now()).unwrap_or_default().to_string();
        let details = match details {
            Value::Object(details) => details,
            _ => Map::new(),
        };
        // Without random bytes its moment tells it apart.
        let id = env.random_bytes::<ID_BYTES>().map_or_else(|_| at.clone(), hex::encode);
        Self {
            agent: Agent::Chronos,
            id,
            at,
            action,
            target: target.to_owned(),
            concerns: None,
            occasion: None,
            is_good_backup: false,
            message: String::new(),
            details,
        }
    }

    /// It is HADES that says it.
    pub(crate) fn of_hades(mut self) -> Self {
        self.agent = Agent::Hades;
        self
    }

    /// It concerns a target.
    pub(crate) fn concerning(mut self, target: &str) -> Self {
        self.concerns = Some(target.to_owned());
        self
    }

    /// Somebody is to be notified.
    pub(crate) fn on(mut self, occasion: Occasion) -> Self {
        self.occasion = Some(occasion);
        self
    }

    /// What is told to people.
    pub(crate) fn saying(mut self, message: String) -> Self {
        self.message = message;
        self
    }

    /// The details, with what every event has.
    pub(crate) fn full_details(&self) -> Value {
        let mut details = self.details.clone();
        details.insert("event_id".to_owned(), self.id.clone().into());
        details.insert("timestamp".to_owned(), self.at.clone().into());
        Value::Object(details)
    }

    /// What the Event Bus gets.
    pub(crate) fn envelope(&self) -> Value {
        json!({
            "source_agent": self.agent.name(),
            "action": self.action,
            "target": self.target,
            "details": self.full_details(),
        })
    }
}
