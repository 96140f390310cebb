//! G3 and G4: sessions that may rely on condemned packs. The dead of this host are closed; those of others that have shown no sign of
//! life for long are revoked. When to give up waiting is the only thing that a clock decides.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::backend::BackendExt;
use crate::decision::{Decision, Outcome};
use crate::durable;
use crate::error::{Error, Result};
use crate::id::SessionId;
use crate::local::Owner;
use crate::names;
use crate::repository::Inner;

/// A session of another host is revoked after this long without a sign of life: 6 hours, in ns. Sessions give one every half hour.
const SILENCE_MAX: i64 = 6 * 3600 * 1_000_000_000;
/// File in the state folder that remembers what was seen of running sessions.
const FILE: &str = "running-sessions";

/// What was seen of a session, and since when nothing new was.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
struct Seen {
    signs: u64,
    since: i64,
}

/// Whether a session that began at or before record `n` is still undecided, after closing and revoking what can be.
pub(super) fn still_running(inner: &Inner, n: u64) -> Result<bool> {
    inner.close_dead_sessions()?;
    let mut waiting = Vec::new();
    for session in inner.undecided()?.into_iter().filter(|s| s.generation() <= n) {
        if inner.owner_of(&session)? == Owner::Alive || !silent(inner, &session)? {
            waiting.push(session);
            continue;
        }
        let revoked = Decision::without_snapshot(session.clone(), Outcome::Revoked, Vec::new(), Vec::new());
        match inner.decide(&revoked) {
            Ok(_) | Err(Error::SessionLost(_)) => inner.withdraw(&session)?,
            Err(e) => return Err(e),
        }
    }
    Ok(!waiting.is_empty())
}

/// Whether a session has shown no sign of life for [`SILENCE_MAX`], as far as this host has looked.
fn silent(inner: &Inner, session: &SessionId) -> Result<bool> {
    let path = inner.folders.state().join(FILE);
    let mut seen: BTreeMap<SessionId, Seen> = match std::fs::read(&path) {
        Ok(bytes) => serde_json::from_slice(&bytes).unwrap_or_default(),
        Err(e) if e.kind() == std::io::ErrorKind::NotFound => BTreeMap::new(),
        Err(e) => return Err(Error::local(&path, e)),
    };
    let signs = inner.backend.list_all(&names::session(session))?.len() as u64
        + inner.backend.list_all(&format!("{}{session}/", names::PACKS))?.len() as u64;
    let now = super::now(inner);
    let entry = seen.entry(session.clone()).or_insert(Seen { signs, since: now });
    if entry.signs != signs || entry.since > now {
        *entry = Seen { signs, since: now };
    }
    let silent = now - entry.since >= SILENCE_MAX;
    let bytes = serde_json::to_vec(&seen).map_err(|e| Error::Invalid(e.to_string()))?;
    durable::create_folder(inner.folders.state())?;
    durable::replace(&path, &bytes)?;
    Ok(silent)
}
