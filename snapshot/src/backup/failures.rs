//! The sources of a backup that have failed, and what the others say of themselves in the end.
//!
//! One failed source leaves the others as they are and makes the snapshot partial. If all have failed and none gave
//! anything whole before that, there is nothing to make a snapshot of.

use chronos_store::Monitor;

use crate::backup::report::BackupReport;
use crate::error::{Error, ErrorKind, FailedSource, Result};
use crate::node::Node;
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
    /// Whether anything but folders was stored.
    stored: bool,
}

#[derive(Debug)]
struct State {
    name: String,
    /// What is missing if it fails, for people and for a restore that removes what a snapshot does not have.
    paths: Vec<String>,
    error: Option<Error>,
}

impl Failures {
    /// None yet.
    pub(crate) fn new(sources: &[Box<dyn Source>]) -> Self {
        let state = |s: &dyn Source| {
            let mut paths: Vec<String> = s.paths().into_iter().filter(|p| p.starts_with('/')).collect();
            if paths.is_empty() {
                paths.push(s.name());
            }
            State { name: s.name(), paths, error: None }
        };
        Self { sources: sources.iter().map(|s| state(s.as_ref())).collect(), stored: false }
    }

    /// Opens every source; those that cannot be opened have failed.
    pub(crate) fn open(
        &mut self,
        sources: &mut [Box<dyn Source>],
        report: &mut BackupReport,
        monitor: &dyn Monitor,
    ) -> Result<Vec<Stream>> {
        let mut streams = Vec::with_capacity(sources.len());
        for (number, source) in sources.iter_mut().enumerate() {
            streams.push(match source.open() {
                Ok(stream) => stream,
                Err(error) if error.kind() == ErrorKind::Interrupted => return Err(error),
                Err(error) => {
                    self.add(number, error, report, monitor);
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

    /// Notes that an entry was stored.
    pub(crate) fn stored(&mut self, node: &Node) {
        self.stored |= !node.is_dir();
    }

    /// Notes that a source has failed; only the first reason counts.
    pub(crate) fn add(
        &mut self,
        number: usize,
        error: Error,
        report: &mut BackupReport,
        monitor: &dyn Monitor,
    ) {
        let Some(source) = self.sources.get_mut(number).filter(|s| s.error.is_none()) else { return };
        monitor.left_out(&format!("source {}: {error}", source.name));
        report.fail_source(number, &source.paths, &error.to_string());
        if let Some(result) = report.sources.get_mut(number) {
            result.failed = true;
        }
        source.error = Some(error);
    }

    /// Asks every source what it has to say, now that all it gave is stored; an error if no source gave anything whole.
    pub(crate) fn finish(
        mut self,
        sources: &[Box<dyn Source>],
        report: &mut BackupReport,
        monitor: &dyn Monitor,
    ) -> Result<()> {
        if !self.stored && self.sources.iter().all(|s| s.error.is_some()) {
            return Err(self.total());
        }
        for (number, source) in sources.iter().enumerate() {
            let SourceOutcome { incomplete, mut parts, mut notes } = source.outcome();
            let state = self.sources.get_mut(number).filter(|s| s.error.is_none());
            if let (Some(why), Some(state)) = (incomplete, state) {
                monitor.left_out(&format!("source {}: {why}", state.name));
                report.fail_source(number, &state.paths, &why);
            }
            cut(&mut notes, NOTES_MAX, |more| format!("… and {more} more notes"));
            let left = parts.len().saturating_sub(PARTS_MAX);
            if left > 0 {
                parts.truncate(PARTS_MAX);
                notes.push(format!("{left} more parts are not named here"));
            }
            if let Some(result) = report.sources.get_mut(number) {
                (result.parts, result.notes) = (parts, notes);
            }
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

fn cut(list: &mut Vec<String>, max: usize, more: impl Fn(usize) -> String) {
    let left = list.len().saturating_sub(max);
    if left > 0 {
        list.truncate(max);
        list.push(more(left));
    }
}
