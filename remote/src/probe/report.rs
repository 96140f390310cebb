//! What a probe has seen, and what may be done with such a place.

use chronos_store::backend::conformance::{Standing, Trouble};

use super::is_broken;

/// One thing that was tried.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Capability {
    /// The sentence of the contract.
    pub what: &'static str,
    /// What rests on it.
    pub standing: Standing,
    /// `None` if it holds.
    pub trouble: Option<Trouble>,
    /// How many requests that took.
    pub requests: u64,
}

/// What may be done with a place.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Suitability {
    /// Any number of programs may change a repository there at once.
    ManyWriters,
    /// Whoever comes second is not told so: one host alone may change what snapshots there are.
    SingleMaintainer,
    /// No repository can be kept safe there, or that could not be found out.
    Unfit,
}

impl Suitability {
    /// In words, for people and machines.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::ManyWriters => "many writers",
            Self::SingleMaintainer => "single maintainer",
            Self::Unfit => "unfit",
        }
    }
}

/// Everything that was tried at one place.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ProbeReport {
    /// What was tried, in its order.
    pub capabilities: Vec<Capability>,
    /// Objects that an earlier probe, which did not come to its end, had left; they are removed.
    pub removed: u64,
    /// Why something of this probe, or an earlier one, is still there.
    pub left: Option<String>,
}

impl ProbeReport {
    /// Requests in all.
    pub fn requests(&self) -> u64 {
        self.capabilities.iter().map(|c| c.requests).sum()
    }

    /// What may be done here, and why not more, in a sentence.
    pub fn verdict(&self) -> (Suitability, String) {
        let troubled = || self.capabilities.iter().filter(|c| c.trouble.is_some());
        let is_unsafe = |c: &&Capability| match c.standing {
            Standing::Exactness => !is_broken(c.trouble.as_ref()),
            // A place that takes no removal keeps everything; one that lies about it is not to be trusted.
            Standing::Removal => is_broken(c.trouble.as_ref()),
            _ => true,
        };
        if let Some(c) = troubled().find(is_unsafe) {
            let verb = if is_broken(c.trouble.as_ref()) { "does not hold" } else { "is not known to hold" };
            return (Suitability::Unfit, format!("it {verb} that {}: {}", c.what, told(c)));
        }
        if let Some(c) = troubled().find(|c| c.standing == Standing::Exactness) {
            let why = format!("it does not hold that {}: {}", c.what, told(c));
            return (Suitability::SingleMaintainer, why);
        }
        let removal =
            troubled().next().map_or("", |_| "; what is no longer needed cannot be removed with these keys");
        (Suitability::ManyWriters, format!("whoever comes second is told so, and all see the same{removal}"))
    }
}

fn told(capability: &Capability) -> String {
    capability.trouble.as_ref().map(ToString::to_string).unwrap_or_default()
}
