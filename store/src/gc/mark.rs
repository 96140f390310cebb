//! Marking: which chunk copies are needed, as one bit per index record.
//!
//! Walks reference lists from the roots, each distinct list once. Of several copies of a chunk one is chosen; the others
//! count as dead, so that a pack of copies can go.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;

use crate::backend::BackendExt;
use crate::error::{Error, Result};
use crate::format::Place;
use crate::id::{ChunkId, PackName, SessionId};
use crate::index::Index;
use crate::monitor::check_cancelled;
use crate::names;
use crate::reader::Reader;
use crate::view::View;
use crate::visited::RecordSet;

/// How gladly a copy is kept, the least first: damaged, to be avoided, shunned, number of the pack.
type Rank = (bool, bool, bool, u32);

/// What is needed of one pack.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct PackUse {
    /// Raw bytes of chunks that are needed from here.
    pub(crate) live: u64,
    /// Raw bytes of all its chunks that the index knows.
    pub(crate) all: u64,
}

/// What is needed.
#[derive(Debug)]
pub(crate) struct Marked {
    records: RecordSet,
    /// By number of the pack in the index.
    pub(crate) packs: Vec<PackUse>,
}

impl Marked {
    /// Whether the copy of record `ordinal` in `source` is needed.
    pub(crate) fn is_live(&self, source: usize, ordinal: u64) -> bool {
        self.records.contains(source, ordinal)
    }
}

/// Marks in one view.
#[derive(Debug)]
pub(crate) struct Marker<'v> {
    view: &'v Arc<View>,
    index: &'v Index,
    reader: Reader,
    /// Packs that should go: another copy is chosen where there is one.
    avoid: HashSet<u32>,
    /// Packs that are not stored, or with another size: no copy in them counts.
    gone: HashSet<u32>,
    marked: Marked,
}

impl<'v> Marker<'v> {
    /// A marker that avoids the copies in `avoid`, and in packs that are condemned already.
    pub(crate) fn new(view: &'v Arc<View>, avoid: &dyn Fn(&PackName) -> bool) -> Result<Self> {
        let index = view.index()?;
        let condemned: HashSet<&PackName> = view.state.condemned.iter().flat_map(|c| &c.packs).collect();
        let avoid = (0..)
            .zip(index.packs())
            .filter(|(_, p)| avoid(&p.name) || condemned.contains(&p.name))
            .map(|(n, _)| n)
            .collect();
        let listed = view.inner.backend.list_all(names::PACKS)?;
        let stored: HashMap<&str, u64> = listed.iter().map(|e| (e.name.as_str(), e.size)).collect();
        let gone = (0..)
            .zip(index.packs())
            .filter(|(_, p)| stored.get(names::pack(&p.name).as_str()) != Some(&p.size))
            .map(|(n, _)| n)
            .collect();
        let records = RecordSet::new(index);
        let marked = Marked { records, packs: vec![PackUse::default(); index.packs().len()] };
        Ok(Self { view, index, reader: view.reader(), avoid, gone, marked })
    }

    /// Marks everything below the roots of `snapshots`.
    pub(crate) fn mark(mut self, snapshots: &[SessionId]) -> Result<Marked> {
        self.view.inner.monitor.phase("mark");
        for session in snapshots {
            let roots = self.view.state.rows.get(session).map(|r| r.roots.clone()).unwrap_or_default();
            roots.into_iter().try_for_each(|root| self.walk(root))?;
        }
        self.count_all()?;
        Ok(self.marked)
    }

    fn walk(&mut self, root: ChunkId) -> Result<()> {
        let mut open = vec![root];
        while let Some(id) = open.pop() {
            check_cancelled(self.view.inner.monitor.as_ref())?;
            if !self.take(&id)? {
                continue;
            }
            let list = self.reader.refs(&id)?;
            for id in list.meta.iter().chain(&list.data) {
                self.take(id)?;
            }
            open.extend(list.children);
        }
        Ok(())
    }

    /// Marks the best copy of a chunk; whether it was not marked yet. A chunk that is nowhere stops the prune: deleting
    /// anything from a damaged repository could take the last chance of repair.
    fn take(&mut self, id: &ChunkId) -> Result<bool> {
        let mut best: Option<(Rank, usize, u64, Place)> = None;
        for (source, ordinal, place) in self.index.find_all(id)? {
            let Some(pack) = self.index.pack(place.pack).filter(|p| !p.swept) else { continue };
            if self.gone.contains(&place.pack) {
                continue;
            }
            let rank = (pack.quarantined, self.avoid.contains(&place.pack), pack.shunned, place.pack);
            if best.as_ref().is_none_or(|(b, ..)| rank < *b) {
                best = Some((rank, source, ordinal, place));
            }
        }
        let Some((_, source, ordinal, place)) = best else {
            return Err(Error::missing(format!(
                "chunk {id}, which a snapshot needs: run check; nothing was deleted; it"
            )));
        };
        let fresh = self.marked.records.insert(source, ordinal);
        if fresh && let Some(used) = self.marked.packs.get_mut(place.pack as usize) {
            used.live += u64::from(place.length);
        }
        Ok(fresh)
    }

    fn count_all(&mut self) -> Result<()> {
        let packs = &mut self.marked.packs;
        for source in self.index.sources() {
            source.each(&self.view.inner.packs, &mut |_, record| {
                if let Some(used) = packs.get_mut(record.place.pack as usize) {
                    used.all += u64::from(record.place.length);
                }
                Ok(())
            })?;
        }
        Ok(())
    }
}
