//! `chronos sync`: a read-only copy of the whole repository at another place.

use chronos_server::operations::sync::{Syncs, promote, sync, sync_configured};
use chronos_snapshot::counted;
use chronos_store::{Copied, PromoteReport, SyncOptions, SyncReport};
use clap::Args;
use serde::Serialize;

use crate::context::App;
use crate::error::{Exit, Failure};
use crate::output::table::size;
use crate::values::parse_nanos;

/// Keep a read-only copy of the repository at another place
///
/// DEST becomes a mirror: a repository of the same snapshots that opens with the same password or key file, from which everything can be
/// restored, and into which nothing but this command writes. Only what is missing is sent. It may be stopped at any moment and goes on
/// where it was; until it ends, the mirror shows what it showed before.
///
/// The way back is the same command from the mirror into an empty place: `chronos -r DEST sync NEW`.
///
/// Without DEST every place of `[[offsite]]` in the configuration file and of `S3_BUCKET` is brought up to date, as is said there.
#[derive(Debug, Args)]
pub(crate) struct Sync {
    /// An empty place, or one that this command has filled: a folder, s3://…, sftp://…
    #[arg(value_name = "DEST")]
    destination: Option<String>,

    /// Delete in the mirror what the repository has deleted, so long after the mirror first saw that
    #[arg(long, value_name = "TIME", default_value = "30d", requires = "destination", value_parser = parse_nanos)]
    delete_after: i64,

    /// Read everything in the mirror, and replace what is damaged there
    #[arg(long)]
    check: bool,

    /// Only say what would be copied
    #[arg(short = 'n', long, requires = "destination")]
    dry_run: bool,

    /// Make the mirror at DEST independent, for good: it takes backups from then on, and no syncs any more
    #[arg(long, requires = "destination", conflicts_with_all = ["check", "dry_run", "delete_after"])]
    promote: bool,
}

/// The JSON document of a sync.
#[derive(Serialize)]
struct Synced<'a> {
    status: &'static str,
    dry_run: bool,
    destination: &'a str,
    objects_copied: u64,
    bytes_copied: u64,
    #[serde(flatten)]
    report: &'a SyncReport,
}

/// The JSON document of a promotion.
#[derive(Serialize)]
struct Promoted<'a> {
    status: &'static str,
    destination: &'a str,
    #[serde(flatten)]
    report: &'a PromoteReport,
}

impl Sync {
    /// Runs the command.
    pub(crate) fn run(&self, app: &App) -> Result<Exit, Failure> {
        let Some(destination) = &self.destination else { return self.configured(app) };
        if self.promote {
            return promoted(app, destination);
        }
        let repository = app.open()?;
        let options =
            SyncOptions { dry_run: self.dry_run, check: self.check, delete_after: self.delete_after };
        let report = sync(app.workplace()?, &repository, destination, &options)?;
        app.output.finish();
        self.tell(app, &report)?;
        let is_whole = report.damaged.is_empty() && (report.published || self.dry_run);
        let Copied { objects, bytes } = report.total();
        app.output.document(&Synced {
            status: match (self.dry_run, is_whole) {
                (true, _) => "planned",
                (false, true) => "completed",
                (false, false) => "partial",
            },
            dry_run: self.dry_run,
            destination,
            objects_copied: objects,
            bytes_copied: bytes,
            report: &report,
        })?;
        Ok(if is_whole { Exit::Done } else { Exit::Damage })
    }

    fn tell(&self, app: &App, report: &SyncReport) -> Result<(), Failure> {
        let out = &app.output;
        let verb = if self.dry_run { "would be copied" } else { "copied" };
        let Copied { objects, bytes } = report.total();
        out.summary(format!(
            "{} {verb} ({}), {} there already ({})",
            counted(objects, "object"),
            size(bytes),
            report.present.objects,
            size(report.present.bytes)
        ))?;
        let healed = report.healed.len() as u64;
        if healed > 0 {
            let verb = if self.dry_run { "would be replaced" } else { "replaced" };
            out.summary(format!("{} of the mirror {verb}: damaged", counted(healed, "object")))?;
        }
        let Copied { objects, bytes } = report.removed;
        if objects > 0 {
            out.summary(format!(
                "{} ({}) removed that the repository deleted long enough ago",
                counted(objects, "object"),
                size(bytes)
            ))?;
        }
        for finding in &report.damaged {
            out.line(format!("{}: {}", finding.object, finding.problem))?;
        }
        if !report.published && !self.dry_run {
            out.note("The mirror shows what it showed before: the newest state of the repository could not be copied.");
        }
        if !report.damaged.is_empty() {
            out.note("Everything else was copied. `chronos check --read-data` names the snapshots that need what is damaged.");
        }
        Ok(())
    }

    /// Everything that the configuration names.
    fn configured(&self, app: &App) -> Result<Exit, Failure> {
        let repository = app.open()?;
        let all = sync_configured(app.workplace()?, &repository, None, self.check)?;
        let out = &app.output;
        out.finish();
        for one in &all.syncs {
            let copied =
                format!("{} copied ({})", counted(one.objects_copied, "object"), size(one.bytes_copied));
            match &one.error {
                None => out.summary(format!("{}: {copied}", one.destination))?,
                Some(why) => out.line(format!("{}: {}, {copied}: {why}", one.destination, one.status))?,
            }
        }
        out.document(&all)?;
        Ok(exit_of(&all))
    }
}

/// Damage comes before whatever else failed.
fn exit_of(all: &Syncs) -> Exit {
    match all.status {
        "completed" => Exit::Done,
        _ if all.syncs.iter().any(|one| !one.damaged.is_empty()) => Exit::Damage,
        _ if all.syncs.iter().any(|one| one.status == "completed") => Exit::Partial,
        _ => Exit::Failed,
    }
}

fn promoted(app: &App, destination: &str) -> Result<Exit, Failure> {
    let mirror = app.workplace()?.at(destination)?;
    let report = promote(&mirror, &app.open_at(&mirror.location.place)?)?;
    let out = &app.output;
    out.finish();
    out.summary(format!("{destination} is independent now: it takes backups, and no syncs any more"))?;
    if report.dropped > 0 {
        out.note(format!(
            "A sync into it had not ended: {} that it had brought were removed, since not all that belongs to them is here.",
            counted(report.dropped, "object")
        ));
    }
    out.document(&Promoted { status: "completed", destination, report: &report })?;
    Ok(Exit::Done)
}
