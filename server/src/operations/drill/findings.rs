//! What is found out about one source, and whose fault it is.

use chronos_connect::{Error as Failed, Proof, Verdict};
use chronos_snapshot::ErrorKind;

use crate::error::{Error, Kind};
use crate::state::DrillStatus;

/// Findings of one source that are told; the rest is counted.
const ERRORS_MAX: usize = 20;

/// Words by which a restore says that the place it goes to cannot hold something.
const OF_PLACE: [&str; 2] = ["not on this file system", "only root can make devices"];

/// What is found out about one source.
#[derive(Debug, Default)]
pub(super) struct Findings {
    pub(super) proof: Proof,
}

impl Findings {
    pub(super) fn holds(&mut self, fact: impl Into<String>) {
        self.proof.facts.push(fact.into());
    }

    pub(super) fn fails(&mut self, why: impl Into<String>) {
        self.proof.failures.push(why.into());
    }

    pub(super) fn not_tried(&mut self, why: impl Into<String>) {
        self.proof.not_tried.push(why.into());
    }

    pub(super) fn add(&mut self, proof: Proof) {
        self.proof.facts.extend(proof.facts);
        self.proof.failures.extend(proof.failures);
        self.proof.not_tried.extend(proof.not_tried);
    }

    /// Notes an error of the snapshot, or of the host.
    pub(super) fn blame(&mut self, what: &str, verdict: &Verdict) {
        let line = format!("{what}: {}", verdict.why);
        if verdict.is_of_host { self.not_tried(line) } else { self.fails(line) }
    }

    pub(super) fn status(&self) -> DrillStatus {
        match (self.proof.failures.is_empty(), self.proof.not_tried.is_empty()) {
            (false, _) => DrillStatus::Failed,
            (true, false) => DrillStatus::Partial,
            (true, true) => DrillStatus::Passed,
        }
    }
}

pub(super) fn shortened(mut errors: Vec<String>) -> Vec<String> {
    let more = errors.len().saturating_sub(ERRORS_MAX);
    if more > 0 {
        errors.truncate(ERRORS_MAX);
        errors.push(format!("and {more} more"));
    }
    errors
}

/// What words say that stand for an error.
pub(super) fn of_words(why: &str) -> Verdict {
    let said = Failed::Upstream { system: String::new(), status: None, why: why.to_owned() };
    let verdict = Verdict::of(&said);
    let is_of_host = verdict.is_of_host || OF_PLACE.iter().any(|words| why.contains(words));
    Verdict { is_of_host, ..verdict }
}

/// Whether an error says something of the snapshot, and what.
pub(super) fn verdict(error: &Error) -> Verdict {
    if let Error::Connect(error) = error {
        return Verdict::of(error);
    }
    let of_host = [ErrorKind::NoSpace, ErrorKind::ReadOnly, ErrorKind::Io, ErrorKind::Busy];
    let is_of_host = matches!(error.kind(), Kind::Library(kind) if of_host.contains(&kind));
    Verdict { is_of_host, why: error.to_string() }
}

/// What came of a drill that was not made.
pub(super) fn of_error(error: &Error) -> DrillStatus {
    if verdict(error).is_of_host { DrillStatus::Partial } else { DrillStatus::Failed }
}
