//! Objects on their way: a few threads, each with one object, and a bound on the bytes of all of them.

use std::collections::BTreeSet;
use std::sync::mpsc::{Receiver, sync_channel};
use std::sync::{Condvar, Mutex, PoisonError};

use super::Job;
use super::listing::{Side, join};
use super::sound::{is_ours, sound};
use crate::backend::{Backend, BackendError, BackendExt, Durability, Entry};
use crate::check::Finding;
use crate::error::{Error, ErrorKind, Result};
use crate::monitor::check_cancelled;
use crate::packs::lock;

/// Threads: storage that is far away answers late.
const THREADS: usize = 8;
/// Bytes on their way at most, unless one object alone is larger.
const BYTES_MAX: u64 = 64 << 20;

/// What is to be done with an object.
#[derive(Debug)]
pub(super) enum Work {
    /// The mirror lacks it.
    Copy(Entry),
    /// Both have it.
    Compare(Entry, Entry),
}

/// Bytes on their way.
#[derive(Debug, Default)]
struct Budget {
    used: Mutex<u64>,
    freed: Condvar,
}

impl Budget {
    fn take(&self, bytes: u64) {
        let mut used = lock(&self.used);
        while *used > 0 && *used + bytes > BYTES_MAX {
            used = self.freed.wait(used).unwrap_or_else(PoisonError::into_inner);
        }
        *used += bytes;
    }

    fn give(&self, bytes: u64) {
        *lock(&self.used) -= bytes;
        self.freed.notify_all();
    }
}

/// Puts work into the hands of the threads.
pub(super) type Queue<'q> = dyn FnMut(Work) -> Result<()> + 'q;

impl Job<'_> {
    /// Runs `feed`, whose work is done by several threads; returns what was listed at the source and is gone.
    pub(super) fn workers(
        &self,
        feed: &mut dyn FnMut(&mut Queue<'_>) -> Result<()>,
    ) -> Result<BTreeSet<String>> {
        let (sender, receiver) = sync_channel::<Work>(THREADS);
        let receiver = Mutex::new(receiver);
        let (gone, failed) = (Mutex::new(BTreeSet::new()), Mutex::new(None));
        let budget = Budget::default();
        let carry_out = |work: &Work| match self.carry_out(work, &budget) {
            Ok(true) => {}
            Ok(false) => {
                lock(&gone).insert(work.name().to_owned());
            }
            Err(e) => {
                lock(&failed).get_or_insert(e);
            }
        };
        let work = || {
            while let Some(work) = next(&receiver) {
                // After a failure what is queued is let go, so that the queue empties.
                if lock(&failed).is_none() {
                    carry_out(&work);
                }
            }
        };
        let is_alone = self.env.threads(THREADS) == 1;
        std::thread::scope(|scope| {
            let threads = if is_alone { 0 } else { self.env.threads(THREADS) };
            let threads: Vec<_> = (0..threads).map(|_| scope.spawn(work)).collect();
            let fed = feed(&mut |work| {
                check_cancelled(self.monitor)?;
                if self.is_done(&work) {
                    return Ok(());
                }
                self.expect(work.bytes());
                if lock(&failed).is_some() {
                    return Err(Error::Interrupted);
                }
                if is_alone {
                    carry_out(&work);
                    return Ok(());
                }
                sender.send(work).map_err(|_| Error::Invalid("the copying threads ended".into()))
            });
            drop(sender);
            let mut ended = Ok(());
            for thread in threads {
                let joined = thread.join().map_err(|_| Error::Invalid("a copying thread panicked".into()));
                ended = ended.and(joined);
            }
            match lock(&failed).take() {
                Some(e) => Err(e),
                None => fed.and(ended),
            }
        })?;
        Ok(gone.into_inner().unwrap_or_else(PoisonError::into_inner))
    }

    /// Tells that there is one more object to be looked at.
    fn expect(&self, bytes: u64) {
        let mut expected = lock(&self.expected);
        expected.add(bytes);
        self.monitor.total(expected.objects, expected.bytes);
    }

    /// Copies one area.
    pub(super) fn copy_area(&self, area: &str) -> Result<BTreeSet<String>> {
        self.workers(&mut |queue| {
            join(self.source.as_ref(), self.dest.as_ref(), area, &mut |side| match side {
                Side::Source(entry) if is_ours(&entry.name) => queue(Work::Copy(entry)),
                Side::Both(source, dest) if is_ours(&source.name) => queue(Work::Compare(source, dest)),
                _ => Ok(()),
            })
        })
    }

    /// Whether a look at the listings is enough.
    pub(super) fn is_done(&self, work: &Work) -> bool {
        match work {
            Work::Compare(source, dest) if source.size == dest.size && !self.options.check => {
                lock(&self.report).present.add(dest.size);
                true
            }
            Work::Copy(entry) if self.options.dry_run => {
                self.copied(entry);
                true
            }
            _ => false,
        }
    }

    /// `false` if the object is gone.
    fn carry_out(&self, work: &Work, budget: &Budget) -> Result<bool> {
        let bytes = work.bytes();
        budget.take(bytes);
        let outcome = match work {
            Work::Copy(entry) => self.copy(entry),
            Work::Compare(source, dest) => self.compare(source, dest),
        };
        budget.give(bytes);
        self.monitor.advance(1, bytes);
        outcome
    }

    fn copy(&self, entry: &Entry) -> Result<bool> {
        let Some(bytes) = read(self.source.as_ref(), entry)? else { return Ok(false) };
        if let Some(problem) = self.problem(entry, &bytes)? {
            let problem = format!("{problem}; it is damaged at the source, and was not copied");
            self.damaged(Finding::new(&entry.name, problem));
            return Ok(true);
        }
        self.put(entry, &bytes)?;
        self.copied(entry);
        Ok(true)
    }

    /// Writes what is not there.
    fn put(&self, entry: &Entry, bytes: &[u8]) -> Result<()> {
        match self.dest.create(&entry.name, bytes, Durability::Deferred) {
            // Another sync was faster.
            Err(BackendError::AlreadyExists(_)) => Ok(()),
            outcome => Ok(outcome?),
        }
    }

    /// Looks at an object that both have, and replaces the mirror's if that is damaged and the source's is not.
    fn compare(&self, source: &Entry, dest: &Entry) -> Result<bool> {
        let there = read(self.dest.as_ref(), dest)?;
        let damage = match &there {
            Some(bytes) => self.problem(dest, bytes)?,
            None => Some("it is missing".to_owned()),
        };
        // Without keys only what is hashed as a whole tells whether it is damaged.
        let is_certain =
            self.keys.is_some() || dest.name.starts_with("packs/") || dest.name.starts_with("index/");
        if damage.is_none() && is_certain && source.size == dest.size {
            lock(&self.report).present.add(dest.size);
            return Ok(true);
        }
        let Some(here) = read(self.source.as_ref(), source)? else { return Ok(false) };
        if there.as_ref() == Some(&here) && damage.is_none() {
            lock(&self.report).present.add(dest.size);
            return Ok(true);
        }
        let found = match (self.problem(source, &here)?, damage) {
            (None, Some(_)) => return self.replace(source, &here).map(|()| true),
            (Some(problem), Some(_)) => format!("{problem}; it is damaged at the source and at the mirror"),
            (Some(problem), None) => {
                format!(
                    "{problem}; it is damaged at the source, and whole at the mirror, from where it can be put back"
                )
            }
            (None, None) => {
                "source and mirror differ, and neither shows damage: only a sync that has the keys can tell"
                    .to_owned()
            }
        };
        self.damaged(Finding::new(&source.name, found));
        Ok(true)
    }

    /// Puts a good object in the place of a damaged one. Between the two calls it is missing, which is no worse than damaged: nobody
    /// could read it, nobody else writes here, and the next sync finds it missing.
    fn replace(&self, entry: &Entry, bytes: &[u8]) -> Result<()> {
        if !self.options.dry_run {
            self.dest.remove(&entry.name)?;
            self.put(entry, bytes)?;
        }
        self.healed(&entry.name);
        Ok(())
    }

    /// What is wrong with an object.
    fn problem(&self, entry: &Entry, bytes: &[u8]) -> Result<Option<String>> {
        match sound(self.keys, entry, bytes) {
            Err(e) if e.kind() == ErrorKind::Damaged => Ok(Some(Finding::of(&e).problem)),
            outcome => outcome.map(|()| None),
        }
    }

    pub(super) fn healed(&self, name: &str) {
        lock(&self.report).healed.push(name.to_owned());
    }

    fn copied(&self, entry: &Entry) {
        let area = entry.name.split_once('/').map_or(entry.name.as_str(), |(area, _)| area);
        lock(&self.report).copied.entry(area.to_owned()).or_default().add(entry.size);
    }
}

impl Work {
    fn name(&self) -> &str {
        match self {
            Self::Copy(entry) | Self::Compare(entry, _) => &entry.name,
        }
    }

    /// Bytes that it holds at one time.
    fn bytes(&self) -> u64 {
        match self {
            Self::Copy(entry) => entry.size,
            Self::Compare(source, dest) => source.size + dest.size,
        }
    }
}

fn next(receiver: &Mutex<Receiver<Work>>) -> Option<Work> {
    lock(receiver).recv().ok()
}

/// The bytes of an object; `None` if it is gone.
fn read(backend: &dyn Backend, entry: &Entry) -> Result<Option<Vec<u8>>> {
    match backend.read(&entry.name, None) {
        Err(BackendError::NotFound(_)) => Ok(None),
        bytes => Ok(Some(bytes?)),
    }
}
