//! `chronos repair`: mends what can be mended; deletes nothing that it cannot read or does not know.

use chronos_server::workplace::client;
use chronos_snapshot::{RewriteMode, counted, repair_snapshot};
use chronos_store::{Finding, RepairReport, SessionOptions};
use clap::{Args, Subcommand};
use serde::Serialize;

use crate::commands::catalog::Catalog;
use crate::context::App;
use crate::error::{Exit, Failure};

/// Repair a damaged repository
///
/// Nothing that cannot be read or is not known is deleted. Run `chronos check` first, and a backup: what still exists at
/// its source is then stored anew.
#[derive(Debug, Args)]
pub(crate) struct Repair {
    #[command(subcommand)]
    what: What,
}

/// What is repaired.
#[derive(Debug, Subcommand)]
enum What {
    /// Write the index anew from the packs, and the state of the log from its records
    Index(How),
    /// Save what is readable of damaged packs into new ones
    Packs(How),
    /// Make damaged snapshots anew of what can still be read of them; the damaged ones stay
    Snapshots(Which),
}

/// Which snapshots.
#[derive(Debug, Args)]
struct Which {
    /// Snapshots [default: all]
    #[arg(value_name = "SNAP")]
    snapshots: Vec<String>,

    #[command(flatten)]
    how: How,
}

/// How.
#[derive(Debug, Args)]
struct How {
    /// Only say what would be done
    #[arg(short = 'n', long)]
    dry_run: bool,
}

/// The JSON document.
#[derive(Serialize)]
struct Repaired<'a> {
    status: &'static str,
    dry_run: bool,
    actions: &'a [String],
    errors: &'a [Finding],
}

impl Repair {
    /// Runs the command.
    pub(crate) fn run(&self, app: &App) -> Result<Exit, Failure> {
        let (report, dry_run) = match &self.what {
            What::Index(how) => (app.open()?.repair_index(how.dry_run)?, how.dry_run),
            What::Packs(how) => (app.open()?.repair_packs(how.dry_run)?, how.dry_run),
            What::Snapshots(which) => (which.repair(app)?, which.how.dry_run),
        };
        app.output.finish();
        show(app, &report, dry_run)?;
        Ok(if report.errors.is_empty() { Exit::Done } else { Exit::Damage })
    }
}

impl Which {
    fn repair(&self, app: &App) -> Result<RepairReport, Failure> {
        /// Compression of what is stored again; the usual one.
        const LEVEL: i32 = 3;
        let catalog = Catalog::open(app)?;
        let chosen = match self.snapshots.as_slice() {
            [] => catalog.snapshots.clone(),
            names => catalog.resolve_all(app, names)?,
        };
        let mode = if self.how.dry_run { RewriteMode::DryRun } else { RewriteMode::Write };
        let session = SessionOptions { client: client(), level: LEVEL };
        let mut report = RepairReport::default();
        report.errors.extend(catalog.unreadable());
        for snapshot in chosen {
            chronos_store::check_cancelled(&*app.output.monitor())?;
            let done = repair_snapshot(&catalog.repository, &snapshot, mode, &session)?;
            let id = &snapshot.manifest.backup_id;
            if done.lost.is_empty() {
                continue;
            }
            let name = done.snapshot.map_or_else(|| "a new snapshot".to_owned(), |(_, new)| new);
            report
                .actions
                .push(format!("{id}: {} can be read: saved as {name}", counted(done.files, "file")));
            report.errors.extend(done.lost.into_iter().map(|lost| Finding {
                object: format!("{id}: {}", lost.path),
                problem: lost.error,
                snapshots: vec![snapshot.session.clone()],
            }));
        }
        Ok(report)
    }
}

fn show(app: &App, report: &RepairReport, dry_run: bool) -> Result<(), Failure> {
    let out = &app.output;
    for action in &report.actions {
        out.line(if dry_run { format!("would: {action}") } else { action.clone() })?;
    }
    for error in &report.errors {
        out.warning(format!("cannot be mended: {}: {}", error.object, error.problem));
    }
    if report.actions.is_empty() && report.errors.is_empty() {
        out.summary("Nothing to repair")?;
    }
    out.document(&Repaired {
        status: match (report.errors.is_empty(), dry_run) {
            (true, true) => "planned",
            (true, false) => "completed",
            (false, _) => "damaged",
        },
        dry_run,
        actions: &report.actions,
        errors: &report.errors,
    })
}
