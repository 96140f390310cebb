//! Where the repositories of these tests lie: in memory. `tests/remote` runs the same suites over another place of this name.

pub(crate) use chronos_store::backend::MemoryBackend as Place;

/// Of many calls, each of which is struck in a run of its own, every so many.
pub(crate) const STRUCK: usize = 1;
