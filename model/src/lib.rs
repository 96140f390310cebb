//! A model of the storage protocol (`docs/design.md`, "Protocol"), searched exhaustively, breadth first.
//!
//! Every process may stop between any two steps, for any time or for ever: no step is forced, so crashes and sleepers are
//! covered without being modelled. A step that depends on the log alone is one action, since creating record *n* makes "read, then
//! publish" atomic; steps that depend on other listings too are split, and what they read is remembered.
//!
//! What is not modelled, and why: `README.md`.

mod actions;
mod configurations;
mod mutants;
mod properties;
mod rules;
mod set;
mod state;
mod step;

use std::time::Duration;

use stateright::{Checker, Expectation, HasDiscoveries, Model};

pub use actions::Action;
pub use configurations::{CONFIGURATIONS, Configuration, SMALL, configuration};
pub use mutants::{MUTANTS, Mutant};
pub use set::{Set, Table};
pub use state::State;

/// Outcome of a search.
#[derive(Clone, Debug)]
pub struct Outcome {
    /// Distinct states that were met.
    pub states: usize,
    /// Longest sequence of actions.
    pub depth: usize,
    /// Whether every state was met.
    pub complete: bool,
    /// The first violation, and the actions that lead to it.
    pub violation: Option<(&'static str, Vec<Action>)>,
    /// What should be possible and was not met.
    pub unreached: Vec<&'static str>,
}

/// Searches all states of a configuration, until a violation or for so many seconds.
pub fn search(model: &Configuration, seconds: u64) -> Outcome {
    let limit = Duration::from_secs(seconds);
    let begun = std::time::Instant::now();
    let checker = model
        .clone()
        .checker()
        .threads(2)
        .finish_when(HasDiscoveries::AnyFailures)
        .timeout(limit)
        .spawn_bfs()
        .join();
    let found = checker.discoveries();
    let properties = model.properties();
    let must_hold = |name: &&str| {
        properties.iter().any(|p| p.name == *name && matches!(p.expectation, Expectation::Always))
    };
    let violation = found.iter().find(|(name, _)| must_hold(name));
    let unreached = properties
        .iter()
        .filter(|p| matches!(p.expectation, Expectation::Sometimes) && !found.contains_key(p.name))
        .map(|p| p.name)
        .collect();
    Outcome {
        states: checker.unique_state_count(),
        depth: checker.max_depth(),
        complete: violation.is_none() && begun.elapsed() < limit,
        violation: violation.map(|(name, path)| (*name, path.clone().into_actions())),
        unreached,
    }
}
