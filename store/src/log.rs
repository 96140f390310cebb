//! The one log: every change of visibility or deletion is a record, computed from exactly the state before it (rule R3).

use std::collections::BTreeSet;

use serde::{Deserialize, Serialize};

use crate::crypto::{Keys, Purpose};
use crate::error::{Error, Result};
use crate::format::{ObjectKind, Sealed};
use crate::id::{PackName, SessionId};
use crate::names;
use crate::view::Marks;

/// One change that a user of the store may make.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Change {
    /// Hides snapshots at once; refused for held ones.
    Forget {
        /// The snapshots.
        snapshots: Vec<SessionId>,
    },
    /// Brings forgotten snapshots back; refused for purged ones.
    Undelete {
        /// The snapshots.
        snapshots: Vec<SessionId>,
    },
    /// Sets the mutable marks of snapshots (hold, tags, verdicts); `forgotten_at` and `purged` are ignored here.
    Mark {
        /// The snapshots and their new marks.
        marks: Vec<(SessionId, Marks)>,
    },
}

impl Change {
    /// The record of this change, made at `now` (ns since 1970).
    pub(crate) fn record(self, now: i64) -> Record {
        match self {
            Self::Forget { snapshots } => Record::Forget { snapshots, at: now },
            Self::Undelete { snapshots } => Record::Undelete { snapshots },
            Self::Mark { marks } => Record::Mark { marks },
        }
    }
}

/// One record, as far as it changes the state.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
pub(crate) enum Record {
    /// Hides snapshots.
    Forget {
        /// The snapshots.
        snapshots: Vec<SessionId>,
        /// When (ns since 1970).
        at: i64,
    },
    /// Brings them back.
    Undelete {
        /// The snapshots.
        snapshots: Vec<SessionId>,
    },
    /// Sets marks.
    Mark {
        /// The snapshots and their new marks.
        marks: Vec<(SessionId, Marks)>,
    },
    /// G2: these packs will go.
    Condemn {
        /// The packs.
        packs: BTreeSet<PackName>,
        /// Snapshots that were marked from.
        roots: BTreeSet<SessionId>,
    },
    /// G6: these condemned packs go, the others of that condemnation stay.
    Sweep {
        /// Number of the condemnation.
        condemned: u64,
        /// The packs that go.
        swept: BTreeSet<PackName>,
        /// Forgotten snapshots that the second mark did not start from: they can no longer come back.
        purged: BTreeSet<SessionId>,
    },
    /// Forgotten snapshots can no longer come back; nothing was swept.
    Purge {
        /// The snapshots.
        snapshots: BTreeSet<SessionId>,
    },
    /// Runs and tables of contents were merged into new runs.
    Merge {
        /// Sessions whose own runs and packs the new runs hold.
        sessions: BTreeSet<SessionId>,
        /// Runs of the state that are replaced.
        removed: BTreeSet<String>,
        /// The new runs.
        added: BTreeSet<String>,
        /// Swept packs that no run names any more.
        unswept: BTreeSet<PackName>,
    },
    /// Packs that are damaged.
    Quarantine {
        /// The packs.
        packs: BTreeSet<PackName>,
    },
    /// Packs that were found whole again.
    Heal {
        /// The packs.
        packs: BTreeSet<PackName>,
    },
    /// Takes decisions into the table, and nothing else.
    Checkpoint,
    /// The state was made anew from the records that can be read.
    Repair {
        /// Numbers of those that cannot: they are known to be damaged, and stay, so that nobody can take their numbers.
        damaged: BTreeSet<u64>,
    },
}

impl Record {
    /// Whether objects are deleted because of it.
    pub(crate) fn deletes(&self) -> bool {
        matches!(self, Self::Condemn { .. } | Self::Sweep { .. })
    }

    /// Its kind, as the log shows it.
    pub(crate) fn kind(&self) -> &'static str {
        match self {
            Self::Forget { .. } => "forget",
            Self::Undelete { .. } => "undelete",
            Self::Mark { .. } => "mark",
            Self::Condemn { .. } => "condemn",
            Self::Sweep { .. } => "sweep",
            Self::Purge { .. } => "purge",
            Self::Merge { .. } => "merge",
            Self::Quarantine { .. } => "quarantine",
            Self::Heal { .. } => "heal",
            Self::Checkpoint => "checkpoint",
            Self::Repair { .. } => "repair",
        }
    }
}

/// A stored log record: which state holds after it, and what was changed, so that the state can be made again.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct LogRecord {
    /// Its number, from 0.
    pub(crate) n: u64,
    /// Kind of the change.
    pub(crate) kind: String,
    /// Name of the state object.
    pub(crate) state: String,
    /// BLAKE3 of the state object, hex.
    pub(crate) hash: String,
    /// When it was made (ns since 1970), for people.
    pub(crate) at: i64,
    /// The watermark of that state; absent in records of the earliest programs, as is the change.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) watermark: Option<u64>,
    /// What makes that state of the one before.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) change: Option<Record>,
}

impl LogRecord {
    /// The sealed object.
    pub(crate) fn encode(&self, keys: &Keys, salt: [u8; 32]) -> Result<Vec<u8>> {
        let plain = serde_json::to_vec(self).map_err(|e| Error::Invalid(e.to_string()))?;
        Sealed { keys, kind: ObjectKind::Record, name: &names::log(self.n) }
            .seal(salt, &[(Purpose::Index, &plain)])
    }

    /// Opens record `n`.
    pub(crate) fn decode(keys: &Keys, n: u64, bytes: &[u8]) -> Result<Self> {
        let name = names::log(n);
        let sections =
            Sealed { keys, kind: ObjectKind::Record, name: &name }.open(bytes, &[Purpose::Index])?;
        let plain = sections.first().map(Vec::as_slice).unwrap_or_default();
        let record: Self = serde_json::from_slice(plain).map_err(|e| Error::damaged(&name, e))?;
        if record.n == n { Ok(record) } else { Err(Error::damaged(&name, "it bears another number")) }
    }
}
