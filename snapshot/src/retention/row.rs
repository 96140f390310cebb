//! What retention knows of a snapshot.

use jiff::Timestamp;

use crate::record::Snapshot;

/// Whether a snapshot can be relied on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Health {
    /// `completed` or `verified`.
    Good,
    /// Something could not be read when it was made.
    Partial,
    /// Found damaged.
    Bad,
}

/// One snapshot, as retention sees it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Row {
    /// Target.
    pub target: String,
    /// Tier.
    pub tier: String,
    /// Which components it took.
    pub backup_type: String,
    /// Limited to these; empty: everything of the target.
    pub scope: Vec<String>,
    /// Host it was taken on.
    pub host: String,
    /// Tags as they are now.
    pub tags: Vec<String>,
    /// When it was taken; `None` if that cannot be read.
    pub time: Option<Timestamp>,
    /// Whether it can be relied on.
    pub health: Health,
    /// Whether it is held.
    pub held: bool,
}

impl Row {
    /// The row of a snapshot.
    pub fn of(snapshot: &Snapshot) -> Self {
        let manifest = &snapshot.manifest;
        let health = match snapshot.status() {
            _ if snapshot.is_good() => Health::Good,
            "partial" => Health::Partial,
            _ => Health::Bad,
        };
        Self {
            target: manifest.target.clone(),
            tier: manifest.tier.clone(),
            backup_type: manifest.backup_type.clone(),
            scope: manifest.scope.clone(),
            host: manifest.host.clone(),
            tags: snapshot.tags().to_vec(),
            time: manifest.created_at.parse().ok(),
            health,
            held: snapshot.marks.held,
        }
    }

    /// Whether it holds the state before a rollback: such a one is nobody's last good snapshot.
    pub(super) fn is_before_rollback(&self) -> bool {
        matches!(self.tier.as_str(), "emergency" | "restore-point")
    }

    /// Whether it took everything of its target.
    pub(super) fn is_whole(&self) -> bool {
        self.scope.is_empty() && matches!(self.backup_type.as_str(), "full" | "incremental")
    }
}
