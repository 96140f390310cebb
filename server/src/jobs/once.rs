//! What is looked at every few seconds is told of once.

use std::collections::BTreeSet;
use std::sync::{Mutex, PoisonError};

use chronos_store::Monitor;

/// Most sentences that are remembered; beyond it something is wrong that is worth telling again.
const KEPT_MAX: usize = 1000;

/// Reports each problem to the log once.
#[derive(Debug, Default)]
pub(super) struct Once(Mutex<BTreeSet<String>>);

impl Monitor for Once {
    fn problem(&self, what: &str) {
        let mut told = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if told.len() >= KEPT_MAX {
            told.clear();
        }
        if told.insert(what.to_owned()) {
            tracing::warn!(detail = chronos_snapshot::harmless(what).as_ref(), "problem");
        }
    }
}
