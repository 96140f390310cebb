//! Looks now and then whether anybody is overdue and how the service does, and tells of what is otherwise than before: silence is an
//! alert.

use std::collections::BTreeMap;
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
const INTERVAL: Duration = Duration::from_mins(1);
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
            let mut seen = Seen::default();
            while look(&service, &mut seen)
                && is_held.recv_timeout(INTERVAL) == Err(RecvTimeoutError::Timeout)
            {}
        };
        let thread = thread::Builder::new().name("watch".to_owned()).spawn(work);
        thread.map_err(|source| Error::Local { path: "threads".to_owned(), source })?;
        Ok(Self { _held: held })
    }
}

/// What was last seen: what is as it was need not be written.
#[derive(Debug, Default)]
struct Seen {
    /// Whether targets are overdue.
    overdue: BTreeMap<String, bool>,
    /// How the service does.
    status: Option<&'static str>,
    /// What went wrong: it is told once.
    wrong: Option<String>,
}

/// Looks once; `false` if there is nothing to look at any more.
fn look(service: &Weak<Service>, seen: &mut Seen) -> bool {
    let Some(service) = service.upgrade() else { return false };
    let config = &service.workplace().config;
    if config.events.url.is_none() && config.notify.is_empty() {
        return false;
    }
    match overdue_targets(&service, seen).and_then(|()| state_of(&service, seen)) {
        Ok(()) => seen.wrong = None,
        Err(error) => {
            let text = error.to_string();
            if seen.wrong.as_ref() != Some(&text) {
                tracing::warn!(detail = text, "who is overdue cannot be told");
                seen.wrong = Some(text);
            }
        }
    }
    true
}

fn overdue_targets(service: &Service, seen: &mut Seen) -> Result<()> {
    let workplace = service.workplace();
    let Ok(catalog) = service.catalog() else { return Ok(()) };
    let late = late(workplace, &catalog)?;
    for target in &workplace.config.targets {
        let name = &*target.name;
        let found = late.iter().find(|o| o.target == name);
        if seen.overdue.get(name) == Some(&found.is_some()) {
            continue;
        }
        let alert = match found {
            Some(_) => Alert::Raise { kind: OVERDUE, target: name, detail: "" },
            None => Alert::Clear { kind: Some(OVERDUE), target: name, detail: None },
        };
        record(workplace, alert, &|noted| match (noted.is_new, found) {
            (true, Some(found)) => vec![overdue(&workplace.env, found)],
            (true, None) => vec![no_longer_overdue(&workplace.env, name)],
            (false, _) => Vec::new(),
        })?;
        seen.overdue.insert(name.to_owned(), found.is_some());
    }
    Ok(())
}

fn state_of(service: &Service, seen: &mut Seen) -> Result<()> {
    let found = found(service)?;
    let (workplace, status) = (service.workplace(), found.status());
    if seen.status == Some(status) {
        return Ok(());
    }
    record(workplace, Alert::Set { kind: HEALTH, detail: status }, &|noted| {
        let before = noted.before.as_deref();
        let says_nothing = !noted.is_new || (before.is_none() && status == WELL);
        if says_nothing { Vec::new() } else { vec![health(&workplace.env, before, status, found.problems())] }
    })?;
    seen.status = Some(status);
    Ok(())
}
