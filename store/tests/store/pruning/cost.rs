//! What pruning costs, in calls.

use std::sync::Arc;

use chronos_store::backend::{Method, RecordBackend};

use super::kept::{assert_whole, begin, commit, forget, prune, snapshot};
use crate::fixture::{Fixture, noise};

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
    let repository = fixture.open_through(Arc::new(recorded.clone()));
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

#[test]
fn an_ordinary_prune_leaves_the_most_of_the_index_as_it_is() {
    let fixture = Fixture::new();
    let tiny =
        |seeds: std::ops::Range<u32>| -> Vec<Vec<u8>> { seeds.map(|n| noise(u64::from(n), 100)).collect() };
    // In a pack that is too large to be joined with others.
    let large = commit(begin(&fixture.open()), &tiny(0..60_000));
    fixture.open().repair_index(false).unwrap();
    let runs = || fixture.backend.content().into_iter().filter(|(name, _)| name.starts_with("index/"));
    let (first, bytes) = runs().next().unwrap();
    let recorded = RecordBackend::new(Arc::new(fixture.backend.clone()));
    let mut kept = vec![large];
    for round in 0..6 {
        for n in 0..20 {
            let seed = 1_000_000 + round * 10_000 + n * 100;
            kept.push(commit(begin(&fixture.open()), &tiny(seed..seed + 50)));
        }
        forget(&fixture.open(), &kept.pop().unwrap());
        prune(&fixture.open_through(Arc::new(recorded.clone())));
    }
    assert!(runs().any(|(name, _)| name == first), "the large run is still there");
    let written = recorded.bytes(Method::WriteNew, "index/");
    assert!(written < bytes.len() as u64 / 4, "{written} bytes, where the large run has {}", bytes.len());
    assert!(runs().count() <= 6, "{} runs", runs().count());
    assert_whole(&fixture.open(), &kept.iter().collect::<Vec<_>>());
}
