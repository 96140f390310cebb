//! `chronos check`: the integrity of the whole repository.

use chronos_server::operations::verify::check;
use chronos_server::parse_size;
use chronos_snapshot::counted;
use chronos_store::{CheckReport, Finding, ReadData};
use clap::Args;
use serde::Serialize;

use crate::context::App;
use crate::error::{Exit, Failure};
use crate::output::table::size;

/// Check the whole repository
///
/// Without --read-data the structure is checked: that everything which is listed can be found. Damaged packs that are
/// met are put aside, so that the next backup stores anew what it still finds at the source.
#[derive(Debug, Args)]
pub(crate) struct Check {
    /// Read the stored data too: all, a share such as 10%, or an amount such as 5G; what was not read for longest comes
    /// first
    #[arg(long, value_name = "N%|SIZE", num_args = 0..=1, require_equals = true, default_missing_value = "100%",
          value_parser = parse_read)]
    read_data: Option<ReadData>,
}

/// The JSON document.
#[derive(Serialize)]
struct Checked<'a> {
    status: &'static str,
    snapshots: u64,
    packs: u64,
    packs_read: u64,
    bytes_read: u64,
    chunks_read: u64,
    errors: &'a [Finding],
    notes: &'a [Finding],
}

fn parse_read(text: &str) -> Result<ReadData, String> {
    if let Some(number) = text.strip_suffix('%') {
        let share: f64 = number.trim().parse().map_err(|_| format!("{text:?} is not a share such as 10%"))?;
        return match share {
            100.0 => Ok(ReadData::All),
            share if share > 0.0 && share < 100.0 => Ok(ReadData::Share(share / 100.0)),
            _ => Err("a share lies above 0% and not above 100%".into()),
        };
    }
    Ok(ReadData::Bytes(parse_size(text)?))
}

impl Check {
    /// Runs the command.
    pub(crate) fn run(&self, app: &App) -> Result<Exit, Failure> {
        let repository = app.open()?;
        let report = check(app.workplace()?, &repository, self.read_data.unwrap_or(ReadData::None))?;
        app.output.finish();
        show(app, &report)?;
        app.output.document(&Checked {
            status: if report.errors.is_empty() { "ok" } else { "damaged" },
            snapshots: report.snapshots,
            packs: report.packs,
            packs_read: report.packs_read,
            bytes_read: report.bytes_read,
            chunks_read: report.chunks_read,
            errors: &report.errors,
            notes: &report.notes,
        })?;
        Ok(if report.errors.is_empty() { Exit::Done } else { Exit::Damage })
    }
}

fn show(app: &App, report: &CheckReport) -> Result<(), Failure> {
    let out = &app.output;
    for note in &report.notes {
        out.note(format!("{}: {}", note.object, note.problem));
    }
    for error in &report.errors {
        let needed = match error.snapshots.len() {
            0 => String::new(),
            n => format!(" (needed by {})", counted(n, "snapshot")),
        };
        out.line(format!("{}: {}{needed}", error.object, error.problem))?;
    }
    out.summary(format!(
        "{}, {}; {} read ({}, {})",
        counted(report.snapshots, "snapshot"),
        counted(report.packs, "pack"),
        counted(report.packs_read, "pack"),
        size(report.bytes_read),
        counted(report.chunks_read, "chunk")
    ))?;
    if report.errors.is_empty() {
        return out.summary("No damage found");
    }
    out.line(format!("Damage found: {}. Nothing was deleted.", counted(report.errors.len(), "problem")))?;
    out.note(
        "Back up again: what still exists at its source is stored anew. Then `chronos repair packs`, `chronos repair index`, \
         and `chronos verify` of the snapshots that are marked corrupted: those that are whole again lose the mark.",
    );
    Ok(())
}
