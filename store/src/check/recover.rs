//! The state of the log, made anew when the newest cannot be read: from the newest that can, and the records after it; in the end
//! from nothing but records and decisions, which are never deleted.
//!
//! Deletes nothing. A record that cannot be read stays where it is, so that nobody else can take its number; the record that repair
//! publishes names it as lost.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use super::{Finding, RepairReport, add};
use crate::backend::BackendExt;
use crate::error::{Error, ErrorKind, Result};
use crate::log::{LogRecord, Record};
use crate::names;
use crate::packs::lock;
use crate::repository::Inner;
use crate::state::State;
use crate::view::View;

/// Threads that read records: they are small, and far storage answers late.
const THREADS: usize = 8;

/// A view for repair: of the newest state, if it and all records can be read as they are stored; else of one made anew, which is
/// published unless `dry_run`.
pub(super) fn view(inner: &Arc<Inner>, dry_run: bool, report: &mut RepairReport) -> Result<Arc<View>> {
    let log = Log::read(inner)?;
    let problem = match newest_as_stored(inner) {
        Ok(()) if log.unknown_damage().is_empty() => return inner.view(),
        Ok(()) => "records of the log are damaged".to_owned(),
        Err(e) if e.kind() == ErrorKind::Damaged => e.to_string(),
        Err(e) => return Err(e),
    };
    if !dry_run {
        inner.close_dead_sessions()?;
        if !inner.undecided()?.is_empty() {
            return Err(Error::Busy(
                "the repository has running sessions; repair needs it for itself: it".into(),
            ));
        }
    }
    let Recovered { state, lost, base } = log.recover(inner)?;
    let from = base.map_or_else(|| "decisions and records alone".to_owned(), |n| format!("state {n}"));
    report.actions.push(format!("{problem}: make the state of the log anew from {from}"));
    for n in lost {
        let what = "it cannot be read: what it changed is lost, look at what is listed";
        add(&mut report.errors, Finding::new(names::log(n), what));
    }
    if dry_run {
        return Ok(Arc::new(View::new(Arc::clone(inner), state)));
    }
    let record = Record::Repair { damaged: log.unknown_damage() };
    let next = state.apply(&record)?;
    if inner.publish(&record, &next)? {
        Ok(Arc::new(View::new(Arc::clone(inner), next)))
    } else {
        Err(Error::Busy("the log of the repository grew meanwhile: run repair again; it".into()))
    }
}

/// Reads the newest record and its state from the storage, whatever is held of them here.
pub(super) fn newest_as_stored(inner: &Inner) -> Result<()> {
    let Some(n) = inner.log_len()?.checked_sub(1) else { return Ok(()) };
    inner.stored_state(&record(inner, n)?).map(|_| ())
}

/// What can be read of the log. Changes are not held: a long log has many.
pub(super) struct Log {
    /// Number of records.
    length: u64,
    /// Records that cannot be read, and why.
    pub(super) damaged: BTreeMap<u64, Error>,
    /// Those of them that a repair has named before.
    known: BTreeSet<u64>,
}

impl Log {
    /// Reads every record.
    pub(super) fn read(inner: &Inner) -> Result<Self> {
        let length = inner.log_len()?;
        let log = Mutex::new(Self { length, damaged: BTreeMap::new(), known: BTreeSet::new() });
        let next = AtomicU64::new(0);
        let work = || -> Result<()> {
            loop {
                let n = next.fetch_add(1, Ordering::Relaxed);
                if n >= length {
                    return Ok(());
                }
                crate::monitor::check_cancelled(inner.monitor.as_ref())?;
                match record(inner, n) {
                    Ok(LogRecord { change: Some(Record::Repair { damaged }), .. }) => {
                        lock(&log).known.extend(damaged);
                    }
                    Err(e) if e.kind() == ErrorKind::Damaged => drop(lock(&log).damaged.insert(n, e)),
                    outcome => drop(outcome?),
                }
            }
        };
        std::thread::scope(|scope| {
            let others: Vec<_> = (1..inner.env.threads(THREADS)).map(|_| scope.spawn(work)).collect();
            others.into_iter().fold(work(), |outcome, other| {
                let theirs = other.join().map_err(|_| Error::Invalid("a reading thread panicked".into()));
                outcome.and(theirs.and_then(|r| r))
            })
        })?;
        Ok(log.into_inner().unwrap_or_else(PoisonError::into_inner))
    }

    /// Damaged records that no repair has named.
    pub(super) fn unknown_damage(&self) -> BTreeSet<u64> {
        self.damaged.keys().filter(|n| !self.known.contains(n)).copied().collect()
    }

    fn recover(&self, inner: &Inner) -> Result<Recovered> {
        let mut base = None;
        let mut first = self.length;
        while base.is_none() && first > 0 {
            base = if self.damaged.contains_key(&(first - 1)) {
                unnamed_state(inner, first)?
            } else {
                readable(inner.stored_state(&record(inner, first - 1)?))?
            };
            first -= u64::from(base.is_none());
        }
        let number = base.as_ref().map(|state| state.n);
        let mut state = inner.with_decisions(base.unwrap_or_default())?;
        let mut lost = Vec::new();
        for n in first..self.length {
            let known = if self.damaged.contains_key(&n) { None } else { Some(record(inner, n)?) };
            let known = known.and_then(|r| Some((r.change?, r.watermark?)));
            lost.extend(known.is_none().then_some(n));
            state = match known {
                Some((change, watermark)) => state.replay(&change, watermark),
                None => state.skip(),
            };
        }
        Ok(Recovered { state, lost, base: number })
    }
}

fn record(inner: &Inner, n: u64) -> Result<LogRecord> {
    LogRecord::decode(&inner.keys, n, &inner.read(&names::log(n))?)
}

/// A state made anew.
struct Recovered {
    state: State,
    /// Records of which nothing is known.
    lost: Vec<u64>,
    /// Number of the state that it was made from.
    base: Option<u64>,
}

/// The one stored state that holds after `n` records: what a record says that cannot be read itself. Of several none can be
/// believed: whoever loses the race for a number may leave a state behind.
fn unnamed_state(inner: &Inner, n: u64) -> Result<Option<State>> {
    let mut found = None;
    for entry in inner.backend.list_all(names::STATES)? {
        let decoded =
            inner.read(&entry.name).and_then(|bytes| State::decode(&inner.keys, &entry.name, &bytes));
        match readable(decoded)?.filter(|state| state.n == n) {
            Some(_) if found.is_some() => return Ok(None),
            Some(state) => found = Some(state),
            None => {}
        }
    }
    Ok(found)
}

fn readable(outcome: Result<State>) -> Result<Option<State>> {
    match outcome {
        Err(e) if e.kind() == ErrorKind::Damaged => Ok(None),
        outcome => outcome.map(Some),
    }
}
