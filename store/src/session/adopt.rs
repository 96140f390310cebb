//! Closing sessions whose owners are dead (rule R2), so that the next one deduplicates against what they uploaded; and keeping the
//! log short to read.

use std::sync::Arc;

use super::begin::Announcement;
use crate::backend::BackendExt;
use crate::decision::{Decision, Outcome, OwnPack};
use crate::error::{Error, ErrorKind, Result};
use crate::id::SessionId;
use crate::local::Owner;
use crate::log::Record;
use crate::names;
use crate::repository::Inner;

/// Decisions above the watermark that a listing may have to read before a checkpoint takes them into the table.
const DECISIONS_MAX: usize = 64;

impl Inner {
    /// Closes every announced session whose owner ran on this host and is dead. Storage that cannot be written stays as it is.
    pub(crate) fn close_dead_sessions(&self) -> Result<()> {
        for entry in self.backend.list_all(names::SESSIONS)? {
            let Some(session) = names::session_of(names::SESSIONS, &entry.name) else { continue };
            let decided = self.backend.exists(&names::decision(&session))?;
            if !decided && self.owner_of(&session)? != Owner::Dead {
                continue;
            }
            if !decided {
                match self.close_on_behalf(&session) {
                    // Another process was faster.
                    Ok(()) | Err(Error::SessionLost(_)) => {}
                    Err(e) => return Err(e),
                }
            }
            self.backend.remove(&entry.name)?;
            self.folders.forget_session(&session)?;
        }
        Ok(())
    }

    /// Whether the owner of an undecided session is alive.
    pub(crate) fn owner_of(&self, session: &SessionId) -> Result<Owner> {
        let name = names::session(session);
        let noted = match self.read(&name).and_then(|bytes| Announcement::decode(&self.keys, &name, &bytes)) {
            Ok(announcement) => Some(announcement.host),
            // Decided meanwhile, or torn by a loss of power: then only the lock can tell.
            Err(e) if e.kind() == ErrorKind::Damaged => None,
            Err(e) => return Err(e),
        };
        Ok(self.folders.owner(&self.host, session, noted.as_ref()))
    }

    /// Decides `closed` for a dead session: names its packs that are whole.
    fn close_on_behalf(&self, session: &SessionId) -> Result<()> {
        let prefix = format!("{}{session}/", names::PACKS);
        let mut packs = Vec::new();
        for entry in self.backend.list_all(&prefix)? {
            let name =
                entry.name.strip_prefix(names::PACKS).unwrap_or_default().parse::<crate::id::PackName>();
            let Ok(name) = name else { continue };
            match self.packs.toc(&name, Some(entry.size)) {
                Ok(_) => packs.push(OwnPack(name.seq, name.attempt, entry.size)),
                // Torn by a loss of power: no decision names it, so a prune removes it.
                Err(e) if e.kind() == ErrorKind::Damaged => {}
                Err(e) => return Err(e),
            }
        }
        self.decide(&Decision::without_snapshot(session.clone(), Outcome::Closed, packs, Vec::new()))?;
        Ok(())
    }

    /// Takes decisions into the table once there are many, so that listings stay cheap. Whoever finds nothing to do, or
    /// cannot write, leaves it to the next.
    pub(crate) fn tidy(self: &Arc<Self>) {
        let outcome = self.append(&mut |view| {
            let above = view.state.rows.keys().filter(|s| s.generation() >= view.state.watermark).count();
            Ok((above >= DECISIONS_MAX).then_some(Record::Checkpoint))
        });
        if let Err(e) = outcome {
            self.monitor.problem(&format!("{e}: housekeeping is left to the next run, the snapshot is safe"));
        }
    }
}
