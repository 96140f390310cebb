//! `chronos repair`: mends what can be mended; deletes nothing that it cannot read or does not know.

use chronos_store::{Finding, RepairReport};
use clap::{Args, Subcommand};
use serde::Serialize;

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
    /// Write the index anew from the packs
    Index(How),
    /// Save what is readable of damaged packs into new ones
    Packs(How),
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
        let repository = app.open()?;
        let (report, dry_run) = match &self.what {
            What::Index(how) => (repository.repair_index(how.dry_run)?, how.dry_run),
            What::Packs(how) => (repository.repair_packs(how.dry_run)?, how.dry_run),
        };
        app.output.finish();
        show(app, &report, dry_run)?;
        Ok(if report.errors.is_empty() { Exit::Done } else { Exit::Damage })
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
