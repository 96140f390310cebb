//! `chronos diff`: what differs between two snapshots, or between a snapshot and what is there now.

use chronos_server::operations::diff::{DiffRequest, Reach, Row, ValueChange, Values, diff};
use chronos_snapshot::Change;
use clap::Args;
use serde::Serialize;

use crate::commands::catalog::Catalog;
use crate::context::App;
use crate::error::{Exit, Failure};
use crate::values::parse_shown;

/// Show what differs between two snapshots, or between a snapshot and what is there now
///
/// Lines begin with + (added), - (removed) or M (changed, with what has changed). A JSON file that is named by itself
/// is compared value by value. `live` means the files on disk that the snapshot was made of, and the workflows of its
/// n8n; databases are named as what cannot be compared so.
#[derive(Debug, Args)]
pub(crate) struct Diff {
    /// The older side: SNAP, SNAP:PATH, or `live`
    #[arg(value_name = "A", value_parser = parse_shown())]
    from: String,

    /// The newer side: SNAP, SNAP:PATH, or `live`
    #[arg(value_name = "B", value_parser = parse_shown())]
    to: String,

    /// Only at and below this path
    #[arg(long, value_name = "PATH")]
    path: Option<String>,
}

/// The JSON document.
#[derive(Default, Serialize)]
struct Document {
    from: String,
    to: String,
    added: Vec<Row>,
    removed: Vec<Row>,
    changed: Vec<Row>,
    #[serde(skip_serializing_if = "Option::is_none")]
    values: Option<Vec<ValueChange>>,
    not_compared: Vec<String>,
    errors: Vec<String>,
}

impl Diff {
    /// Runs the command.
    pub(crate) fn run(&self, app: &App) -> Result<Exit, Failure> {
        let catalog = Catalog::open(app)?;
        let request = DiffRequest {
            from: self.from.clone(),
            to: self.to.clone(),
            path: self.path.clone(),
            values: Values::Named,
            reach: Reach::Anywhere,
        };
        let found = diff(app.workplace()?, &catalog, &request)?;
        for note in found.notes.iter().chain(&found.not_compared) {
            app.output.warning(note);
        }
        let mut document = Document {
            from: found.from.clone(),
            to: found.to.clone(),
            not_compared: found.not_compared.clone(),
            ..Document::default()
        };
        let is_live = found.is_live;
        let monitor = app.output.monitor();
        for row in found {
            chronos_store::check_cancelled(&*monitor)?;
            match row {
                Ok(row) => add(app, row, &mut document)?,
                Err(error) => {
                    app.output.warning(&error);
                    document.errors.push(error.to_string());
                }
            }
        }
        for value in document.values.iter().flatten() {
            app.output.line(format!("  {}", serde_json::to_string(value).unwrap_or_default()))?;
        }
        app.output.summary(format!(
            "{} added, {} removed, {} changed",
            document.added.len(),
            document.removed.len(),
            document.changed.len()
        ))?;
        let exit = match (document.errors.is_empty(), is_live) {
            (true, _) => catalog.exit(),
            (false, false) => Exit::Damage,
            (false, true) => catalog.exit().worst(Exit::Partial),
        };
        app.output.document(&document)?;
        Ok(exit)
    }
}

fn add(app: &App, mut row: Row, document: &mut Document) -> Result<(), Failure> {
    let mark = match row.change {
        Change::Added => '+',
        Change::Removed => '-',
        Change::Changed => 'M',
    };
    let aspects: Vec<String> = row.aspects.iter().map(|a| format!("{a:?}").to_lowercase()).collect();
    let why = if aspects.is_empty() { String::new() } else { format!(" ({})", aspects.join(", ")) };
    app.output.line(format!("{mark} {}{why}", row.path))?;
    if let Some(values) = row.values.take() {
        document.values = Some(values);
    }
    match row.change {
        Change::Added => document.added.push(row),
        Change::Removed => document.removed.push(row),
        Change::Changed => document.changed.push(row),
    }
    Ok(())
}
