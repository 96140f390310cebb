//! What could be gone back to: the snapshots of something, and the distinct versions of one workflow or path over them.

use chronos_connect::n8n::file_name;
use chronos_snapshot::{
    ByteRange, COMPONENTS, Snapshot, SourceResult, TreePath, Version, parse_path, versions,
};
use chronos_store::SnapshotId;
use serde::Serialize;
use serde_json::Value;
use utoipa::ToSchema;

use crate::catalog::{Catalog, target_name};
use crate::config::Config;
use crate::error::{Error, Result};

/// Folder of the workflows, in that of their source.
pub(crate) const FOLDER: &[u8] = b"workflows";
/// Kind of the sources that have workflows.
const KIND: &str = "n8n";
/// The target that is meant where nobody names one.
pub const FIRST: &str = "control-plane";
/// Longest workflow that is read.
const WORKFLOW_MAX: u64 = 64 << 20;

/// One version of a workflow.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, ToSchema)]
pub struct WorkflowVersion {
    /// What its server called it; its content id if that called it nothing.
    pub version_id: String,
    /// Id of its content, as it is stored.
    pub content_id: String,
    /// Its name.
    pub name: String,
    /// Whether it was active.
    pub active: bool,
    /// When it was changed last, as its server said.
    pub updated_at: Option<String>,
    /// The newest snapshot that has it; a good one if there is any.
    pub backup_id: String,
    /// When that was made.
    pub created_at: String,
    /// When it was first stored.
    pub first_seen: String,
    /// When it was last stored.
    pub last_seen: String,
    /// Snapshots that have it, oldest first.
    pub snapshots: Vec<String>,
    /// Whether nothing but the safety snapshots of restores has it: it is what somebody wanted to be rid of.
    pub only_before_rollbacks: bool,
}

/// A workflow and its versions.
#[derive(Debug)]
pub struct Workflow {
    /// The source that has it.
    pub source: String,
    /// The target that has it.
    pub target: String,
    /// Its versions, newest first.
    pub versions: Vec<WorkflowVersion>,
    /// What could not be read.
    pub errors: Vec<String>,
}

/// One version of a path.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, ToSchema)]
pub struct PathVersion {
    /// Id of its content.
    pub version_id: String,
    /// Its path in the snapshots.
    pub path: String,
    /// Its length in bytes.
    pub size: u64,
    /// The newest snapshot that has it.
    pub backup_id: String,
    /// When that was made.
    pub created_at: String,
    /// When it was first stored.
    pub first_seen: String,
    /// When it was last stored.
    pub last_seen: String,
    /// Snapshots that have it, oldest first.
    pub snapshots: Vec<String>,
}

/// The snapshots of a target, or those that have a source or a component of this name, oldest first; all if none is named.
///
/// # Errors
/// [`Error::UnknownTarget`] for a name that means none of these.
pub fn snapshots_of(catalog: &Catalog, config: &Config, component: Option<&str>) -> Result<Vec<Snapshot>> {
    let Some(component) = component else { return Ok(catalog.snapshots.clone()) };
    let target = target_name(config, component);
    let of_target = |s: &&Snapshot| s.manifest.target == target;
    let is_part = |s: &SourceResult| s.name == component || s.component() == component;
    let of_part = |s: &&Snapshot| s.manifest.sources.iter().any(is_part);
    let all = || catalog.snapshots.iter();
    let found: Vec<Snapshot> = match all().filter(of_target).cloned().collect::<Vec<_>>() {
        none if none.is_empty() => all().filter(of_part).cloned().collect(),
        some => some,
    };
    let is_known = config.target(component).is_some() || COMPONENTS.contains(&component);
    if found.is_empty() && !is_known {
        return Err(Error::UnknownTarget { target });
    }
    Ok(found)
}

/// The versions of a path, newest first, and what could not be read.
///
/// # Errors
/// A path that is none.
pub fn of_path(
    catalog: &Catalog,
    snapshots: &[Snapshot],
    path: &str,
) -> Result<(Vec<PathVersion>, Vec<String>)> {
    let shown = String::from_utf8_lossy(parse_path(path)?.as_bytes()).into_owned();
    for path in TreePath::of_shown(&shown) {
        let found = versions(&catalog.view.reader(), snapshots, &path);
        if found.versions.is_empty() && found.errors.is_empty() {
            continue;
        }
        let of = |id: &SnapshotId| snapshots.iter().find(|s| s.id == *id).map(|s| &s.manifest);
        let name = |id: &SnapshotId| of(id).map(|m| m.backup_id.clone()).unwrap_or_default();
        let moment = |id: &SnapshotId| of(id).map(|m| m.created_at.clone()).unwrap_or_default();
        let mut seen: Vec<PathVersion> = found
            .versions
            .iter()
            .map(|version| PathVersion {
                version_id: version.id.to_string(),
                path: path.to_string(),
                size: version.node.size(),
                backup_id: name(&version.last),
                created_at: moment(&version.last),
                first_seen: moment(&version.first),
                last_seen: moment(&version.last),
                snapshots: version.snapshots.iter().map(name).collect(),
            })
            .collect();
        seen.sort_by(|a, b| b.last_seen.cmp(&a.last_seen));
        let errors = found.errors.iter().map(|(id, error)| format!("{}: {error}", name(id))).collect();
        return Ok((seen, errors));
    }
    Ok((Vec::new(), Vec::new()))
}

/// A workflow: in `control-plane` if that has it, as everywhere where no target is named; else in the target that was backed up last.
///
/// # Errors
/// [`Error::UnknownWorkflow`] if none has it.
pub fn find_workflow(catalog: &Catalog, snapshots: &[Snapshot], id: &str) -> Result<Workflow> {
    let is_first = |s: &&Snapshot| s.manifest.target == FIRST;
    let mut targets: Vec<&str> = Vec::new();
    for snapshot in snapshots.iter().rev().find(is_first).into_iter().chain(snapshots.iter().rev()) {
        if !targets.contains(&&*snapshot.manifest.target) {
            targets.push(&snapshot.manifest.target);
        }
    }
    for target in &targets {
        match of_workflow(catalog, target, id) {
            Err(Error::UnknownWorkflow { .. }) => {}
            found => return found,
        }
    }
    Err(Error::UnknownWorkflow { workflow: id.to_owned(), target: targets.join(", ") })
}

/// A workflow of a target: in the first of its sources that ever had it.
///
/// # Errors
/// [`Error::UnknownWorkflow`] if no snapshot of the target has it.
pub fn of_workflow(catalog: &Catalog, target: &str, id: &str) -> Result<Workflow> {
    let unknown = || Error::UnknownWorkflow { workflow: id.to_owned(), target: target.to_owned() };
    let file = file_name(id).ok_or_else(unknown)?;
    let all: Vec<Snapshot> =
        catalog.snapshots.iter().filter(|s| s.manifest.target == target).cloned().collect();
    let mut sources: Vec<&str> = Vec::new();
    for source in all.iter().rev().flat_map(|s| &s.manifest.sources).filter(|s| s.kind == KIND) {
        if !sources.contains(&&*source.name) {
            sources.push(&source.name);
        }
    }
    for source in sources {
        let path = TreePath::new(source)?.join(FOLDER)?.join(file.as_bytes())?;
        let found = versions(&catalog.view.reader(), &all, &path);
        if found.versions.is_empty() && found.errors.is_empty() {
            continue;
        }
        let mut workflow = Workflow {
            source: source.to_owned(),
            target: target.to_owned(),
            versions: Vec::new(),
            errors: Vec::new(),
        };
        let mut seen = Vec::new();
        for version in &found.versions {
            match read(catalog, &all, version, &path) {
                Ok((at, one)) => seen.push((at, one)),
                Err(error) => workflow.errors.push(format!("{path}: {error}")),
            }
        }
        workflow.errors.extend(found.errors.iter().map(|(id, error)| format!("snapshot {id}: {error}")));
        seen.sort_by_key(|(at, _)| std::cmp::Reverse(*at));
        workflow.versions = seen.into_iter().map(|(_, one)| one).collect();
        return Ok(workflow);
    }
    Err(unknown())
}

/// When a version was the state of things last, and what is known of it.
fn read(
    catalog: &Catalog,
    all: &[Snapshot],
    version: &Version,
    path: &TreePath,
) -> Result<(jiff::Timestamp, WorkflowVersion)> {
    let of = |id: &SnapshotId| all.iter().find(|s| s.id == *id);
    let holders: Vec<&Snapshot> = version.snapshots.iter().filter_map(of).collect();
    let is_telling = |s: &&&Snapshot| !s.is_before_rollback();
    let telling = holders.iter().rev().find(is_telling);
    let last = telling.or(holders.last()).ok_or(Error::Fault)?;
    let from = holders.iter().rev().filter(is_telling).find(|s| s.is_good()).unwrap_or(last);
    let content = content(catalog, from, path)?;
    let text = |key: &str| content.get(key).and_then(Value::as_str).map(str::to_owned);
    let content_id = version.id.to_string();
    let moment = |id: &SnapshotId| of(id).map(|s| s.manifest.created_at.clone()).unwrap_or_default();
    let one = WorkflowVersion {
        version_id: text("versionId").unwrap_or_else(|| content_id.clone()),
        content_id,
        name: text("name").unwrap_or_default(),
        active: content.get("active").and_then(Value::as_bool).unwrap_or_default(),
        updated_at: text("updatedAt"),
        backup_id: from.manifest.backup_id.clone(),
        created_at: from.manifest.created_at.clone(),
        first_seen: moment(&version.first),
        last_seen: moment(&version.last),
        snapshots: holders.iter().map(|s| s.manifest.backup_id.clone()).collect(),
        only_before_rollbacks: telling.is_none(),
    };
    Ok((last.taken_at(), one))
}

/// The content of a version of a workflow.
///
/// # Errors
/// What keeps it from being read.
pub fn load(catalog: &Catalog, workflow: &Workflow, id: &str, version: &WorkflowVersion) -> Result<Value> {
    let file = file_name(id).ok_or(Error::Fault)?;
    let path = TreePath::new(workflow.source.as_str())?.join(FOLDER)?.join(file.as_bytes())?;
    let from = catalog.snapshots.iter().find(|s| s.manifest.backup_id == version.backup_id);
    content(catalog, from.ok_or(Error::Fault)?, &path)
}

fn content(catalog: &Catalog, from: &Snapshot, path: &TreePath) -> Result<Value> {
    let tree = catalog.tree(from);
    let size = tree.get(path)?.map_or(0, |node| node.size());
    if size > WORKFLOW_MAX {
        return Err(Error::StepFailed(format!("{size} bytes are too many for a workflow")));
    }
    let mut bytes = Vec::new();
    tree.cat(path, ByteRange::ALL, &mut bytes)?;
    serde_json::from_slice(&bytes).map_err(|e| Error::StepFailed(format!("it is no JSON: {e}")))
}
