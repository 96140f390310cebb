//! What came of drills, as it is answered and kept.

use serde::{Deserialize, Serialize};

use crate::operations::recover::Phase;
use crate::state::DrillStatus;

/// What came of one source.
#[derive(Clone, Debug, Default, Serialize, Deserialize, utoipa::ToSchema)]
pub struct SourceProof {
    /// Its name.
    pub source: String,
    /// `files`, `command`, `n8n`, `postgres`, `sqlite`.
    pub kind: String,
    /// What came of it.
    pub status: DrillStatus,
    /// How long that took.
    pub duration_ms: u64,
    /// What holds.
    pub proven: Vec<String>,
    /// What could not be tried here, and what is missing for that.
    #[serde(skip_serializing_if = "Vec::is_empty", default)]
    pub not_tried: Vec<String>,
    /// What does not hold.
    pub errors: Vec<String>,
    /// Of a drill of the whole recovery: where it comes in its order, and from what.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub part: Option<RecoveryPart>,
}

impl SourceProof {
    /// For people.
    pub fn shown(&self) -> String {
        match &self.part {
            Some(part) => format!("{}: {}", part.target, self.source),
            None => self.source.clone(),
        }
    }
}

/// A source in a drill of the whole recovery.
#[derive(Clone, Debug, Serialize, Deserialize, utoipa::ToSchema)]
pub struct RecoveryPart {
    /// Its place in the order.
    pub phase: Phase,
    /// Its target.
    pub target: String,
    /// The snapshot that it came from; empty if there is none.
    pub backup_id: String,
}

/// What came of a drill. What is serialised are the fields of `drill --json`.
#[derive(Clone, Debug, Default, Serialize, Deserialize, utoipa::ToSchema)]
pub struct Drilled {
    /// The snapshot, by its name; `latest` of the whole recovery.
    pub backup_id: String,
    /// Its content id; empty of the whole recovery.
    pub snapshot: String,
    /// Its target; `all` of the whole recovery.
    pub target: String,
    /// The target that it went into; absent: a scratch place.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub into: Option<String>,
    /// What came of it.
    pub status: DrillStatus,
    /// When it began.
    pub began_at: Option<String>,
    /// How long it took until everything was back and looked at: the measured recovery time.
    pub duration_ms: u64,
    /// Logical bytes that were restored.
    pub size_bytes: u64,
    /// Since when the snapshot, or the whole recovery, counts as proven; `null` if it does not.
    pub proven_at: Option<String>,
    /// What came of each source.
    pub sources: Vec<SourceProof>,
    /// What does not hold or could not be tried, each with its source.
    pub errors: Vec<String>,
}

/// What came of several drills.
#[derive(Clone, Debug, Default, Serialize, utoipa::ToSchema)]
pub struct Drills {
    /// The worst of them.
    pub status: DrillStatus,
    /// Each of them.
    pub drills: Vec<Drilled>,
    /// Those that could not be made, and why.
    pub errors: Vec<String>,
}

impl Drills {
    /// Adds one.
    pub fn add(&mut self, drilled: Drilled) {
        self.status = self.status.max(drilled.status);
        self.drills.push(drilled);
    }

    /// What is wrong first.
    pub fn first_error(&self) -> Option<&String> {
        self.errors.first().or_else(|| self.drills.iter().find_map(|drilled| drilled.errors.first()))
    }
}
