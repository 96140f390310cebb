//! Probing: what a place for repositories keeps of what they rest on.

use chronos_remote::{Capability, Depth, Location, ProbeReport, Suitability};
use chronos_store::backend::conformance::{Standing, Trouble};
use serde::Serialize;

use crate::error::Result;
use crate::workplace::Workplace;
use crate::workplace::location::shown_place;

/// What was seen at a place.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Probed {
    /// The place.
    pub location: String,
    /// `many writers`, `single maintainer` or `unfit`.
    pub verdict: &'static str,
    /// Why, in a sentence.
    pub why: String,
    /// What was tried, in its order.
    pub capabilities: Vec<Seen>,
    /// Requests in all.
    pub requests: u64,
    /// Objects that an earlier probe had left, and that were removed.
    pub removed: u64,
    /// Why something that a probe wrote is still there.
    pub left: Option<String>,
}

/// One thing that was tried.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Seen {
    /// What should hold.
    pub capability: &'static str,
    /// `holds`, `does not hold` or `not tried`.
    pub seen: &'static str,
    /// Why not.
    pub why: Option<String>,
    /// What rests on it.
    pub needed_for: &'static str,
    /// How many requests that took.
    pub requests: u64,
}

/// Tries the whole contract at a place. What is written for that is removed again.
///
/// # Errors
/// If the place cannot be spoken to, or the monitor asks to stop.
pub fn probe(workplace: &Workplace, place: &Location) -> Result<(Suitability, Probed)> {
    let report = workplace.probe(place, Depth::Full)?;
    let (suitability, why) = report.verdict();
    let requests = report.requests();
    let ProbeReport { capabilities, removed, left } = report;
    let capabilities = capabilities.into_iter().map(seen).collect();
    let (location, verdict) = (shown_place(place), suitability.as_str());
    Ok((suitability, Probed { location, verdict, why, capabilities, requests, removed, left }))
}

fn seen(capability: Capability) -> Seen {
    let Capability { what, standing, trouble, requests } = capability;
    let (seen, why) = match trouble {
        None => ("holds", None),
        Some(Trouble::Broken(why)) => ("does not hold", Some(why)),
        Some(Trouble::Untried(why)) => ("not tried", Some(why)),
    };
    let needed_for = match standing {
        Standing::Exactness => "many writers",
        Standing::Removal => "giving space back",
        Standing::Foundation | Standing::Program => "everything",
    };
    Seen { capability: what, seen, why, needed_for, requests }
}
