//! `chronos restore`: files of a snapshot back to disk.

use std::path::PathBuf;
use std::sync::Arc;

use chronos_server::hooks::{Hooks, Operation};
use chronos_server::workplace::{client, host};
use chronos_snapshot::{
    BackupOptions, ErrorKind, FileOptions, FileSource, Overwrite, Owner, ParentChoice, RestoreOptions,
    RestorePlan, RestorePoint, RestoreReport, RestoreStatus, Snapshot, Strategy, backup, restore,
    resume_or_undo,
};
use chronos_store::{Repository, SessionOptions};
use clap::Args;

use crate::commands::catalog::{Catalog, canonical};
use crate::context::App;
use crate::error::{Exit, Failure};
use crate::output::table::size;
use crate::values::parse_shown;

/// Paths of a plan that are printed without `-v`.
const PLAN_SHOWN: usize = 50;

/// Restore a snapshot, or a folder or file of it
///
/// `restore SNAP` puts each backed-up root below the target under its absolute path; `restore SNAP:PATH` puts the
/// contents of PATH directly into it. Without --to a new folder below `restores/` is made. A restore that fails puts
/// the target back as it was. A stored database comes as the file of its dump: `chronos rollback` puts it into its server,
/// with --strategy new-location as a new database.
#[derive(Debug, Args)]
#[expect(clippy::struct_excessive_bools, reason = "switches of the command line")]
pub(crate) struct Restore {
    /// Snapshot, and the folder or file in it
    #[arg(value_name = "SNAP[:PATH]", value_parser = parse_shown())]
    snapshot: String,

    /// Folder to restore into
    #[arg(long, value_name = "DIR")]
    to: Option<PathBuf>,

    /// new-location: into an absent or empty folder; overwrite: over the original place; replace: the same, and remove
    /// what the snapshot does not have; merge: only what is missing
    #[arg(long, value_name = "STRATEGY", default_value = "new-location", value_parser = parse_strategy)]
    strategy: Strategy,

    /// What happens to files that are there: always, if-changed, if-newer, never
    #[arg(long, value_name = "WHEN", value_parser = parse_overwrite)]
    overwrite: Option<Overwrite>,

    /// Only what fits this pattern; may be given several times
    #[arg(long, value_name = "PATTERN")]
    include: Vec<String>,

    /// Not what fits this pattern; may be given several times
    #[arg(long, value_name = "PATTERN")]
    exclude: Vec<String>,

    /// Only this component (database, config, files, …), source, target or module, which is a folder or file directly
    /// below a backed-up path; may be given several times
    #[arg(long = "component", value_name = "NAME")]
    components: Vec<String>,

    /// Do not read back and compare what was written
    #[arg(long)]
    no_verify: bool,

    /// Make holes of runs of zeros
    #[arg(long)]
    sparse: bool,

    /// Give files to the users and groups of the recorded names instead of the recorded numbers
    #[arg(long)]
    owner_by_name: bool,

    /// Make no restore-point snapshot of what is there before
    #[arg(long)]
    no_restore_point: bool,

    /// Only say what would be done
    #[arg(short = 'n', long)]
    dry_run: bool,
}

fn parse_strategy(text: &str) -> Result<Strategy, String> {
    text.parse().map_err(|e: chronos_snapshot::Error| e.to_string())
}

fn parse_overwrite(text: &str) -> Result<Overwrite, String> {
    text.parse().map_err(|e: chronos_snapshot::Error| e.to_string())
}

impl Restore {
    /// Runs the command.
    pub(crate) fn run(&self, app: &App) -> Result<Exit, Failure> {
        let catalog = Catalog::open(app)?;
        let (snapshot, path) = catalog.locate(app, &self.snapshot)?;
        let wants_point = !self.no_restore_point && !self.dry_run && self.strategy != Strategy::NewLocation;
        let user = app.workplace()?.user();
        let options = RestoreOptions {
            path: path.unwrap_or_default(),
            to: self.to.clone(),
            strategy: self.strategy,
            overwrite: self.overwrite,
            include: self.include.clone(),
            exclude: self.exclude.clone(),
            components: self.components(app)?,
            sources: Vec::new(),
            dry_run: self.dry_run,
            verify: !self.no_verify,
            sparse: self.sparse,
            owner: if self.owner_by_name { Owner::Name } else { Owner::Number },
            threads: 0,
            restore_point: wants_point.then(|| restore_point(&catalog.repository, &snapshot, user)),
            ..RestoreOptions::default()
        };
        let work = || {
            if !self.dry_run {
                recover(app, &catalog.repository)?;
            }
            Ok::<_, Failure>(restore(&catalog.repository, &snapshot, &options)?)
        };
        let report = if self.dry_run {
            work()?
        } else {
            let (workplace, monitor) = (app.workplace()?, catalog.repository.monitor());
            let targets = [snapshot.manifest.target.clone()];
            Hooks::of(workplace, monitor, Operation::Restore, &targets).around(
                &self.about(&snapshot),
                work,
                |report| serde_json::to_value(report).unwrap_or_default(),
                |failure| failure.message.clone(),
            )?
        };
        app.output.finish();
        show(app, &report)?;
        Ok(match report.status {
            RestoreStatus::Planned | RestoreStatus::Completed => catalog.exit(),
            RestoreStatus::Partial => Exit::Partial,
            RestoreStatus::Damaged => Exit::Damage,
        })
    }
}

impl Restore {
    /// What hooks are told before anything is written.
    fn about(&self, snapshot: &Snapshot) -> serde_json::Value {
        let m = &snapshot.manifest;
        serde_json::json!({
            "backup_id": m.backup_id,
            "snapshot": snapshot.id.to_string(),
            "from": self.snapshot,
            "to": self.to,
            "strategy": self.strategy,
            "components": self.components,
            "tags": m.tags,
            "metadata": m.metadata,
        })
    }

    /// The components as they were named, and the targets that some of them are aliases of.
    fn components(&self, app: &App) -> Result<Vec<String>, Failure> {
        let mut names = self.components.clone();
        for name in &self.components {
            names.push(canonical(app, name)?);
        }
        names.dedup();
        Ok(names)
    }
}

/// Ends restores that were interrupted earlier.
fn recover(app: &App, repository: &Repository) -> Result<(), Failure> {
    use chronos_snapshot::RecoveredOutcome;
    for done in resume_or_undo(&repository.dirs().state)? {
        let place = chronos_server::shown(&done.path);
        match done.outcome {
            RecoveredOutcome::Undone => {
                app.output.note(format!("An interrupted restore was undone: {place} is as it was before"));
            }
            RecoveredOutcome::Finished => {
                app.output.note(format!("A restore to {place} was complete; what it had left is tidied up"));
            }
            RecoveredOutcome::Running => {
                app.output.detail(format!("Another restore is running: {place}"));
            }
            RecoveredOutcome::Failed(why) => {
                app.output.warning(format!("an interrupted restore to {place} cannot be undone yet: {why}"));
            }
        }
    }
    Ok(())
}

/// Keeps what is there now as a snapshot of tier `restore-point`, with the roots of what is restored: a restore of it
/// with strategy `replace` brings everything back.
fn restore_point(repository: &Repository, snapshot: &Snapshot, user: String) -> RestorePoint {
    let repository = repository.clone();
    let (manifest, session) = (snapshot.manifest.clone(), snapshot.session.clone());
    RestorePoint(Arc::new(move |plan: &RestorePlan| {
        let roots = plan.roots_before();
        if plan.is_empty() || roots.is_empty() {
            return Ok(None);
        }
        let same = roots.len() == manifest.paths.len()
            && roots.iter().all(|r| manifest.paths.contains(&chronos_server::shown(r)));
        // Other snapshots of these roots know better what has not changed since; of a part of them there is none.
        let parent = if same { ParentChoice::Newest } else { ParentChoice::Given(session.clone()) };
        let mut files = FileOptions { roots, one_file_system: true, threads: 2, ..FileOptions::default() };
        files.keep_out(&repository);
        let options = BackupOptions {
            target: manifest.target.clone(),
            tier: "restore-point".to_owned(),
            description: format!("Before a restore of {}", manifest.backup_id),
            host: host(),
            user: user.clone(),
            parent,
            session: SessionOptions { client: client(), level: 3 },
            ..BackupOptions::default()
        };
        let report = backup(&repository, vec![Box::new(FileSource::new(files)?)], &options).map_err(|e| {
            match e.kind() {
                ErrorKind::ReadOnly | ErrorKind::NoSpace => chronos_snapshot::Error::Refused(format!(
                    "no restore point could be made ({e}); nothing was changed. --no-restore-point restores without one"
                )),
                _ => e,
            }
        })?;
        if let Some(lost) = report.errors.iter().find(|e| plan.touches(&e.path)) {
            return Err(chronos_snapshot::Error::Refused(format!(
                "the restore point would not be whole ({}: {}); nothing was changed. --no-restore-point restores without one",
                lost.path, lost.error
            )));
        }
        Ok(Some(report.backup_id))
    }))
}

fn show(app: &App, report: &RestoreReport) -> Result<(), Failure> {
    let out = &app.output;
    if report.status == RestoreStatus::Planned {
        show_plan(app, report)?;
    }
    for note in &report.notes {
        out.note(note);
    }
    for error in &report.errors {
        out.warning(format!("not restored: {}: {}", error.path, error.error));
    }
    if let Some(point) = &report.restore_point {
        // Without the roots nothing can be told of what is there beyond them.
        let how = if report.plan.covers.is_empty() { "overwrite" } else { "replace" };
        out.summary(format!(
            "What was there before is in snapshot {point}; `chronos restore {point} --strategy {how}` brings it back"
        ))?;
    }
    if report.status != RestoreStatus::Planned {
        out.summary(format!("{}; {} written", report.message, size(report.bytes_written)))?;
    }
    out.document(report)
}

fn show_plan(app: &App, report: &RestoreReport) -> Result<(), Failure> {
    let plan = &report.plan;
    let shown = if app.output.is_verbose() { usize::MAX } else { PLAN_SHOWN };
    let parts = [
        ("create", &plan.creates),
        ("overwrite", &plan.overwrites),
        ("set attributes of", &plan.attributes),
        ("remove", &plan.removes),
    ];
    for (what, paths) in parts {
        for path in paths.iter().take(shown) {
            app.output.line(format!("would {what} {path}"))?;
        }
        if paths.len() > shown {
            app.output.line(format!("would {what} {} more (-v lists them)", paths.len() - shown))?;
        }
    }
    app.output.summary(format!("{} ({} to write); nothing was changed", report.message, size(plan.bytes)))
}
