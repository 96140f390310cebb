//! `chronos history`: what was put back, and how it ended.

use chronos_server::operations::history::{HistoryRow, entry, history};
use chronos_server::state::RollbackStatus;
use clap::Args;
use serde::Serialize;

use crate::context::App;
use crate::error::{Exit, Failure};
use crate::output::table::{Table, local_time};
use crate::values::parse_target;

/// List what was put back, newest first
///
/// Restores of the services, rollbacks, recoveries, emergencies and undos, also those that failed; `chronos restore` keeps what was
/// there as a snapshot of tier restore-point and is not among them. One whose process ended without a word is
/// `interrupted`. What was there before is in the snapshot under BEFORE.
#[derive(Debug, Args)]
pub(crate) struct History {
    /// Only this one, with its parts and what undid it
    #[arg(value_name = "ROLLBACK_ID", conflicts_with_all = ["target", "status", "limit"])]
    rollback: Option<String>,

    /// Of this target
    #[arg(long, value_name = "TARGET", value_parser = parse_target)]
    target: Option<String>,

    /// That stand so: running, completed, partial, failed, interrupted, requires-backup
    #[arg(long, value_name = "STATUS", value_parser = parse_status)]
    status: Option<RollbackStatus>,

    /// At most so many
    #[arg(long, value_name = "N", default_value_t = 50)]
    limit: u32,
}

/// The JSON document.
#[derive(Serialize)]
struct Document {
    history: Vec<HistoryRow>,
    count: usize,
}

fn parse_status(text: &str) -> Result<RollbackStatus, String> {
    RollbackStatus::of_word(&text.replace('-', "_"))
        .ok_or_else(|| format!("there are {}", RollbackStatus::ALL.map(RollbackStatus::word).join(", ")))
}

impl History {
    /// Runs the command.
    pub(crate) fn run(&self, app: &App) -> Result<Exit, Failure> {
        if let Some(id) = &self.rollback {
            return one(app, id);
        }
        let history = history(app.workplace()?, self.target.as_deref(), self.status, self.limit)?;
        show(app, &history)?;
        if history.is_empty() {
            app.output.note("Nothing that fits was put back from here.");
        }
        app.output.document(&Document { count: history.len(), history })?;
        Ok(Exit::Done)
    }
}

/// One of them, with its parts and what undid it.
fn one(app: &App, id: &str) -> Result<Exit, Failure> {
    let found = entry(app.workplace()?, id)?;
    show(app, std::slice::from_ref(&found.row))?;
    for (what, rows) in [("Its parts:", &found.parts), ("Undone by:", &found.undone_by)] {
        if !rows.is_empty() {
            app.output.line(what)?;
            show(app, rows)?;
        }
    }
    let said = found.report.as_ref().and_then(|report| report.get("message")?.as_str());
    if let Some(said) = said {
        app.output.line(said)?;
    }
    app.output.document(&found)?;
    Ok(Exit::Done)
}

fn show(app: &App, rows: &[HistoryRow]) -> Result<(), Failure> {
    let mut table = Table::new(&["ROLLBACK", "WHAT", "TARGET", "FROM", "STATUS", "BEGAN", "BEFORE", "ERROR"]);
    for row in rows {
        let from = row.workflow_id.as_ref().or(row.source_backup_id.as_ref());
        table.row([
            row.rollback_id.clone(),
            row.rollback_type.clone(),
            row.target.clone(),
            from.cloned().unwrap_or_default(),
            row.status.to_owned(),
            row.created_at.as_ref().map(|time| local_time(time)).unwrap_or_default(),
            row.pre_rollback_backup.clone().unwrap_or_default(),
            row.error_message.clone().unwrap_or_default(),
        ]);
    }
    app.output.table(&table)
}
