//! Rules, broken one at a time: the search must catch each.

/// A rule that is not followed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Mutant {
    /// R1: deduplicates against packs of undecided sessions.
    DedupUndecided,
    /// R1: a decision counts although a merge has replaced what it names.
    NamedForEver,
    /// R1: restores do not read condemned packs.
    ReadersShunCondemned,
    /// R2: a commit overwrites another decision.
    CommitByOverwriting,
    /// R2: a revocation overwrites a commit.
    RevokeByOverwriting,
    /// R2: revocations are deleted.
    DropRevocations,
    /// R3: a sweep is published at another log length than it was computed from.
    StaleSweep,
    /// R3: a merge is published at another log length than it was computed from.
    StaleMerge,
    /// R3: forget (with holds) or undelete acts on an earlier look at the log.
    ActOutsideTheLog,
    /// W1, W2: reads the state before it is announced.
    ReadBeforeAnnouncing,
    /// W2: the length of the log in the session's id is not checked.
    NoGenerationCheck,
    /// W3: reuses any parent whole.
    ReuseAnyParent,
    /// W3: reuses a parent whole that relies on a damaged pack.
    ReuseDamagedParent,
    /// W4: deduplicates against condemned packs.
    DedupCondemned,
    /// G3: lists running sessions before the condemnation.
    ListBeforeCondemning,
    /// G4: does not wait for them.
    DoNotWait,
    /// G5: does not mark again.
    NoSecondMark,
    /// G5: copies in packs of other condemnations count.
    RelyOnCondemned,
    /// G6: the sweep forgets that the packs are swept.
    ForgetSwept,
    /// G6: purges what the first mark did not start from.
    PurgeByFirstMark,
    /// Merge: a swept pack leaves the list although it is still stored.
    UnsweepStored,
    /// Repair: an index made anew takes in packs that no decision names.
    RebuildFromAll,
    /// Watermark: lists decisions before running sessions.
    ListDecisionsFirst,
}

/// Every mutant, with the configuration that catches it.
pub const MUTANTS: &[(Mutant, &str)] = &[
    (Mutant::DedupUndecided, "merge"),
    (Mutant::NamedForEver, "merge"),
    (Mutant::ReadersShunCondemned, "one"),
    (Mutant::CommitByOverwriting, "two"),
    (Mutant::RevokeByOverwriting, "one"),
    (Mutant::DropRevocations, "one"),
    (Mutant::StaleSweep, "undelete"),
    (Mutant::StaleMerge, "mergers"),
    (Mutant::ActOutsideTheLog, "hold"),
    (Mutant::ActOutsideTheLog, "undelete"),
    (Mutant::ReadBeforeAnnouncing, "one"),
    (Mutant::NoGenerationCheck, "checkpoint"),
    (Mutant::ReuseAnyParent, "two"),
    (Mutant::ReuseDamagedParent, "quarantine"),
    (Mutant::DedupCondemned, "one"),
    (Mutant::ListBeforeCondemning, "one"),
    (Mutant::DoNotWait, "one"),
    (Mutant::NoSecondMark, "one"),
    (Mutant::ForgetSwept, "one"),
    (Mutant::PurgeByFirstMark, "undelete"),
    (Mutant::RelyOnCondemned, "condemned-twice"),
    (Mutant::UnsweepStored, "rebuild"),
    (Mutant::RebuildFromAll, "rebuild"),
    (Mutant::ListDecisionsFirst, "checkpoint"),
];
