//! `chronos backup --target all`: a run over several targets.

use chronos_server::operations::backup::{ALL, Part, Several, SeveralRequest, several};
use serde::Serialize;
use serde_json::Value;

use crate::commands::backup::{Backup, exit, show};
use crate::context::App;
use crate::error::{Exit, Failure};

/// The JSON document.
#[derive(Serialize)]
struct Document {
    backup_id: String,
    target: &'static str,
    tier: String,
    status: &'static str,
    created_at: String,
    backups: Vec<Value>,
}

/// A target of the document that has no snapshot.
#[derive(Serialize)]
struct Failed<'a> {
    target: &'a str,
    backup_id: Option<&'a str>,
    status: &'static str,
    error: &'a str,
}

impl Backup {
    /// Backs up several configured targets.
    pub(super) fn several(&self, app: &App) -> Result<Exit, Failure> {
        let request = SeveralRequest { targets: self.targets.clone(), each: self.request()? };
        let workplace = app.workplace()?;
        request.check(workplace)?;
        let repository = app.open_or_create()?;
        let run = several(workplace, &repository, &request)?;
        app.output.finish();
        let status = run.status();
        let Several { run_id, began, parts } = run;
        let (mut exits, mut backups) = (Vec::new(), Vec::new());
        for Part { target, outcome } in parts {
            app.output.summary(format!("{target}:"))?;
            match outcome {
                Ok(made) => {
                    show(app, &repository, &made)?;
                    exits.push(exit(&made.report));
                    backups.push(json(&made.report)?);
                }
                Err(error) => {
                    let backup_id = error.backup_id().map(str::to_owned);
                    let failure = Failure::from(error);
                    app.output.warning(format!("{target}: no snapshot was made: {}", failure.message));
                    exits.push(failure.exit);
                    let (backup_id, error) = (backup_id.as_deref(), &*failure.message);
                    backups.push(json(&Failed { target: &target, backup_id, status: "failed", error })?);
                }
            }
        }
        app.output.summary(format!("Run {run_id} {status}"))?;
        let (tier, created_at) = (self.tier.clone(), began.to_string());
        app.output.document(&Document {
            backup_id: run_id,
            target: ALL,
            tier,
            status,
            created_at,
            backups,
        })?;
        Ok(worst(&exits))
    }
}

/// What failed beside something that did not is a run done in part.
fn worst(exits: &[Exit]) -> Exit {
    let worst = exits.iter().fold(Exit::Done, |worst, exit| worst.worst(*exit));
    if worst != Exit::Done && exits.contains(&Exit::Done) { worst.worst(Exit::Partial) } else { worst }
}

fn json(value: &impl Serialize) -> Result<Value, Failure> {
    serde_json::to_value(value)
        .map_err(|e| Failure::new(Exit::Failed, format!("the answer cannot be shown as JSON: {e}")))
}
