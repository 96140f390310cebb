//! The contract of [`Backend`] as checks: each a sentence, and whether it holds.
//!
//! Tests of every crate [`run`] all of them on a fresh store; what a place is asked for before it is trusted is the same list, without
//! what the program itself answers for.

mod creates;
mod ground;
mod lists;
mod objects;
mod program;
#[cfg(test)]
mod tests;

use std::fmt::Debug;
use std::sync::Arc;

use super::{Backend, BackendError, BackendResult, Durability};

pub use ground::Ground;

/// Two handles of one store, as two processes would have them.
pub type Handles = (Arc<dyn Backend>, Arc<dyn Backend>);

/// What does not hold.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Trouble {
    /// The store does something else than the contract says.
    #[error("{0}")]
    Broken(String),
    /// The store could not be asked, or did not answer.
    #[error("could not be tried: {0}")]
    Untried(String),
}

type Outcome = Result<(), Trouble>;

/// What rests on a sentence of the contract.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Standing {
    /// Everything.
    Foundation,
    /// That space is given back; what is stored stays safe without it.
    Removal,
    /// That several programs may change a repository at once.
    Exactness,
    /// The program itself answers for it, whatever the store does.
    Program,
}

/// One sentence of the contract.
#[derive(Clone, Copy, Debug)]
pub struct Check {
    /// The sentence.
    pub what: &'static str,
    /// What rests on it.
    pub standing: Standing,
    /// Whether nothing is to be written to a place before it was tried there.
    pub is_core: bool,
    run: fn(&Ground) -> Outcome,
}

impl Check {
    /// Tries it where nothing has been written yet.
    ///
    /// # Errors
    /// [`Trouble`] says what does not hold.
    pub fn run(&self, ground: &Ground) -> Result<(), Trouble> {
        (self.run)(ground)
    }

    const fn core(mut self) -> Self {
        self.is_core = true;
        self
    }
}

const fn check(what: &'static str, standing: Standing, run: fn(&Ground) -> Outcome) -> Check {
    Check { what, standing, is_core: false, run }
}

/// The contract. What everything rests on comes first.
pub const CHECKS: [Check; 14] = [
    check("what was written shows at once on every handle", Standing::Foundation, objects::shows_everywhere)
        .core(),
    check("a second create fails and changes nothing", Standing::Exactness, creates::second_fails).core(),
    check("of racing creates exactly one succeeds, whole", Standing::Exactness, creates::one_racer_wins)
        .core(),
    check("what was written is read back, at any size", Standing::Foundation, objects::written_is_read),
    check(
        "an object as large as a pack is taken whole and given in parts",
        Standing::Foundation,
        objects::packs_fit,
    ),
    check("ranges give exactly the asked bytes", Standing::Foundation, objects::ranges_are_exact),
    check("what is missing is reported as missing", Standing::Foundation, objects::missing_is_reported),
    check("no partial object is ever visible", Standing::Foundation, creates::nothing_partial),
    check(
        "lists are in byte order, by prefix, after a name, up to a limit",
        Standing::Foundation,
        lists::are_ordered,
    ),
    check("pages of a list lose and repeat nothing", Standing::Foundation, lists::pages_join),
    check("what was removed is gone at once on every handle", Standing::Removal, objects::removed_is_gone),
    check(
        "removing is final and idempotent, and frees the name",
        Standing::Removal,
        objects::removing_is_idempotent,
    ),
    check("bad names, prefixes and sizes are refused", Standing::Program, program::bad_names_are_refused),
    check("sync and upkeep keep everything", Standing::Program, program::sync_keeps),
];

/// Runs every check, each on a fresh store from `fresh`. The error names the check that failed.
///
/// # Errors
/// The first sentence that does not hold, and why.
pub fn run(fresh: &dyn Fn() -> Handles) -> Result<(), String> {
    CHECKS.iter().try_for_each(|c| c.run(&Ground::new(&fresh(), "")).map_err(|e| format!("{}: {e}", c.what)))
}

fn same<T: PartialEq + Debug>(what: &str, got: &T, wanted: &T) -> Outcome {
    truth(&format!("{what}: got {got:?}, wanted {wanted:?}"), got == wanted)
}

fn truth(what: &str, holds: bool) -> Outcome {
    if holds { Ok(()) } else { Err(Trouble::Broken(what.to_owned())) }
}

fn ok<T>(what: &str, outcome: BackendResult<T>) -> Result<T, Trouble> {
    outcome.map_err(|e| match e {
        BackendError::Io { .. } => Trouble::Untried(format!("{what}: {e}")),
        e => Trouble::Broken(format!("{what}: {e}")),
    })
}

/// That a call fails, and how.
fn fails<T>(what: &str, outcome: BackendResult<T>, as_wanted: impl Fn(&BackendError) -> bool) -> Outcome {
    match outcome {
        Ok(_) => Err(Trouble::Broken(format!("{what}: it succeeded"))),
        Err(e) if as_wanted(&e) => Ok(()),
        outcome => ok(what, outcome).map(drop),
    }
}

fn is_missing(error: &BackendError) -> bool {
    matches!(error, BackendError::NotFound(_))
}

fn put(backend: &dyn Backend, name: &str, bytes: &[u8]) -> Outcome {
    ok(name, backend.write_new(name, bytes, Durability::Relaxed))
}

/// Bytes that differ from place to place and from seed to seed.
fn bytes(seed: u64, len: usize) -> Vec<u8> {
    let mut out = vec![0; len];
    blake3::Hasher::new().update(&seed.to_le_bytes()).finalize_xof().fill(&mut out);
    out
}
