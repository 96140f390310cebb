//! Making visible what was copied: decisions and records go behind a curtain one by one, and count all at once when it is removed.

use std::collections::BTreeSet;

use super::copy::Work;
use super::{Job, Missing};
use crate::backend::{BackendExt, Durability, Entry};
use crate::check::Finding;
use crate::error::{ErrorKind, Result};
use crate::id::SessionId;
use crate::log::LogRecord;
use crate::marks::{self, Curtain, LogHead, Marks};
use crate::names;
use crate::packs::lock;

impl Job<'_> {
    /// Copies decisions and records and shows them; leaves the mirror as it was if the newest state could not be copied.
    pub(super) fn publish(&self, marks: &Marks, head: &LogHead, missing: Missing) -> Result<()> {
        let Missing { decisions, records } = missing;
        let count = decisions.len() + records.len();
        if self.options.dry_run {
            return self.put_all(decisions, records);
        }
        if count == 0 && marks.curtains.is_empty() {
            lock(&self.report).published = true;
            return Ok(());
        }
        if !self.newest_is_whole(head)? {
            return Ok(());
        }
        // One object becomes visible at once by itself.
        let curtains = if count == 1 && marks.curtains.is_empty() {
            Vec::new()
        } else {
            self.draw(marks, head, &decisions)?
        };
        // Whoever makes this independent says so before it looks for curtains.
        self.refuse_promoted()?;
        self.put_all(decisions, records)?;
        self.dest.sync()?;
        for curtain in &curtains {
            self.dest.remove(curtain)?;
        }
        if !curtains.is_empty() {
            self.dest.sync()?;
        }
        lock(&self.report).published = true;
        Ok(())
    }

    fn put_all(&self, decisions: Vec<Entry>, records: Vec<Entry>) -> Result<()> {
        let gone = self.workers(&mut |queue| {
            decisions.iter().chain(&records).try_for_each(|entry| queue(Work::Copy(entry.clone())))
        })?;
        for name in gone {
            self.damaged(Finding::new(name, "it was listed at the source, and is missing"));
        }
        Ok(())
    }

    /// Draws a curtain before what is to come, and returns the names of all that there are. One that hides enough stays.
    fn draw(&self, marks: &Marks, head: &LogHead, decisions: &[Entry]) -> Result<Vec<String>> {
        let session = |entry: &Entry| names::session_of(names::DECISIONS, &entry.name);
        let fresh: BTreeSet<SessionId> = decisions.iter().filter_map(session).collect();
        let mut all: Vec<String> = marks.curtains.iter().map(|(name, _)| name.clone()).collect();
        let old = marks.curtain();
        if old.as_ref().is_some_and(|c| c.hidden.is_superset(&fresh) && c.to >= head.length) {
            return Ok(all);
        }
        let from = match &old {
            Some(old) => old.from,
            None => self.newest_number()?,
        };
        let hidden = old.map(|old| old.hidden).unwrap_or_default().into_iter().chain(fresh).collect();
        let name = marks::curtain(self.env.random_bytes()?);
        let bytes = marks::encode(&Curtain { from, to: head.length, hidden })?;
        self.dest.create(&name, &bytes, Durability::Now)?;
        all.push(name);
        Ok(all)
    }

    /// Number of records at the destination.
    fn newest_number(&self) -> Result<u64> {
        let listed = self.dest.list(names::LOG, None, crate::backend::LIST_PAGE)?;
        Ok(listed.iter().find_map(|e| names::log_number(&e.name)).map_or(0, |n| n + 1))
    }

    /// Whether the mirror can be opened once the newest record is there: the state that it names is. Without keys nobody knows which
    /// that is, so then all states have to be.
    fn newest_is_whole(&self, head: &LogHead) -> Result<bool> {
        let Some(n) = head.length.checked_sub(1) else { return Ok(true) };
        let Some(keys) = self.keys else {
            return Ok(!lock(&self.report).damaged.iter().any(|f| f.object.starts_with(names::STATES)));
        };
        let name = names::log(n);
        let record = self.source.read(&name, None).map_err(Into::into);
        match record.and_then(|bytes| LogRecord::decode(keys, n, &bytes)) {
            Err(e) if e.kind() == ErrorKind::Damaged => {
                self.damaged(Finding {
                    problem: format!("{e}; the mirror stays as it was"),
                    ..Finding::of(&e)
                });
                Ok(false)
            }
            record => {
                let state = record?.state;
                let is_there = self.dest.exists(&state)?;
                if !is_there {
                    self.damaged(Finding::new(
                        state,
                        "the newest record names it; the mirror stays as it was",
                    ));
                }
                Ok(is_there)
            }
        }
    }
}
