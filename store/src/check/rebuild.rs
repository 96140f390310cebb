//! Building the index anew when runs are damaged: the tables of contents of all packs say the same.
//!
//! Which packs count can no longer be read from the runs. Every pack that is stored counts unless it surely never did (swept, or left out
//! by its session's decision): a pack too few would cost data. One too many would too, not at once: a slow prune may be about to
//! delete what had no effect, and a session that begins now would rely on it.

use std::collections::BTreeMap;
use std::sync::Arc;

use super::{Finding, RepairReport, add};
use crate::backend::BackendExt;
use crate::decision::{Decision, Outcome, own_packs};
use crate::error::{Error, ErrorKind, Result};
use crate::id::{PackName, SessionId};
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
    let mut decisions = BTreeMap::new();
    for entry in inner.backend.list_all(names::PACKS)? {
        if let Some(Ok(name)) = entry.name.strip_prefix(names::PACKS).map(str::parse::<PackName>)
            && !view.state.swept.contains(&name)
            && may_count(inner, view, &name, &mut decisions)?
        {
            packs.push((name, entry.size));
        }
    }
    let mut unreadable = |e: &Error| add(&mut report.errors, Finding::of(e));
    let runs = merge::rebuild(inner, view, &packs, &mut unreadable)?;
    report.actions.push(format!("wrote {runs} new runs over {} packs", packs.len()));
    Ok(())
}

/// Whether a pack may count: unless it is known that nothing ever named it (rule R1). `read` remembers decisions.
fn may_count(
    inner: &Inner,
    view: &View,
    name: &PackName,
    read: &mut BTreeMap<SessionId, Option<Decision>>,
) -> Result<bool> {
    let session = &name.session;
    if !read.contains_key(session) {
        let decision = match inner.decision(session) {
            // It may have named anything.
            Err(e) if e.kind() == ErrorKind::Damaged => return Ok(true),
            decision => decision?,
        };
        read.insert(session.clone(), decision);
    }
    Ok(match read.get(session).and_then(Option::as_ref) {
        // Never decided; or decided below the watermark, and the decision is lost.
        None => session.generation() < view.state.watermark || view.state.rows.contains_key(session),
        Some(decision) => match decision.core.outcome {
            Outcome::Revoked => false,
            // No decision says so of itself.
            Outcome::Unknown => true,
            // Runs name the packs of a session that has many.
            Outcome::Committed | Outcome::Closed if !decision.core.runs.is_empty() => true,
            Outcome::Committed | Outcome::Closed => {
                own_packs(session, &decision.core.packs).any(|(named, _)| named == *name)
            }
        },
    })
}
