//! Structure: every object that the log and the decisions name is there and opens; every listed snapshot's lists lead to chunks that
//! lie in packs that are there.

use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};
use std::sync::Arc;

use super::recover::{self, Log};
use super::{CheckReport, Finding, add, amend};
use crate::backend::BackendExt;
use crate::crypto::KeySlot;
use crate::error::{Error, ErrorKind, Result};
use crate::format::Place;
use crate::id::{ChunkId, ChunkKind, PackName, SessionId};
use crate::marks;
use crate::monitor::check_cancelled;
use crate::names;
use crate::repository::Inner;
use crate::state::State;
use crate::view::View;
use crate::visited::ChunkSet;

/// Key slots, log records, the newest state, decisions.
pub(super) fn small_objects(inner: &Inner, report: &mut CheckReport) -> Result<()> {
    inner.monitor.phase("structure");
    for entry in inner.backend.list_all(names::KEYS)? {
        let outcome =
            inner.read(&entry.name).and_then(|bytes| KeySlot::decode(&entry.name, &bytes)).map(|_| ());
        note(outcome, &mut report.errors)?;
    }
    log(inner, report)?;
    // Read before decisions are listed, so that every one that it holds is among them. What is wrong with it was said above.
    let state = inner.newest_state().unwrap_or_default();
    let mut newest = 0;
    let mut there = BTreeSet::new();
    for entry in inner.backend.list_all(names::DECISIONS)? {
        let Some(session) = names::session_of(names::DECISIONS, &entry.name) else {
            add(&mut report.notes, Finding::new(&entry.name, "it is no decision; it is left alone"));
            continue;
        };
        if state.head.hidden.contains(&session) {
            continue;
        }
        amend::note(inner, &session, &state, report)?;
        newest = newest.max(session.generation());
        there.insert(session);
    }
    for session in lost_decisions(&state, &there) {
        let problem =
            "it is missing; the state of the log still says the same: `repair index` writes it anew";
        add(&mut report.errors, Finding::new(names::decision(session), problem));
    }
    // The log only grows, so it is at least as long as it was when any of these sessions began.
    let length = inner.log_len()?;
    if newest > length {
        let problem =
            format!("it has {length} records and had {newest}: the newest are lost, or were taken back");
        add(&mut report.errors, Finding::new("the log", problem));
    }
    Ok(())
}

/// Snapshots in the table whose decisions are gone: should the state be lost too, so would they be.
pub(super) fn lost_decisions<'s>(
    state: &'s State,
    there: &BTreeSet<SessionId>,
) -> impl Iterator<Item = &'s SessionId> {
    state.unpurged().map(|(session, _)| session).filter(|session| !there.contains(session))
}

/// Every record of the log: all of them are needed to make the state anew should it be lost.
fn log(inner: &Inner, report: &mut CheckReport) -> Result<()> {
    for entry in inner.backend.list_all(names::LOG)? {
        let what = match names::log_number(&entry.name) {
            Some(_) => continue,
            None if marks::is_curtain(&entry.name) => {
                "a sync into this mirror is under way, or was stopped: what it brings does not count yet"
            }
            None if marks::is_mark(&entry.name) => continue,
            None => "it is no log record; it is left alone",
        };
        add(&mut report.notes, Finding::new(&entry.name, what));
    }
    let log = Log::read(inner)?;
    let unknown = log.unknown_damage();
    for (n, e) in &log.damaged {
        let known = if unknown.contains(n) { &mut report.errors } else { &mut report.notes };
        add(known, Finding::of(e));
    }
    note(recover::newest_as_stored(inner), &mut report.errors)
}

/// Damage becomes a finding, anything else stays an error.
pub(super) fn note(outcome: Result<()>, findings: &mut Vec<Finding>) -> Result<()> {
    match outcome {
        Err(e) if e.kind() == ErrorKind::Damaged => {
            add(findings, Finding::of(&e));
            Ok(())
        }
        outcome => outcome,
    }
}

/// Every pack that counts is there, has its size, and its table of contents opens. Returns those that are damaged.
pub(super) fn packs(view: &Arc<View>, report: &mut CheckReport) -> Result<HashSet<PackName>> {
    let inner = &view.inner;
    let listed: BTreeMap<String, u64> =
        inner.backend.list_all(names::PACKS)?.into_iter().map(|e| (e.name, e.size)).collect();
    let mut bad = HashSet::new();
    let mut named = BTreeSet::new();
    for pack in view.index()?.packs() {
        check_cancelled(inner.monitor.as_ref())?;
        let object = names::pack(&pack.name);
        named.insert(object.clone());
        if pack.swept {
            continue;
        }
        report.packs += 1;
        let problem = match listed.get(&object) {
            None => Some("it is missing".to_owned()),
            Some(size) if *size != pack.size => Some(format!("it has {size} bytes instead of {}", pack.size)),
            Some(_) => match inner.packs.stored_toc(&pack.name, pack.size) {
                Err(e) if e.kind() == ErrorKind::Damaged => Some(Finding::of(&e).problem),
                outcome => outcome.map(|_| None)?,
            },
        };
        if let Some(problem) = problem {
            add(&mut report.errors, Finding::new(object, problem));
            bad.insert(pack.name.clone());
        }
    }
    for name in listed.keys().filter(|name| !named.contains(*name)) {
        add(
            &mut report.notes,
            Finding::new(
                name,
                "nothing names it: of a running session, or left by one that ended; a prune will tell",
            ),
        );
    }
    Ok(bad)
}

/// Walks every listed snapshot and every one that can be undeleted, each list once; returns those that need something
/// that cannot be read: of a damaged pack most often a part can.
pub(super) fn walk(
    view: &Arc<View>,
    bad: &HashSet<PackName>,
    report: &mut CheckReport,
) -> Result<BTreeSet<SessionId>> {
    view.inner.monitor.phase("walk");
    let (reader, index) = (view.reader(), view.index()?);
    let mut whole = ChunkSet::new(index);
    let in_good_pack = |id: &ChunkId| -> Result<bool> {
        let is_good = |place: Place| index.pack(place.pack).is_some_and(|pack| !bad.contains(&pack.name));
        if index.nearest(id)?.is_some_and(is_good) {
            return Ok(true);
        }
        let places = index.readable(id)?;
        Ok(places.into_iter().any(is_good))
    };
    let (mut concerned, mut readable) = (BTreeSet::new(), HashMap::new());
    let rows: Vec<(SessionId, Vec<ChunkId>)> =
        view.state.unpurged().map(|(s, r)| (s.clone(), r.roots.clone())).collect();
    for (session, roots) in rows {
        check_cancelled(view.inner.monitor.as_ref())?;
        report.snapshots += 1;
        let mut walk = Walk {
            reader: &reader,
            in_good_pack: &in_good_pack,
            whole: &mut whole,
            readable: &mut readable,
            is_lost: false,
            broken: HashSet::new(),
            damage: Vec::new(),
        };
        for root in roots {
            walk.list(root, 0)?;
        }
        let (damage, is_lost) = (walk.damage, walk.is_lost);
        if is_lost {
            concerned.insert(session.clone());
        }
        for finding in damage {
            match report
                .errors
                .iter_mut()
                .find(|f| f.object == finding.object && f.problem == finding.problem)
            {
                Some(known) if !known.snapshots.contains(&session) => known.snapshots.push(session.clone()),
                Some(_) => {}
                None => add(&mut report.errors, Finding { snapshots: vec![session.clone()], ..finding }),
            }
        }
    }
    Ok(concerned)
}

/// Deepest nesting of lists that is followed; honest trees stay below 20.
const DEPTH_MAX: usize = 200;

struct Walk<'w, 'i> {
    reader: &'w crate::reader::Reader,
    in_good_pack: &'w dyn Fn(&ChunkId) -> Result<bool>,
    /// Lists below which nothing is wrong.
    whole: &'w mut ChunkSet<'i>,
    /// Lists of this snapshot below which something is: what lies below them was told.
    broken: HashSet<ChunkId>,
    damage: Vec<Finding>,
    /// Whether data in damaged packs can be read all the same.
    readable: &'w mut HashMap<ChunkId, bool>,
    /// Whether this snapshot needs something that cannot be read.
    is_lost: bool,
}

impl Walk<'_, '_> {
    /// Looks at a list and everything below it.
    fn list(&mut self, id: ChunkId, depth: usize) -> Result<()> {
        if self.broken.contains(&id) || self.whole.contains(&id)? {
            return Ok(());
        }
        let before = self.damage.len();
        if depth > DEPTH_MAX {
            self.damage.push(Finding::new(format!("list {id}"), "lists are nested too deep"));
            return Ok(());
        }
        let list = match self.reader.refs(&id) {
            Err(e) if e.kind() == ErrorKind::Damaged => {
                self.lose(Finding::new(format!("list {id}"), e));
                return Ok(());
            }
            list => list?,
        };
        if let Some(meta) = &list.meta {
            match self.reader.read(ChunkKind::Meta, meta) {
                Err(e) if e.kind() == ErrorKind::Damaged => {
                    self.lose(Finding::new(format!("names {meta}"), e));
                }
                outcome => drop(outcome?),
            }
        }
        for chunk in &list.data {
            if !(self.in_good_pack)(chunk)? {
                let problem = Error::missing("every good copy");
                self.damage.push(Finding::new(format!("chunk {chunk}"), problem));
                self.is_lost = self.is_lost || !self.is_readable(chunk)?;
            }
        }
        for child in list.children {
            self.list(child, depth + 1)?;
        }
        if self.damage.len() == before {
            self.whole.insert(&id)?;
        } else {
            self.broken.insert(id);
        }
        Ok(())
    }

    fn lose(&mut self, finding: Finding) {
        self.damage.push(finding);
        self.is_lost = true;
    }

    /// Whether a chunk whose packs are all damaged can be read all the same.
    fn is_readable(&mut self, id: &ChunkId) -> Result<bool> {
        if let Some(known) = self.readable.get(id) {
            return Ok(*known);
        }
        let answer = match self.reader.read(ChunkKind::Data, id) {
            Err(e) if e.kind() == ErrorKind::Damaged => false,
            outcome => outcome.map(|_| true)?,
        };
        self.readable.insert(*id, answer);
        Ok(answer)
    }
}
