//! What a job does, as it stands in the queue: everything that carrying it out needs to know, and no secret.

use std::collections::BTreeMap;
use std::path::PathBuf;

use chronos_connect::postgres::Part;
use chronos_snapshot::{FileOptions, Outcome, Strategy};
use serde::{Deserialize, Serialize};

use crate::operations::backup::{ALL, BackupRequest};
use crate::operations::restore::{Reach, RestoreRequest};
use crate::sources::{LIST_THREADS, Selection};

/// The lane of what reads or changes the repository as a whole: one of them at a time leaves workers for backups.
const UPKEEP: &str = "upkeep";

/// Kind of the jobs that take no worker: most of their time they wait for a network, and no backup may wait for that.
pub(super) const SYNC: &str = "sync";

/// What a job does.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "lowercase")]
pub enum Task {
    /// A snapshot, or one of each of several targets.
    Backup(Box<BackupTask>),
    /// Stored data are read back.
    Verify(VerifyTask),
    /// Retention is applied, and the space given back.
    Cleanup(CleanupTask),
    /// A snapshot is put back.
    Restore(Box<RestoreTask>),
    /// Snapshots are restored for trial.
    Drill(DrillTask),
    /// Copies at other places are brought up to date.
    Sync(SyncTask),
}

/// A sync.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct SyncTask {
    /// To this place; to all that are configured if absent.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub to: Option<String>,
    /// Read everything there, and replace what is damaged.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub check: bool,
}

/// A drill: of one snapshot, of the latest of a target, or of the latest of each.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct DrillTask {
    /// This snapshot, by its own name.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub backup_id: Option<String>,
    /// The latest of this target; `all`: the whole recovery.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub target: Option<String>,
    /// Into this target.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub into: Option<String>,
}

impl DrillTask {
    /// Whether it is the whole recovery.
    pub(crate) fn is_recovery(&self) -> bool {
        self.target.as_deref() == Some(ALL)
    }

    /// The names that it stands for; none: every target.
    pub(crate) fn names(&self) -> Vec<String> {
        self.backup_id.iter().chain(&self.target).take(1).cloned().collect()
    }
}

/// A restore. One whose service died is begun again: what was finished is as in the snapshot already.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct RestoreTask {
    /// The snapshot, by its own name.
    pub backup_id: String,
    /// The target that is written to.
    pub target: String,
    /// Only these components, sources or targets.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub components: Vec<String>,
    /// Only this part of a database.
    #[serde(skip_serializing_if = "Part::is_all")]
    pub part: Part,
    /// How.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub strategy: Option<Strategy>,
    /// The new place.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub path: Option<PathBuf>,
    /// The fingerprint of the plan that somebody has seen.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub fingerprint: Option<String>,
    /// Whoever asked may name any place.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub anywhere: bool,
}

/// A backup.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct BackupTask {
    /// Targets; empty: every configured one.
    pub targets: Vec<String>,
    /// Why it is made.
    pub tier: String,
    /// Which sources it takes.
    pub backup_type: String,
    /// Only these components.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub components: Vec<String>,
    /// Only this workflow.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub workflow: Option<String>,
    /// Name.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
    /// For people.
    pub description: String,
    /// Tags.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub tags: Vec<String>,
    /// Free metadata.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub metadata: BTreeMap<String, String>,
    /// Only files that fit one of these patterns.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub include_patterns: Vec<String>,
    /// No files that fit one of these patterns.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub exclude_patterns: Vec<String>,
    /// Only these folders and files directly below the target's paths.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub target_modules: Vec<String>,
    /// A snapshot only when something changed.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub on_change: bool,
    /// The run over several targets that it is part of.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub run_id: Option<String>,
}

/// A verification: of one snapshot, of those of a target, or of the repository.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct VerifyTask {
    /// This snapshot.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub backup_id: Option<String>,
    /// The snapshots of this target, those that were not verified for longest first.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub target: Option<String>,
    /// Only look whether everything is there.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub quick: bool,
    /// How much of the repository, or of the target's snapshots: 1.0 is all of it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub share: Option<f64>,
}

/// A cleanup.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct CleanupTask {
    /// Snapshots of these targets; empty: of all.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub targets: Vec<String>,
    /// Only say what would be done.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub dry_run: bool,
    /// A schedule asked for it, which trusts clocks less than a person does.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub scheduled: bool,
}

impl Task {
    /// Its word.
    pub fn kind(&self) -> &'static str {
        match self {
            Self::Backup(_) => "backup",
            Self::Verify(_) => "verify",
            Self::Cleanup(_) => "cleanup",
            Self::Restore(_) => "restore",
            Self::Drill(_) => "drill",
            Self::Sync(_) => SYNC,
        }
    }

    /// Whose, if of one target alone; of a sync, where to.
    pub fn target(&self) -> Option<&str> {
        let targets = match self {
            Self::Backup(task) => &task.targets,
            Self::Cleanup(task) => &task.targets,
            Self::Verify(task) => return task.target.as_deref(),
            Self::Restore(task) => return Some(&task.target),
            Self::Drill(task) => return task.target.as_deref(),
            Self::Sync(task) => return task.to.as_deref(),
        };
        match &**targets {
            [one] => Some(one),
            _ => None,
        }
    }

    /// Jobs of one lane run one after the other: backups of one target, runs over several, and what concerns the repository as a
    /// whole.
    pub(super) fn lane(&self) -> String {
        match self {
            Self::Backup(_) => format!("backup {}", self.target().unwrap_or(ALL)),
            Self::Restore(task) => format!("restore {}", task.target),
            Self::Verify(_) | Self::Cleanup(_) | Self::Drill(_) => UPKEEP.to_owned(),
            Self::Sync(task) => format!("{SYNC} {}", task.to.as_deref().unwrap_or(ALL)),
        }
    }

    /// Who goes first: what somebody waits for, then scheduled backups, then upkeep.
    pub(super) fn priority(&self, is_scheduled: bool) -> u8 {
        match (is_scheduled, self) {
            (false, _) => 0,
            (true, Self::Backup(_) | Self::Restore(_)) => 1,
            (true, Self::Verify(_) | Self::Cleanup(_) | Self::Drill(_) | Self::Sync(_)) => 2,
        }
    }
}

impl RestoreTask {
    /// What is asked for.
    pub fn request(&self) -> RestoreRequest {
        RestoreRequest {
            backup: self.backup_id.clone(),
            components: self.components.clone(),
            target: Some(self.target.clone()),
            part: self.part.clone(),
            strategy: self.strategy,
            path: self.path.clone(),
            fingerprint: self.fingerprint.clone(),
            reach: if self.anywhere { Reach::Anywhere } else { Reach::Root },
            ..RestoreRequest::default()
        }
    }
}

impl BackupTask {
    /// What is asked for, as it stands in the queue. What only the command line can ask for has no place there.
    pub fn new(targets: Vec<String>, request: BackupRequest) -> Self {
        Self {
            targets,
            tier: request.tier,
            backup_type: request.selection.backup_type,
            components: request.selection.components,
            workflow: request.selection.workflow,
            name: request.name,
            description: request.description,
            tags: request.tags,
            metadata: request.metadata,
            include_patterns: request.rules.includes,
            exclude_patterns: request.rules.excludes,
            target_modules: request.rules.modules,
            on_change: request.outcome == Outcome::SnapshotIfChanged,
            run_id: request.run_id,
        }
    }

    /// What is asked of each target.
    pub fn request(&self) -> BackupRequest {
        BackupRequest {
            tier: self.tier.clone(),
            selection: Selection {
                backup_type: self.backup_type.clone(),
                components: self.components.clone(),
                workflow: self.workflow.clone(),
            },
            name: self.name.clone(),
            description: self.description.clone(),
            tags: self.tags.clone(),
            metadata: self.metadata.clone(),
            outcome: if self.on_change { Outcome::SnapshotIfChanged } else { Outcome::Snapshot },
            rules: FileOptions {
                includes: self.include_patterns.clone(),
                excludes: self.exclude_patterns.clone(),
                modules: self.target_modules.clone(),
                threads: LIST_THREADS,
                ..FileOptions::default()
            },
            run_id: self.run_id.clone(),
            ..BackupRequest::default()
        }
    }
}
