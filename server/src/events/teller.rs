//! From events to letters, written with what they tell of.

use crate::error::{Error, Result};
use crate::events::{Event, Receiver};
use crate::state::{Alert, NewLetter, Noted, State, Telling};
use crate::workplace::Workplace;

/// Alert: the last backup of a target was not good. Its detail is the backup type.
pub(crate) const FAILURE: &str = "failure";
/// Alert: a target has no snapshot of when there should be one.
pub(crate) const OVERDUE: &str = "overdue";
/// Alert: how the service does.
pub(crate) const HEALTH: &str = "health";

/// Knows who is told.
#[derive(Clone, Debug)]
pub(crate) struct Teller {
    /// By what the repository is told apart.
    pub(crate) repository: String,
    receivers: Vec<Receiver>,
}

impl Teller {
    /// Those of the configuration.
    pub(crate) fn of(workplace: &Workplace) -> Self {
        Self { repository: workplace.key(), receivers: Receiver::all(&workplace.config) }
    }

    /// Nobody is told anything.
    pub(crate) fn is_idle(&self) -> bool {
        self.receivers.is_empty()
    }

    /// The letters of some events.
    pub(crate) fn letters(&self, events: &[Event]) -> Vec<NewLetter> {
        let mut letters = Vec::new();
        for event in events {
            for receiver in self.receivers.iter().filter(|r| r.wants(event)) {
                letters.push(NewLetter {
                    receiver: receiver.name.clone(),
                    event: event.id.clone(),
                    body: receiver.body(event),
                    is_latest: receiver.wants_latest(),
                });
            }
        }
        letters
    }
}

/// Notes something and writes what follows, where there is no other record that it belongs to. Where nobody is told anything, nothing
/// is written.
pub(crate) fn record(
    workplace: &Workplace,
    alert: Alert<'_>,
    events: &dyn Fn(&Noted) -> Vec<Event>,
) -> Result<()> {
    let teller = Teller::of(workplace);
    if teller.is_idle() {
        return Ok(());
    }
    let now = i64::try_from(workplace.env.clock.now()).map_err(|e| Error::Clock(e.to_string()))?;
    State::open(&workplace.places.state)?.tell(&Telling {
        repository: &teller.repository,
        now,
        alert,
        letters: &|noted| teller.letters(&events(noted)),
    })
}
