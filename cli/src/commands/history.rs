//! `chronos history`: what was put back, and how it ended.

use chronos_server::operations::history::{HistoryRow, history};
use chronos_server::state::RollbackStatus;
use clap::Args;
use serde::Serialize;

use crate::context::App;
use crate::error::{Exit, Failure};
use crate::output::table::{Table, local_time};
use crate::values::parse_target;

/// List what was put back, newest first
///
/// Restores of the services and rollbacks, also those that failed. One whose process ended without a word is
/// `interrupted`. What was there before is in the snapshot under BEFORE.
#[derive(Debug, Args)]
pub(crate) struct History {
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
        let history = history(app.workplace()?, self.target.as_deref(), self.status, self.limit)?;
        let mut table =
            Table::new(&["ROLLBACK", "WHAT", "TARGET", "FROM", "STATUS", "BEGAN", "BEFORE", "ERROR"]);
        for row in &history {
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
        app.output.table(&table)?;
        app.output.document(&Document { count: history.len(), history })?;
        Ok(Exit::Done)
    }
}
