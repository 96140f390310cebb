//! W1 and W2: a session is announced, then learns what counts.

use std::sync::atomic::AtomicBool;
use std::sync::{Arc, Mutex};

use serde::{Deserialize, Serialize};

use super::own::Own;
use super::packer::Packer;
use super::sealer::{Sealer, Works};
use super::{Counters, Session, SessionOptions};
use crate::backend::{BackendExt, Durability};
use crate::crypto::{Keys, Purpose, SessionKeys};
use crate::error::{Error, Result};
use crate::format::{Header, ObjectKind, Sealed};
use crate::id::SessionId;
use crate::local::{Host, SessionLock};
use crate::names;
use crate::repository::Inner;
use crate::view::View;

/// How often a session id is made anew because the log grew between W1 and W2.
const ATTEMPTS_MAX: usize = 100;

/// What a session says of itself: who owns it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Announcement {
    /// The host that it runs on.
    pub(crate) host: Host,
    /// Its process there.
    pub(crate) pid: u32,
    /// When it began (ns since 1970), for people.
    pub(crate) started: i64,
}

impl Announcement {
    pub(crate) fn encode(&self, keys: &Keys, name: &str, salt: [u8; 32]) -> Result<Vec<u8>> {
        let plain = serde_json::to_vec(self).map_err(|e| Error::Invalid(e.to_string()))?;
        Sealed { keys, kind: ObjectKind::Session, name }.seal(salt, &[(Purpose::Index, &plain)])
    }

    /// Opens the announcement of a session.
    pub(crate) fn decode(keys: &Keys, name: &str, bytes: &[u8]) -> Result<Self> {
        let sections = Sealed { keys, kind: ObjectKind::Session, name }.open(bytes, &[Purpose::Index])?;
        serde_json::from_slice(sections.first().map(Vec::as_slice).unwrap_or_default())
            .map_err(|e| Error::damaged(name, e))
    }
}

impl Session {
    /// Closes dead sessions of this host, announces a new one (W1), then reads what counts (W2).
    pub(crate) fn begin(inner: &Arc<Inner>, options: SessionOptions) -> Result<Self> {
        if !(1..=19).contains(&options.level) {
            return Err(Error::Invalid(format!(
                "compression level {} is not between 1 and 19",
                options.level
            )));
        }
        inner.close_dead_sessions()?;
        for _ in 0..ATTEMPTS_MAX {
            let head = inner.log_head()?;
            head.writable()?;
            let generation = head.length;
            let id =
                SessionId::new(generation, &options.client, u64::from_le_bytes(inner.env.random_bytes()?))?;
            let keys = SessionKeys::new(&inner.env, &inner.keys)?;
            let lock = SessionLock::acquire(&inner.folders, &inner.host, &id)?;
            let view = match inner.announced_view(&id).and_then(|view| inner.without_lost(&id, view)) {
                Ok(Some(view)) => view,
                // The log grew: a record may have been made that did not see this session. A new id, W1 again.
                Ok(None) => continue,
                Err(e) => {
                    // The announcement may stand: its lock says that nobody is behind it.
                    lock.leave();
                    return Err(e);
                }
            };
            let counters = Arc::new(Counters::default());
            let packer = Packer::new(inner, id.clone(), keys.capsule(), Arc::clone(&counters));
            let beaten = inner.uptime().into();
            let inner = Arc::clone(inner);
            let works = Arc::new(Works {
                inner: Arc::clone(&inner),
                own: Own::new(0),
                packer,
                lost: AtomicBool::new(false),
            });
            let signs = Mutex::new(vec![names::session(&id)]);
            return Ok(Self {
                inner,
                id,
                signs,
                view,
                keys,
                level: options.level,
                sealer: Sealer::new(Arc::clone(&works)),
                works,
                counters,
                lock: Some(lock),
                beaten,
            });
        }
        Err(Error::Busy("the log of the repository".into()))
    }
}

impl Inner {
    /// W1, then W2; `None`, and no announcement, if the log grew in between.
    fn announced_view(self: &Arc<Self>, id: &SessionId) -> Result<Option<Arc<View>>> {
        self.announce(id)?;
        let state = self.newest_state()?;
        if state.n != id.generation() {
            self.discard(&names::session(id))?;
            return Ok(None);
        }
        Ok(Some(Arc::new(View::new(Arc::clone(self), self.with_decisions(state)?))))
    }

    /// `None`, and no announcement, if packs that count in the view are gone: then the log says so now, and a session begins after that.
    fn without_lost(self: &Arc<Self>, id: &SessionId, view: Option<Arc<View>>) -> Result<Option<Arc<View>>> {
        let Some(view) = view else { return Ok(None) };
        let lost = self.lost_packs(&view)?;
        if lost.is_empty() {
            return Ok(Some(view));
        }
        self.quarantine_lost(&lost)?;
        self.discard(&names::session(id))?;
        Ok(None)
    }

    fn announce(&self, id: &SessionId) -> Result<()> {
        let name = names::session(id);
        let started = i64::try_from(self.env.clock.now()).unwrap_or(i64::MAX);
        let announcement = Announcement { host: self.host.clone(), pid: std::process::id(), started };
        let bytes = announcement.encode(&self.keys, &name, self.env.random_bytes()?)?;
        Ok(self.backend.create(&name, &bytes, Durability::Relaxed)?)
    }

    /// Time since the kernel's start, in ns.
    pub(super) fn uptime(&self) -> u64 {
        u64::try_from(self.env.clock.uptime().as_nanos()).unwrap_or(u64::MAX)
    }

    /// Name for a sign of life of a running session.
    pub(super) fn sign_of(&self, id: &SessionId) -> Result<String> {
        let beat = u32::from_le_bytes(self.env.random_bytes()?);
        Ok(names::sign_of_life(id, beat))
    }

    /// Gives a sign of life: one more small object beside the announcement.
    pub(super) fn heartbeat(&self, sign: &str) -> Result<()> {
        let header = Header { kind: ObjectKind::Session, salt: self.env.random_bytes()? };
        Ok(self.backend.create(sign, &header.encode(), Durability::Relaxed)?)
    }

    /// Removes a session's announcement and its signs of life; `false` if these keys may not.
    pub(crate) fn withdraw(&self, id: &SessionId) -> Result<bool> {
        for entry in self.backend.list_all(&names::session(id))? {
            if !self.discard(&entry.name)? {
                return Ok(false);
            }
        }
        Ok(true)
    }
}
