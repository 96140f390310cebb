//! Makes a snapshot of what sources give.
//!
//! Order (design.md §3.3): the session is begun, the previous snapshot is chosen in the session's own
//! view (W2, W3), content and tree are stored (W4), and the decision that names them comes last (W5).
//! Whatever ends a backup early closes its session, so that the next one finds what was uploaded.

mod ahead;
mod base;
mod content;
mod extents;
mod failures;
mod file;
mod literals;
mod manifest;
mod matching;
mod options;
mod parent;
mod pipeline;
mod report;
mod requirements;
mod sink;
mod worker;

#[cfg(test)]
mod tests;

use std::sync::Arc;

use chronos_store::{ChunkId, Repository, Session};

pub use manifest::read_errors;
pub(crate) use manifest::store_errors;
pub use options::{
    BACKUP_TYPES, BackupOptions, ChangeTest, NAME_BYTES_MAX, Outcome, ParentChoice, TAGS_MAX, TEXT_BYTES_MAX,
    TIERS, check_name, check_target,
};
pub use report::BackupReport;
pub(crate) use report::MANIFEST_ERRORS_MAX;
pub use requirements::Requirement;

use crate::backup::failures::Failures;
use crate::backup::parent::{Cursor, Previous};
use crate::backup::pipeline::Run;
use crate::backup::sink::{Dry, Output, Sink};
use crate::error::{Error, Result};
use crate::record::SourceResult;
use crate::source::{Merged, Source};
use crate::tree::TreeBuilder;

/// Backs up all of `sources` as one snapshot.
///
/// Things that cannot be read are counted and named, and so are sources that fail; the snapshot is then `partial`. An
/// error means that no snapshot was made, since the repository failed or every source did; what was uploaded until then
/// is found by the next backup.
pub fn backup(
    repository: &Repository,
    mut sources: Vec<Box<dyn Source>>,
    options: &BackupOptions,
) -> Result<BackupReport> {
    let options = options.clone().checked()?;
    if sources.is_empty() {
        return Err(Error::Invalid("there is nothing to back up: no source was given".to_owned()));
    }
    if options.outcome == Outcome::DryRun {
        return dry_run(repository, &mut sources, &options);
    }
    match attempt(repository, &mut sources, &options) {
        Err(Error::Store(chronos_store::Error::SessionLost(session)))
            if sources.iter().all(|s| s.is_repeatable()) =>
        {
            repository
                .monitor()
                .problem(&format!("session {session} was ended by another process; once more"));
            attempt(repository, &mut sources, &options)
        }
        outcome => outcome,
    }
}

fn attempt(
    repository: &Repository,
    sources: &mut [Box<dyn Source>],
    options: &BackupOptions,
) -> Result<BackupReport> {
    let began = repository.env().clock.now();
    let session = repository.begin(options.session.clone())?;
    let filled = fill(repository, &session, sources, options, began);
    match filled {
        Ok(Filled { report, manifest: None, .. }) => {
            let mut report = report;
            report.take_stats(&session.close()?);
            Ok(report)
        }
        Ok(Filled { mut report, manifest: Some(manifest), roots }) => {
            report.session = Some(session.id().clone());
            let (id, stats) = session.commit(&roots, &manifest)?;
            report.snapshot = Some(id);
            report.take_stats(&stats);
            report.duration_ms = manifest::elapsed_ms(repository, began);
            Ok(report)
        }
        Err(error) => {
            // The first error is the one to report; a session that cannot be closed now is closed by the next run.
            if let Err(e) = session.close() {
                repository.monitor().problem(&format!("the session stays open until the next run: {e}"));
            }
            Err(error)
        }
    }
}

/// A session's content, ready to be decided.
struct Filled {
    report: BackupReport,
    /// `None`: nothing has changed and no snapshot is wanted.
    manifest: Option<Vec<u8>>,
    roots: Vec<ChunkId>,
}

fn fill(
    repository: &Repository,
    session: &Session,
    sources: &mut [Box<dyn Source>],
    options: &BackupOptions,
    began: i128,
) -> Result<Filled> {
    let paths = paths(sources);
    let previous = parent::find(session.view(), options, &paths)?;
    let sink = Sink::Session(session);
    let mut cursor = Cursor::new(&session.view().reader(), &previous, Some(session), options.changes);
    let mut tree = Output::Tree(Box::new(TreeBuilder::new(session)));
    let mut report = read(repository, &sink, sources, options, &previous, &mut cursor, &mut tree)?;
    let Output::Tree(builder) = tree else { return Err(Error::Refused("no tree was built".to_owned())) };
    let root = builder.finish()?;
    manifest::describe(&mut report, repository, options, began)?;
    report.unchanged =
        !report.is_partial() && previous.good.as_ref().is_some_and(|good| good.manifest.tree == root);
    report.take_stats(&session.stats());
    manifest::status(&report).clone_into(&mut report.status);
    if let (true, Outcome::SnapshotIfChanged, Some(good)) =
        (report.unchanged, options.outcome, &previous.good)
    {
        report.backup_id.clone_from(&good.manifest.backup_id);
        report.snapshot = Some(good.id);
        return Ok(Filled { report, manifest: None, roots: Vec::new() });
    }
    let errors = manifest::store_errors(session, &report.errors)?;
    report.backup_id = manifest::claim_id(repository, session, options, &report.created_at)?;
    // The manifest tells what the snapshot added, so this must be known before.
    report.take_stats(&session.flush()?);
    report.duration_ms = manifest::elapsed_ms(repository, began);
    let manifest = manifest::encode(&report, options, paths, root, errors, began)?;
    Ok(Filled { report, manifest: Some(manifest), roots: [root].into_iter().chain(errors).collect() })
}

/// Takes everything from the sources to `sink` and `tree`.
fn read<'r>(
    repository: &'r Repository,
    sink: &'r Sink<'r>,
    sources: &mut [Box<dyn Source>],
    options: &BackupOptions,
    previous: &Previous,
    cursor: &mut Cursor<'_>,
    output: &mut Output<'_>,
) -> Result<BackupReport> {
    let monitor = repository.monitor().as_ref();
    monitor.phase("read");
    if let Some(parent) = &previous.parent {
        monitor.total(parent.manifest.files + parent.manifest.dirs, parent.manifest.size_bytes);
    }
    let alone = sources.len() == 1;
    let result = |s: &dyn Source| SourceResult {
        name: s.name(),
        kind: s.kind().to_owned(),
        component: s.component(),
        paths: if alone { Vec::new() } else { s.paths() },
        ..SourceResult::default()
    };
    let report = BackupReport {
        sources: sources.iter().map(|s| result(s.as_ref())).collect(),
        parent: parent::id(previous.parent.as_ref()),
        ..BackupReport::default()
    };
    let mut failures = Failures::new(sources, options, &previous.sources)?;
    let streams = failures.open(sources, monitor)?;
    let tree = cursor.tree();
    let run = Run { repository, sink, previous: tree.as_ref(), monitor, threads: options.threads };
    let (mut report, failures) =
        pipeline::run(&run, Merged::strict(streams), cursor, (report, failures), output)?;
    failures.finish(sources, &mut report, monitor)?;
    for problem in cursor.problems.drain(..) {
        monitor.problem(&format!("of the previous snapshot: {problem}; what it describes was read anew"));
    }
    Ok(report)
}

fn dry_run(
    repository: &Repository,
    sources: &mut [Box<dyn Source>],
    options: &BackupOptions,
) -> Result<BackupReport> {
    let began = repository.env().clock.now();
    let view = repository.view()?;
    let previous = parent::find(&view, options, &paths(sources))?;
    let sink = Sink::Dry(Dry::new(repository, Arc::clone(&view)));
    let mut cursor = Cursor::new(&view.reader(), &previous, None, options.changes);
    let mut report = read(repository, &sink, sources, options, &previous, &mut cursor, &mut Output::Dry)?;
    manifest::describe(&mut report, repository, options, began)?;
    report.take_stats(&sink.stats());
    manifest::status(&report).clone_into(&mut report.status);
    report.dry_run = true;
    report.duration_ms = manifest::elapsed_ms(repository, began);
    Ok(report)
}

fn paths(sources: &[Box<dyn Source>]) -> Vec<String> {
    sources.iter().flat_map(|s| s.paths()).collect()
}
