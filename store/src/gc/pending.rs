//! G3 and G4: sessions that may rely on condemned packs. The dead of this host are closed; those of others that have shown no sign of
//! life for long are revoked. When to give up waiting is the only thing that a clock decides, and it is one that nobody can set.

use std::time::Duration;

use crate::backend::BackendExt;
use crate::decision::{Decision, Outcome};
use crate::error::{Error, Result};
use crate::id::SessionId;
use crate::local::{Owner, Silence};
use crate::names;
use crate::repository::Inner;

/// A session of another host is revoked after this long without a sign of life: 6 hours. Sessions give one every half hour.
const SILENCE_MAX: Duration = Duration::from_hours(6);

/// Whether a session that began at or before record `n` is still undecided, after closing and revoking what can be.
pub(super) fn still_running(inner: &Inner, n: u64) -> Result<bool> {
    inner.close_dead_sessions()?;
    let undecided = inner.undecided()?;
    let mut silence = Silence::load(&inner.folders)?;
    silence.retain(&undecided.iter().cloned().collect());
    let mut waiting = false;
    for session in undecided.into_iter().filter(|s| s.generation() <= n) {
        let is_over = match inner.owner_of(&session)? {
            Owner::Alive => false,
            Owner::Unknown => is_silent(inner, &mut silence, &session)?,
            Owner::Dead => true,
        };
        if !is_over {
            waiting = true;
            continue;
        }
        let revoked = Decision::without_snapshot(session.clone(), Outcome::Revoked, Vec::new(), Vec::new());
        match inner.decide(&revoked) {
            Ok(_) | Err(Error::SessionLost(_)) => drop(inner.withdraw(&session)?),
            Err(e) => return Err(e),
        }
    }
    silence.save()?;
    Ok(waiting)
}

/// Whether a session has shown no sign of life for [`SILENCE_MAX`], as far as this host has looked.
fn is_silent(inner: &Inner, silence: &mut Silence, session: &SessionId) -> Result<bool> {
    let before = inner.env.clock.uptime();
    let signs = inner.backend.list_all(&names::session(session))?.len() as u64
        + inner.backend.list_all(&format!("{}{session}/", names::PACKS))?.len() as u64;
    Ok(silence.look(session, signs, &inner.host, before..inner.env.clock.uptime()) >= SILENCE_MAX)
}
