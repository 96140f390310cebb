//! `chronos diff`: what differs between two snapshots, or between a snapshot and what is on disk.

use std::ffi::OsStr;
use std::fs::File;
use std::io::{ErrorKind, Read};
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};

use chronos_snapshot::{
    Aspect, ByteRange, Change, Difference, FileOptions, FileSource, JSON_BYTES_MAX, JsonChange, MemorySource,
    Node, NodeKind, Result as SnapshotResult, Snapshot, Source, TreePath, json_diff, parse_path,
};
use clap::Args;
use serde::Serialize;

use crate::commands::catalog::Catalog;
use crate::context::App;
use crate::error::{Exit, Failure};
use crate::output::entry::Entry;
use crate::values::parse_shown;

/// Show what differs between two snapshots, or between a snapshot and the files on disk
///
/// Lines begin with + (added), - (removed) or M (changed, with what has changed). A JSON file that is named by itself
/// is compared value by value.
#[derive(Debug, Args)]
pub(crate) struct Diff {
    /// The older side: SNAP, SNAP:PATH, or `live`
    #[arg(value_name = "A", value_parser = parse_shown())]
    from: String,

    /// The newer side: SNAP, SNAP:PATH, or `live`
    #[arg(value_name = "B", value_parser = parse_shown())]
    to: String,

    /// Only at and below this path
    #[arg(long, value_name = "PATH")]
    path: Option<String>,
}

/// One difference of the JSON document.
#[derive(Serialize)]
struct Row {
    change: Change,
    path: String,
    aspects: Vec<Aspect>,
    before: Option<Entry>,
    after: Option<Entry>,
}

/// The JSON document.
#[derive(Default, Serialize)]
struct Document {
    from: String,
    to: String,
    added: Vec<Row>,
    removed: Vec<Row>,
    changed: Vec<Row>,
    #[serde(skip_serializing_if = "Option::is_none")]
    values: Option<Vec<JsonChange>>,
    errors: Vec<String>,
}

/// One side.
enum Side {
    Live,
    Snapshot(Box<Snapshot>, Option<TreePath>),
}

impl Diff {
    /// Runs the command.
    pub(crate) fn run(&self, app: &App) -> Result<Exit, Failure> {
        let catalog = Catalog::open(app)?;
        let (from, to) = (side(app, &catalog, &self.from)?, side(app, &catalog, &self.to)?);
        let base = self.base(&from, &to)?;
        let mut document = Document { from: name(&from), to: name(&to), ..Document::default() };
        document.values = values(&catalog, &from, &to, &base)?;
        match (&from, &to) {
            (Side::Live, Side::Live) => return Err(Failure::usage("at least one side must be a snapshot")),
            (Side::Snapshot(a, _), Side::Snapshot(b, _)) => {
                let (a, b) = (catalog.tree(a), catalog.tree(b));
                collect(app, a.diff(&b, &base), false, &mut document)?;
            }
            (Side::Snapshot(a, _), Side::Live) => {
                against_live(app, &catalog, a, &base, false, &mut document)?;
            }
            (Side::Live, Side::Snapshot(b, _)) => against_live(app, &catalog, b, &base, true, &mut document)?,
        }
        if let Some(values) = &document.values {
            for value in values {
                app.output.line(format!("  {}", serde_json::to_string(value).unwrap_or_default()))?;
            }
        }
        app.output.summary(format!(
            "{} added, {} removed, {} changed",
            document.added.len(),
            document.removed.len(),
            document.changed.len()
        ))?;
        let exit = match (
            document.errors.is_empty(),
            matches!((&from, &to), (Side::Snapshot(..), Side::Snapshot(..))),
        ) {
            (true, _) => catalog.exit(),
            (false, true) => Exit::Damage,
            (false, false) => catalog.exit().worst(Exit::Partial),
        };
        app.output.document(&document)?;
        Ok(exit)
    }

    fn base(&self, from: &Side, to: &Side) -> Result<TreePath, Failure> {
        let named = [from, to].into_iter().filter_map(|s| match s {
            Side::Snapshot(_, path) => path.clone(),
            Side::Live => None,
        });
        let mut paths: Vec<TreePath> = named.collect();
        paths.extend(self.path.as_deref().map(parse_path).transpose()?);
        paths.dedup();
        match paths.as_slice() {
            [] => Ok(TreePath::root()),
            [one] => Ok(one.clone()),
            _ => Err(Failure::usage("both sides must name the same path")),
        }
    }
}

fn side(app: &App, catalog: &Catalog, text: &str) -> Result<Side, Failure> {
    if text == "live" {
        return Ok(Side::Live);
    }
    let (snapshot, path) = catalog.locate(app, text)?;
    Ok(Side::Snapshot(Box::new(snapshot), path))
}

fn name(side: &Side) -> String {
    match side {
        Side::Live => "live".to_owned(),
        Side::Snapshot(snapshot, _) => snapshot.manifest.backup_id.clone(),
    }
}

/// A snapshot beside the files on disk that it was made of.
fn against_live(
    app: &App,
    catalog: &Catalog,
    snapshot: &Snapshot,
    base: &TreePath,
    turned: bool,
    document: &mut Document,
) -> Result<(), Failure> {
    let tree = catalog.tree(snapshot);
    let paths = tree.roots(&snapshot.manifest);
    let roots: Vec<PathBuf> = paths.iter().map(on_disk).collect();
    if roots.is_empty() {
        return Err(Failure::new(
            Exit::Failed,
            format!("{} does not name the files on disk that it was made of", snapshot.manifest.backup_id),
        ));
    }
    if roots.iter().all(|r| r.symlink_metadata().is_err_and(|e| e.kind() == ErrorKind::NotFound)) {
        app.output.warning("nothing that the snapshot was made of is there any more");
        let gone = if base.is_root() { paths } else { vec![base.clone()] };
        for path in gone {
            let nothing = MemorySource::new("files", "files").open()?;
            collect(app, tree.diff_live(&path, nothing), turned, document)?;
        }
        return Ok(());
    }
    let settings = app.workplace()?;
    let own =
        vec![settings.location.path.clone(), settings.places.cache.clone(), settings.places.state.clone()];
    let mut live = FileSource::new(FileOptions { roots, own, threads: 2, ..FileOptions::default() })?;
    collect(app, tree.diff_live(base, live.open()?), turned, document)
}

/// The values that differ, if the path is one JSON file on both sides.
fn values(
    catalog: &Catalog,
    from: &Side,
    to: &Side,
    base: &TreePath,
) -> Result<Option<Vec<JsonChange>>, Failure> {
    if base.is_root() || !base.name().ends_with(b".json") {
        return Ok(None);
    }
    match (small_file(catalog, from, base)?, small_file(catalog, to, base)?) {
        // What is not JSON has no values to compare.
        (Some(a), Some(b)) => Ok(json_diff(&a, &b).ok()),
        _ => Ok(None),
    }
}

/// The content of a file that is short enough to be compared by its values.
fn small_file(catalog: &Catalog, side: &Side, path: &TreePath) -> Result<Option<Vec<u8>>, Failure> {
    let mut bytes = Vec::new();
    match side {
        Side::Snapshot(snapshot, _) => {
            let tree = catalog.tree(snapshot);
            let is_small = |n: &Node| matches!(n.kind, NodeKind::File(_)) && n.size() <= JSON_BYTES_MAX;
            if !tree.get(path)?.as_ref().is_some_and(is_small) {
                return Ok(None);
            }
            tree.cat(path, ByteRange::ALL, &mut bytes)?;
        }
        Side::Live => {
            let path = on_disk(path);
            match path.symlink_metadata() {
                Ok(found) if found.is_file() && found.len() <= JSON_BYTES_MAX => {}
                // That it is not there, or not to be read, the comparison of the trees tells.
                _ => return Ok(None),
            }
            let file = File::open(&path).map_err(|e| Failure::file(&path, &e))?;
            file.take(JSON_BYTES_MAX).read_to_end(&mut bytes).map_err(|e| Failure::file(&path, &e))?;
        }
    }
    Ok(Some(bytes))
}

fn on_disk(path: &TreePath) -> PathBuf {
    Path::new("/").join(OsStr::from_bytes(path.as_bytes()))
}

fn collect(
    app: &App,
    differences: impl Iterator<Item = SnapshotResult<Difference>>,
    turned: bool,
    document: &mut Document,
) -> Result<(), Failure> {
    let monitor = app.output.monitor();
    for difference in differences {
        chronos_store::check_cancelled(&*monitor)?;
        match difference {
            Ok(found) => add(app, if turned { turn(found) } else { found }, document)?,
            Err(error) => {
                app.output.warning(&error);
                document.errors.push(error.to_string());
            }
        }
    }
    Ok(())
}

/// The same difference, seen from the other side.
fn turn(found: Difference) -> Difference {
    let change = match found.change {
        Change::Added => Change::Removed,
        Change::Removed => Change::Added,
        Change::Changed => Change::Changed,
    };
    Difference { change, before: found.after, after: found.before, ..found }
}

fn add(app: &App, found: Difference, document: &mut Document) -> Result<(), Failure> {
    let mark = match found.change {
        Change::Added => '+',
        Change::Removed => '-',
        Change::Changed => 'M',
    };
    let aspects: Vec<String> = found.aspects.iter().map(|a| format!("{a:?}").to_lowercase()).collect();
    let why = if aspects.is_empty() { String::new() } else { format!(" ({})", aspects.join(", ")) };
    app.output.line(format!("{mark} {}{why}", found.path))?;
    let entry = |node: &Option<chronos_snapshot::Node>| node.as_ref().map(|n| Entry::new(&found.path, n));
    let row = Row {
        change: found.change,
        path: found.path.to_string(),
        before: entry(&found.before),
        after: entry(&found.after),
        aspects: found.aspects.clone(),
    };
    match found.change {
        Change::Added => document.added.push(row),
        Change::Removed => document.removed.push(row),
        Change::Changed => document.changed.push(row),
    }
    Ok(())
}
