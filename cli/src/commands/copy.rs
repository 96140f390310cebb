//! `chronos copy`: chosen snapshots into another repository.

use std::path::PathBuf;

use chronos_server::workplace::location::parse;
use chronos_server::workplace::{Opener, client};
use chronos_snapshot::{Copier, CopyOutcome, PathError, Snapshot};
use chronos_store::{SessionOptions, check_cancelled};
use clap::Args;
use serde::Serialize;

use crate::commands::catalog::{Catalog, Filter};
use crate::context::App;
use crate::error::{Exit, Failure};
use crate::output::table::size;

/// Copy snapshots into another repository, which has keys of its own
///
/// The copies keep names, times, tags and holds. A snapshot that DEST has already is passed over. DEST must exist: `chronos -r DEST init`
/// makes it; with `--like` and this repository, what DEST has is not read again.
#[derive(Debug, Args)]
#[command(override_usage = "chronos copy [OPTIONS] [SNAP]... <DEST>")]
pub(crate) struct Copy {
    /// Snapshots, and last the other repository: a folder, s3:…, sftp:…
    #[arg(value_name = "SNAP… DEST", required = true, num_args = 1..)]
    names: Vec<String>,

    /// All snapshots
    #[arg(long)]
    all: bool,

    #[command(flatten)]
    filter: Filter,

    #[command(flatten)]
    to: To,

    /// Compression, 1 (fast) to 19 (small)
    #[arg(long, value_name = "LEVEL", default_value_t = 3, value_parser = clap::value_parser!(i32).range(1..=19))]
    compression: i32,

    /// Only say what would be copied
    #[arg(short = 'n', long)]
    dry_run: bool,
}

/// What opens the other repository.
#[derive(Debug, Args)]
#[command(next_help_heading = "What opens the other repository")]
struct To {
    /// File whose first line is its password [env: `CHRONOS_TO_PASSWORD` holds it, `CHRONOS_TO_PASSWORD_FILE` names a file]
    #[arg(id = "to_password_file", long = "to-password-file", value_name = "FILE", group = "to_secret")]
    password_file: Option<PathBuf>,

    /// Command that prints its password
    #[arg(
        id = "to_password_command",
        long = "to-password-command",
        value_name = "COMMAND",
        group = "to_secret"
    )]
    password_command: Option<String>,

    /// Its key file [env: `CHRONOS_TO_KEY_FILE`]
    #[arg(id = "to_key_file", long = "to-key-file", value_name = "FILE", group = "to_secret")]
    key_file: Option<PathBuf>,
}

/// The JSON document.
#[derive(Serialize)]
struct Document {
    status: &'static str,
    dry_run: bool,
    destination: String,
    snapshots: Vec<Row>,
}

/// One snapshot of the JSON document.
#[derive(Default, Serialize)]
struct Row {
    backup_id: String,
    snapshot: String,
    status: &'static str,
    new_backup_id: Option<String>,
    new_snapshot: Option<String>,
    bytes_stored: u64,
    chunks_new: u64,
    chunks_reused: u64,
    packs_written: u64,
    errors: Vec<PathError>,
    error_count: u64,
}

impl Copy {
    /// Runs the command.
    pub(crate) fn run(&self, app: &App) -> Result<Exit, Failure> {
        let (destination, names) = self.names.split_last().ok_or_else(|| Failure::usage("name DEST"))?;
        let catalog = Catalog::open(app)?;
        let mut chosen = self.chosen(app, &catalog, names)?;
        // Oldest first: what one was compared with is there before it.
        chosen.sort_by_key(Snapshot::taken_at);
        let opener = Opener {
            password_file: self.to.password_file.clone(),
            password_command: self.to.password_command.clone(),
            key_file: self.to.key_file.clone(),
        };
        let other = app.open_other(&parse(destination)?, &opener)?;
        let session = SessionOptions { client: client(), level: self.compression };
        let copier = Copier::new(&catalog.repository, &other, session)?;
        let (mut rows, mut exit) = (Vec::new(), catalog.exit());
        for snapshot in &chosen {
            check_cancelled(&*app.output.monitor())?;
            let row = if self.dry_run { planned(&copier, snapshot)? } else { copied(&copier, snapshot)? };
            app.output.finish();
            tell(app, &row)?;
            if row.error_count > 0 {
                exit = exit.worst(Exit::Damage);
            }
            rows.push(row);
        }
        let is_whole = rows.iter().all(|row| row.error_count == 0);
        app.output.document(&Document {
            status: match (self.dry_run, is_whole) {
                (true, _) => "planned",
                (false, true) => "completed",
                (false, false) => "partial",
            },
            dry_run: self.dry_run,
            destination: other.location(),
            snapshots: rows,
        })?;
        Ok(exit)
    }

    fn chosen(&self, app: &App, catalog: &Catalog, names: &[String]) -> Result<Vec<Snapshot>, Failure> {
        let is_filtered = self.all || self.filter.is_any();
        match (names.is_empty(), is_filtered) {
            (false, false) => catalog.resolve_all(app, names),
            (true, true) => Ok(self.filter.apply(catalog, &catalog.snapshots)?.cloned().collect()),
            (true, false) => Err(Failure::usage("no snapshot was named")
                .hint("name snapshots before DEST, or choose with --all, --target and other filters")),
            (false, true) => {
                Err(Failure::usage("snapshots are named, and chosen by filters too").hint("leave either out"))
            }
        }
    }
}

fn row(snapshot: &Snapshot, status: &'static str) -> Row {
    Row {
        backup_id: snapshot.manifest.backup_id.clone(),
        snapshot: snapshot.id.to_string(),
        status,
        ..Row::default()
    }
}

fn planned(copier: &Copier<'_>, snapshot: &Snapshot) -> Result<Row, Failure> {
    Ok(match copier.present(snapshot)? {
        Some(copy) => Row {
            new_snapshot: Some(copy.id.to_string()),
            new_backup_id: Some(copy.manifest.backup_id),
            ..row(snapshot, "present")
        },
        None => row(snapshot, "planned"),
    })
}

fn copied(copier: &Copier<'_>, snapshot: &Snapshot) -> Result<Row, Failure> {
    Ok(match copier.copy(snapshot)? {
        CopyOutcome::Present(id, backup_id) => Row {
            new_backup_id: Some(backup_id),
            new_snapshot: Some(id.to_string()),
            ..row(snapshot, "present")
        },
        CopyOutcome::Copied { snapshot: id, backup_id, stats } => Row {
            new_backup_id: Some(backup_id),
            new_snapshot: Some(id.to_string()),
            bytes_stored: stats.bytes_stored,
            chunks_new: stats.chunks_new,
            chunks_reused: stats.chunks_reused,
            packs_written: stats.packs_written,
            ..row(snapshot, "copied")
        },
        CopyOutcome::Unreadable { lost, count } => {
            Row { errors: lost, error_count: count, ..row(snapshot, "unreadable") }
        }
    })
}

fn tell(app: &App, row: &Row) -> Result<(), Failure> {
    let (out, id) = (&app.output, &row.backup_id);
    for error in &row.errors {
        out.line(format!("{id}: {}: {}", error.path, error.error))?;
    }
    let there = row.new_backup_id.as_deref().filter(|there| there != id);
    let named = there.map(|there| format!(" as {there}")).unwrap_or_default();
    out.summary(match row.status {
        "present" => format!("{id} is there already{named}"),
        "planned" => format!("{id} would be copied"),
        "copied" => format!("{id} is copied{named}: {} stored", size(row.bytes_stored)),
        _ => format!(
            "{id} is not copied: {} of it cannot be read",
            chronos_snapshot::counted(row.error_count, "thing")
        ),
    })
}
