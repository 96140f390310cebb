//! `chronos jobs`: what the service has done, does and will do; looked at, cancelled, watched, also without it.

use std::time::Duration;

use chronos_server::jobs::{Cancelling, JobView, cancel, list, show};
use chronos_server::state::{JobFilter, JobStatus};
use chronos_snapshot::{counted, printable};
use chronos_store::{Monitor, check_cancelled};
use clap::{Args, Subcommand};
use serde::Serialize;

use crate::context::App;
use crate::error::{Exit, Failure};
use crate::output::table::{Table, local_time, size};

/// How often a job is looked at that is watched: as often as its progress is noted.
const WATCH_INTERVAL: Duration = Duration::from_millis(500);

/// List, show, cancel or watch the jobs of the service
#[derive(Debug, Args)]
pub(crate) struct Jobs {
    #[command(subcommand)]
    action: Action,
}

/// What is done.
#[derive(Debug, Subcommand)]
enum Action {
    /// List the jobs, newest first
    List(List),
    /// Show one job
    Show {
        /// Its id
        id: String,
    },
    /// Cancel a job: one that waits is over at once, one that runs stops at its next safe place
    Cancel {
        /// Its id
        id: String,
    },
    /// Wait for the end of a job, and say meanwhile how far it is
    Watch {
        /// Its id
        id: String,
    },
}

/// Which jobs are listed.
#[derive(Debug, Args)]
struct List {
    /// Only those that stand so: queued, running, completed, partial, failed, cancelled, interrupted
    #[arg(long, value_parser = parse_status)]
    status: Option<JobStatus>,

    /// Only of this kind: backup, verify, cleanup, restore, drill, sync
    #[arg(long)]
    kind: Option<String>,

    /// Only of this target
    #[arg(long)]
    target: Option<String>,

    /// At most so many
    #[arg(long, value_name = "N", default_value_t = 50)]
    limit: u32,
}

/// The JSON document of a cancelled job.
#[derive(Serialize)]
struct Cancelled<'a> {
    status: &'static str,
    job: &'a JobView,
}

fn parse_status(text: &str) -> Result<JobStatus, String> {
    JobStatus::of_word(text)
        .ok_or_else(|| format!("there are {}", JobStatus::ALL.map(JobStatus::word).join(", ")))
}

impl Jobs {
    /// Runs the command.
    pub(crate) fn run(&self, app: &App) -> Result<Exit, Failure> {
        let workplace = app.workplace()?;
        match &self.action {
            Action::List(which) => {
                let filter = JobFilter {
                    status: which.status,
                    kind: which.kind.as_deref(),
                    target: which.target.as_deref(),
                    ..JobFilter::default()
                };
                let found = list(workplace, &filter, which.limit)?;
                app.output.document(&found)?;
                app.output.table(&table(&found))?;
                Ok(Exit::Done)
            }
            Action::Show { id } => {
                let job = show(workplace, id)?;
                tell(app, &job)?;
                Ok(Exit::Done)
            }
            Action::Cancel { id } => {
                let (what, job) = cancel(workplace, id)?;
                let (status, said) = match what {
                    Cancelling::Done => ("cancelled", "Cancelled"),
                    Cancelling::Asked => ("cancelling", "It stops at its next safe place"),
                    Cancelling::TooLate => {
                        let why = format!("job {} has ended: it is {}", job.id, job.status.word());
                        return Err(Failure::new(Exit::Failed, why));
                    }
                };
                app.output.summary(format!("{said}: {}", job.id))?;
                app.output.document(&Cancelled { status, job: &job })?;
                Ok(Exit::Done)
            }
            Action::Watch { id } => watch(app, id),
        }
    }
}

/// Waits for the end; the progress is shown where that of a command is.
fn watch(app: &App, id: &str) -> Result<Exit, Failure> {
    let workplace = app.workplace()?;
    let monitor = app.output.monitor();
    let (mut last, mut phase) = ((0, 0), None);
    let job = loop {
        let job = show(workplace, id)?;
        if job.status.is_end() {
            break job;
        }
        let word = word(&job);
        if phase != Some(word) {
            monitor.phase(word);
            (last, phase) = ((0, 0), Some(word));
        }
        monitor.total(job.files_total, job.bytes_total);
        let done = (job.files_done, job.bytes_done);
        monitor.advance(done.0.saturating_sub(last.0), done.1.saturating_sub(last.1));
        last = done;
        check_cancelled(&*monitor)?;
        std::thread::sleep(WATCH_INTERVAL);
    };
    app.output.finish();
    tell(app, &job)?;
    Ok(match job.status {
        JobStatus::Completed => Exit::Done,
        JobStatus::Partial => Exit::Partial,
        JobStatus::Queued | JobStatus::Running | JobStatus::Failed => Exit::Failed,
        JobStatus::Cancelled | JobStatus::Interrupted => Exit::Interrupted,
    })
}

/// What is shown of its phase: the words that commands have too.
fn word(job: &JobView) -> &'static str {
    const PHASES: [&str; 10] =
        ["wait", "walk", "read", "finish", "mark", "plan", "repack", "structure", "switch", "verify"];
    let phase = job.phase.as_deref().unwrap_or_default();
    match PHASES.into_iter().find(|known| *known == phase) {
        Some(known) => known,
        None if job.status == JobStatus::Queued => "queued",
        None => "running",
    }
}

fn tell(app: &App, job: &JobView) -> Result<(), Failure> {
    app.output.document(job)?;
    let mut table = Table::new(&["JOB", ""]);
    let mut row = |name: &str, value: Option<String>| {
        if let Some(value) = value {
            table.row([name.to_owned(), value]);
        }
    };
    row("id", Some(job.id.clone()));
    row("what", Some(what(job)));
    row("status", Some(status(job)));
    row("schedule", job.schedule.clone());
    row("queued", Some(local_time(&job.created_at)));
    row("began", job.started_at.as_ref().map(|time| local_time(time)));
    row("ended", job.ended_at.as_ref().map(|time| local_time(time)));
    row("next attempt", job.next_attempt_at.as_ref().map(|time| local_time(time)));
    row("attempts", (job.attempts > 1).then(|| job.attempts.to_string()));
    row("progress", progress(job));
    let made = job.result.as_ref().and_then(|result| result.get("backup_id")).and_then(|id| id.as_str());
    row("made", made.map(|id| printable(id.as_bytes())));
    row("error", job.error.as_ref().map(|error| printable(error.as_bytes())));
    app.output.table(&table)
}

fn table(found: &[JobView]) -> Table {
    let mut table = Table::new(&["JOB", "WHAT", "STATUS", "QUEUED", "BEGAN", "ENDED", "SCHEDULE", "ERROR"]);
    for job in found {
        table.row([
            job.id.clone(),
            what(job),
            status(job),
            local_time(&job.created_at),
            job.started_at.as_ref().map(|time| local_time(time)).unwrap_or_default(),
            job.ended_at.as_ref().map(|time| local_time(time)).unwrap_or_default(),
            job.schedule.clone().unwrap_or_default(),
            job.error.as_ref().map(|error| printable(error.as_bytes())).unwrap_or_default(),
        ]);
    }
    table
}

fn what(job: &JobView) -> String {
    match (&job.target, &*job.kind) {
        (Some(target), kind) => format!("{kind} {target}"),
        (None, "backup") => "backup all".to_owned(),
        (None, kind) => kind.to_owned(),
    }
}

fn status(job: &JobView) -> String {
    match (job.cancel_requested && !job.status.is_end(), &job.next_attempt_at) {
        (true, _) => format!("{}, to be cancelled", job.status.word()),
        (false, Some(_)) => "waits for another try".to_owned(),
        (false, None) => job.status.word().to_owned(),
    }
}

fn progress(job: &JobView) -> Option<String> {
    let phase = job.phase.clone()?;
    let rate = job.rate.map(|rate| format!(", {}/s", size(rate))).unwrap_or_default();
    Some(format!("{phase}: {}, {}{rate}", counted(job.files_done, "file"), size(job.bytes_done)))
}
