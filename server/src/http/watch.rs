//! Looks now and then whether anybody is overdue and how the service does, and tells of what is otherwise than before: silence is an
//! alert.

use std::sync::mpsc::{self, RecvTimeoutError};
use std::sync::{Arc, Weak};
use std::thread;
use std::time::Duration;

use crate::error::{Error, Result};
use crate::events::{HEALTH, OVERDUE, health, no_longer_overdue, overdue, record};
use crate::http::chronos::found;
use crate::http::service::Service;
use crate::operations::schedules::late;
use crate::state::Alert;

/// How often it is looked: overdue is nobody before a quarter of an hour has gone by.
const INTERVAL: Duration = Duration::from_secs(20);
/// What a service that does well says.
const WELL: &str = "healthy";

/// Watches until it is dropped.
#[derive(Debug)]
pub(crate) struct Watch {
    _held: mpsc::Sender<()>,
}

impl Watch {
    /// Begins to watch, if anybody is to be told.
    ///
    /// # Errors
    /// [`Error::Local`] if the system has no thread for it.
    pub(crate) fn start(service: &Arc<Service>) -> Result<Self> {
        let (held, is_held) = mpsc::channel::<()>();
        let service = Arc::downgrade(service);
        let work = move || {
            let mut wrong = None;
            while look(&service, &mut wrong)
                && is_held.recv_timeout(INTERVAL) == Err(RecvTimeoutError::Timeout)
            {}
        };
        let thread = thread::Builder::new().name("watch".to_owned()).spawn(work);
        thread.map_err(|source| Error::Local { path: "threads".to_owned(), source })?;
        Ok(Self { _held: held })
    }
}

/// Looks once; `false` if there is nothing to look at any more. The same trouble is told once.
fn look(service: &Weak<Service>, wrong: &mut Option<String>) -> bool {
    let Some(service) = service.upgrade() else { return false };
    let config = &service.workplace().config;
    if config.events.url.is_none() && config.notify.is_empty() {
        return false;
    }
    match overdue_targets(&service).and_then(|()| state_of(&service)) {
        Ok(()) => *wrong = None,
        Err(error) => {
            let text = error.to_string();
            if wrong.as_ref() != Some(&text) {
                tracing::warn!(detail = text, "who is overdue cannot be told");
                *wrong = Some(text);
            }
        }
    }
    true
}

fn overdue_targets(service: &Service) -> Result<()> {
    let workplace = service.workplace();
    let Ok(catalog) = service.catalog() else { return Ok(()) };
    let late = late(workplace, &catalog)?;
    for target in &workplace.config.targets {
        let name = &*target.name;
        let found = late.iter().find(|o| o.target == name);
        let alert = match found {
            Some(_) => Alert::Raise { kind: OVERDUE, target: name, detail: "" },
            None => Alert::Clear { kind: Some(OVERDUE), target: name, detail: None },
        };
        record(workplace, alert, &|noted| match (noted.is_new, found) {
            (true, Some(found)) => vec![overdue(&workplace.env, found)],
            (true, None) => vec![no_longer_overdue(&workplace.env, name)],
            (false, _) => Vec::new(),
        })?;
    }
    Ok(())
}

fn state_of(service: &Service) -> Result<()> {
    let found = found(service)?;
    let (workplace, status) = (service.workplace(), found.status());
    record(workplace, Alert::Set { kind: HEALTH, detail: status }, &|noted| {
        let before = noted.before.as_deref();
        let says_nothing = !noted.is_new || (before.is_none() && status == WELL);
        if says_nothing { Vec::new() } else { vec![health(&workplace.env, before, status, found.problems())] }
    })
}
