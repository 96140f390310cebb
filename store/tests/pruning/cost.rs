//! What pruning costs, in calls.

use std::sync::Arc;

use chronos_store::backend::{Method, RecordBackend};

use crate::fixture::{Fixture, assert_whole, forget, prune, snapshot};

#[test]
fn a_prune_that_marks_six_times_reads_each_reference_list_once() {
    const LISTS: usize = 40;
    let fixture = Fixture::new();
    let repository = fixture.open();
    // Each in a pack of its own, and too large to be joined.
    let kept: Vec<_> = (0..LISTS as u32).map(|n| snapshot(&repository, n * 1000..n * 1000 + 450)).collect();
    let gone = snapshot(&repository, 100_000..100_010);
    let worn = snapshot(&repository, 200_000..200_300);
    let part = snapshot(&repository, 200_000..200_060);
    let packs = fixture.packs();
    forget(&repository, &gone);
    forget(&repository, &worn);
    let recorded = RecordBackend::new(Arc::new(fixture.backend.clone()));
    let repository = fixture.open_on(Arc::new(recorded.clone()), "host");
    // Tables of contents are in the catalogue already.
    assert_whole(&repository, &[]);
    recorded.clear();
    let report = prune(&repository);
    assert!(report.packs_deleted >= 2 && report.packs_repacked >= 1, "{report:?}");
    let reads = recorded.count(Method::Read, "packs/");
    // One frame of lists for each snapshot; and what is copied out of the worn pack, frame by frame.
    assert!(reads <= packs + 5, "{reads} reads of {packs} packs");
    assert_whole(&fixture.open(), &kept.iter().chain([&part]).collect::<Vec<_>>());
}
