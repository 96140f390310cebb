//! `chronos schedule`: what is done by itself, and when: listed, added, removed, switched off and on.

use chronos_server::operations::schedules::{
    NewSchedule, ScheduleChange, ScheduleState, add, change, list, remove,
};
use chronos_server::schedule::{Job, Origin};
use chronos_snapshot::printable;
use clap::{Args, Subcommand, ValueEnum};
use serde::Serialize;

use crate::context::App;
use crate::error::{Exit, Failure};
use crate::output::table::{Table, local_time};

/// Text below the help of `add`.
const WHEN: &str = "\
When: minute, hour, day of the month, month, day of the week, such as '30 2 * * *' (daily at 02:30), '*/10 * * * *',
'0 4 L * *' (the last day of each month), '0 3 * * MON#1' (its first Monday); or @hourly, @daily, @weekly, @monthly,
@yearly. What the clock skips when it is put forward is done right after, what it shows twice is done once, and what was
missed while nothing ran is done once.";

/// List, add, remove, or switch what is done by itself
#[derive(Debug, Args)]
pub(crate) struct Schedule {
    #[command(subcommand)]
    action: Action,
}

/// What is done.
#[derive(Debug, Subcommand)]
enum Action {
    /// List the schedules: those of the configuration file (the usual ones if it has none) and those that were added
    List,
    /// Add a schedule
    #[command(after_help = WHEN)]
    Add(Add),
    /// Remove a schedule that was added
    Remove {
        /// Its name
        name: String,
    },
    /// Switch a schedule on: it counts from now
    Enable {
        /// Its name
        name: String,
    },
    /// Switch a schedule off
    Disable {
        /// Its name
        name: String,
    },
}

/// A new schedule.
#[derive(Debug, Args)]
struct Add {
    /// Its name; made of what it does if absent
    name: Option<String>,

    /// When it is due
    #[arg(long, value_name = "WHEN")]
    cron: String,

    /// What is done
    #[arg(long, value_enum, default_value = "backup")]
    job: JobName,

    /// Whose; all targets, or the repository as a whole, if absent
    #[arg(long)]
    target: Option<String>,

    /// Why the snapshots are made, which decides how long they stay; `scheduled` if absent
    #[arg(long)]
    tier: Option<String>,

    /// What they take: full, workflows, database, config, incremental; full if absent
    #[arg(long = "type", value_name = "TYPE")]
    backup_type: Option<String>,

    /// Only look whether something changed, and make a snapshot only then
    #[arg(long)]
    on_change: bool,

    /// Where the clock hangs, such as Europe/Berlin; UTC if absent
    #[arg(long, value_name = "ZONE")]
    timezone: Option<String>,

    /// Begin up to so much later, differently each time, such as 10min
    #[arg(long, value_name = "TIME")]
    jitter: Option<String>,

    /// Switched off for now
    #[arg(long)]
    disabled: bool,
}

/// Jobs, as they are typed.
#[derive(Clone, Copy, Debug, ValueEnum)]
enum JobName {
    Backup,
    Verify,
    Cleanup,
    Drill,
}

impl From<JobName> for Job {
    fn from(name: JobName) -> Self {
        match name {
            JobName::Backup => Self::Backup,
            JobName::Verify => Self::Verify,
            JobName::Cleanup => Self::Cleanup,
            JobName::Drill => Self::Drill,
        }
    }
}

/// The JSON document of what changes schedules.
#[derive(Serialize)]
struct Changed<'a> {
    status: &'static str,
    id: &'a str,
    schedule: Option<&'a ScheduleState>,
}

impl Schedule {
    /// Runs the command.
    pub(crate) fn run(&self, app: &App) -> Result<Exit, Failure> {
        let workplace = app.workplace()?;
        match &self.action {
            Action::List => {
                let found = list(workplace)?;
                app.output.document(&found)?;
                app.output.table(&table(&found))?;
            }
            Action::Add(new) => {
                let added = add(workplace, &new.schedule())?;
                tell(app, "added", "Added", &added)?;
            }
            Action::Remove { name } => {
                remove(workplace, name)?;
                app.output.summary(format!("Removed: {}", printable(name.as_bytes())))?;
                app.output.document(&Changed { status: "removed", id: name, schedule: None })?;
            }
            Action::Enable { name } => {
                tell(
                    app,
                    "enabled",
                    "Switched on",
                    &change(workplace, name, &ScheduleChange::switch(true))?,
                )?;
            }
            Action::Disable { name } => {
                tell(
                    app,
                    "disabled",
                    "Switched off",
                    &change(workplace, name, &ScheduleChange::switch(false))?,
                )?;
            }
        }
        Ok(Exit::Done)
    }
}

impl Add {
    fn schedule(&self) -> NewSchedule {
        NewSchedule {
            id: self.name.clone(),
            job: self.job.into(),
            target: self.target.clone(),
            tier: self.tier.clone(),
            backup_type: self.backup_type.clone(),
            on_change: self.on_change,
            cron: self.cron.clone(),
            timezone: self.timezone.clone(),
            jitter: self.jitter.clone(),
            enabled: !self.disabled,
        }
    }
}

fn tell(app: &App, status: &'static str, verb: &str, schedule: &ScheduleState) -> Result<(), Failure> {
    let next = schedule.next_run.as_ref().map(|next| format!("; next at {}", local_time(next)));
    app.output.summary(format!(
        "{verb}: {}{}",
        printable(schedule.id.as_bytes()),
        next.unwrap_or_default()
    ))?;
    app.output.document(&Changed { status, id: &schedule.id, schedule: Some(schedule) })
}

fn table(found: &[ScheduleState]) -> Table {
    let mut table = Table::new(&[
        "NAME", "JOB", "TARGET", "TIER", "TYPE", "WHEN", "ZONE", "NEXT", "LAST RUN", "STATUS", "FROM",
    ]);
    for schedule in found {
        let whose = match (&schedule.target, schedule.job) {
            (Some(target), _) => target.clone(),
            (None, Job::Backup) => schedule.targets.join(", "),
            (None, _) => String::new(),
        };
        let next = schedule.next_run.as_ref().map(|next| local_time(next));
        let kind = schedule.backup_type.clone().unwrap_or_default();
        table.row([
            schedule.id.clone(),
            schedule.job.word().to_owned(),
            whose,
            schedule.tier.clone().unwrap_or_default(),
            if schedule.on_change { format!("{kind}, if changed") } else { kind },
            schedule.cron.clone(),
            schedule.timezone.clone(),
            next.unwrap_or_else(|| "off".to_owned()),
            schedule.last_run.as_ref().map_or_else(|| "never".to_owned(), |run| local_time(run)),
            schedule.last_status.clone().unwrap_or_default(),
            match schedule.origin {
                Origin::Config => "configuration",
                Origin::Added => "added",
                Origin::BuiltIn => "usual",
            }
            .to_owned(),
        ]);
    }
    table
}
