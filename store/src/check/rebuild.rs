//! Building the index anew when runs are damaged: the tables of contents of all packs say the same.
//!
//! Which packs count can no longer be read from the runs. Every pack whose session is in the table, and that is not swept, counts: a pack
//! too many costs space until the next prune, a pack too few would cost data.

use std::collections::BTreeSet;
use std::sync::Arc;

use super::{Finding, RepairReport, add};
use crate::backend::BackendExt;
use crate::error::{Error, ErrorKind, Result};
use crate::id::PackName;
use crate::index::IndexBuilder;
use crate::log::Record;
use crate::merge::{partitions, write_runs};
use crate::names;
use crate::repository::Inner;
use crate::view::View;

/// Replaces all runs by new ones made from tables of contents.
pub(super) fn rebuild(inner: &Arc<Inner>, view: &Arc<View>, report: &mut RepairReport) -> Result<()> {
    if !inner.undecided()?.is_empty() {
        return Err(Error::Busy(
            "the repository has running sessions; repair needs it for itself: it".into(),
        ));
    }
    let mut builder = IndexBuilder::new(&view.state);
    for entry in inner.backend.list_all(names::PACKS)? {
        let Some(Ok(name)) = entry.name.strip_prefix(names::PACKS).map(str::parse::<PackName>) else {
            continue;
        };
        if view.state.swept.contains(&name) {
            continue;
        }
        match inner.packs.toc(&name, Some(entry.size)) {
            Ok(toc) => builder.add_pack(&name, entry.size, &toc.toc),
            Err(e) if e.kind() == ErrorKind::Damaged => add(&mut report.errors, Finding::of(&e)),
            Err(e) => return Err(e),
        }
    }
    let index = builder.finish(Arc::clone(&inner.packs));
    let added = write_runs(inner, &index, partitions(&index))?;
    inner.backend.sync()?;
    let mut done = false;
    inner.append(&mut |now| {
        if now.state.n != view.state.n {
            return Ok(None);
        }
        done = true;
        let sessions = view.state.rows.keys().cloned().collect();
        Ok(Some(Record::Merge {
            sessions,
            removed: view.state.runs.clone(),
            added: added.clone(),
            unswept: BTreeSet::new(),
        }))
    })?;
    if done {
        report.actions.push(format!("wrote {} new runs over {} packs", added.len(), index.packs().len()));
        Ok(())
    } else {
        Err(Error::Busy("the log of the repository grew meanwhile: run repair again; it".into()))
    }
}
