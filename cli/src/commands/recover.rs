//! `chronos recover` and `chronos rebuild`: everything back, in the fixed order.

use chronos_server::operations::Mode;
use chronos_server::operations::recover::{
    RebuildRequest, RecoverRequest, Recovery, StepReport, StepState, rebuild, recover,
};
use chronos_server::state::RollbackType;
use clap::Args;

use crate::commands::restored::{exit, show_would, word};
use crate::context::App;
use crate::error::{Exit, Failure};
use crate::output::table::{Table, duration};

/// Recover everything that is configured: config, event bus, databases, files, n8n, agents
#[derive(Debug, Args)]
pub(crate) struct Recover {
    /// A snapshot, a run, or `latest`; a snapshot names a moment: nothing later is taken
    #[arg(default_value = "latest")]
    snapshot: String,

    /// Only this target, component or source; several: all of them
    #[arg(long = "component", value_name = "NAME")]
    components: Vec<String>,

    /// Take up a recovery that broke off: what it brought back stays, the rest comes from the same snapshots
    #[arg(long, value_name = "ROLLBACK_ID", conflicts_with_all = ["snapshot", "components"])]
    resume: Option<String>,

    /// Only say what would be done
    #[arg(short = 'n', long)]
    dry_run: bool,

    /// Also where no snapshot of what is there can be made first
    #[arg(long)]
    force: bool,
}

/// Rebuild from a repository onto a machine that may be empty
#[derive(Debug, Args)]
pub(crate) struct Rebuild {
    /// Where the repository is
    source: String,

    /// Only this target, component or source; several: all of them
    #[arg(long = "component", value_name = "NAME")]
    components: Vec<String>,

    /// Take up a rebuild that broke off
    #[arg(long, value_name = "ROLLBACK_ID", conflicts_with = "components")]
    resume: Option<String>,

    /// Only say what would be done
    #[arg(short = 'n', long)]
    dry_run: bool,

    /// Also where no snapshot of what is there can be made first
    #[arg(long)]
    force: bool,
}

impl Recover {
    /// Runs the command.
    pub(crate) fn run(&self, app: &App) -> Result<Exit, Failure> {
        let repository = app.open()?;
        let request = RecoverRequest {
            backup: self.snapshot.clone(),
            components: self.components.clone(),
            resume: self.resume.clone(),
            mode: Mode::dry(self.dry_run),
            kind: RollbackType::Recover,
            force: self.force,
        };
        told(app, &recover(app.workplace()?, &repository, &request)?, "recover")
    }
}

impl Rebuild {
    /// Runs the command.
    pub(crate) fn run(&self, app: &App) -> Result<Exit, Failure> {
        let request = RebuildRequest {
            source: self.source.clone(),
            components: self.components.clone(),
            resume: self.resume.clone(),
            mode: Mode::dry(self.dry_run),
            force: self.force,
        };
        told(app, &rebuild(app.workplace()?, &request)?, &format!("rebuild {}", self.source))
    }
}

/// Shows what was done, step by step.
fn told(app: &App, recovery: &Recovery, again: &str) -> Result<Exit, Failure> {
    app.output.finish();
    for warning in &recovery.warnings {
        app.output.warning(warning);
    }
    let mut table = Table::new(&["STEP", "TARGET", "SOURCES", "FROM", "STATUS", "TOOK"]);
    for step in recovery.steps.iter().chain(&recovery.missing) {
        table.row([
            word(&step.phase),
            step.target.clone(),
            step.sources.join(", "),
            step.backup_id.clone(),
            if recovery.is_planned() { planned(step).to_owned() } else { word(&step.status) },
            if step.status == StepState::NotBegun { String::new() } else { duration(step.duration_ms) },
        ]);
    }
    app.output.table(&table)?;
    for step in recovery.steps.iter().chain(&recovery.missing) {
        if let Some(restored) = step.restored.as_ref().filter(|r| r.dry_run) {
            app.output.line(format!("{} of {}:", step.sources.join(", "), step.target))?;
            show_would(app, restored)?;
        }
        if let Some(error) = &step.error {
            app.output.warning(format!("{} of {}: {error}", step.sources.join(", "), step.target));
        }
    }
    app.output.summary(&recovery.message)?;
    if let Some(id) = recovery.rollback_id.as_ref().filter(|_| recovery.status != "completed") {
        app.output.note(format!(
            "`chronos {again} --resume {id}` takes it up again, `chronos undo {id}` undoes it"
        ));
    }
    app.output.document(recovery)?;
    Ok(exit(&recovery.status))
}

/// How a step of a plan stands.
fn planned(step: &StepReport) -> &'static str {
    match (step.status, step.backup_id.is_empty()) {
        (StepState::Resumed, _) => "is back",
        (_, true) => "missing",
        _ => "planned",
    }
}
