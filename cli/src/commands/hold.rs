//! `chronos hold` and `chronos release`: snapshots that nothing may remove, and the end of that.

use chronos_server::operations::Named;
use chronos_server::operations::hold::{self, hold};
use clap::Args;
use serde::Serialize;

use crate::commands::catalog::Catalog;
use crate::commands::marks::Which;
use crate::context::App;
use crate::error::{Exit, Failure};

/// Protect snapshots: neither retention nor delete removes them
#[derive(Debug, Args)]
pub(crate) struct Hold {
    #[command(flatten)]
    which: Which,
}

/// Give held snapshots back to retention
#[derive(Debug, Args)]
pub(crate) struct Release {
    #[command(flatten)]
    which: Which,
}

/// The JSON document.
#[derive(Serialize)]
struct Document {
    #[serde(flatten)]
    outcome: Outcome,
    dry_run: bool,
}

/// What was done with which snapshots.
#[derive(Serialize)]
#[serde(rename_all = "lowercase")]
enum Outcome {
    Held(Vec<Named>),
    Released(Vec<Named>),
}

impl Hold {
    /// Runs the command.
    pub(crate) fn run(&self, app: &App) -> Result<Exit, Failure> {
        mark(
            &self.which,
            app,
            hold::Hold::Held,
            "held: neither retention nor delete removes it",
            Outcome::Held,
        )
    }
}

impl Release {
    /// Runs the command.
    pub(crate) fn run(&self, app: &App) -> Result<Exit, Failure> {
        mark(
            &self.which,
            app,
            hold::Hold::Released,
            "released: retention decides about it again",
            Outcome::Released,
        )
    }
}

fn mark(
    which: &Which,
    app: &App,
    protection: hold::Hold,
    said: &str,
    outcome: fn(Vec<Named>) -> Outcome,
) -> Result<Exit, Failure> {
    let catalog = Catalog::open(app)?;
    let chosen = catalog.resolve_all(app, &which.snapshots)?;
    hold(&catalog, &chosen, protection, which.mode())?;
    for snapshot in &chosen {
        let id = &snapshot.manifest.backup_id;
        let verb = if which.dry_run { "would be" } else { "is" };
        app.output.summary(format!("{id} {verb} {said}"))?;
    }
    let outcome = outcome(chosen.iter().map(Named::from).collect());
    app.output.document(&Document { outcome, dry_run: which.dry_run })?;
    Ok(catalog.exit())
}
