//! `chronos export`: a snapshot as an archive that any system can read.

use std::io::{BufWriter, ErrorKind, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};

use chronos_server::operations::gathered::{Gathered, gathered};
use chronos_server::shown;
use chronos_snapshot::{ExportFormat, ExportOptions, ExportReport, Tree};
use chronos_store::durable::{self, Taken};
use clap::Args;
use serde::Serialize;

use crate::commands::catalog::Catalog;
use crate::context::App;
use crate::error::{Exit, Failure};
use crate::output::table::size;
use crate::values::parse_shown;
use chronos_server::catalog::export_name;

/// Write a snapshot as a tar or zip archive
///
/// Of an n8n source, SNAP:SOURCE/workflows.json is written as the one list that `n8n import:workflow` takes.
#[derive(Debug, Args)]
pub(crate) struct Export {
    /// Snapshot, and the folder or file in it
    #[arg(value_name = "SNAP[:PATH]", value_parser = parse_shown())]
    snapshot: String,

    /// tar, tar.zst or zip [default: what the file's name says, else tar.zst]
    #[arg(long, value_name = "FORMAT", value_parser = parse_format)]
    format: Option<ExportFormat>,

    /// File to write; - is standard output [default: named after the snapshot, here]
    #[arg(short, long, value_name = "FILE")]
    output: Option<PathBuf>,

    /// Replace the file if it is there
    #[arg(long)]
    force: bool,

    /// Compression: 1 to 19 for tar.zst, 0 to 9 for zip
    #[arg(long, value_name = "LEVEL")]
    compression: Option<i32>,
}

/// What is written.
enum Content {
    /// An archive.
    Archive(ExportOptions),
    /// The workflows of an n8n in one list.
    List(Gathered),
}

impl Content {
    fn write(&self, app: &App, tree: &Tree, out: &mut impl Write) -> chronos_snapshot::Result<ExportReport> {
        match self {
            Self::Archive(options) => tree.export(options, out, &*app.output.monitor()),
            Self::List(list) => list.write(tree, out),
        }
    }

    fn extension(&self) -> &'static str {
        match self {
            Self::Archive(options) => options.format.extension(),
            Self::List(_) => "json",
        }
    }

    /// The format, in the JSON document.
    fn word(&self) -> serde_json::Value {
        match self {
            Self::Archive(options) => serde_json::json!(options.format),
            Self::List(_) => "json".into(),
        }
    }
}

/// The JSON document.
#[derive(Serialize)]
struct Exported {
    status: &'static str,
    backup_id: String,
    path: String,
    format: serde_json::Value,
    entries: u64,
    bytes: u64,
    skipped: Vec<Skipped>,
}

/// What the format cannot hold.
#[derive(Serialize)]
struct Skipped {
    path: String,
    reason: &'static str,
}

fn parse_format(text: &str) -> Result<ExportFormat, String> {
    text.parse().map_err(|e: chronos_snapshot::Error| e.to_string())
}

impl Export {
    /// Runs the command.
    pub(crate) fn run(&self, app: &App) -> Result<Exit, Failure> {
        let to_stdout = self.output.as_deref() == Some(Path::new("-"));
        if to_stdout && app.output.is_json() {
            return Err(Failure::usage(
                "the archive and the JSON document cannot both go to standard output",
            )
            .hint("name a file with -o"));
        }
        if to_stdout && std::io::IsTerminal::is_terminal(&std::io::stdout()) {
            return Err(Failure::usage("standard output is a terminal, which cannot show an archive")
                .hint("name a file with -o, or send it to a program: chronos export latest -o - | …"));
        }
        let catalog = Catalog::open(app)?;
        let (snapshot, path) = catalog.locate(app, &self.snapshot)?;
        let named = self.output.as_deref().and_then(Path::to_str).and_then(ExportFormat::of_file_name);
        let format = self.format.or(named).unwrap_or(ExportFormat::TarZst);
        let tree = catalog.tree(&snapshot);
        let base = path.unwrap_or_default();
        let content = match gathered(&tree, &base)? {
            Some(_) if self.format.or(named).is_some() || self.compression.is_some() => {
                return Err(Failure::usage("a list of workflows is JSON, in no archive")
                    .hint("leave --format and --compression out, and name a .json file with -o"));
            }
            Some(list) => Content::List(list),
            None => Content::Archive(ExportOptions { format, base, level: self.compression }),
        };
        let file = self.output.clone().unwrap_or_else(|| export_name(&snapshot, content.extension()).into());
        let report = if to_stdout {
            to_standard_output(app, &tree, &content)?
        } else {
            self.to_file(app, &tree, &content, &file)?
        };
        app.output.finish();
        for (path, why) in &report.skipped {
            app.output.warning(format!("not in the archive: {path}: {why}"));
        }
        if !to_stdout {
            app.output.summary(format!(
                "{} entries, {}, written to {}",
                report.entries,
                size(report.bytes),
                shown(&file)
            ))?;
        }
        app.output.document(&Exported {
            status: if report.skipped.is_empty() { "completed" } else { "partial" },
            backup_id: snapshot.manifest.backup_id.clone(),
            path: shown(&file),
            format: content.word(),
            entries: report.entries,
            bytes: report.bytes,
            skipped: report
                .skipped
                .iter()
                .map(|(path, reason)| Skipped { path: path.to_string(), reason })
                .collect(),
        })?;
        Ok(if report.skipped.is_empty() { catalog.exit() } else { catalog.exit().worst(Exit::Partial) })
    }
}

impl Export {
    /// A file is there whole or not at all.
    fn to_file(
        &self,
        app: &App,
        tree: &Tree,
        content: &Content,
        path: &Path,
    ) -> Result<ExportReport, Failure> {
        let there = || {
            let text = format!("{} is there already and was not touched", shown(path));
            Failure::new(Exit::Failed, text).hint("name another file with -o, or replace it with --force")
        };
        if path.is_dir() {
            return Err(
                Failure::usage(format!("{} is a folder", shown(path))).hint("name a file in it with -o")
            );
        }
        if let Some(folder) = path.parent().filter(|f| !f.as_os_str().is_empty() && !f.is_dir()) {
            return Err(Failure::new(Exit::Failed, format!("there is no folder {}", shown(folder))));
        }
        if !self.force && path.symlink_metadata().is_ok() {
            return Err(there());
        }
        let taken = if self.force { Taken::Replace } else { Taken::Refuse };
        let mut draft = path.as_os_str().to_owned();
        draft.push(format!(".{}.part", hex::encode(app.env.random_bytes::<4>()?)));
        let draft = PathBuf::from(draft);
        let written = write_draft(app, tree, content, &draft).and_then(|report| {
            durable::publish(&draft, path, taken).map_err(|e| match e {
                chronos_store::Error::Local { source, .. } if source.kind() == ErrorKind::AlreadyExists => {
                    there()
                }
                other => other.into(),
            })?;
            Ok(report)
        });
        if written.is_err() {
            // The first error is the one to report; the draft's name says what it is.
            let _ = std::fs::remove_file(&draft);
        }
        written
    }
}

fn to_standard_output(app: &App, tree: &Tree, content: &Content) -> Result<ExportReport, Failure> {
    let mut out = BufWriter::new(app.output.bytes());
    let report = content.write(app, tree, &mut out).map_err(|e| match e {
        chronos_snapshot::Error::File { source, .. } if source.kind() == std::io::ErrorKind::BrokenPipe => {
            Failure::new(Exit::Failed, "the reader of standard output went away; it has no whole archive")
        }
        other => other.into(),
    })?;
    out.flush().map_err(|e| Failure::stdout(&e))?;
    Ok(report)
}

fn write_draft(app: &App, tree: &Tree, content: &Content, draft: &Path) -> Result<ExportReport, Failure> {
    // What only its owner may read is in it too.
    let file = std::fs::OpenOptions::new().write(true).create_new(true).mode(0o600).open(draft);
    let file = file.map_err(|e| Failure::file(draft, &e))?;
    let mut out = BufWriter::new(file);
    let report = content.write(app, tree, &mut out)?;
    out.flush().and_then(|()| out.get_ref().sync_all()).map_err(|e| Failure::file(draft, &e))?;
    Ok(report)
}
