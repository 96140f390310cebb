//! What a place keeps of the contract that repositories rest on, by trying it.
//!
//! Everything is written below `probe/` and a random name, and removed again; nothing else is touched, so a repository may lie there.

mod folders;
mod report;
#[cfg(test)]
mod tests;

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use chronos_store::backend::conformance::{CHECKS, Check, Ground, Handles, Standing, Trouble};
use chronos_store::backend::{Backend, BackendExt, BackendResult};
use chronos_store::{Monitor, Result, check_cancelled};

use crate::location::Location;
use crate::open::{OpenOptions, open};
use folders::Folders;

pub use report::{Capability, ProbeReport, Suitability};

/// Where all probes write.
const AREA: &str = "probe/";

/// How much is tried.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Depth {
    /// What has to be known before a repository is made: some 180 small requests.
    Core,
    /// The whole contract: some 700 requests and 30 MB each way.
    Full,
}

impl Depth {
    fn has(self, check: &Check) -> bool {
        check.standing != Standing::Program && (self == Self::Full || check.is_core)
    }
}

/// Tries a place over two connections of its own. `id` is random, and names what is written.
///
/// # Errors
/// If the place cannot be opened or does not answer, or the monitor asks to stop; nothing stays then either.
pub fn probe(
    location: &Location,
    options: &OpenOptions,
    depth: Depth,
    id: [u8; 16],
    monitor: &dyn Monitor,
) -> Result<ProbeReport> {
    // A copy on this host would hide what the store says.
    let options = OpenOptions { cache_dir: None, ..options.clone() };
    let handles = (open(location, &options)?, open(location, &options)?);
    let folders = Folders::before(location);
    let outcome = try_out(&handles, depth, id, monitor);
    folders.restore();
    outcome
}

/// Tries what lies behind two handles.
fn try_out(handles: &Handles, depth: Depth, id: [u8; 16], monitor: &dyn Monitor) -> Result<ProbeReport> {
    let own = format!("{AREA}{}/", hex::encode(id));
    // Also says whether the place answers at all.
    let found = listed(&*handles.0)?;
    monitor.phase("probe");
    let chosen: Vec<&Check> = CHECKS.iter().filter(|check| depth.has(check)).collect();
    monitor.total(chosen.len() as u64, 0);
    let mut report = ProbeReport::default();
    let mut stopped = Ok(());
    for (n, check) in chosen.into_iter().enumerate() {
        stopped = check_cancelled(monitor);
        if stopped.is_err() {
            break;
        }
        monitor.item(check.what.as_bytes());
        let ground = Ground::new(handles, &format!("{own}{n}/"));
        let trouble = check.run(&ground).err();
        if let Err(error) = ground.clear() {
            report.left.get_or_insert_with(|| error.to_string());
        }
        monitor.advance(1, 0);
        let what = check.what;
        report.capabilities.push(Capability {
            what,
            standing: check.standing,
            trouble,
            requests: ground.requests(),
        });
    }
    tidy(&handles.0, &own, found, &mut report)?;
    stopped.map(|()| report)
}

/// The objects of all probes, by probe.
fn listed(backend: &dyn Backend) -> BackendResult<BTreeMap<String, BTreeSet<String>>> {
    let mut all: BTreeMap<String, BTreeSet<String>> = BTreeMap::new();
    for entry in backend.list_all(AREA)? {
        let probe = entry.name.splitn(3, '/').take(2).map(|part| format!("{part}/")).collect();
        all.entry(probe).or_default().insert(entry.name);
    }
    Ok(all)
}

/// Removes what a probe that was killed has left: it did nothing while this one worked. Says what is left of this one.
fn tidy(
    backend: &Arc<dyn Backend>,
    own: &str,
    found: BTreeMap<String, BTreeSet<String>>,
    report: &mut ProbeReport,
) -> BackendResult<()> {
    let now = listed(&**backend)?;
    if let Some(name) = now.get(own).and_then(|left| left.first()) {
        report.left.get_or_insert_with(|| format!("{name} is still there although it was removed"));
    }
    let dead = found.into_iter().filter(|(probe, objects)| now.get(probe) == Some(objects));
    for name in dead.flat_map(|(_, objects)| objects) {
        match backend.remove(&name) {
            Ok(()) => report.removed += 1,
            Err(error) => drop(report.left.get_or_insert_with(|| error.to_string())),
        }
    }
    Ok(())
}

/// Whether the trouble says that something does not hold.
fn is_broken(trouble: Option<&Trouble>) -> bool {
    matches!(trouble, Some(Trouble::Broken(_)))
}
