//! What a repository stores by kind of object, to compare one that was disturbed with one that was not.

use chronos_store::PruneOptions;

use crate::fixture::Fixture;

/// Packs are cut differently when part of their chunks was stored before: a few more tables of contents and footers.
const PACK_BYTES_SLACK: usize = 16 << 10;

/// Counts of objects that a prune answers for. Records and decisions are kept for ever and do not count.
#[derive(Debug)]
pub(super) struct Space {
    announcements: usize,
    runs: usize,
    pack_bytes: usize,
    raw_live: u64,
    raw_dead: u64,
}

/// Prunes, then counts.
pub(super) fn pruned(fixture: &Fixture) -> Space {
    let repository = fixture.open();
    repository.prune(&PruneOptions::default()).unwrap();
    let content = fixture.backend.content();
    let count = |area: &str| content.keys().filter(|name| name.starts_with(area)).count();
    let dry = PruneOptions { dry_run: true, ..PruneOptions::default() };
    let rest = repository.prune(&dry).unwrap();
    Space {
        announcements: count("sess/"),
        runs: count("index/"),
        pack_bytes: fixture.pack_bytes(),
        raw_live: rest.bytes_live,
        raw_dead: rest.bytes_dead,
    }
}

impl Space {
    pub(super) fn assert_no_more_than(&self, goal: &Self, at: &str) {
        assert_eq!(self.announcements, 0, "{at}: {self:?}");
        assert!(self.runs <= goal.runs.max(1), "{at}: {self:?}, not {goal:?}");
        assert!(self.pack_bytes <= goal.pack_bytes + PACK_BYTES_SLACK, "{at}: {self:?}, not {goal:?}");
        assert!(self.raw_live <= goal.raw_live, "{at}: {self:?}, not {goal:?}");
        assert!(self.raw_dead <= goal.raw_dead, "{at}: {self:?}, not {goal:?}");
    }
}
