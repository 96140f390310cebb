//! `chronos versions`: the distinct versions of one path, or of one workflow.

use std::path::{Component, Path, PathBuf};

use chronos_server::operations::versions::{Workflow, WorkflowVersion, find_workflow, of_workflow};
use chronos_snapshot::{Snapshot, TreePath, counted, parse_path, versions};
use chronos_store::SnapshotId;
use clap::Args;
use serde::Serialize;

use crate::commands::catalog::{Catalog, Filter, canonical};
use crate::context::App;
use crate::error::{Exit, Failure};
use crate::output::entry::{Entry, mtime};
use crate::output::table::{SHORT_ID_LEN, Table, local_time, size};
use crate::values::parse_shown;

/// List the distinct versions of a file or folder, or of a workflow
#[derive(Debug, Args)]
pub(crate) struct Versions {
    /// A path, as it is on disk or as it is in the snapshots
    #[arg(value_name = "PATH", value_parser = parse_shown(), required_unless_present = "workflow", conflicts_with = "workflow")]
    wanted: Option<String>,

    /// A workflow of an n8n, by its id; of --target, or of the target that has it
    #[arg(long, value_name = "ID", conflicts_with_all = ["tier", "tags", "host", "path", "since", "until", "status"])]
    workflow: Option<String>,

    #[command(flatten)]
    filter: Filter,
}

/// One version.
#[derive(Serialize)]
#[expect(clippy::struct_field_names, reason = "names of the JSON document")]
struct Version {
    version_id: String,
    #[serde(flatten)]
    entry: Entry,
    backup_id: String,
    created_at: String,
    first_seen: String,
    last_seen: String,
    snapshots: Vec<String>,
}

/// The JSON document.
#[derive(Serialize)]
struct Document {
    path: String,
    versions: Vec<Version>,
    errors: Vec<String>,
}

/// The JSON document of a workflow.
#[derive(Serialize)]
struct OfWorkflow<'a> {
    workflow_id: &'a str,
    target: String,
    source: String,
    versions: Vec<WorkflowVersion>,
    errors: Vec<String>,
}

impl Versions {
    /// Runs the command.
    pub(crate) fn run(&self, app: &App) -> Result<Exit, Failure> {
        let catalog = Catalog::open(app)?;
        match (&self.workflow, &self.wanted) {
            (Some(id), _) => self.of_workflow(app, &catalog, id),
            (None, wanted) => self.of_path(app, &catalog, wanted.as_deref().unwrap_or_default()),
        }
    }

    fn of_workflow(&self, app: &App, catalog: &Catalog, id: &str) -> Result<Exit, Failure> {
        let found = match &self.filter.target {
            Some(target) => of_workflow(catalog, &canonical(app, target)?, id)?,
            None => find_workflow(catalog, &catalog.snapshots, id)?,
        };
        let mut table =
            Table::new(&["VERSION", "CONTENT", "NAME", "ACTIVE", "FIRST SEEN", "LAST SEEN", "IN", "NEWEST"])
                .right(&[6]);
        for version in &found.versions {
            table.row([
                version.version_id.clone(),
                version.content_id.chars().take(SHORT_ID_LEN).collect(),
                version.name.clone(),
                if version.active { "yes" } else { "no" }.to_owned(),
                local_time(&version.first_seen),
                local_time(&version.last_seen),
                version.snapshots.len().to_string(),
                version.backup_id.clone(),
            ]);
        }
        found.errors.iter().for_each(|e| app.output.warning(e));
        let exit = if found.errors.is_empty() { catalog.exit() } else { Exit::Damage };
        app.output.table(&table)?;
        let Workflow { source, target, versions, errors } = found;
        app.output.document(&OfWorkflow { workflow_id: id, target, source, versions, errors })?;
        Ok(exit)
    }

    fn of_path(&self, app: &App, catalog: &Catalog, wanted: &str) -> Result<Exit, Failure> {
        let mut chosen: Vec<Snapshot> = self.filter.apply(catalog, &catalog.snapshots)?.cloned().collect();
        chosen.sort_by_key(Snapshot::taken_at);
        let reader = catalog.view.reader();
        let mut answer = None;
        for path in candidates(wanted)? {
            let found = versions(&reader, &chosen, &path);
            let empty = found.versions.is_empty() && found.errors.is_empty();
            answer = Some((path, found));
            if !empty {
                break;
            }
        }
        let Some((path, found)) = answer else {
            return Err(Failure::usage(format!("{wanted} is no path")));
        };
        if found.versions.is_empty() && found.errors.is_empty() {
            return Err(Failure::new(
                Exit::Failed,
                format!("{path} is not in any of {}", counted(chosen.len(), "snapshot")),
            )
            .hint("`chronos find PATTERN` looks for names"));
        }
        let backup_id = |id: &SnapshotId| {
            chosen.iter().find(|s| s.id == *id).map(|s| s.manifest.backup_id.clone()).unwrap_or_default()
        };
        let created = |id: &SnapshotId| {
            chosen.iter().find(|s| s.id == *id).map(|s| s.manifest.created_at.clone()).unwrap_or_default()
        };
        let mut table =
            Table::new(&["VERSION", "SIZE", "CHANGED", "FIRST SEEN", "LAST SEEN", "IN", "NEWEST"])
                .right(&[1, 5]);
        let mut listed = Vec::new();
        for version in found.versions.iter().rev() {
            table.row([
                version.id.to_string().chars().take(SHORT_ID_LEN).collect(),
                size(version.node.size()),
                mtime(&version.node),
                local_time(&created(&version.first)),
                local_time(&created(&version.last)),
                version.snapshots.len().to_string(),
                backup_id(&version.last),
            ]);
            listed.push(Version {
                version_id: version.id.to_string(),
                entry: Entry::new(&path, &version.node),
                backup_id: backup_id(&version.last),
                created_at: created(&version.last),
                first_seen: created(&version.first),
                last_seen: created(&version.last),
                snapshots: version.snapshots.iter().map(backup_id).collect(),
            });
        }
        let errors: Vec<String> =
            found.errors.iter().map(|(id, error)| format!("{}: {error}", backup_id(id))).collect();
        errors.iter().for_each(|e| app.output.warning(e));
        let exit = if errors.is_empty() { catalog.exit() } else { Exit::Damage };
        app.output.table(&table)?;
        app.output.document(&Document { path: path.to_string(), versions: listed, errors })?;
        Ok(exit)
    }
}

/// What the path may mean: the place on disk first, then the path inside snapshots; as it is spelled, then as it
/// is shown.
fn candidates(typed: &str) -> Result<Vec<TreePath>, Failure> {
    let absolute = |p: &Path| std::path::absolute(p).map_err(|e| Failure::file(p, &e));
    let wanted = Path::new(typed);
    if wanted.components().any(|c| c == Component::ParentDir) {
        return Ok(vec![TreePath::from_absolute(&without_parents(&absolute(wanted)?))?]);
    }
    let inside = TreePath::of_shown(&String::from_utf8_lossy(parse_path(typed)?.as_bytes()));
    let mut paths = Vec::new();
    if !wanted.is_absolute() {
        let here = TreePath::from_absolute(&absolute(Path::new("."))?)?;
        for below in &inside {
            paths.push(here.join(below.as_bytes())?);
        }
    }
    paths.extend(inside);
    Ok(paths)
}

/// The same path without `..`, as it is spelled: what stood there once need not be there to ask the file system.
fn without_parents(path: &Path) -> PathBuf {
    let mut plain = PathBuf::new();
    for component in path.components() {
        match component {
            Component::ParentDir => drop(plain.pop()),
            other => plain.push(other),
        }
    }
    plain
}
