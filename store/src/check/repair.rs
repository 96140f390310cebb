//! Repair: the index from tables of contents, and what is readable of damaged packs into new ones. Deletes nothing that it does not
//! know.

use std::collections::BTreeSet;
use std::sync::Arc;

use super::data::read_pack;
use super::structure::lost_decisions;
use super::{Finding, RepairReport, add, amend, recover};
use crate::backend::BackendExt;
use crate::decision::{Core, Decision};
use crate::error::{ErrorKind, Result};
use crate::id::{ChunkKind, PackName};
use crate::index::{RunSource, Source};
use crate::log::Record;
use crate::merge::merge;
use crate::monitor::check_cancelled;
use crate::names;
use crate::packs::{PackToc, chunks_of};
use crate::repository::{Inner, Repository};
use crate::session::{Session, SessionOptions};
use crate::view::View;

/// zstd level of frames that are written anew.
const LEVEL: i32 = 3;

impl Repository {
    /// Writes the index anew from the tables of contents of all packs that count; before it the state of the log, if that cannot be
    /// read.
    pub fn repair_index(&self, dry_run: bool) -> Result<RepairReport> {
        let stored = self.as_stored();
        let inner = &stored.inner;
        if !dry_run {
            inner.writable()?;
        }
        let mut report = RepairReport::default();
        let view = recover::view(inner, dry_run, &mut report)?;
        write_lost_decisions(inner, &view, dry_run, &mut report)?;
        amend::known(inner, &view, dry_run, &mut report)?;
        let view = amend::unknown(inner, &view, dry_run, &mut report)?;
        let bad = damaged_runs(&view)?;
        if !bad.is_empty() && report.actions.is_empty() && inner.log_len()? != view.state.n {
            // A run may be gone only because a merge has replaced it since.
            return self.repair_index(dry_run);
        }
        if bad.is_empty() && dry_run && view.unreadable().next().is_some() {
            return Ok(report);
        }
        if bad.is_empty() {
            report.actions.push("merge all tables of contents and runs into new runs".into());
            if !dry_run {
                // Runs may go while they are read, replaced by another merge.
                inner.in_view(&mut |view| merge(inner, view, true))?;
            }
            return Ok(report);
        }
        for run in bad {
            let Finding { object, problem, .. } = run;
            report
                .actions
                .push(format!("{object}: {problem}: read the tables of contents of all packs in its place"));
        }
        if !dry_run {
            super::rebuild::rebuild(inner, &view, &mut report)?;
        }
        Ok(report)
    }

    /// Saves what is readable of damaged packs into new ones and quarantines the damaged.
    pub fn repair_packs(&self, dry_run: bool) -> Result<RepairReport> {
        let stored = self.as_stored();
        let inner = &stored.inner;
        if !dry_run {
            inner.writable()?;
        }
        let mut report = RepairReport::default();
        let view = recover::view(inner, dry_run, &mut report)?;
        let view = amend::unknown(inner, &view, dry_run, &mut report)?;
        if dry_run && view.unreadable().next().is_some() {
            // Which packs count is known only once that is done.
            return Ok(report);
        }
        let mut damaged = Vec::new();
        let mut healed = BTreeSet::new();
        for pack in view.index()?.packs().iter().filter(|p| !p.swept) {
            check_cancelled(inner.monitor.as_ref())?;
            match read_pack(inner, &pack.name, Some(pack.size)) {
                Ok(_) if pack.quarantined => drop(healed.insert(pack.name.clone())),
                Ok(_) => {}
                Err(e) if e.kind() == ErrorKind::Damaged => {
                    add(&mut report.errors, Finding::of(&e));
                    damaged.push(pack.name.clone());
                }
                Err(e) => return Err(e),
            }
        }
        if !damaged.is_empty() && report.actions.is_empty() && inner.log_len()? != view.state.n {
            // A pack may be gone only because a prune has deleted it since.
            return self.repair_packs(dry_run);
        }
        for name in &healed {
            report.actions.push(format!("{} is whole: take it out of quarantine", names::pack(name)));
        }
        for name in &damaged {
            report
                .actions
                .push(format!("save what can be read of {}, and put it into quarantine", names::pack(name)));
        }
        if dry_run {
            return Ok(report);
        }
        if !healed.is_empty() {
            inner.append(&mut |_| Ok(Some(Record::Heal { packs: healed.clone() })))?;
        }
        inner.quarantine(&damaged.iter().cloned().collect())?;
        salvage(inner, &view, &damaged, &mut report)?;
        Ok(report)
    }
}

/// Writes the decisions of snapshots anew that are gone while the newest state still holds what they said.
fn write_lost_decisions(
    inner: &Arc<Inner>,
    view: &View,
    dry_run: bool,
    report: &mut RepairReport,
) -> Result<()> {
    let listed = inner.backend.list_all(names::DECISIONS)?;
    let there = listed.iter().filter_map(|e| names::session_of(names::DECISIONS, &e.name)).collect();
    for session in lost_decisions(&view.state, &there) {
        report.actions.push(format!("write {} anew from the state of the log", names::decision(session)));
        let (false, Some(row)) = (dry_run, view.state.rows.get(session)) else { continue };
        let core = Core {
            outcome: row.outcome,
            roots: row.roots.clone(),
            packs: row.packs.clone(),
            runs: row.runs.clone(),
        };
        let manifest = view.state.manifests.get(session).cloned().unwrap_or_default().into_bytes();
        inner.decide(&Decision { session: session.clone(), core, manifest })?;
    }
    Ok(())
}

/// Reads every run in full; what is wrong with those that are damaged.
pub(super) fn damaged_runs(view: &View) -> Result<Vec<Finding>> {
    let inner = &view.inner;
    let mut bad = Vec::new();
    for run in view.state.runs.iter().chain(view.state.rows.values().flat_map(|r| &r.runs)) {
        let outcome = view
            .open_run(run)
            .map(|run| Source::Run(Box::new(RunSource::new(Arc::new(run)))))
            .and_then(|source| source.each(&inner.packs, &mut |_, _| Ok(())));
        match outcome {
            Ok(()) => {}
            Err(e) if e.kind() == ErrorKind::Damaged => bad.push(Finding::of(&e)),
            Err(e) => return Err(e),
        }
    }
    Ok(bad)
}

/// Copies every readable chunk of the damaged packs that has no good copy elsewhere.
fn salvage(
    inner: &Arc<Inner>,
    view: &Arc<View>,
    damaged: &[PackName],
    report: &mut RepairReport,
) -> Result<()> {
    if damaged.is_empty() {
        return Ok(());
    }
    let session = Session::begin(inner, SessionOptions { client: "repair".into(), level: LEVEL })?;
    let mut saved = 0_u64;
    for name in damaged {
        let size = view.index()?.packs().iter().find(|p| p.name == *name).map(|p| p.size);
        match inner.packs.toc(name, size) {
            Ok(toc) => saved += salvage_pack(inner, &session, &toc)?,
            // Its table of contents is gone: nothing in it can be found.
            Err(e) if e.kind() == ErrorKind::Damaged => {}
            Err(e) => return Err(e),
        }
    }
    let stats = session.close()?;
    report.actions.push(format!("saved {saved} chunks into {} new packs", stats.packs_written));
    Ok(())
}

fn salvage_pack(inner: &Inner, session: &Session, toc: &PackToc) -> Result<u64> {
    let mut writers =
        [ChunkKind::Data, ChunkKind::Refs, ChunkKind::Meta].map(|kind| (kind, session.writer(kind)));
    let mut saved = 0;
    for (_, frame, chunks) in toc.toc.iter() {
        let plain = match inner.packs.frame(toc, frame) {
            Ok(plain) => plain,
            Err(e) if e.kind() == ErrorKind::Damaged => continue,
            Err(e) => return Err(e),
        };
        for (id, bytes) in chunks_of(&plain, chunks) {
            let right = inner.keys.chunk_id(frame.kind, bytes) == id;
            if let Some((_, writer)) = writers.iter_mut().find(|(kind, _)| *kind == frame.kind)
                && right
                && writer.put(bytes)?.new
            {
                saved += 1;
            }
        }
    }
    for (_, writer) in writers {
        writer.finish()?;
    }
    Ok(saved)
}
