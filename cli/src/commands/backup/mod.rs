//! `chronos backup`: a new snapshot of files, of a stream, or of a configured target.

mod several;
mod sources;

use std::path::{Path, PathBuf};

use chronos_server::operations::backup::{ALL, Backup as Made, BackupRequest, plan, setting};
use chronos_server::sources::{Selection, walked};
use chronos_snapshot::{
    BackupReport, ChangeTest, Explanation, FileOptions, FileSource, Outcome, Preset, Reason, counted,
};
use chronos_store::Repository;
use clap::builder::NonEmptyStringValueParser;
use clap::{Args, ValueEnum};
use jiff::Timestamp;
use serde::Serialize;

use crate::context::App;
use crate::error::{Exit, Failure};
use crate::output::table::{duration, size};
use crate::values::{parse_label, parse_pair, parse_target, parse_tier, parse_time, parse_type};

/// Errors that are printed; the rest are in the snapshot.
const ERRORS_SHOWN: usize = 20;

/// Back up files and folders, a stream, or a configured target
///
/// The first backup without any set-up makes a repository of your own and says where it is. What was backed up before
/// and has not changed is not read again. What cannot be read is named at the end, the snapshot is then partial, and
/// the exit code 3. A backup may be interrupted at any moment: what was uploaded is used by the next run.
#[derive(Debug, Args)]
#[expect(clippy::struct_excessive_bools, clippy::struct_field_names, reason = "switches of the command line")]
pub(crate) struct Backup {
    /// Files and folders
    #[arg(value_name = "PATH")]
    paths: Vec<PathBuf>,

    /// Target that the snapshot belongs to [default: files]; without a path: back up its configured sources. May then be
    /// given several times; `all` is every configured target
    #[arg(long = "target", value_name = "NAME", value_parser = parse_target)]
    targets: Vec<String>,

    /// Why it is made; decides how long it is kept
    #[arg(long, value_name = "TIER", default_value = "manual", value_parser = parse_tier)]
    tier: String,

    /// Which components of a configured target it takes: full (all), workflows, database, config, incremental (all)
    #[arg(long = "type", value_name = "TYPE", default_value = "full", value_parser = parse_type)]
    backup_type: String,

    /// Name
    #[arg(long, value_name = "TEXT", value_parser = parse_label)]
    name: Option<String>,

    /// Description
    #[arg(long, value_name = "TEXT", default_value = "")]
    description: String,

    /// Tag; may be given several times
    #[arg(long = "tag", value_name = "TAG", value_parser = parse_label)]
    tags: Vec<String>,

    /// Free metadata; may be given several times
    #[arg(long, value_name = "KEY=VALUE", value_parser = parse_pair)]
    metadata: Vec<(String, String)>,

    /// Host that the files are of [default: this one]
    #[arg(long, value_name = "NAME", value_parser = NonEmptyStringValueParser::new())]
    host: Option<String>,

    /// Time of the snapshot [default: now]
    #[arg(long, value_name = "TIME", value_parser = parse_time)]
    time: Option<Timestamp>,

    /// Only what fits this pattern; may be given several times
    #[arg(long, value_name = "PATTERN", help_heading = "What is left out")]
    include: Vec<String>,

    /// Leave out what fits this pattern (as in .gitignore); may be given several times
    #[arg(long, value_name = "PATTERN", help_heading = "What is left out")]
    exclude: Vec<String>,

    /// File of such patterns
    #[arg(long, value_name = "FILE", help_heading = "What is left out")]
    exclude_file: Vec<PathBuf>,

    /// Files of this name hold patterns for the folder that they are in, such as .gitignore
    #[arg(long, value_name = "NAME", help_heading = "What is left out")]
    ignore_file: Vec<String>,

    /// Leave out the content of folders that hold this file
    #[arg(long, value_name = "FILE[:HEADER]", help_heading = "What is left out")]
    exclude_if_present: Vec<String>,

    /// Leave out the content of folders that are tagged as caches (CACHEDIR.TAG)
    #[arg(long, help_heading = "What is left out")]
    exclude_caches: bool,

    /// Stay on the file systems of the given paths
    #[arg(long, help_heading = "What is left out")]
    one_file_system: bool,

    /// Rules of a kind of tree
    #[arg(long, value_name = "PRESET", help_heading = "What is left out")]
    preset: Option<PresetName>,

    /// Only this folder or file directly below a path; may be given several times
    #[arg(long = "module", value_name = "M", help_heading = "What is left out")]
    modules: Vec<String>,

    /// Back up nothing, but say which rule decides about this path; may be given several times
    #[arg(long, value_name = "PATH", help_heading = "What is left out")]
    explain: Vec<PathBuf>,

    /// File with one path per line; - is standard input
    #[arg(long, value_name = "FILE", help_heading = "Other sources")]
    files_from: Vec<PathBuf>,

    /// The same, separated by zero bytes
    #[arg(long, value_name = "FILE", help_heading = "Other sources")]
    files_from0: Vec<PathBuf>,

    /// Back up standard input as one file
    #[arg(long, conflicts_with = "command", help_heading = "Other sources")]
    stdin: bool,

    /// Back up what this command prints; if it fails there is no snapshot
    #[arg(long, value_name = "CMD", help_heading = "Other sources")]
    command: Option<String>,

    /// Name of that file
    #[arg(long, value_name = "NAME", help_heading = "Other sources")]
    stdin_filename: Option<String>,

    /// Compression, 1 (fast) to 19 (small)
    #[arg(long, value_name = "LEVEL", default_value_t = 3, value_parser = clap::value_parser!(i32).range(1..=19))]
    compression: i32,

    /// Make no snapshot if nothing has changed
    #[arg(long, conflicts_with = "dry_run")]
    skip_if_unchanged: bool,

    /// Read and count everything, write nothing
    #[arg(short = 'n', long)]
    dry_run: bool,

    #[command(flatten)]
    change: Change,
}

/// How a changed file is found.
#[derive(Debug, Args)]
#[command(next_help_heading = "What counts as changed")]
struct Change {
    /// Compare with this snapshot [default: the newest of the same target, host and paths]
    #[arg(long, value_name = "SNAP", conflicts_with = "rehash")]
    parent: Option<String>,

    /// Read every file
    #[arg(long)]
    rehash: bool,

    /// A file with another inode number may still be unchanged
    #[arg(long)]
    ignore_inode: bool,

    /// A file with another change time may still be unchanged
    #[arg(long)]
    ignore_ctime: bool,
}

/// Presets by name.
#[derive(Clone, Copy, Debug, ValueEnum)]
enum PresetName {
    /// A project tree: without .venv, __pycache__, .git, backups, logs and data
    Project,
}

impl From<PresetName> for Preset {
    fn from(name: PresetName) -> Self {
        match name {
            PresetName::Project => Self::Project,
        }
    }
}

/// The JSON document of `--explain`.
#[derive(Serialize)]
struct Explained {
    path: String,
    included: bool,
    decided_at: String,
    reason: String,
}

impl Backup {
    /// Runs the command.
    pub(crate) fn run(&self, app: &App) -> Result<Exit, Failure> {
        if !self.explain.is_empty() {
            return self.explain(app);
        }
        let given = self.given(app)?;
        if given.is_empty() && (self.targets.len() > 1 || self.targets.iter().any(|t| t == ALL)) {
            return self.several(app);
        }
        if self.targets.len() > 1 {
            return Err(Failure::usage("what is named here belongs to one target, not to several")
                .hint("name one --target, or no path: then the configured sources of all are taken"));
        }
        let workplace = app.workplace()?;
        // What cannot be backed up is refused before a repository is made.
        let planned = plan(workplace, self.request()?, given)?;
        let repository = app.open_or_create()?;
        let made = planned.run(workplace, &repository)?;
        app.output.finish();
        app.output.document(&made.report)?;
        show(app, &repository, &made)?;
        Ok(exit(&made.report))
    }

    /// What is asked for, of the first target that is named.
    fn request(&self) -> Result<BackupRequest, Failure> {
        Ok(BackupRequest {
            target: self.targets.first().cloned(),
            tier: self.tier.clone(),
            selection: self.selection(),
            name: self.name.clone(),
            description: self.description.clone(),
            tags: self.tags.clone(),
            metadata: self.metadata.iter().cloned().collect(),
            host: self.host.clone(),
            time: self.time.map(Timestamp::as_nanosecond),
            parent: self.change.parent.clone(),
            changes: ChangeTest {
                inode: !self.change.ignore_inode,
                ctime: !self.change.ignore_ctime,
                read_all: self.change.rehash,
            },
            outcome: match (self.dry_run, self.skip_if_unchanged) {
                (true, _) => Outcome::DryRun,
                (false, true) => Outcome::SnapshotIfChanged,
                (false, false) => Outcome::Snapshot,
            },
            level: self.compression,
            rules: self.rules()?,
            ..BackupRequest::default()
        })
    }

    fn selection(&self) -> Selection {
        Selection { backup_type: self.backup_type.clone(), ..Selection::default() }
    }

    fn explain(&self, app: &App) -> Result<Exit, Failure> {
        let walked = self.walked(app)?.into_iter();
        let sources = walked.map(FileSource::new).collect::<Result<Vec<_>, _>>()?;
        if sources.is_empty() {
            return Err(Failure::usage("--explain needs the paths of the backup, or a target that has some")
                .hint("chronos backup PATH… --explain WHICH"));
        }
        let mut answers = Vec::new();
        for path in &self.explain {
            let found = explained(&sources, path)?;
            app.output.line(&found)?;
            answers.push(Explained {
                path: format!("/{}", found.path),
                included: found.included,
                decided_at: format!("/{}", found.decided_at),
                reason: found.reason.to_string(),
            });
        }
        app.output.document(&answers)?;
        Ok(Exit::Done)
    }

    /// Everything that is walked: of the command line, else of the configured targets.
    fn walked(&self, app: &App) -> Result<Vec<FileOptions>, Failure> {
        let workplace = app.workplace()?;
        if let Some(options) = self.files(workplace)? {
            return Ok(vec![options]);
        }
        let setting = setting(workplace, &self.rules()?);
        let mut all = Vec::new();
        for target in self.targets.iter().filter_map(|name| workplace.config.target(name)) {
            all.extend(walked(target, &self.selection(), &setting)?);
        }
        Ok(all)
    }
}

/// How a command ends that made this.
fn exit(report: &BackupReport) -> Exit {
    if report.is_partial() { Exit::Partial } else { Exit::Done }
}

/// What was done, for people.
fn show(app: &App, repository: &Repository, made: &Made) -> Result<(), Failure> {
    let report = &made.report;
    let out = &app.output;
    out.summary(format!(
        "{} ({} new, {} changed, {} unmodified), {}, {}",
        counted(report.files(), "file"),
        report.files_new,
        report.files_changed,
        report.files_unmodified,
        counted(report.dirs, "folder"),
        size(report.bytes_processed)
    ))?;
    if report.dry_run {
        out.summary(format!("{} would be added; nothing was written", size(report.bytes_added)))?;
    } else {
        out.summary(format!(
            "{} added, {} written to {} in {}",
            size(report.bytes_added),
            size(report.bytes_stored),
            repository.location(),
            duration(report.duration_ms)
        ))?;
    }
    for error in report.errors.iter().take(ERRORS_SHOWN) {
        out.warning(format!("not backed up: {}: {}", error.path, error.error));
    }
    if report.error_count > ERRORS_SHOWN as u64 {
        out.warning(format!(
            "and {} more; `chronos snapshots --json` has them",
            report.error_count - ERRORS_SHOWN as u64
        ));
    }
    if report.files() == 0 && report.bytes_processed == 0 && report.error_count == 0 {
        out.note("There was not one file to back up.");
    }
    let told = match (&report.snapshot, report.dry_run) {
        (Some(_), _) => {
            let what = match (report.is_partial(), report.unchanged) {
                (false, true) => "unchanged",
                (false, false) => "completed",
                _ => "partial: what is named above is missing from it",
            };
            out.summary(format!("Snapshot {} {what}", report.backup_id))
        }
        (None, false) => out.summary("Nothing has changed: no snapshot was made"),
        (None, true) => Ok(()),
    };
    told?;
    limits(app, made);
    Ok(())
}

/// What went past the limits of a project target. The snapshot is safe whatever became of that.
fn limits(app: &App, made: &Made) {
    match &made.removed {
        Ok(removed) => {
            for one in removed {
                let target = &made.report.target;
                app.output.note(format!("Removed {}: past the limits of {target}", one.backup_id));
            }
        }
        Err(error) => app.output.warning(format!("old snapshots were not removed: {error}")),
    }
}

/// What the first source says that takes a path; if none does, the first that has a rule for it.
fn explained(sources: &[FileSource], path: &Path) -> Result<Explanation, Failure> {
    let mut answer: Option<Explanation> = None;
    for source in sources {
        let found = source.explain(path)?;
        if found.included {
            return Ok(found);
        }
        if answer.as_ref().is_none_or(|a| a.reason == Reason::OutsideRoots) {
            answer = Some(found);
        }
    }
    answer.ok_or_else(|| Failure::usage("there is no source to explain"))
}
