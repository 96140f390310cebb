//! The sources of a backup that have failed, and whether the others gave what they have to.
//!
//! One failed source leaves the others as they are and makes the snapshot partial. If all have failed and none gave
//! anything whole before that, there is nothing to make a snapshot of. A part of a source that cannot be read is missing
//! alone; its source counts as failed, but what else it gives is stored.

use std::collections::BTreeMap;

use chronos_store::Monitor;

use crate::backup::options::BackupOptions;
use crate::backup::report::BackupReport;
use crate::backup::requirements::{Requirement, is_named, is_part};
use crate::error::{Error, ErrorKind, FailedSource, Result};
use crate::node::Node;
use crate::path::TreePath;
use crate::record::SourceResult;
use crate::source::{Item, Source, SourceOutcome, none};

/// Parts of a source that a manifest names; it is read with every listing.
const PARTS_MAX: usize = 1_000;
/// Notes likewise.
const NOTES_MAX: usize = 100;

/// The items of a source.
pub(crate) type Stream = Box<dyn Iterator<Item = Item> + Send>;

/// Which sources have failed, by number.
#[derive(Debug)]
pub(crate) struct Failures {
    sources: Vec<State>,
}

#[derive(Debug)]
struct State {
    name: String,
    /// What is missing if it fails, for people and for a restore that removes what a snapshot does not have.
    paths: Vec<String>,
    requirement: Option<Requirement>,
    /// As it was in the last good snapshot, if its drop is limited.
    before: Option<SourceResult>,
    /// What of `requirement.required` was not seen yet.
    missing: Vec<String>,
    /// Entries that were stored and are no folders.
    stored: u64,
    /// Things that could not be read.
    problems: u64,
    error: Option<Error>,
    /// Of its parts, while the rest of it went on.
    broken: Vec<Error>,
}

impl State {
    fn new(source: &dyn Source, options: &BackupOptions, before: &BTreeMap<String, SourceResult>) -> Self {
        let name = source.name();
        let mut paths: Vec<String> = source.paths().into_iter().filter(|p| p.starts_with('/')).collect();
        if paths.is_empty() {
            paths.push(name.clone());
        }
        let requirement = options.requirements.get(&name).cloned();
        let missing = requirement.as_ref().map(|r| r.required.clone()).unwrap_or_default();
        let before = before.get(&name).cloned();
        Self {
            name,
            paths,
            requirement,
            before,
            missing,
            stored: 0,
            problems: 0,
            error: None,
            broken: Vec::new(),
        }
    }
}

impl Failures {
    /// None yet. Refuses a requirement of a source that there is not.
    pub(crate) fn new(
        sources: &[Box<dyn Source>],
        options: &BackupOptions,
        before: &BTreeMap<String, SourceResult>,
    ) -> Result<Self> {
        let sources: Vec<State> = sources.iter().map(|s| State::new(s.as_ref(), options, before)).collect();
        match options.requirements.keys().find(|name| !sources.iter().any(|s| s.name == **name)) {
            Some(name) => {
                Err(Error::Invalid(format!("something is required of source {name}, which is not backed up")))
            }
            None => Ok(Self { sources }),
        }
    }

    /// Opens every source; those that cannot be opened have failed.
    pub(crate) fn open(
        &mut self,
        sources: &mut [Box<dyn Source>],
        monitor: &dyn Monitor,
    ) -> Result<Vec<Stream>> {
        let mut streams = Vec::with_capacity(sources.len());
        for (number, source) in sources.iter_mut().enumerate() {
            streams.push(match source.open() {
                Ok(stream) => stream,
                Err(error) if error.kind() == ErrorKind::Interrupted => return Err(error),
                Err(error) => {
                    self.add(number, error, monitor);
                    none()
                }
            });
        }
        Ok(streams)
    }

    /// Whether a source has failed.
    pub(crate) fn has(&self, source: usize) -> bool {
        self.sources.get(source).is_some_and(|s| s.error.is_some())
    }

    /// The name of a source.
    pub(crate) fn name(&self, source: usize) -> String {
        self.sources.get(source).map(|s| s.name.clone()).unwrap_or_default()
    }

    /// Notes that an entry of a source was stored.
    pub(crate) fn stored(&mut self, source: usize, path: &TreePath, node: &Node) {
        let Some(state) = self.sources.get_mut(source).filter(|_| !node.is_dir()) else { return };
        state.stored += 1;
        if !state.missing.is_empty() {
            state.missing.retain(|name| !is_named(path, name));
        }
    }

    /// Notes that something of a source could not be read.
    pub(crate) fn problem(&mut self, source: usize) {
        if let Some(state) = self.sources.get_mut(source) {
            state.problems += 1;
        }
    }

    /// Notes that a source has failed; only the first reason counts.
    pub(crate) fn add(&mut self, source: usize, error: Error, monitor: &dyn Monitor) {
        if let Some(state) = self.sources.get_mut(source).filter(|s| s.error.is_none()) {
            monitor.left_out(&format!("source {}: {error}", state.name));
            state.error = Some(error);
        }
    }

    /// Notes that a part of a source could not be read, while the rest of it goes on.
    pub(crate) fn add_part(&mut self, source: usize, error: Error, monitor: &dyn Monitor) {
        if let Some(state) = self.sources.get_mut(source) {
            monitor.left_out(&format!("source {}: {error}", state.name));
            state.problems += 1;
            state.broken.push(error);
        }
    }

    /// Asks every source what it has to say, now that all it gave is stored, and tells in `report` what is missing; an error
    /// if no source gave anything whole.
    pub(crate) fn finish(
        mut self,
        sources: &[Box<dyn Source>],
        report: &mut BackupReport,
        monitor: &dyn Monitor,
    ) -> Result<()> {
        for state in &mut self.sources {
            state.settle();
            let is_required = state.requirement.as_ref().is_some_and(|r| !r.optional);
            if is_required && state.stored == 0 && state.error.is_none() {
                let why = "it gave nothing, and is not optional".to_owned();
                state.error = Some(Error::Source { name: state.name.clone(), why });
            }
        }
        let failed = self.sources.iter().any(|s| s.error.is_some());
        if failed && self.sources.iter().all(|s| s.stored == 0 && (s.error.is_some() || s.is_absent())) {
            return Err(self.total());
        }
        for (number, (state, source)) in self.sources.iter_mut().zip(sources).enumerate() {
            state.missing.retain(|name| !source.holds(name));
            let outcome = source.outcome();
            state.missing.retain(|name| !outcome.parts.iter().any(|part| is_part(part, name)));
            state.tell(number, outcome, report, monitor);
        }
        Ok(())
    }

    /// Why there is no snapshot. The only source's own error stays as it is.
    fn total(self) -> Error {
        let failed = |s: State| Some(FailedSource { name: s.name, error: s.error? });
        let mut failed: Vec<FailedSource> = self.sources.into_iter().filter_map(failed).collect();
        match failed.pop() {
            Some(only) if failed.is_empty() => only.error,
            last => {
                failed.extend(last);
                Error::AllFailed(failed)
            }
        }
    }
}

impl State {
    /// If it gave nothing at all, that its parts could not be read is its failure as a whole.
    fn settle(&mut self) {
        if self.stored > 0 || self.error.is_some() {
            return;
        }
        let mut broken = std::mem::take(&mut self.broken);
        let why = joined(&broken);
        self.error = match (broken.pop(), broken.is_empty()) {
            (Some(only), true) => Some(only),
            (last, _) => last.map(|_| Error::Source { name: self.name.clone(), why }),
        };
    }

    /// Enters what became of the source.
    fn tell(&self, number: usize, outcome: SourceOutcome, report: &mut BackupReport, monitor: &dyn Monitor) {
        let incomplete = outcome.incomplete.clone();
        let Some(result) = report.sources.get_mut(number) else { return };
        say(result, outcome);
        result.failed = self.error.is_some() || !self.broken.is_empty();
        let unmet = if self.error.is_none() { self.unmet(result, incomplete) } else { None };
        let failed = joined(self.broken.iter().chain(&self.error));
        let why: Vec<&str> =
            [failed.as_str()].into_iter().chain(unmet.as_deref()).filter(|w| !w.is_empty()).collect();
        let why = why.join("; ");
        if self.is_absent() {
            result.error = (!why.is_empty()).then(|| format!("{why}; it is optional"));
            report.errors_allowed += self.problems;
            return;
        }
        if self.problems <= self.requirement.as_ref().map_or(0, |r| r.read_errors_max) {
            report.errors_allowed += self.problems;
        }
        // Of what failed it was said at once.
        if let Some(unmet) = unmet {
            monitor.left_out(&format!("source {}: {unmet}", self.name));
        }
        if !why.is_empty() {
            report.fail_source(number, &self.paths, &why);
        }
    }

    /// Whether it gave nothing, and need not.
    fn is_absent(&self) -> bool {
        self.stored == 0 && self.requirement.as_ref().is_some_and(|r| r.optional)
    }

    /// Why what it gave is not whole.
    fn unmet(&self, result: &SourceResult, incomplete: Option<String>) -> Option<String> {
        let requirement = self.requirement.as_ref().filter(|_| !self.is_absent());
        let unmet =
            requirement.and_then(|r| r.unmet(result, self.before.as_ref(), &self.missing, self.problems));
        let why: Vec<String> = incomplete.into_iter().chain(unmet).collect();
        (!why.is_empty()).then(|| why.join("; "))
    }
}

fn joined<'e>(errors: impl IntoIterator<Item = &'e Error>) -> String {
    errors.into_iter().map(ToString::to_string).collect::<Vec<_>>().join("; ")
}

/// Keeps what a source says of itself, within limits.
fn say(result: &mut SourceResult, outcome: SourceOutcome) {
    let SourceOutcome { mut parts, mut notes, .. } = outcome;
    let left = notes.len().saturating_sub(NOTES_MAX);
    if left > 0 {
        notes.truncate(NOTES_MAX);
        notes.push(format!("{left} more notes"));
    }
    let left = parts.len().saturating_sub(PARTS_MAX);
    if left > 0 {
        parts.truncate(PARTS_MAX);
        notes.push(format!("{left} more parts are not named here"));
    }
    (result.parts, result.notes) = (parts, notes);
}
