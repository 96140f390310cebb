//! Totals of what counts.

use super::StoreStats;
use crate::error::Result;
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
        for (number, source) in index.sources().iter().enumerate() {
            let mut last = None;
            source.each(&self.inner.packs, &mut |_, record| {
                let again = last == Some(record.id);
                last = Some(record.id);
                if again {
                    return Ok(());
                }
                // A chunk with copies in several sources counts in the first of them.
                let first = index.sources().len() == 1
                    || index.find_all(&record.id)?.first().is_none_or(|(source, ..)| *source == number);
                if first {
                    stats.chunks += 1;
                    stats.unique_bytes += u64::from(record.place.length);
                }
                Ok(())
            })?;
        }
        Ok(stats)
    }
}
