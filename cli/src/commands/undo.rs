//! `chronos undo`: what a rollback did, undone.

use chronos_server::operations::Mode;
use chronos_server::operations::undo::{UndoRequest, undo};
use clap::Args;

use crate::commands::restored::{exit, show};
use crate::context::App;
use crate::error::{Exit, Failure};

/// Undo a rollback: what was there before comes back, and what it made goes
#[derive(Debug, Args)]
pub(crate) struct Undo {
    /// The rollback, by its id; `chronos history` lists them
    rollback_id: String,

    /// Only say what would be done
    #[arg(short = 'n', long)]
    dry_run: bool,

    /// The fingerprint of the plan of a dry run: if another one holds now, nothing is touched
    #[arg(long, value_name = "FINGERPRINT")]
    fingerprint: Option<String>,
}

impl Undo {
    /// Runs the command.
    pub(crate) fn run(&self, app: &App) -> Result<Exit, Failure> {
        let repository = app.open()?;
        let request = UndoRequest {
            rollback_id: self.rollback_id.clone(),
            mode: Mode::dry(self.dry_run),
            fingerprint: self.fingerprint.clone(),
        };
        let done = undo(app.workplace()?, &repository, &request)?;
        app.output.finish();
        for restored in &done.restores {
            show(app, restored)?;
        }
        for told in done.warnings.iter().chain(&done.errors) {
            app.output.warning(told);
        }
        if done.restores.len() != 1 {
            app.output.summary(&done.message)?;
        }
        app.output.document(&done)?;
        Ok(exit(&done.status))
    }
}
