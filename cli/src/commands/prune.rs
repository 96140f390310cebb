//! `chronos prune`: gives space back, also while backups run.

use chronos_server::operations::Mode;
use chronos_server::operations::prune::{hooked, outcome};
use chronos_snapshot::counted;
use chronos_store::{PruneOptions, PruneReport, Repository};
use clap::Args;
use serde::Serialize;

use crate::context::App;
use crate::error::{Exit, Failure};
use crate::output::table::size;
use crate::values::{parse_bytes, parse_nanos};

/// Give back the space that no snapshot needs
///
/// May run while backups run, may be stopped at any moment, and goes on where it was. What a running session of another
/// host might still need stays until a later prune.
#[derive(Debug, Args)]
pub(crate) struct Prune {
    /// Only say what would be done
    #[arg(short = 'n', long)]
    dry_run: bool,

    #[command(flatten)]
    pub(crate) limits: Limits,
}

/// How much a prune may do.
#[derive(Clone, Debug, Args)]
#[command(next_help_heading = "How much is given back")]
pub(crate) struct Limits {
    /// Deleted snapshots can be undeleted for so long, such as 7d
    #[arg(long, value_name = "TIME", default_value = "0", value_parser = parse_nanos)]
    keep_deleted: i64,

    /// Copy at most so many bytes out of half-empty packs in this run
    #[arg(long, value_name = "SIZE", value_parser = parse_bytes)]
    max_repack: Option<u64>,

    /// Rewrite packs until at most this share of the repository is unused, such as 10%
    #[arg(long, value_name = "N%", default_value = "4%", value_parser = parse_share)]
    max_unused: f64,

    /// Rewrite a pack in any case when more than this share of it is unused
    #[arg(long, value_name = "N%", default_value = "40%", value_parser = parse_share)]
    max_unused_pack: f64,
}

/// The JSON document.
#[derive(Debug, Serialize)]
pub(crate) struct Pruned<'a> {
    status: &'static str,
    dry_run: bool,
    freed_bytes: u64,
    pending_bytes: u64,
    #[serde(flatten)]
    report: &'a PruneReport,
}

impl<'a> Pruned<'a> {
    /// The fields of a report.
    pub(crate) fn new(report: &'a PruneReport, dry_run: bool) -> Self {
        Self {
            status: if dry_run { "planned" } else { "completed" },
            dry_run,
            freed_bytes: report.bytes_freed,
            pending_bytes: report.bytes_pending,
            report,
        }
    }
}

fn parse_share(text: &str) -> Result<f64, String> {
    let number = text.strip_suffix('%').unwrap_or(text).trim();
    match number.parse::<f64>() {
        Ok(share) if (0.0..=100.0).contains(&share) => Ok(share / 100.0),
        _ => Err(format!("{text:?} is not a share between 0% and 100%")),
    }
}

impl Prune {
    /// Runs the command.
    pub(crate) fn run(&self, app: &App) -> Result<Exit, Failure> {
        let repository = app.open()?;
        let report = hooked(
            app.workplace()?,
            &repository,
            (&[], Mode::dry(self.dry_run)),
            || self.limits.prune(app, &repository, self.dry_run),
            |report| outcome(&[], report),
            |failure: &Failure| failure.message.clone(),
        )?;
        app.output.document(&Pruned::new(&report, self.dry_run))?;
        Ok(Exit::Done)
    }
}

impl Limits {
    /// Prunes, and says what was given back.
    pub(crate) fn prune(
        &self,
        app: &App,
        repository: &Repository,
        dry_run: bool,
    ) -> Result<PruneReport, Failure> {
        let report = repository.prune(&PruneOptions {
            dry_run,
            keep_deleted: self.keep_deleted,
            repack_bytes_max: self.max_repack,
            dead_share_max: self.max_unused,
            pack_dead_share_max: self.max_unused_pack,
        })?;
        let out = &app.output;
        out.finish();
        let (verb, gone) = if dry_run { ("would be", "can then") } else { ("", "can") };
        let freed = size(report.bytes_freed);
        out.summary(
            format!(
                "{freed} {verb} given back: {} removed, {} rewritten ({} copied)",
                counted(report.packs_deleted, "pack"),
                report.packs_repacked,
                size(report.bytes_repacked)
            )
            .replace("  ", " "),
        )?;
        if report.snapshots_purged > 0 {
            out.summary(format!(
                "{} {gone} no longer be brought back",
                counted(report.snapshots_purged, "deleted snapshot")
            ))?;
        }
        if report.bytes_pending > 0 {
            out.note(format!(
                "{} wait: a running session may still need them; a later prune gives them back",
                size(report.bytes_pending)
            ));
        }
        Ok(report)
    }
}
