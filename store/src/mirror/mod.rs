//! A read-only mirror of a whole repository: the same names, copied so that after every call the mirror is a repository in which all
//! that is visible is complete (`docs/design.md`, "Mirrors").
//!
//! What a run brings becomes visible at once, by the removal of one object, the curtain (`marks`).

mod copy;
mod listing;
mod promote;
mod publish;
mod retire;
mod roles;
mod sound;

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::sync::{Arc, Mutex, PoisonError};

use serde::{Deserialize, Serialize};

use crate::backend::{Backend, Entry, Upkeep};
use crate::check::{Finding, add};
use crate::crypto::Keys;
use crate::env::Env;
use crate::error::{Error, Result};
use crate::marks::{LogHead, Marks};
use crate::monitor::Monitor;
use crate::names;
use crate::packs::lock;
use crate::repository::Repository;

use copy::Work;
use listing::{Side, join};

pub use promote::PromoteReport;

/// What is copied before anything becomes visible, in this order. Packs are before the runs that name them.
const AREAS: [&str; 6] =
    [names::KEYS, names::PACKS, names::RUNS, names::STATES, names::AMENDED, names::CLAIMS];
/// How often a source is looked at anew because its log grew meanwhile. Each look finds less to copy than the one before.
const PASSES_MAX: usize = 16;

/// How a repository is mirrored.
#[derive(Clone, Debug, Default)]
pub struct SyncOptions {
    /// Only say what would be done.
    pub dry_run: bool,
    /// Read everything that the mirror holds, and replace what is damaged there.
    pub check: bool,
    /// What the source has deleted goes from the mirror so long after the mirror first saw the record of it (ns).
    pub delete_after: i64,
}

/// Objects and their bytes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Copied {
    /// Objects.
    pub objects: u64,
    /// Bytes.
    pub bytes: u64,
}

impl Copied {
    fn add(&mut self, bytes: u64) {
        self.objects += 1;
        self.bytes += bytes;
    }
}

/// What a sync did, or would do.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct SyncReport {
    /// What was not there, by area (`packs`, `index`, …).
    pub copied: BTreeMap<String, Copied>,
    /// What was there already.
    pub present: Copied,
    /// What was damaged at the mirror and is replaced.
    pub healed: Vec<String>,
    /// What the source deleted long enough ago.
    pub removed: Copied,
    /// Records of the source's log whose deletions are still to be carried out here.
    pub records_waiting: u64,
    /// What is damaged, or missing, at the source, or at both.
    pub damaged: Vec<Finding>,
    /// The mirror shows what the source had when it was last looked at. False too if only said what would be done.
    pub published: bool,
}

impl SyncReport {
    /// Everything that was copied.
    pub fn total(&self) -> Copied {
        self.copied.values().fold(Copied::default(), |sum, area| Copied {
            objects: sum.objects + area.objects,
            bytes: sum.bytes + area.bytes,
        })
    }
}

/// Copies a repository without its keys: whatever is damaged and shows it is not copied, and nothing is deleted.
pub fn sync(
    source: Arc<dyn Backend>,
    dest: Arc<dyn Backend>,
    options: &SyncOptions,
    env: &Env,
    monitor: &dyn Monitor,
) -> Result<SyncReport> {
    Job::new((source, dest), None, options, (env, monitor)).run()
}

impl Repository {
    /// Makes `dest` a mirror of this repository, or brings the mirror that it is up to date. May be stopped at any moment.
    pub fn sync_to(&self, dest: Arc<dyn Backend>, options: &SyncOptions) -> Result<SyncReport> {
        let inner = &self.inner;
        let (source, keys) = (Arc::clone(&inner.backend), Some(inner.keys.as_ref()));
        let (env, monitor) = (&inner.env, inner.monitor.as_ref());
        Job::new((source, dest), keys, options, (env, monitor)).run()
    }
}

/// One run.
struct Job<'a> {
    source: Arc<dyn Backend>,
    dest: Arc<dyn Backend>,
    keys: Option<&'a Keys>,
    options: &'a SyncOptions,
    env: &'a Env,
    monitor: &'a dyn Monitor,
    report: Mutex<SyncReport>,
    /// What there is to do in this phase, as far as that is known.
    expected: Mutex<Copied>,
}

impl fmt::Debug for Job<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Job({} to {})", self.source.location(), self.dest.location())
    }
}

/// What the source shows, and the mirror lacks of it.
#[derive(Debug, Default)]
struct Missing {
    decisions: Vec<Entry>,
    records: Vec<Entry>,
}

impl<'a> Job<'a> {
    /// Both places are read as they are stored, past copies that are kept nearer.
    fn new(
        (source, dest): (Arc<dyn Backend>, Arc<dyn Backend>),
        keys: Option<&'a Keys>,
        options: &'a SyncOptions,
        (env, monitor): (&'a Env, &'a dyn Monitor),
    ) -> Self {
        let [source, dest] = [source, dest].map(|place| place.stored().unwrap_or(place));
        Self {
            source,
            dest,
            keys,
            options,
            env,
            monitor,
            report: Mutex::default(),
            expected: Mutex::default(),
        }
    }
}

impl Job<'_> {
    fn run(self) -> Result<SyncReport> {
        self.monitor.phase("compare");
        self.admit()?;
        for _ in 0..PASSES_MAX {
            // First the curtains of earlier runs: what is behind them the source still has.
            let marks = Marks::read(self.dest.as_ref())?;
            let head = LogHead::read(self.source.as_ref())?;
            let missing = self.missing(&head)?;
            self.monitor.phase("copy");
            *lock(&self.expected) = Copied::default();
            let gone = self.copy_areas()?;
            if !self.options.dry_run {
                self.dest.sync()?;
            }
            // What was listed is complete only if no record was added since: it may have told of packs to be deleted.
            if LogHead::read(self.source.as_ref())? != head {
                continue;
            }
            self.note_gone(&gone)?;
            self.publish(&marks, &head, missing)?;
            self.retire(head.length)?;
            if !self.options.dry_run
                && let Err(e) = self.dest.maintain(Upkeep::RemoveLeftovers)
            {
                self.monitor.problem(&format!("{e}: upkeep of the mirror is left to the next sync"));
            }
            return Ok(self.report.into_inner().unwrap_or_else(PoisonError::into_inner));
        }
        Err(Error::Busy("the log of the source, which grew in each of many looks at it,".into()))
    }

    /// Decisions and records that are at the source alone; refuses a place that has some of its own.
    fn missing(&self, head: &LogHead) -> Result<Missing> {
        let mut missing = Missing::default();
        let mut again = Vec::new();
        let mut each = |area: &mut Vec<Entry>, side: Side| -> Result<()> {
            let is_shown = |entry: &Entry| match names::log_number(&entry.name) {
                Some(n) => n < head.length,
                None => names::session_of(names::DECISIONS, &entry.name)
                    .is_some_and(|s| !head.hidden.contains(&s)),
            };
            match side {
                Side::Source(entry) if is_shown(&entry) => area.push(entry),
                Side::Both(source, dest) if is_shown(&source) => {
                    let work = Work::Compare(source, dest);
                    if !self.is_done(&work) {
                        again.push(work);
                    }
                }
                Side::Dest(entry) if sound::is_ours(&entry.name) => return Err(self.has_its_own(&entry)),
                _ => {}
            }
            Ok(())
        };
        let (source, dest) = (self.source.as_ref(), self.dest.as_ref());
        join(source, dest, names::DECISIONS, &mut |side| each(&mut missing.decisions, side))?;
        join(source, dest, names::LOG, &mut |side| each(&mut missing.records, side))?;
        self.same_history(dest)?;
        self.workers(&mut |queue| again.drain(..).try_for_each(&mut *queue))?;
        Ok(missing)
    }

    /// Copies what has no order among itself; returns what was listed and is gone.
    fn copy_areas(&self) -> Result<BTreeSet<String>> {
        let mut gone = BTreeSet::new();
        for area in AREAS {
            gone.extend(self.copy_area(area)?);
        }
        Ok(gone)
    }

    /// Of objects that vanished while the log stood still, those that are listed nevertheless: the others were left behind by
    /// somebody and nothing named them.
    fn note_gone(&self, gone: &BTreeSet<String>) -> Result<()> {
        for name in gone {
            let listed = self.source.list(name, None, 1)?;
            if listed.iter().any(|e| e.name == *name) {
                self.damaged(Finding::new(
                    name,
                    "it is listed at the source, and cannot be read there: it is missing",
                ));
            }
        }
        Ok(())
    }

    fn damaged(&self, finding: Finding) {
        self.monitor.problem(&format!("{}: {}", finding.object, finding.problem));
        add(&mut lock(&self.report).damaged, finding);
    }
}
