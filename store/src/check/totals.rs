//! Totals of what counts.

use super::StoreStats;
use crate::error::Result;
use crate::index::{MergedSources, Source};
use crate::repository::Repository;

impl Repository {
    /// Totals.
    pub fn stats(&self) -> Result<StoreStats> {
        let view = self.inner.view()?;
        let index = view.index()?;
        let mut stats = StoreStats::default();
        for pack in index.packs().iter().filter(|p| !p.swept) {
            stats.packs += 1;
            stats.stored_bytes += pack.size;
        }
        let sources: Vec<&Source> = index.sources().iter().collect();
        let mut merged = MergedSources::new(&sources, &self.inner.packs)?;
        let mut records = Vec::new();
        // A chunk counts once, however many records it has.
        while merged.next_chunk(&mut records)? {
            if let Some((_, _, record)) = records.first() {
                stats.chunks += 1;
                stats.unique_bytes += u64::from(record.place.length);
            }
        }
        Ok(stats)
    }
}
