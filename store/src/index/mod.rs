//! Where chunks lie: the runs of a state, the runs and tables of contents of unmerged sessions.
//!
//! One implementation for every size. Runs are read in place, block by block; filters answer for absent ids. The index of a
//! view never changes.

mod cursor;
mod nearby;
mod recent;
mod source;
mod stored;

use std::collections::{HashMap, HashSet};
use std::sync::Arc;

use crate::error::Result;
use crate::format::{Place, Record};
use crate::id::{ChunkId, PackName, SessionId};
use crate::packs::Packs;
use crate::state::State;

pub(crate) use cursor::MergedSources;
pub(crate) use source::{RunSource, Source, TableSource};
pub(crate) use stored::{OpenRuns, StoredRun};

use nearby::Front;
use recent::{NEAR_CHUNKS, Recent};

/// A pack that counts (rule R1), by its number in the index.
#[derive(Clone, Debug)]
pub(crate) struct IndexedPack {
    /// Its name.
    pub(crate) name: PackName,
    /// Its size in bytes.
    pub(crate) size: u64,
    /// Nobody may deduplicate against it: condemned, swept, quarantined, or of a session whose decision is not known.
    pub(crate) shunned: bool,
    /// It is gone, or will be any moment.
    pub(crate) swept: bool,
    /// It is damaged; read it last.
    pub(crate) quarantined: bool,
}

/// Everything a view knows of places.
#[derive(Debug)]
pub(crate) struct Index {
    packs: Vec<IndexedPack>,
    damaged_runs: Vec<String>,
    unreadable: Vec<PackName>,
    sources: Vec<Source>,
    front: Front,
    recent: Recent,
    reader: Arc<Packs>,
}

/// Collects the sources of an index.
#[derive(Debug)]
pub(crate) struct IndexBuilder {
    packs: Vec<IndexedPack>,
    damaged_runs: Vec<String>,
    unreadable: Vec<PackName>,
    numbers: HashMap<PackName, u32>,
    sources: Vec<Source>,
    table: Vec<Record>,
    shunned: HashSet<PackName>,
    swept: HashSet<PackName>,
    quarantined: HashSet<PackName>,
    /// Sessions whose packs are shunned.
    unknown: HashSet<SessionId>,
}

impl IndexBuilder {
    /// An empty index, in which the packs have the standing that `state` gives them.
    pub(crate) fn new(state: &State) -> Self {
        Self {
            packs: Vec::new(),
            damaged_runs: Vec::new(),
            unreadable: Vec::new(),
            numbers: HashMap::new(),
            sources: Vec::new(),
            table: Vec::new(),
            shunned: state.shunned().cloned().collect(),
            swept: state.swept.iter().cloned().collect(),
            quarantined: state.quarantined.iter().cloned().collect(),
            unknown: state.unknown().cloned().collect(),
        }
    }

    fn number(&mut self, name: &PackName, size: u64) -> u32 {
        if let Some(number) = self.numbers.get(name) {
            return *number;
        }
        let number = self.packs.len() as u32;
        self.packs.push(IndexedPack {
            name: name.clone(),
            size,
            shunned: self.shunned.contains(name) || self.unknown.contains(&name.session),
            swept: self.swept.contains(name),
            quarantined: self.quarantined.contains(name),
        });
        self.numbers.insert(name.clone(), number);
        number
    }

    /// Adds a run.
    pub(crate) fn add_run(&mut self, run: RunSource) {
        let packs = run.index().packs().to_vec();
        let numbers = packs.iter().map(|(name, size)| self.number(name, *size)).collect();
        self.sources.push(Source::Run(Box::new(run.with_numbers(numbers))));
    }

    /// Adds a pack by its table of contents.
    pub(crate) fn add_pack(&mut self, name: &PackName, size: u64, toc: &crate::format::Toc) {
        let pack = self.number(name, size);
        for (frame, _, chunks) in toc.iter() {
            for (chunk, index) in chunks.iter().zip(0..) {
                let place = Place { pack, frame, index, length: chunk.length };
                self.table.push(Record { id: chunk.id, place });
            }
        }
    }

    /// Adds a pack whose table of contents cannot be read: nothing is found in it, but it counts.
    pub(crate) fn add_unreadable(&mut self, name: &PackName, size: u64) {
        self.number(name, size);
        self.unreadable.push(name.clone());
    }

    /// Leaves a run out that cannot be read: packs that only it names are not known.
    pub(crate) fn add_damaged_run(&mut self, run: &str) {
        self.damaged_runs.push(run.to_owned());
    }

    /// The finished index.
    pub(crate) fn finish(mut self, reader: Arc<Packs>) -> Index {
        if !self.table.is_empty() {
            self.table.sort_unstable();
            self.table.shrink_to_fit();
            self.sources.insert(0, Source::Table(TableSource::new(self.table)));
        }
        Index {
            packs: self.packs,
            damaged_runs: self.damaged_runs,
            unreadable: self.unreadable,
            sources: self.sources,
            front: Front::default(),
            recent: Recent::default(),
            reader,
        }
    }
}

impl Index {
    /// All packs that count.
    pub(crate) fn packs(&self) -> &[IndexedPack] {
        &self.packs
    }

    /// Runs that could not be read.
    pub(crate) fn damaged_runs(&self) -> &[String] {
        &self.damaged_runs
    }

    /// Packs that count and whose table of contents cannot be read.
    pub(crate) fn unreadable(&self) -> &[PackName] {
        &self.unreadable
    }

    /// A pack by its number.
    pub(crate) fn pack(&self, number: u32) -> Option<&IndexedPack> {
        self.packs.get(number as usize)
    }

    /// The sources, for whoever reads all records.
    pub(crate) fn sources(&self) -> &[Source] {
        &self.sources
    }

    /// Lets all go that only makes reading cheaper: filters, places, opened blocks, tables of contents. What is asked for comes back.
    pub(crate) fn forget(&self) {
        self.sources.iter().for_each(Source::forget);
        self.recent.clear();
        self.reader.forget();
    }

    /// What reads the sources.
    pub(crate) fn reader(&self) -> &Packs {
        &self.reader
    }

    /// All places of a chunk, with the ordinal of each record: source, then number in it. Every source is asked.
    pub(crate) fn find_all(&self, id: &ChunkId) -> Result<Vec<(usize, u64, Place)>> {
        let mut found = Vec::new();
        for (number, source) in self.sources.iter().enumerate() {
            source.find(&self.reader, std::slice::from_ref(id), &mut |_, ordinal, place| {
                found.push((number, ordinal, place));
            })?;
        }
        Ok(found)
    }

    /// The places where a chunk can be read, the best first: not swept; the damaged last.
    pub(crate) fn readable(&self, id: &ChunkId) -> Result<Vec<Place>> {
        let mut places: Vec<Place> = self.find_all(id)?.into_iter().map(|(_, _, place)| place).collect();
        places.retain(|p| self.pack(p.pack).is_some_and(|pack| !pack.swept));
        places.sort_by_key(|p| self.pack(p.pack).map(|pack| (pack.quarantined, pack.shunned)));
        Ok(places)
    }

    /// Whether a chunk lies where a session may deduplicate against (rule R1).
    pub(crate) fn usable(&self, id: &ChunkId) -> Result<bool> {
        if self.recent.place(id).is_some() {
            return Ok(true);
        }
        let mut usable = None;
        self.find_near(id, &mut |source, _, place| {
            let is_usable = self.pack(place.pack).is_some_and(|pack| !pack.shunned);
            if is_usable {
                usable = Some((source, place));
            }
            is_usable
        })?;
        if let Some((source, place)) = usable
            && matches!(self.sources.get(source), Some(Source::Run(_)))
        {
            self.remember(place);
        }
        Ok(usable.is_some())
    }

    /// The best place where a chunk can be read. Costs little for chunks that were stored one after the other.
    pub(crate) fn nearest(&self, id: &ChunkId) -> Result<Option<Place>> {
        if let Some(place) = self.recent.place(id) {
            return Ok(Some(place));
        }
        let mut places = Vec::new();
        // There is none better than a place in a pack of which nothing bad is known.
        self.find_near(id, &mut |_, _, place| {
            let pack = self.pack(place.pack).filter(|pack| !pack.swept);
            places.extend(pack.map(|pack| ((pack.quarantined, pack.shunned), place)));
            pack.is_some_and(|pack| !pack.quarantined && !pack.shunned)
        })?;
        let place = places.into_iter().min_by_key(|(rank, _)| *rank).map(|(_, place)| place);
        if let Some(place) = place
            && self.pack(place.pack).is_some_and(|pack| !pack.shunned)
            && self.sources.iter().any(|source| matches!(source, Source::Run(_)))
        {
            self.remember(place);
        }
        Ok(place)
    }

    /// Chunks that lay together before are asked for together: takes the places near one in a pack that is not shunned into
    /// memory. Data Domain's locality-preserved cache (Zhu, Li, Patterson 2008).
    fn remember(&self, place: Place) {
        let Some(pack) = self.pack(place.pack) else { return };
        if self.recent.begin(place) {
            // A pack that cannot be read here is only not remembered; whoever needs its chunks will hear of it.
            if let Ok(toc) = self.reader.toc(&pack.name, Some(pack.size)) {
                let before = toc.toc.iter().take_while(|(frame, ..)| *frame < place.frame);
                let at = before.map(|(.., chunks)| chunks.len()).sum::<usize>() + usize::from(place.index);
                let places = toc.toc.iter().flat_map(|(frame, _, chunks)| {
                    chunks.iter().zip(0..).map(move |(chunk, index)| {
                        (chunk.id, Place { frame, index, length: chunk.length, ..place })
                    })
                });
                let first = at - usize::from(place.index) % NEAR_CHUNKS;
                self.recent.add(place, places.skip(first).take(NEAR_CHUNKS));
            }
        }
    }
}
