//! The one log: every change of visibility or deletion is a record, computed from exactly the state before it.

use crate::id::SessionId;
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
