//! Building the index anew when runs are damaged: the tables of contents of all packs say the same.
//!
//! Which packs count can no longer be read from the runs. Every pack that is stored and not swept counts: a pack too many costs space
//! until the next prune, a pack too few would cost data.

use std::sync::Arc;

use super::{Finding, RepairReport, add};
use crate::backend::BackendExt;
use crate::error::{Error, Result};
use crate::id::PackName;
use crate::merge;
use crate::names;
use crate::repository::Inner;
use crate::view::View;

/// Replaces all runs by new ones made from tables of contents.
pub(super) fn rebuild(inner: &Arc<Inner>, view: &Arc<View>, report: &mut RepairReport) -> Result<()> {
    inner.close_dead_sessions()?;
    if !inner.undecided()?.is_empty() {
        return Err(Error::Busy(
            "the repository has running sessions; repair needs it for itself: it".into(),
        ));
    }
    let mut packs = Vec::new();
    for entry in inner.backend.list_all(names::PACKS)? {
        if let Some(Ok(name)) = entry.name.strip_prefix(names::PACKS).map(str::parse::<PackName>)
            && !view.state.swept.contains(&name)
        {
            packs.push((name, entry.size));
        }
    }
    let mut unreadable = |e: &Error| add(&mut report.errors, Finding::of(e));
    let runs = merge::rebuild(inner, view, &packs, &mut unreadable)?;
    report.actions.push(format!("wrote {runs} new runs over {} packs", packs.len()));
    Ok(())
}
