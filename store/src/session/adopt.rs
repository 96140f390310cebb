//! Closing sessions whose owners are dead (rule R2), so that the next one deduplicates against what they uploaded; and keeping the
//! log short to read.

use std::collections::BTreeSet;
use std::sync::Arc;

use super::begin::Announcement;
use super::decide::{PACKS_NAMED_MAX, own as own_packs};
use super::own::Own;
use crate::backend::{BackendExt, Upkeep};
use crate::decision::{Decision, Outcome};
use crate::error::{Error, ErrorKind, Result};
use crate::id::{PackName, SessionId};
use crate::local::Owner;
use crate::log::Record;
use crate::merge::merge_sessions;
use crate::names;
use crate::repository::Inner;
use crate::state::State;
use crate::view::View;

/// Decisions above the watermark that a listing may have to read before a checkpoint takes them into the table.
const DECISIONS_MAX: usize = 64;

/// Sessions whose tables of contents an index may have to read before they are merged into a run: at most 512 packs.
const UNMERGED_MAX: usize = 64;

impl Inner {
    /// Closes every announced session whose owner ran on this host and is dead, and removes signs of life of sessions that are not
    /// announced any more. Storage that cannot be written stays as it is.
    pub(crate) fn close_dead_sessions(&self) -> Result<()> {
        let mut left = self.folders.abandoned(&self.host)?;
        let listed = self.backend.list_all(names::SESSIONS)?;
        let announced: BTreeSet<SessionId> =
            listed.iter().filter_map(|entry| names::session_of(names::SESSIONS, &entry.name)).collect();
        // Where one object may not be removed, none may: it is asked once.
        let mut may_remove = true;
        for entry in listed.iter().filter(|e| names::session_of(names::SESSIONS, &e.name).is_none()) {
            // It came after the announcement was withdrawn, or whoever withdrew it died in the middle.
            let is_left =
                names::session_of_sign(&entry.name).is_some_and(|session| !announced.contains(&session));
            may_remove = may_remove && (!is_left || self.discard(&entry.name)?);
        }
        let decided = self.decided_of(&announced)?;
        for session in announced {
            left.retain(|s| *s != session);
            let is_decided = decided.contains(&session);
            if !is_decided && self.owner_of(&session)? != Owner::Dead {
                continue;
            }
            if !is_decided {
                match self.close_on_behalf(&session) {
                    // Another process was faster.
                    Ok(()) | Err(Error::SessionLost(_)) => {}
                    Err(e) => return Err(e),
                }
            }
            may_remove = may_remove && self.withdraw(&session)?;
            self.folders.forget_session(&session)?;
        }
        // Decided, or died before they were announced.
        left.iter().try_for_each(|session| self.folders.forget_session(session))
    }

    /// Whether the owner of an undecided session is alive.
    pub(crate) fn owner_of(&self, session: &SessionId) -> Result<Owner> {
        let name = names::session(session);
        let noted = match self.read(&name).and_then(|bytes| Announcement::decode(&self.keys, &name, &bytes)) {
            Ok(announcement) => Some(announcement.host),
            // Torn by a loss of power, as announcements come into being whole: unless the lock says otherwise nobody is behind
            // it. Where that is wrong, the session is told that it was ended, and begins anew.
            Err(Error::Damaged { .. }) => {
                return Ok(match self.folders.owner(&self.host, session, None) {
                    Owner::Unknown => Owner::Dead,
                    owner => owner,
                });
            }
            // Decided meanwhile: then only the lock can tell.
            Err(e) if e.kind() == ErrorKind::Damaged => None,
            Err(e) => return Err(e),
        };
        Ok(self.folders.owner(&self.host, session, noted.as_ref()))
    }

    /// Decides `closed` for a dead session: names its packs that are whole.
    fn close_on_behalf(&self, session: &SessionId) -> Result<()> {
        self.decide(&self.with_whole_packs(session, Outcome::Closed)?)?;
        Ok(())
    }

    /// What a decision of `outcome` says that names all packs of a session that are whole; writes runs if these are many.
    pub(crate) fn with_whole_packs(&self, session: &SessionId, outcome: Outcome) -> Result<Decision> {
        let prefix = format!("{}{session}/", names::PACKS);
        // Whoever reads the decision relies on what is stored, not on what was read here before.
        let stored = self.packs.as_stored();
        let own = Own::new(u32::from_le_bytes(self.env.random_bytes()?) | 1 << 31);
        for entry in self.backend.list_all(&prefix)? {
            let name = entry.name.strip_prefix(names::PACKS).unwrap_or_default().parse::<PackName>();
            let Ok(name) = name else { continue };
            let toc = stored.toc(&name, Some(entry.size)).and_then(|toc| {
                // Its writer may have died before it was safe; others rely on it once it is decided.
                self.backend.maintain(Upkeep::TakeOver(&entry.name))?;
                Ok(toc)
            });
            match toc {
                Ok(toc) => own.add_pack(&name, entry.size, &toc.toc),
                // Torn by a loss of power: no decision names it, so a prune removes it.
                Err(e) if e.kind() == ErrorKind::Damaged => continue,
                Err(e) => return Err(e),
            }
            if own.is_full() {
                own.write_run(self, session)?;
            }
        }
        let (written, _) = own.written(self, session, PACKS_NAMED_MAX)?;
        let packs = own_packs(&written.packs);
        Ok(Decision::without_snapshot(session.clone(), outcome, packs, written.runs))
    }

    /// Takes decisions into the table once there are many, so that listings stay cheap, and tables of contents into a run, so that
    /// look-ups do. `seen` is the state that the session began with. Whoever cannot write leaves it to the next.
    pub(crate) fn tidy(self: &Arc<Self>, seen: &State) {
        let unmerged = seen.rows.values().filter(|row| !row.packs.is_empty()).count();
        let outcome = if unmerged + 1 >= UNMERGED_MAX {
            merge_sessions(self)
        } else if seen.fresh + 1 >= DECISIONS_MAX {
            let decide =
                &mut |view: &Arc<View>| Ok((view.state.fresh >= DECISIONS_MAX).then_some(Record::Checkpoint));
            self.append(decide).map(|_| ())
        } else {
            Ok(())
        };
        if let Err(e) = outcome {
            self.monitor.problem(&format!("{e}: housekeeping is left to the next run, the snapshot is safe"));
        }
    }
}
