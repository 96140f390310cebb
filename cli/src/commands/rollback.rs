//! `chronos rollback`: a target, a source or one workflow back to an earlier state, over what is there.

use std::path::PathBuf;

use chronos_server::operations::Mode;
use chronos_server::operations::restore::{Part, Reach, RestoreRequest, restore};
use chronos_server::operations::rollback::{Outcome, VersionBack, WorkflowRollback, rollback_workflow};
use chronos_server::operations::versions::FIRST;
use chronos_server::state::RollbackType;
use chronos_snapshot::Strategy;
use clap::Args;

use crate::commands::restored::{exit, show};
use crate::context::App;
use crate::error::{Exit, Failure};
use crate::values::{parse_shown, parse_target};

/// Put a target, a source or one workflow back to an earlier state
///
/// What is there is kept as a snapshot of tier `emergency` first; without it nothing is touched, unless --force. What is
/// written goes to the places that are configured: files, databases, and the n8n that the workflows came from; with --target
/// to those of another target. Strategy new-location makes new databases of stored ones, beside what is there, and files
/// of all else in a new folder; it touches nothing that is there, and --dry-run names what it would make. Without
/// --version a workflow goes back to the newest stored version that differs from what is there; if there is none nothing
/// is touched, and the exit code is 1.
#[derive(Debug, Args)]
pub(crate) struct Rollback {
    /// Snapshot; `latest` is the newest that has what is asked for
    #[arg(value_name = "SNAP", value_parser = parse_shown(), required_unless_present = "workflow", conflicts_with = "workflow")]
    snapshot: Option<String>,

    /// Only this component, source or target; may be given several times
    #[arg(long = "component", value_name = "NAME", conflicts_with = "workflow")]
    components: Vec<String>,

    /// Only this table of a database, as schema.name, with all that belongs to it; may be given several times
    #[arg(long = "table", value_name = "TABLE", conflicts_with = "workflow")]
    tables: Vec<String>,

    /// Only this schema of a database, with all that is in it; may be given several times
    #[arg(long = "schema", value_name = "SCHEMA", conflicts_with = "workflow")]
    schemas: Vec<String>,

    /// How it is put back: overwrite, replace (and remove files and workflows that the snapshot does not have), merge (only what
    /// is missing) or new-location (databases as new ones, `NAME_YYYYMMDD_HHMMSS`, all else as files)
    #[arg(long, value_name = "STRATEGY", value_parser = parse_strategy, conflicts_with = "workflow")]
    strategy: Option<Strategy>,

    /// The new folder for what strategy new-location makes files of, which is meant if none is named; `restores/restore_NAME_TIME`
    /// if not given
    #[arg(long, value_name = "DIR", conflicts_with = "workflow")]
    to: Option<PathBuf>,

    /// Also where no snapshot of what is there can be made first
    #[arg(long, conflicts_with = "workflow")]
    force: bool,

    /// One workflow, by its id
    #[arg(long, value_name = "ID")]
    workflow: Option<String>,

    /// Its version: as n8n calls it, a content id of `chronos versions --workflow`, or a snapshot
    #[arg(id = "wanted", long = "version", value_name = "VERSION", conflicts_with = "snapshot")]
    version: Option<String>,

    /// The target that is written to, if not that of the snapshot; with --workflow the one whose n8n has it, control-plane if
    /// not given
    #[arg(long, value_name = "TARGET", value_parser = parse_target)]
    target: Option<String>,

    /// The fingerprint of the plan of a dry run: if another one holds now, nothing is touched
    #[arg(long, value_name = "FINGERPRINT")]
    fingerprint: Option<String>,

    /// Only say what would be done
    #[arg(short = 'n', long)]
    dry_run: bool,
}

fn parse_strategy(text: &str) -> Result<Strategy, String> {
    text.parse().map_err(|e: chronos_snapshot::Error| e.to_string())
}

impl Rollback {
    /// Runs the command.
    pub(crate) fn run(&self, app: &App) -> Result<Exit, Failure> {
        match &self.workflow {
            Some(id) => self.workflow(app, id),
            None => self.all(app),
        }
    }

    /// One workflow.
    fn workflow(&self, app: &App, id: &str) -> Result<Exit, Failure> {
        let request = WorkflowRollback {
            workflow_id: id.to_owned(),
            version_id: self.version.clone(),
            target: self.target.clone().unwrap_or_else(|| FIRST.to_owned()),
            mode: Mode::dry(self.dry_run),
            fingerprint: self.fingerprint.clone(),
        };
        let outcome = rollback_workflow(app.workplace()?, &app.open()?, &request)?;
        app.output.finish();
        let exit = match &outcome {
            Outcome::Done { version, restored, warnings, .. } => {
                warnings.iter().for_each(|warning| app.output.warning(warning));
                let goes = if self.dry_run { "would go" } else { "goes" };
                let (version, from) = (&version.version_id, &version.backup_id);
                app.output.line(format!("workflow {id} {goes} back to version {version} of {from}"))?;
                for workflow in restored.steps.iter().flat_map(|step| &step.workflows) {
                    for difference in &workflow.differences {
                        app.output.warning(format!("not as it was stored: {difference}"));
                    }
                }
                show(app, restored)?;
                exit(&restored.status)
            }
            Outcome::RequiresBackup { message, .. } => {
                app.output.line(message)?;
                Exit::Failed
            }
        };
        app.output.document(&VersionBack::of(outcome, id.to_owned()))?;
        Ok(exit)
    }

    /// A snapshot, or a part of it.
    fn all(&self, app: &App) -> Result<Exit, Failure> {
        let strategy = self.strategy.or_else(|| self.to.as_ref().map(|_| Strategy::NewLocation));
        // What makes a new place takes nothing back.
        let is_new = strategy == Some(Strategy::NewLocation);
        let request = RestoreRequest {
            backup: self.snapshot.clone().unwrap_or_default(),
            components: self.components.clone(),
            part: Part { tables: self.tables.clone(), schemas: self.schemas.clone() },
            target: self.target.clone(),
            strategy,
            path: self.to.clone(),
            reach: Reach::Here,
            mode: Mode::dry(self.dry_run),
            kind: if is_new { RollbackType::BackupRestore } else { RollbackType::Rollback },
            force: self.force,
            fingerprint: self.fingerprint.clone(),
            ..RestoreRequest::default()
        };
        let done = restore(app.workplace()?, &app.open()?, &request).map_err(|error| {
            let options = [
                ("components", "--component"),
                ("tables", "--table"),
                ("schemas", "--schema"),
                ("restore_target_path", "--to"),
            ];
            options.iter().fold(error, |error, (field, option)| error.of_field(field, option))
        })?;
        app.output.finish();
        show(app, &done)?;
        app.output.document(&done)?;
        Ok(exit(&done.status))
    }
}
