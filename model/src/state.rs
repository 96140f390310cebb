//! A state of the world: what is stored, what the log says, and where every process stands.
//!
//! Session *s* owns at most one pack, which is also called *s*. Session 0 is a snapshot from the start; then come
//! writers, then copiers (the sessions of repacks).

use crate::set::{Set, Table};

/// A pending condemnation: record `n`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct Condemned {
    /// Number of the record.
    pub n: u8,
    /// Packs that will go.
    pub packs: Set,
    /// Snapshots that were marked from.
    pub roots: Set,
}

/// Where a writer stands.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum Writing {
    /// Chooses a session id, with the length of the log in it.
    #[default]
    Idle,
    /// W1: about to announce itself.
    Named,
    /// W2: about to read the state.
    Announced,
    /// W3, W4: about to choose what to reuse and what to write.
    Informed,
    /// About to write its pack.
    Planned,
    /// W5: about to commit.
    Ready,
    /// Done, or told that it lost.
    Over,
}

/// A writer.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct Writer {
    /// Where it stands.
    pub at: Writing,
    /// Packs it may deduplicate against, as far as the state that it read says.
    pub usable: Set,
    /// Snapshots it must not reuse whole (W3).
    pub barred: Set,
}

/// Where a pruner stands.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum Pruning {
    /// G1: about to mark.
    #[default]
    Idle,
    /// G2: about to condemn.
    Chosen,
    /// G3: about to list running sessions.
    Condemned,
    /// G4, G5: waits, then marks again.
    Waiting,
    /// G6: about to sweep.
    Marked,
}

/// A pruner.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct Pruner {
    /// Where it stands.
    pub at: Pruning,
    /// Length of the log that it computed from.
    pub length: u8,
    /// Number of its condemnation.
    pub n: u8,
    /// Packs of the condemnation.
    pub packs: Set,
    /// Packs that the second mark lets go.
    pub going: Set,
    /// Snapshots that it marked from last.
    pub roots: Set,
    /// Sessions that it waits for.
    pub waits: Set,
}

/// A merger: what it read, at which length of the log.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct Merger {
    /// Whether it has read and is about to publish.
    pub read: bool,
    /// Length of the log.
    pub length: u8,
    /// Sessions that the new run replaces.
    pub sessions: Set,
    /// Packs in the new run.
    pub run: Set,
    /// Swept packs at that time.
    pub swept: Set,
}

/// Whoever writes a watermark: lists `sess/`, then `snap/`, then publishes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct Checkpointer {
    /// Listings made.
    pub step: u8,
    /// Length of the log when it began.
    pub length: u8,
    /// Lowest length at which an undecided session began.
    pub low: u8,
    /// Decisions that it saw.
    pub table: Set,
}

/// Everything.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub struct State {
    /// Chunks in each pack, as its table of contents says.
    pub contents: Table<Set>,
    /// Packs that exist.
    pub stored: Set,
    /// Sessions announced in `sess/`.
    pub announced: Set,
    /// Length of the log in each session's id.
    pub generation: Table<u8>,
    /// Decisions `committed`.
    pub committed: Set,
    /// Decisions `closed`.
    pub closed: Set,
    /// Decisions `revoked`.
    pub revoked: Set,
    /// Decisions that name their session's pack.
    pub naming: Set,
    /// Chunks that each snapshot needs.
    pub needs: Table<Set>,
    /// Number of log records.
    pub length: u8,
    /// Pending condemnations.
    pub condemned: Vec<Condemned>,
    /// Packs that are swept and still named.
    pub swept: Set,
    /// Packs that some prune has seen without effect and may delete at any time, if the index is ever made anew.
    pub doomed: Set,
    /// Packs in the merged run.
    pub run: Set,
    /// Sessions that the merged run replaces.
    pub merged: Set,
    /// Hidden snapshots.
    pub forgotten: Set,
    /// Snapshots that must not be forgotten.
    pub held: Set,
    /// Snapshots that cannot come back.
    pub purged: Set,
    /// Damaged packs.
    pub quarantined: Set,
    /// Length of the log at the quarantine.
    pub quarantined_at: u8,
    /// Decisions in the table of the state.
    pub table: Set,
    /// Decisions of sessions that began below it count only if they are in the table.
    pub watermark: u8,
    /// Writers, by session.
    pub writers: Table<Writer>,
    /// Pruners.
    pub pruners: Table<Pruner>,
    /// Mergers.
    pub mergers: Table<Merger>,
    /// Whoever writes the watermark.
    pub checkpointer: Checkpointer,
    /// Sessions whose owner was told that they are committed. Nobody reads it.
    pub told: Set,
    /// Snapshots purged although the second mark kept their chunks. Nobody reads it.
    pub broken_promise: Set,
    /// Mutants only: snapshots whose forget or undelete was checked earlier.
    pub checked: Set,
}
