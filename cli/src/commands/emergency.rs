//! `chronos emergency`: what is done at once, in two steps.

use chronos_server::operations::emergency::{Action, EmergencyDone, EmergencyRequest, emergency};
use clap::{Args, ValueEnum};

use crate::commands::restored::{exit, word};
use crate::context::App;
use crate::error::{Exit, Failure};

/// Act in an emergency: stop or start all workflows, restart services, restore the latest
#[derive(Debug, Args)]
pub(crate) struct Emergency {
    /// What is done
    #[arg(value_enum)]
    action: Word,

    /// The target; `all` for restart-services of every target
    #[arg(long, value_name = "TARGET", default_value = "control-plane")]
    target: String,

    /// Do it; without this it is only said what would be done
    #[arg(long)]
    confirm: bool,
}

/// The actions as the command line calls them.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum Word {
    /// The newest good workflows of a target come back; all of a target that has no n8n
    RestoreLatest,
    /// Everything is recovered from its newest good snapshots
    RestoreAll,
    /// Every active workflow of a target is made inactive
    DeactivateAll,
    /// The commands of the configuration that restart services are run
    RestartServices,
    /// What was made inactive in an emergency is active again
    Reactivate,
}

impl From<Word> for Action {
    fn from(word: Word) -> Self {
        match word {
            Word::RestoreLatest => Self::RestoreLatest,
            Word::RestoreAll => Self::RestoreAll,
            Word::DeactivateAll => Self::DeactivateAll,
            Word::RestartServices => Self::RestartServices,
            Word::Reactivate => Self::Reactivate,
        }
    }
}

impl Emergency {
    /// Runs the command.
    pub(crate) fn run(&self, app: &App) -> Result<Exit, Failure> {
        let action = Action::from(self.action);
        let workplace = app.workplace()?;
        // The others can do without it.
        let needs_it = matches!(action, Action::RestoreLatest | Action::RestoreAll);
        let opened = needs_it.then(|| app.open()).transpose()?;
        let open = || match &opened {
            Some(repository) => Ok(repository.clone()),
            None => Ok(workplace.open()?.repository),
        };
        let request = EmergencyRequest { action, target: self.target.clone(), confirm: self.confirm };
        let done = emergency(workplace, &open, &request)?;
        app.output.finish();
        show(app, &done)?;
        app.output.document(&done)?;
        Ok(exit(&done.status))
    }
}

fn show(app: &App, done: &EmergencyDone) -> Result<(), Failure> {
    let out = &app.output;
    let lists = [("deactivated", &done.deactivated), ("activated", &done.reactivated), ("would", &done.plan)];
    for (what, list) in lists {
        list.iter().try_for_each(|one| out.line(format!("{what} {one}")))?;
    }
    for restarted in &done.restarted {
        let said =
            if restarted.output.is_empty() { String::new() } else { format!(": {}", restarted.output) };
        out.line(format!("restarted {}{said}", restarted.target))?;
    }
    for workflow in &done.restored {
        out.line(format!("{} {} ({})", word(&workflow.action), workflow.name, workflow.id))?;
    }
    for failure in &done.errors {
        out.warning(format!("{}: {}", failure.id, failure.error));
    }
    for warning in done.warnings.iter().chain(&done.warning) {
        out.warning(warning);
    }
    if done.status == "confirmation_required" {
        return match &done.backup_id {
            Some(id) if done.plan.is_empty() => {
                out.summary(format!("There is nothing to do: {} is as in {id}", done.target))
            }
            Some(id) => out.summary(format!("Nothing was changed; the same with --confirm restores {id}")),
            None => out.summary("Nothing was changed; the same with --confirm does it"),
        };
    }
    out.summary(&done.message)?;
    if let Some(id) = &done.rollback_id {
        out.summary(format!("It is {id} in the history"))?;
    }
    Ok(())
}
