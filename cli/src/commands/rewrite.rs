//! `chronos rewrite`: snapshots anew without what must not be in them.

use std::collections::HashSet;

use chronos_server::workplace::client;
use chronos_snapshot::{
    Case, Patterns, RewriteMode, RewriteOptions, RewriteReport, Snapshot, chunks_of_excluded, counted,
    rewrite,
};
use chronos_store::SessionOptions;
use clap::Args;
use serde::Serialize;

use crate::commands::catalog::Catalog;
use crate::context::App;
use crate::error::{Exit, Failure};
use crate::output::table::size;

/// Make snapshots anew without what must not be in them, such as a leaked secret
///
/// The new snapshots keep times, names and tags; the old ones are forgotten. Small files are stored together: name all
/// snapshots that hold the secret or a file that was stored beside it, so that nothing needs its data any more. `chronos prune
/// --max-unused 0%` then removes it.
#[derive(Debug, Args)]
pub(crate) struct Rewrite {
    /// Snapshots
    #[arg(value_name = "SNAP", required = true)]
    snapshots: Vec<String>,

    /// What goes, with everything below it; may be given several times
    #[arg(long, value_name = "PATTERN", required = true)]
    exclude: Vec<String>,

    /// Compression, 1 (fast) to 19 (small)
    #[arg(long, value_name = "LEVEL", default_value_t = 3, value_parser = clap::value_parser!(i32).range(1..=19))]
    compression: i32,

    /// Only say what would go
    #[arg(short = 'n', long)]
    dry_run: bool,
}

/// One snapshot of the JSON document.
#[derive(Serialize)]
struct Rewritten {
    backup_id: String,
    snapshot: String,
    new_backup_id: Option<String>,
    new_snapshot: Option<String>,
    excluded: Vec<String>,
    files: u64,
    dirs: u64,
    bytes: u64,
    moved: u64,
    dry_run: bool,
}

impl Rewrite {
    /// Runs the command.
    pub(crate) fn run(&self, app: &App) -> Result<Exit, Failure> {
        let catalog = Catalog::open(app)?;
        let mut options = RewriteOptions {
            exclude: Patterns::new(&self.exclude, Case::Sensitive)?,
            mode: if self.dry_run { RewriteMode::DryRun } else { RewriteMode::Write },
            session: SessionOptions { client: client(), level: self.compression },
            apart: HashSet::new(),
        };
        let snapshots = catalog.resolve_all(app, &self.snapshots)?;
        if snapshots.len() > 1 {
            for snapshot in &snapshots {
                chronos_store::check_cancelled(&*app.output.monitor())?;
                options.apart.extend(chunks_of_excluded(&catalog.repository, snapshot, &options.exclude)?);
            }
        }
        let mut answers = Vec::new();
        for snapshot in snapshots {
            chronos_store::check_cancelled(&*app.output.monitor())?;
            let report = rewrite(&catalog.repository, &snapshot, &options)?;
            Self::show(app, &snapshot, &report)?;
            answers.push(Rewritten {
                backup_id: snapshot.manifest.backup_id.clone(),
                snapshot: snapshot.id.to_string(),
                new_backup_id: report.snapshot.as_ref().map(|(_, id)| id.clone()),
                new_snapshot: report.snapshot.as_ref().map(|(id, _)| id.to_string()),
                excluded: report.excluded.iter().map(ToString::to_string).collect(),
                files: report.files,
                dirs: report.dirs,
                bytes: report.bytes,
                moved: report.moved,
                dry_run: self.dry_run,
            });
        }
        app.output.document(&answers)?;
        if !self.dry_run && answers.iter().any(|a| a.new_snapshot.is_some()) {
            app.output.note(
                "The old data is in the repository until `chronos prune --max-unused 0%` has run, and as long as snapshots \
                 that were not named need what was stored with it.",
            );
        }
        Ok(catalog.exit())
    }

    fn show(app: &App, snapshot: &Snapshot, report: &RewriteReport) -> Result<(), Failure> {
        let id = &snapshot.manifest.backup_id;
        for path in &report.excluded {
            app.output.line(format!("{id}: without {path}"))?;
        }
        let what = format!("{}, {}", counted(report.files, "file"), size(report.bytes));
        match &report.snapshot {
            Some((_, new)) => app.output.summary(format!("{id} is now {new}: {what} left out")),
            None if report.excluded.is_empty() && report.moved == 0 => {
                app.output.summary(format!("{id}: nothing fits, unchanged"))
            }
            None => app.output.summary(format!("{id}: {what} would be left out")),
        }
    }
}
