//! Looks ids up in the sources that are likely to know them before the others are asked.
//!
//! Chunks that were stored together lie in a few runs, so whoever has found one finds the next in the same. What is looked for comes
//! to the same in any order of sources: only how many are asked differs.

use std::sync::Mutex;

use super::Index;
use crate::error::Result;
use crate::format::Place;
use crate::id::ChunkId;
use crate::packs::lock;

/// Sources remembered as those that answered last: more than the runs in which lists and data of one place of a tree lie.
const FRONT: usize = 8;
/// Ids of a batch that all sources are asked for, at most: enough to tell a source of a twentieth of them from one of none.
const SAMPLE_MAX: usize = 64;
/// One id in so many of a batch is in the sample: looking for the right source costs less than asking a few wrong ones.
const SAMPLE_SHARE: usize = 16;

/// The sources that answered last, the newest first.
#[derive(Debug)]
pub(super) struct Front {
    newest: Mutex<[usize; FRONT]>,
    /// How often a source was asked for an id.
    #[cfg(test)]
    asked: std::sync::atomic::AtomicU64,
}

impl Default for Front {
    fn default() -> Self {
        Self {
            newest: Mutex::new([usize::MAX; FRONT]),
            #[cfg(test)]
            asked: std::sync::atomic::AtomicU64::default(),
        }
    }
}

impl Front {
    fn now(&self) -> [usize; FRONT] {
        *lock(&self.newest)
    }

    /// A source has answered.
    fn answered(&self, source: usize) {
        let mut front = lock(&self.newest);
        let at = front.iter().position(|s| *s == source).unwrap_or(FRONT - 1);
        if let Some(newer) = front.get_mut(..=at) {
            newer.rotate_right(1);
            if let Some(first) = newer.first_mut() {
                *first = source;
            }
        }
    }
}

impl Index {
    /// Hands the places of a chunk to `is_it` (source, number in it, place), until it says yes; whether it did. All places in one source
    /// are handed over.
    pub(crate) fn find_near(
        &self,
        id: &ChunkId,
        is_it: &mut dyn FnMut(usize, u64, Place) -> bool,
    ) -> Result<bool> {
        let mut ask = |number: usize| -> Result<bool> {
            let mut is_found = false;
            if let Some(source) = self.sources.get(number) {
                #[cfg(test)]
                self.count(1);
                source.find(&self.reader, std::slice::from_ref(id), &mut |_, ordinal, place| {
                    is_found |= is_it(number, ordinal, place);
                })?;
            }
            Ok(is_found)
        };
        let front = self.front.now();
        for (at, number) in front.into_iter().enumerate().filter(|(_, number)| *number != usize::MAX) {
            if ask(number)? {
                if at > 0 {
                    self.front.answered(number);
                }
                return Ok(true);
            }
        }
        for number in (0..self.sources.len()).filter(|number| !front.contains(number)) {
            if ask(number)? {
                self.front.answered(number);
                return Ok(true);
            }
        }
        Ok(false)
    }

    /// Hands the places of all of `ids`, which are sorted, to `is_it` (source, number in it, place), until it says yes for an id.
    /// Leaves those in `ids` for which it never did. The sources that know most of a sample are asked first.
    pub(crate) fn find_all_near(
        &self,
        ids: &mut Vec<ChunkId>,
        is_it: &mut dyn FnMut(usize, u64, Place) -> bool,
    ) -> Result<()> {
        let mut left: Vec<usize> = (0..self.sources.len()).collect();
        let mut found = Vec::new();
        while !ids.is_empty() && !left.is_empty() {
            self.order_by_sample(ids, &mut left)?;
            // Once half of the ids are found, the sample says little of the others.
            let enough = ids.len() / 2;
            while ids.len() > enough
                && let Some(number) = left.pop()
            {
                let Some(source) = self.sources.get(number) else { continue };
                #[cfg(test)]
                self.count(ids.len());
                found.clear();
                found.resize(ids.len(), false);
                source.find(&self.reader, ids, &mut |at, ordinal, place| {
                    if let Some(found) = found.get_mut(at) {
                        *found |= is_it(number, ordinal, place);
                    }
                })?;
                let mut is_found = found.iter();
                ids.retain(|_| is_found.next() != Some(&true));
            }
        }
        Ok(())
    }

    /// Sorts sources by how many of a sample of `ids` they may hold, the best last.
    fn order_by_sample(&self, ids: &[ChunkId], sources: &mut [usize]) -> Result<()> {
        let wanted = ids.len().div_ceil(SAMPLE_SHARE).min(SAMPLE_MAX);
        let sample: Vec<&ChunkId> = ids.iter().step_by(ids.len().div_ceil(wanted.max(1)).max(1)).collect();
        #[cfg(test)]
        self.count(sample.len() * sources.len());
        let mut held = vec![0_usize; self.sources.len()];
        for number in sources.iter() {
            let (Some(source), Some(held)) = (self.sources.get(*number), held.get_mut(*number)) else {
                continue;
            };
            for id in &sample {
                *held += usize::from(source.may_hold(&self.reader, id)?);
            }
        }
        // Of equals the first stays the first to be asked.
        sources.sort_by_key(|number| (held.get(*number).copied(), std::cmp::Reverse(*number)));
        Ok(())
    }

    #[cfg(test)]
    fn count(&self, asked: usize) {
        self.front.asked.fetch_add(asked as u64, std::sync::atomic::Ordering::Relaxed);
    }

    /// How often a source was asked for an id until now.
    #[cfg(test)]
    pub(crate) fn asked(&self) -> u64 {
        self.front.asked.load(std::sync::atomic::Ordering::Relaxed)
    }
}

#[cfg(test)]
mod tests;
