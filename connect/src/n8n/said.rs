//! What a source says of itself, filled in while it is read.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use chronos_snapshot::{SourceOutcome, SourcePart};

use crate::n8n::error::Error;

/// What is said, and the error that ended the source; shared with whoever reads.
#[derive(Clone, Debug, Default)]
pub(super) struct Said(Arc<Mutex<(SourceOutcome, Option<Error>)>>);

impl Said {
    pub(super) fn clear(&self) {
        *self.lock() = (SourceOutcome::default(), None);
    }

    pub(super) fn part(&self, part: SourcePart) {
        self.lock().0.parts.push(part);
    }

    pub(super) fn note(&self, note: String) {
        self.lock().0.notes.push(note);
    }

    pub(super) fn incomplete(&self, why: &str) {
        self.lock().0.incomplete = Some(why.to_owned());
    }

    pub(super) fn failed(&self, error: Error) {
        self.lock().1 = Some(error);
    }

    pub(super) fn take_failure(&self) -> Option<Error> {
        self.lock().1.take()
    }

    pub(super) fn outcome(&self) -> SourceOutcome {
        self.lock().0.clone()
    }

    fn lock(&self) -> MutexGuard<'_, (SourceOutcome, Option<Error>)> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
