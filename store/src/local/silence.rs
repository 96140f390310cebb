//! How long running sessions of other hosts have shown no sign of life, as far as this host has looked; remembered between
//! runs.
//!
//! Rests on the time since the kernel's start, which nobody can set: of two looks it is known how much time passed between them *at
//! least*. What is not known (another host had the folder meanwhile) counts as nothing, so a session is at worst given up late. A
//! damaged file counts as empty: then watching begins anew.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::io;
use std::ops::Range;
use std::path::PathBuf;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::{Folders, Host};
use crate::durable;
use crate::error::{Error, Result};
use crate::id::SessionId;

/// What was seen of one session when it was last looked at.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Seen {
    /// How many signs of life there were.
    signs: u64,
    /// For how long at least there had been as many.
    silent: Duration,
    /// Who looked.
    by: Host,
    /// When at the latest: time since its kernel's start.
    at: Duration,
}

impl Seen {
    /// How much time has passed since, at least.
    fn elapsed(&self, by: &Host, at: Duration) -> Duration {
        if self.by.id != by.id {
            Duration::ZERO
        } else if self.by.boot == by.boot {
            at.saturating_sub(self.at)
        } else {
            // The kernel was started after that look.
            at
        }
    }
}

/// What this host has seen of running sessions.
#[derive(Debug)]
pub(crate) struct Silence {
    path: PathBuf,
    seen: BTreeMap<SessionId, Seen>,
}

impl Silence {
    /// Reads what is remembered; nothing if there is no file or it is damaged.
    pub(crate) fn load(folders: &Folders) -> Result<Self> {
        let path = folders.state().join("running-sessions");
        let bytes = match fs::read(&path) {
            Err(e) if e.kind() == io::ErrorKind::NotFound => Vec::new(),
            bytes => bytes.map_err(|e| Error::local(&path, e))?,
        };
        Ok(Self { path, seen: decode(&bytes).unwrap_or_default() })
    }

    /// Notes that `session` had given `signs` signs of life at some moment within `looked`; for how long it has been silent, at least.
    pub(crate) fn look(
        &mut self,
        session: &SessionId,
        signs: u64,
        by: &Host,
        looked: Range<Duration>,
    ) -> Duration {
        let silent = match self.seen.get(session) {
            Some(seen) if seen.signs == signs => seen.silent.saturating_add(seen.elapsed(by, looked.start)),
            _ => Duration::ZERO,
        };
        self.seen.insert(session.clone(), Seen { signs, silent, by: by.clone(), at: looked.end });
        silent
    }

    /// Forgets all sessions but these.
    pub(crate) fn retain(&mut self, running: &BTreeSet<SessionId>) {
        self.seen.retain(|session, _| running.contains(session));
    }

    /// Writes what is remembered, durably; no file if there is nothing.
    pub(crate) fn save(&self) -> Result<()> {
        if self.seen.is_empty() {
            return match fs::remove_file(&self.path) {
                Err(e) if e.kind() != io::ErrorKind::NotFound => Err(Error::local(&self.path, e)),
                _ => Ok(()),
            };
        }
        let bytes = serde_json::to_vec(&self.seen).map_err(|e| Error::Invalid(e.to_string()))?;
        if let Some(folder) = self.path.parent() {
            durable::create_folder(folder)?;
        }
        durable::replace(&self.path, &bytes)
    }
}

/// What a file says; `None` if it is damaged.
pub(crate) fn decode(bytes: &[u8]) -> Option<BTreeMap<SessionId, Seen>> {
    serde_json::from_slice(bytes).ok()
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "tests")]

    use super::*;
    use crate::id::RepositoryId;

    const HOUR: Duration = Duration::from_hours(1);

    fn host(id: &str, boot: &str) -> Host {
        Host { id: id.to_owned(), boot: boot.to_owned() }
    }

    fn session() -> SessionId {
        SessionId::new(1, "me", 2).unwrap()
    }

    fn at(time: Duration) -> Range<Duration> {
        time..time
    }

    fn empty() -> Silence {
        Silence { path: PathBuf::new(), seen: BTreeMap::new() }
    }

    #[test]
    fn silence_adds_up_over_looks_and_ends_with_a_sign() {
        let (mut memory, me) = (empty(), host("a", "1"));
        assert_eq!(memory.look(&session(), 3, &me, at(10 * HOUR)), Duration::ZERO);
        assert_eq!(memory.look(&session(), 3, &me, at(12 * HOUR)), 2 * HOUR);
        assert_eq!(memory.look(&session(), 3, &me, at(15 * HOUR)), 5 * HOUR);
        assert_eq!(memory.look(&session(), 4, &me, at(16 * HOUR)), Duration::ZERO);
        assert_eq!(memory.look(&session(), 4, &me, at(17 * HOUR)), HOUR);
    }

    #[test]
    fn how_long_looking_takes_is_not_counted() {
        let (mut memory, me) = (empty(), host("a", "1"));
        memory.look(&session(), 3, &me, HOUR..3 * HOUR);
        assert_eq!(memory.look(&session(), 3, &me, 4 * HOUR..9 * HOUR), HOUR);
    }

    #[test]
    fn after_a_restart_only_the_time_since_counts() {
        let mut memory = empty();
        memory.look(&session(), 3, &host("a", "1"), at(10 * HOUR));
        memory.look(&session(), 3, &host("a", "1"), at(11 * HOUR));
        assert_eq!(memory.look(&session(), 3, &host("a", "2"), at(HOUR / 2)), HOUR + HOUR / 2);
    }

    #[test]
    fn between_looks_of_different_hosts_nothing_is_known_to_have_passed() {
        let mut memory = empty();
        memory.look(&session(), 3, &host("a", "1"), at(HOUR));
        assert_eq!(memory.look(&session(), 3, &host("b", "7"), at(900 * HOUR)), Duration::ZERO);
        assert_eq!(memory.look(&session(), 3, &host("b", "7"), at(901 * HOUR)), HOUR);
        assert_eq!(
            memory.look(&session(), 3, &host("b", "7"), at(5 * HOUR)),
            HOUR,
            "a clock that runs backwards"
        );
    }

    #[test]
    fn what_was_seen_is_remembered_until_the_session_is_over() {
        let dir = tempfile::tempdir().unwrap();
        let folders = Folders::new(&dir.path().join("c"), &dir.path().join("s"), RepositoryId([1; 16]));
        let me = host("a", "1");
        let mut memory = Silence::load(&folders).unwrap();
        memory.look(&session(), 3, &me, at(HOUR));
        memory.save().unwrap();
        let mut memory = Silence::load(&folders).unwrap();
        assert_eq!(memory.look(&session(), 3, &me, at(3 * HOUR)), 2 * HOUR);
        memory.retain(&BTreeSet::new());
        memory.save().unwrap();
        assert!(!memory.path.exists());
        durable::replace(&memory.path, b"{ torn").unwrap();
        assert!(Silence::load(&folders).unwrap().seen.is_empty());
    }
}
