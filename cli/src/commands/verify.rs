//! `chronos verify`: reads back all that some snapshots need.

use chronos_snapshot::{Depth, Snapshot, verify};
use chronos_store::{ErrorKind, Finding, Verdict, VerifyReport};
use clap::Args;
use serde::Serialize;

use crate::commands::catalog::Catalog;
use crate::context::App;
use crate::error::{Exit, Failure};
use crate::output::snapshot::rfc3339;
use crate::output::table::size;

/// Read back and check everything that snapshots need
///
/// The outcome is kept with the snapshot: it becomes verified, corrupted or missing.
#[derive(Debug, Args)]
pub(crate) struct Verify {
    /// Snapshots
    #[arg(value_name = "SNAP", required = true)]
    snapshots: Vec<String>,

    /// Only look whether everything is there; the outcome is kept only if something is missing
    #[arg(long)]
    quick: bool,
}

/// One snapshot of the JSON document.
#[derive(Serialize)]
#[expect(clippy::struct_field_names, reason = "names of the JSON document")]
struct Verified {
    backup_id: String,
    snapshot: String,
    status: &'static str,
    valid: bool,
    checksum: String,
    file_count: u64,
    chunks: u64,
    bytes_read: u64,
    verified_at: Option<String>,
    errors: Vec<Finding>,
}

impl Verify {
    /// Runs the command.
    pub(crate) fn run(&self, app: &App) -> Result<Exit, Failure> {
        let catalog = Catalog::open(app)?;
        let mut exit = catalog.exit();
        let mut answers = Vec::new();
        for snapshot in catalog.resolve_all(app, &self.snapshots)? {
            let depth = if self.quick { Depth::Presence } else { Depth::Everything };
            let report = verify(&catalog.repository, &catalog.view, &snapshot, depth)?;
            app.output.finish();
            // A clock beyond the years that 64 bits can tell (1677 to 2262): the outcome counts, its time is left out.
            let at = i64::try_from(app.env.clock.now()).ok();
            self.keep(app, &catalog, &snapshot, &report, at)?;
            show(app, &snapshot, &report)?;
            if report.verdict != Verdict::Verified {
                exit = exit.worst(Exit::Damage);
            }
            answers.push(Verified {
                backup_id: snapshot.manifest.backup_id.clone(),
                snapshot: snapshot.id.to_string(),
                status: if report.verdict == Verdict::Verified { "verified" } else { "failed" },
                valid: report.verdict == Verdict::Verified,
                checksum: snapshot.manifest.tree.to_string(),
                file_count: snapshot.manifest.files,
                chunks: report.chunks,
                bytes_read: report.bytes,
                verified_at: at.and_then(rfc3339),
                errors: report.errors,
            });
        }
        if answers.iter().any(|a| !a.valid) {
            app.output.note(
                "Nothing was deleted. `chronos backup` stores anew what still exists; then `chronos repair packs`.",
            );
        }
        app.output.document(&answers)?;
        Ok(exit)
    }

    /// Keeps the outcome in the repository, if it can be written.
    fn keep(
        &self,
        app: &App,
        catalog: &Catalog,
        snapshot: &Snapshot,
        report: &VerifyReport,
        at: Option<i64>,
    ) -> Result<(), Failure> {
        if self.quick && report.verdict == Verdict::Verified {
            return Ok(());
        }
        let verdict = report.verdict;
        let kept = catalog.repository.change(&|view| {
            let row = view.snapshots().find(|r| r.session == snapshot.session);
            // A snapshot that was deleted meanwhile needs no verdict.
            let Some(row) = row else { return Ok(None) };
            let mut edited = row.marks.clone();
            edited.verdict = Some(verdict);
            edited.verified_at = at;
            Ok(Some(chronos_store::Change::Mark { marks: vec![(row.session.clone(), edited)] }))
        });
        match kept {
            Ok(_) => Ok(()),
            Err(e) if e.kind() == ErrorKind::ReadOnly => {
                app.output.note("The repository is read-only: the outcome is not kept in it.");
                Ok(())
            }
            Err(e) => Err(e.into()),
        }
    }
}

fn show(app: &App, snapshot: &Snapshot, report: &VerifyReport) -> Result<(), Failure> {
    let id = &snapshot.manifest.backup_id;
    match report.verdict {
        Verdict::Verified => app.output.summary(format!(
            "{id} is good: {} chunks, {} read and checked",
            report.chunks,
            size(report.bytes)
        )),
        bad => {
            for finding in &report.errors {
                app.output.warning(format!("{}: {}", finding.object, finding.problem));
            }
            let what = if bad == Verdict::Missing { "is missing" } else { "is damaged" };
            app.output.line(format!("{id}: part of it {what}; the rest can be restored"))
        }
    }
}
