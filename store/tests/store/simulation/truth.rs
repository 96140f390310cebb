//! What must hold, told by what clients were told: the only judge of a run.

use std::collections::BTreeMap;

use chronos_store::SessionId;

use super::tree::Tree;

/// Attempts of one kind, by any client: while one is under way, or if one may have had an effect, nothing is certain.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Attempts {
    active: u32,
    begun: u32,
}

impl Attempts {
    fn begin(&mut self) {
        self.active += 1;
        self.begun += 1;
    }

    fn end(&mut self) {
        self.active -= 1;
    }

    /// Whether none was under way since `before`.
    fn none_since(self, before: Self) -> bool {
        before.active == 0 && before == self
    }
}

/// A snapshot that was begun.
#[derive(Clone, Debug, Default)]
pub(super) struct Known {
    pub(super) tree: Tree,
    /// It was reported as committed, and nobody has tried to forget it since it was last said to be there.
    pub(super) is_required: bool,
    /// It was reported as held, and nobody has tried to release it since.
    pub(super) is_held: bool,
    pub(super) forgets: Attempts,
    pub(super) releases: Attempts,
}

/// What is known of one place.
#[derive(Clone, Debug, Default)]
pub(super) struct Truth {
    pub(super) snapshots: BTreeMap<SessionId, Known>,
    /// What was broken, in words.
    pub(super) broken: Vec<String>,
}

impl Truth {
    pub(super) fn get(&self, session: &SessionId) -> Known {
        self.snapshots.get(session).cloned().unwrap_or_default()
    }

    fn known(&mut self, session: &SessionId) -> &mut Known {
        self.snapshots.entry(session.clone()).or_default()
    }

    pub(super) fn begun(&mut self, session: &SessionId, tree: Tree) {
        self.known(session).tree = tree;
    }

    pub(super) fn committed(&mut self, session: &SessionId) {
        let known = self.known(session);
        known.is_required = known.forgets == Attempts::default();
    }

    pub(super) fn forget_begins(&mut self, session: &SessionId) -> Known {
        let known = self.known(session);
        let before = known.clone();
        known.forgets.begin();
        known.is_required = false;
        before
    }

    /// `is_refused`: certainly nothing was done.
    pub(super) fn forget_ended(
        &mut self,
        session: &SessionId,
        before: &Known,
        is_done: bool,
        is_refused: bool,
    ) {
        let known = self.known(session);
        known.forgets.end();
        let was_held = before.is_held && known.is_held && known.releases.none_since(before.releases);
        let is_alone = known.forgets.active == 0 && known.forgets.begun == before.forgets.begun + 1;
        if is_refused && is_alone && before.is_required && before.forgets.active == 0 {
            known.is_required = true;
        }
        if is_done && was_held {
            self.broken.push(format!("{session} was forgotten although it is held"));
        }
    }

    pub(super) fn undeleted(&mut self, session: &SessionId, before: &Known) {
        let known = self.known(session);
        if known.forgets.none_since(before.forgets) {
            known.is_required = true;
        }
    }

    pub(super) fn release_begins(&mut self, session: &SessionId) {
        let known = self.known(session);
        known.releases.begin();
        known.is_held = false;
    }

    pub(super) fn release_ended(&mut self, session: &SessionId) {
        self.known(session).releases.end();
    }

    pub(super) fn held(&mut self, session: &SessionId, before: &Known) {
        let known = self.known(session);
        if known.releases.none_since(before.releases) {
            known.is_held = true;
        }
    }

    pub(super) fn required(&self) -> impl Iterator<Item = &SessionId> {
        self.snapshots.iter().filter(|(_, known)| known.is_required).map(|(session, _)| session)
    }

    /// Whether nobody has tried to forget a snapshot since `before`, when it was required.
    pub(super) fn is_still_required(&self, session: &SessionId, before: &Known) -> bool {
        before.is_required && self.get(session).forgets == before.forgets
    }

    /// What a mirror knows when it becomes a repository of its own: all that it shows, and that nobody required before.
    pub(super) fn promoted(&self, listed: &[SessionId]) -> Self {
        let mut snapshots = self.snapshots.clone();
        for (session, known) in &mut snapshots {
            let tree = known.tree;
            *known = Known { tree, is_required: listed.contains(session), ..Known::default() };
        }
        Self { snapshots, broken: Vec::new() }
    }
}
