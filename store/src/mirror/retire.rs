//! Deleting at the mirror what the source has deleted, later.
//!
//! Only records of the log say what may go. When the mirror first saw one is kept in a name at the mirror, so no clock of a client
//! counts: `mirror/seen-<seconds>-<from>-<to>`, for records `from` to before `to`. `mirror/done-<to>`: those before `to` are carried out.

use std::collections::BTreeSet;

use super::Job;
use super::listing::{Side, join};
use crate::backend::{BackendError, BackendExt, Durability};
use crate::crypto::Keys;
use crate::error::{Error, ErrorKind, Result};
use crate::id::SessionId;
use crate::log::{LogRecord, Record};
use crate::names;
use crate::packs::lock;
use crate::state::State;

/// States kept behind the newest, as at the source.
const STATES_KEPT: u64 = 64;

/// Records that were first seen at one time.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Seen {
    from: u64,
    to: u64,
    seconds: u64,
}

impl Seen {
    fn name(&self) -> String {
        format!("{}seen-{:012}-{:010x}-{:010x}", names::MIRROR, self.seconds, self.from, self.to)
    }

    fn parse(name: &str) -> Option<Self> {
        let mut parts = name.strip_prefix(names::MIRROR)?.strip_prefix("seen-")?.splitn(3, '-');
        let seconds = parts.next()?.parse().ok()?;
        let mut number = || u64::from_str_radix(parts.next()?, 16).ok();
        Some(Self { seconds, from: number()?, to: number()? })
    }
}

fn done(to: u64) -> String {
    format!("{}done-{to:010x}", names::MIRROR)
}

fn parse_done(name: &str) -> Option<u64> {
    u64::from_str_radix(name.strip_prefix(names::MIRROR)?.strip_prefix("done-")?, 16).ok()
}

/// What records say may go.
#[derive(Debug, Default)]
struct Needless {
    packs: BTreeSet<String>,
    runs: BTreeSet<String>,
    /// Sessions whose own runs a merge replaced.
    sessions: BTreeSet<SessionId>,
    states: BTreeSet<String>,
}

impl Job<'_> {
    /// Notes that the records before `length` were seen, and carries out those that were seen long enough ago.
    pub(super) fn retire(&self, length: u64) -> Result<()> {
        if self.options.dry_run || !lock(&self.report).published {
            return Ok(());
        }
        let listed: Vec<String> = self.dest.list_all(names::MIRROR)?.into_iter().map(|e| e.name).collect();
        let mut seen: Vec<Seen> = listed.iter().filter_map(|name| Seen::parse(name)).collect();
        let before = listed.iter().filter_map(|name| parse_done(name)).max().unwrap_or(0);
        let noted = seen.iter().map(|s| s.to).max().unwrap_or(0).max(before);
        let now = self.env.clock.now();
        if length > noted {
            let seconds = u64::try_from(now / 1_000_000_000).unwrap_or(0);
            let fresh = Seen { from: noted, to: length, seconds };
            self.note(&fresh.name())?;
            seen.push(fresh);
        }
        seen.sort();
        let is_due = |s: &Seen| {
            i128::from(s.seconds) * 1_000_000_000 + i128::from(self.options.delete_after.max(0)) <= now
        };
        let to = seen.iter().take_while(|s| is_due(s)).map(|s| s.to).max().unwrap_or(before).max(before);
        let mut carried_out = before;
        if let Some(keys) = self.keys
            && to > before
            && self.carry_records_out(keys, before, to, length)?
        {
            carried_out = to;
            self.note(&done(to))?;
            let is_old = |name: &&String| {
                Seen::parse(name).is_some_and(|s| s.to <= to) || parse_done(name).is_some_and(|n| n < to)
            };
            let fresh = seen.iter().map(Seen::name);
            let old: BTreeSet<String> = listed.iter().cloned().chain(fresh).filter(|n| is_old(&n)).collect();
            old.iter().try_for_each(|name| self.dest.remove(name))?;
        }
        lock(&self.report).records_waiting = length.saturating_sub(carried_out);
        Ok(())
    }

    fn note(&self, name: &str) -> Result<()> {
        match self.dest.create(name, name.as_bytes(), Durability::Now) {
            Err(BackendError::AlreadyExists(_)) => Ok(()),
            outcome => Ok(outcome?),
        }
    }

    /// Deletes what the records `from` to before `to` made needless; `false` if some of it is left for the next run.
    fn carry_records_out(&self, keys: &Keys, from: u64, to: u64, length: u64) -> Result<bool> {
        self.monitor.phase("remove");
        let mut needless = Needless::default();
        for n in from..to {
            match self.record(keys, n) {
                Ok(record) => needless.take(record.change),
                // What it said may go stays.
                Err(e) if e.kind() == ErrorKind::Damaged => self.monitor.problem(&e.to_string()),
                Err(e) => return Err(e),
            }
        }
        // Of the records that this one leaves behind the kept ones.
        let last = to.min(length.saturating_sub(STATES_KEPT));
        for n in from.saturating_sub(STATES_KEPT)..last {
            if let Ok(record) = self.record(keys, n) {
                needless.states.insert(record.state);
            }
        }
        let newest = self.record(keys, length.saturating_sub(1))?;
        let state = State::decode(keys, &newest.state, &self.read_dest(&newest.state)?)?;
        let mut is_whole = true;
        for name in &needless.packs {
            is_whole &= self.remove(name)?;
        }
        // A source that is never pruned keeps its states.
        for name in &needless.states {
            self.remove(name)?;
        }
        for name in self.needless_runs(&needless, &state)? {
            is_whole &= self.remove(&name)?;
        }
        self.dest.sync()?;
        Ok(is_whole)
    }

    fn needless_runs(&self, needless: &Needless, state: &State) -> Result<Vec<String>> {
        if needless.runs.is_empty() && needless.sessions.is_empty() {
            return Ok(Vec::new());
        }
        let named: BTreeSet<&String> =
            state.runs.iter().chain(state.rows.values().flat_map(|row| &row.runs)).collect();
        let mut runs = Vec::new();
        join(self.source.as_ref(), self.dest.as_ref(), names::RUNS, &mut |side| {
            if let Side::Dest(entry) = side
                && !named.contains(&entry.name)
                && (needless.runs.contains(&entry.name)
                    || names::session_of_run(&entry.name).is_some_and(|s| needless.sessions.contains(&s)))
            {
                runs.push(entry.name);
            }
            Ok(())
        })?;
        Ok(runs)
    }

    /// Removes an object that the source has no more; `false` if it still has it.
    fn remove(&self, name: &str) -> Result<bool> {
        let size = match self.dest.stat(name) {
            Err(BackendError::NotFound(_)) => return Ok(true),
            size => size?,
        };
        if self.source.exists(name)? {
            return Ok(false);
        }
        self.dest.remove(name)?;
        lock(&self.report).removed.add(size);
        Ok(true)
    }

    fn record(&self, keys: &Keys, n: u64) -> Result<LogRecord> {
        LogRecord::decode(keys, n, &self.read_dest(&names::log(n))?)
    }

    fn read_dest(&self, name: &str) -> Result<Vec<u8>> {
        self.dest.read(name, None).map_err(|e| match e {
            BackendError::NotFound(name) => Error::missing(name),
            e => e.into(),
        })
    }
}

impl Needless {
    fn take(&mut self, change: Option<Record>) {
        match change {
            Some(Record::Sweep { swept, .. }) => self.packs.extend(swept.iter().map(names::pack)),
            Some(Record::Merge { sessions, removed, .. }) => {
                self.runs.extend(removed);
                self.sessions.extend(sessions);
            }
            _ => {}
        }
    }
}
