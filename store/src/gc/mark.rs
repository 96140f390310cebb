//! Marking: which chunk copies are needed, as one bit per index record.
//!
//! Walks reference lists from the roots, each distinct list once. Of several copies of a chunk one is chosen; the others
//! count as dead, so that a pack of copies can go.

use std::collections::{BTreeSet, HashMap, HashSet};
use std::sync::Arc;

use crate::backend::BackendExt;
use crate::error::{Error, ErrorKind, Result};
use crate::format::{Place, Record};
use crate::id::{ChunkId, PackName, SessionId};
use crate::index::{Index, IndexedPack, MergedSources, Source};
use crate::monitor::check_cancelled;
use crate::names;
use crate::reader::Reader;
use crate::view::View;
use crate::visited::RecordSet;

/// Leaves marked in one go over the index: 16 MB of ids.
const LEAVES_MAX: usize = 512 << 10;

/// How gladly a copy is kept, the least first: in a pack that may go by other means, damaged, to be avoided, shunned, number of the
/// pack. A copy that may still go by another condemnation must not stand for one that goes by this: whoever began after that other one
/// may rely on it (W3). Nor must one of a session that nobody knows the end of: it may have been revoked.
type Rank = (bool, bool, bool, bool, u32);

/// How much is needed of a pack or of one frame, in raw bytes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Use {
    /// Of chunks that are needed from here.
    pub(crate) live: u64,
    /// Of all chunks that the index knows here.
    pub(crate) all: u64,
}

impl Use {
    /// What nothing needs.
    pub(crate) fn dead(self) -> u64 {
        self.all - self.live
    }

    /// Which part of it nothing needs.
    pub(crate) fn dead_share(self) -> f64 {
        self.dead() as f64 / self.all.max(1) as f64
    }
}

/// What is needed.
#[derive(Debug)]
pub(crate) struct Marked {
    records: Arc<RecordSet>,
    /// Raw bytes of needed chunks, by number of the pack in the index.
    pub(crate) live: Vec<u64>,
}

impl Marked {
    /// How much each frame is used, by number of the pack and then of the frame.
    pub(crate) fn frames(&self, view: &View) -> Result<Vec<Vec<Use>>> {
        let index = view.index()?;
        let mut packs = vec![Vec::new(); index.packs().len()];
        for (number, source) in index.sources().iter().enumerate() {
            source.each(&view.inner.packs, &mut |ordinal, record| {
                let Some(frames) = packs.get_mut(record.place.pack as usize) else { return Ok(()) };
                let frame = usize::from(record.place.frame);
                if frames.len() <= frame {
                    frames.resize(frame + 1, Use::default());
                }
                if let Some(frame) = frames.get_mut(frame) {
                    let length = u64::from(record.place.length);
                    frame.all += length;
                    frame.live += if self.is_live(number, ordinal) { length } else { 0 };
                }
                Ok(())
            })?;
        }
        Ok(packs)
    }

    /// Which places in `packs` are needed, in one pass over the index: looking each chunk up as it lies there would open a block of
    /// the index for nearly every one.
    pub(crate) fn places(&self, view: &View, packs: &BTreeSet<PackName>) -> Result<LivePlaces> {
        let index = view.index()?;
        let wanted: Vec<bool> = index.packs().iter().map(|pack| packs.contains(&pack.name)).collect();
        let mut places = LivePlaces::default();
        for (number, source) in index.sources().iter().enumerate() {
            source.each(&view.inner.packs, &mut |ordinal, Record { place, .. }| {
                let wanted = wanted.get(place.pack as usize).is_some_and(|wanted| *wanted);
                if wanted && self.is_live(number, ordinal) {
                    places.insert(place);
                }
                Ok(())
            })?;
        }
        Ok(places)
    }

    /// Whether the copy of record `ordinal` in `source` is needed.
    fn is_live(&self, source: usize, ordinal: u64) -> bool {
        self.records.contains(source, ordinal)
    }
}

/// Places in packs, as one bit per chunk: by pack and frame, then by number in the frame.
#[derive(Debug, Default)]
pub(crate) struct LivePlaces(HashMap<(u32, u16), Vec<u64>>);

impl LivePlaces {
    fn insert(&mut self, place: Place) {
        let words = self.0.entry((place.pack, place.frame)).or_default();
        let at = usize::from(place.index / 64);
        if words.len() <= at {
            words.resize(at + 1, 0);
        }
        if let Some(word) = words.get_mut(at) {
            *word |= 1 << (place.index % 64);
        }
    }

    /// Whether chunk `index` of a frame is needed from there.
    pub(crate) fn contains(&self, pack: u32, frame: u16, index: u16) -> bool {
        let word = self.0.get(&(pack, frame)).and_then(|words| words.get(usize::from(index / 64)));
        word.is_some_and(|word| word >> (index % 64) & 1 == 1)
    }
}

/// What an earlier mark of the same prune found. Chunks never change, so what was below a root still is: only roots that came since
/// have to be walked.
#[derive(Debug)]
struct Memory {
    view: Arc<View>,
    live: Arc<RecordSet>,
    roots: BTreeSet<SessionId>,
}

/// The marks of one prune, each of which begins with what the one before found.
#[derive(Debug, Default)]
pub(crate) struct Marks(Option<Memory>);

impl Marks {
    /// Marks everything below the roots of `snapshots`; of the copies of a chunk one outside of the packs to `avoid` is chosen,
    /// and outside of those condemned already.
    pub(crate) fn mark(
        &mut self,
        view: &Arc<View>,
        snapshots: &[SessionId],
        avoid: &dyn Fn(&PackName) -> bool,
    ) -> Result<Marked> {
        view.inner.monitor.phase("mark");
        let roots: BTreeSet<SessionId> = snapshots.iter().cloned().collect();
        // If a snapshot went since, what only it needed may be gone too: then everything is walked.
        let memory = self.0.take().filter(|memory| memory.roots.is_subset(&roots));
        let recall = |memory: Memory| -> Result<_> {
            Ok((Marker::begin(view, avoid, &roots, Some(&memory))?, memory.roots))
        };
        let known = match memory.map(recall) {
            // A run of the earlier view was merged away meanwhile, or a chunk is gone: walking tells.
            Some(Err(e)) if e.kind() == ErrorKind::Damaged => None,
            known => known.transpose()?,
        };
        let (mut marker, walked) = match known {
            Some(known) => known,
            None => (Marker::begin(view, avoid, &roots, None)?, BTreeSet::new()),
        };
        marker.mark(roots.difference(&walked))?;
        let marked = Marked { records: Arc::new(marker.records), live: marker.live };
        self.0 = Some(Memory { view: Arc::clone(view), live: Arc::clone(&marked.records), roots });
        Ok(marked)
    }
}

/// Marks in one view.
#[derive(Debug)]
struct Marker<'v> {
    view: &'v Arc<View>,
    index: &'v Index,
    reader: Reader,
    /// How gladly a copy in each pack is kept; none where no copy counts.
    ranks: Vec<Option<Rank>>,
    /// Of each chunk the record of the copy that is kept if it is needed; none if nothing is walked.
    best: Option<RecordSet>,
    /// Records that are needed.
    records: RecordSet,
    /// Raw bytes of needed chunks, by number of the pack.
    live: Vec<u64>,
    /// Chunks that refer to nothing, still to be marked.
    leaves: Vec<ChunkId>,
}

impl<'v> Marker<'v> {
    /// A marker for `roots` that has chosen the copies, and marked what was needed when `memory` was made.
    fn begin(
        view: &'v Arc<View>,
        avoid: &dyn Fn(&PackName) -> bool,
        roots: &BTreeSet<SessionId>,
        memory: Option<&Memory>,
    ) -> Result<Self> {
        let mut marker = Self::new(view, avoid)?;
        if let Some(memory) = memory {
            // Little is looked up any more, if anything, and the sources of both views take memory of their own.
            memory.view.index()?.forget();
            marker.index.forget();
        }
        if memory.is_none_or(|memory| memory.roots != *roots) {
            marker.best = Some(RecordSet::new(marker.index));
        }
        marker.choose(memory)?;
        Ok(marker)
    }

    /// A marker that avoids the copies in `avoid`, and in packs that are condemned already.
    fn new(view: &'v Arc<View>, avoid: &dyn Fn(&PackName) -> bool) -> Result<Self> {
        let index = view.index()?;
        let condemned: HashSet<&PackName> = view.state.condemned.iter().flat_map(|c| &c.packs).collect();
        let unknown: HashSet<&SessionId> = view.state.unknown().collect();
        let listed = view.inner.backend.list_all(names::PACKS)?;
        let stored: HashMap<&str, u64> = listed.iter().map(|e| (e.name.as_str(), e.size)).collect();
        let rank = |(number, pack): (u32, &IndexedPack)| -> Option<Rank> {
            // No copy counts in a pack that is not stored, or with another size.
            let is_stored = stored.get(names::pack(&pack.name).as_str()) == Some(&pack.size);
            let avoided = avoid(&pack.name);
            let may_go = unknown.contains(&pack.name.session) || condemned.contains(&pack.name) && !avoided;
            (is_stored && !pack.swept).then_some((may_go, pack.quarantined, avoided, pack.shunned, number))
        };
        let ranks = (0..).zip(index.packs()).map(rank).collect();
        Ok(Self {
            view,
            index,
            reader: view.reader(),
            ranks,
            best: None,
            records: RecordSet::new(index),
            live: vec![0; index.packs().len()],
            leaves: Vec::new(),
        })
    }

    /// Marks everything below the roots of `snapshots`.
    fn mark<'s>(&mut self, snapshots: impl Iterator<Item = &'s SessionId>) -> Result<()> {
        for session in snapshots {
            let roots = self.view.state.rows.get(session).map(|r| r.roots.clone()).unwrap_or_default();
            roots.into_iter().try_for_each(|root| self.walk(root))?;
        }
        self.take_leaves()
    }

    /// Chooses the copy of each chunk that is kept, and marks all chunks that were needed when `memory` was made, without reading any.
    /// All sources are gone through once, side by side: each is the same in both views, or only in one of them.
    fn choose(&mut self, memory: Option<&Memory>) -> Result<()> {
        let remembered = match memory {
            Some(memory) => memory.view.index()?.sources(),
            None => &[],
        };
        let now = self.index.sources();
        let before: HashMap<&str, usize> =
            (0..).zip(remembered).filter_map(|(number, source)| Some((source.object()?, number))).collect();
        let both: HashSet<&str> = now.iter().filter_map(Source::object).collect();
        let only_then = |source: &Source| source.object().is_none_or(|object| !both.contains(object));
        // Each source with its numbers in this view and in the earlier one.
        let here = (0..).zip(now).map(|(number, source)| {
            (source, Some(number), source.object().and_then(|o| before.get(o).copied()))
        });
        let then = (0..).zip(remembered).filter(|(_, source)| only_then(source));
        let all: Vec<(&Source, Option<usize>, Option<usize>)> =
            here.chain(then.map(|(number, source)| (source, None, Some(number)))).collect();
        let sources: Vec<&Source> = all.iter().map(|(source, ..)| *source).collect();
        let mut merged = MergedSources::new(&sources, self.index.reader())?;
        let mut copies = Vec::new();
        while merged.next_chunk(&mut copies)? {
            let mut best: Option<(Rank, usize, u64, Place)> = None;
            let mut is_needed = false;
            for (at, ordinal, record) in &copies {
                let Some((_, now, then)) = all.get(*at) else { continue };
                is_needed |=
                    memory.zip(*then).is_some_and(|(memory, then)| memory.live.contains(then, *ordinal));
                let Some(source) = *now else { continue };
                let Some(rank) = self.rank(record.place) else { continue };
                let copy = (rank, source, *ordinal, record.place);
                best = Some(best.map_or(copy, |best| best.min(copy)));
            }
            if let Some((_, source, ordinal, place)) = best {
                if let Some(best) = &mut self.best {
                    best.insert(source, ordinal);
                }
                if is_needed {
                    self.need(source, ordinal, place);
                }
            } else if is_needed {
                return Err(copies.first().map_or_else(|| Error::missing("a chunk"), |(.., r)| lost(&r.id)));
            }
        }
        Ok(())
    }

    /// How gladly a copy is kept; none if it does not count.
    fn rank(&self, place: Place) -> Option<Rank> {
        self.ranks.get(place.pack as usize).copied().flatten()
    }

    /// Marks a record; whether it was not marked yet.
    fn need(&mut self, source: usize, ordinal: u64, place: Place) -> bool {
        let is_fresh = self.records.insert(source, ordinal);
        if is_fresh && let Some(live) = self.live.get_mut(place.pack as usize) {
            *live += u64::from(place.length);
        }
        is_fresh
    }

    /// Marks the leaves that wait, in the order of ids: each block of the index is opened once.
    fn take_leaves(&mut self) -> Result<()> {
        let mut leaves = std::mem::take(&mut self.leaves);
        leaves.sort_unstable();
        leaves.dedup();
        let index = self.index;
        index.find_all_near(&mut leaves, &mut |source, ordinal, place| {
            let is_best = self.best.as_ref().is_some_and(|best| best.contains(source, ordinal));
            if is_best {
                self.need(source, ordinal, place);
            }
            is_best
        })?;
        if let Some(id) = leaves.first() {
            return Err(lost(id));
        }
        self.leaves = leaves;
        Ok(())
    }

    fn walk(&mut self, root: ChunkId) -> Result<()> {
        let mut open = vec![root];
        while let Some(id) = open.pop() {
            check_cancelled(self.view.inner.monitor.as_ref())?;
            if !self.take(&id)? {
                continue;
            }
            let list = self.reader.refs(&id)?;
            self.leaves.extend(list.meta.iter().chain(&list.data));
            if self.leaves.len() >= LEAVES_MAX {
                self.take_leaves()?;
            }
            open.extend(list.children);
        }
        Ok(())
    }

    /// Marks the best copy of a chunk; whether it was not marked yet.
    fn take(&mut self, id: &ChunkId) -> Result<bool> {
        let mut is_fresh = false;
        let index = self.index;
        let is_found = index.find_near(id, &mut |source, ordinal, place| {
            let is_best = self.best.as_ref().is_some_and(|best| best.contains(source, ordinal));
            if is_best {
                is_fresh = self.need(source, ordinal, place);
            }
            is_best
        })?;
        if is_found { Ok(is_fresh) } else { Err(lost(id)) }
    }
}

/// A chunk that is nowhere stops the prune: deleting anything from a damaged repository could take the last chance of repair.
fn lost(id: &ChunkId) -> Error {
    let what = "every copy that a snapshot needs is missing: nothing is deleted before that is repaired";
    Error::damaged(format!("chunk {id}"), what)
}

#[cfg(test)]
mod tests;
