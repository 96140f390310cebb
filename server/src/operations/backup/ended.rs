//! How a run ended, as it goes into the state of this host: at once, or later, where that could not be written.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use crate::error::Result;
use crate::events::{Event, FAILURE, Teller};
use crate::state::{Alert, Ending, RunNumber, RunStatus, State, Telling};

/// Ends that wait to be written; the oldest go. More runs than a service makes in a day on which its disk is full.
const UNWRITTEN_MAX: usize = 1000;

/// How a run ended, and what is told of it.
#[derive(Debug)]
pub(super) struct Ended {
    /// Its row, if it has one.
    pub(super) run: Option<RunNumber>,
    pub(super) target: String,
    pub(super) backup_type: String,
    pub(super) status: RunStatus,
    pub(super) backup_id: Option<String>,
    pub(super) snapshot: Option<String>,
    pub(super) error: Option<String>,
    /// When.
    pub(super) at: i64,
    pub(super) files: u64,
    pub(super) bytes: u64,
    pub(super) mark: Mark,
    /// What is told if the mark changes nothing.
    pub(super) told: Vec<Event>,
    /// What is told if it does.
    pub(super) told_if_new: Vec<Event>,
    /// Who tells it.
    pub(super) teller: Teller,
}

/// What is noted of the target that it is of.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Mark {
    /// Nothing.
    Untouched,
    /// Its last backup of this type was not good.
    Raise,
    /// Its last backup of this type was good.
    Clear,
    /// Whatever part of it was not good is now.
    ClearAll,
}

impl Ended {
    /// One of which nothing is known.
    pub(super) fn new(teller: Teller) -> Self {
        Self {
            run: None,
            target: String::new(),
            backup_type: String::new(),
            status: RunStatus::Interrupted,
            backup_id: None,
            snapshot: None,
            error: None,
            at: 0,
            files: 0,
            bytes: 0,
            mark: Mark::Untouched,
            told: Vec::new(),
            told_if_new: Vec::new(),
            teller,
        }
    }

    /// Nothing is to be written: it has no row, and nobody is told.
    pub(super) fn is_idle(&self) -> bool {
        self.run.is_none() && self.teller.is_idle()
    }

    /// Writes it.
    pub(super) fn write(&self, state: &State) -> Result<()> {
        let letters = |is_new| self.teller.letters(if is_new { &self.told_if_new } else { &self.told });
        let telling = Telling {
            repository: &self.teller.repository,
            now: self.at,
            alert: self.alert(),
            letters: &|noted| letters(noted.is_new),
        };
        let Some(run) = self.run else { return state.tell(&telling) };
        let ending = Ending {
            status: self.status,
            backup_id: self.backup_id.as_deref(),
            snapshot: self.snapshot.as_deref(),
            error: self.error.as_deref(),
            ended: self.at,
            files: self.files,
            bytes: self.bytes,
        };
        state.end_run(run, &ending, &telling)
    }

    fn alert(&self) -> Alert<'_> {
        let (target, detail) = (&*self.target, &*self.backup_type);
        match self.mark {
            Mark::Untouched => Alert::Untouched,
            Mark::Raise => Alert::Raise { kind: FAILURE, target, detail },
            Mark::Clear => Alert::Clear { kind: Some(FAILURE), target, detail: Some(detail) },
            Mark::ClearAll => Alert::Clear { kind: None, target, detail: None },
        }
    }
}

/// Ends of runs that could not be written, in their order. Whoever carries out jobs writes them as soon as that can be.
#[derive(Clone, Debug, Default)]
pub struct Unwritten(Arc<Mutex<VecDeque<Ended>>>);

impl Unwritten {
    /// How many there are.
    pub fn count(&self) -> usize {
        self.all().len()
    }

    pub(super) fn add(&self, ended: Ended) {
        let mut all = self.all();
        if all.len() >= UNWRITTEN_MAX {
            all.pop_front();
        }
        all.push_back(ended);
    }

    /// Writes them; what cannot be written stays.
    pub(crate) fn write(&self, state: &State) -> Result<()> {
        let mut all = self.all();
        while let Some(first) = all.front() {
            first.write(state)?;
            all.pop_front();
        }
        Ok(())
    }

    fn all(&self) -> MutexGuard<'_, VecDeque<Ended>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
