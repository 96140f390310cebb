//! Names of objects, by area.

use crate::id::{PackName, SessionId};

/// What a repository is.
pub(crate) const CONFIG: &str = "config";
/// Key slots.
pub(crate) const KEYS: &str = "keys/";
/// Announcements of running sessions.
pub(crate) const SESSIONS: &str = "sess/";
/// Packs.
pub(crate) const PACKS: &str = "packs/";
/// Index runs.
pub(crate) const RUNS: &str = "index/";
/// Decisions.
pub(crate) const DECISIONS: &str = "snap/";
/// What stands for decisions that are damaged.
pub(crate) const AMENDED: &str = "amend/";
/// Log records, the newest first.
pub(crate) const LOG: &str = "log/";
/// States.
pub(crate) const STATES: &str = "state/";
/// Claims on names.
pub(crate) const CLAIMS: &str = "name/";
/// What a mirror notes for itself.
pub(crate) const MIRROR: &str = "mirror/";
/// Log records are numbered downwards from here, so that the newest is listed first.
pub(crate) const LOG_TOP: u64 = (1 << 40) - 1;

/// Name of a session's announcement.
pub(crate) fn session(id: &SessionId) -> String {
    format!("{SESSIONS}{id}")
}

/// Name of a sign of life of a session.
pub(crate) fn sign_of_life(id: &SessionId, beat: u32) -> String {
    format!("{SESSIONS}{id}.{beat:08x}")
}

/// The session that a sign of life belongs to.
pub(crate) fn session_of_sign(name: &str) -> Option<SessionId> {
    let (session, beat) = name.strip_prefix(SESSIONS)?.rsplit_once('.')?;
    let is_beat = beat.len() == 8 && beat.bytes().all(|b| matches!(b, b'0'..=b'9' | b'a'..=b'f'));
    is_beat.then(|| session.parse().ok())?
}

/// Name of a session's decision.
pub(crate) fn decision(id: &SessionId) -> String {
    format!("{DECISIONS}{id}")
}

/// Name of what stands for a session's decision should that be damaged.
pub(crate) fn amended(id: &SessionId) -> String {
    format!("{AMENDED}{id}")
}

/// Name of a pack's object.
pub(crate) fn pack(name: &PackName) -> String {
    format!("{PACKS}{name}")
}

/// Name of run `number` of a session.
pub(crate) fn run(session: &SessionId, number: u64) -> String {
    format!("{RUNS}{session}-{number:08x}")
}

/// Name of a run that no session owns.
pub(crate) fn merged_run(random: [u8; 16]) -> String {
    format!("{RUNS}m-{}", hex::encode(random))
}

/// Name of log record `n`.
pub(crate) fn log(n: u64) -> String {
    format!("{LOG}{:010x}", LOG_TOP.saturating_sub(n))
}

/// Number of the log record of this name.
pub(crate) fn log_number(name: &str) -> Option<u64> {
    let hex = name.strip_prefix(LOG).filter(|h| h.len() == 10)?;
    let n = LOG_TOP.checked_sub(u64::from_str_radix(hex, 16).ok()?)?;
    // A record has one name only: no signs, no upper case.
    (log(n) == name).then_some(n)
}

/// The session that a run belongs to.
pub(crate) fn session_of_run(name: &str) -> Option<SessionId> {
    name.strip_prefix(RUNS)?.rsplit_once('-')?.0.parse().ok()
}

/// The session of an object in `area`.
pub(crate) fn session_of(area: &str, name: &str) -> Option<SessionId> {
    name.strip_prefix(area)?.parse().ok()
}
