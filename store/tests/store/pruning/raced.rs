//! Pruning that is stopped, raced and repeated: whatever is listed stays readable.

use std::sync::Arc;
use std::thread;

use crate::fixture::{Fixture, all_readable, begin, noise, snapshot};

use chronos_store::backend::{BackendExt, Fault, FaultBackend, FaultRule};
use chronos_store::{Change, ChunkKind, PruneOptions, ReadData, RefList, Repository, View};

/// Three snapshots that share chunks; the first two forgotten.
fn prepared() -> Fixture {
    let fixture = Fixture::new();
    let repository = fixture.open();
    for n in 0..3 {
        let chunks: Vec<_> = (0..8).map(|i| noise(3 * n + i, 20_000)).collect();
        snapshot(&repository, &chunks, "x");
    }
    forget_first(&repository, 2);
    fixture
}

fn forget_first(repository: &Repository, count: usize) {
    let first = |view: &View| {
        let snapshots = view.snapshots().take(count).map(|row| row.session.clone()).collect();
        Ok(Some(Change::Forget { snapshots }))
    };
    repository.change(&first).unwrap();
}

#[test]
fn stopped_at_every_call_the_rest_is_readable_and_the_next_prune_finishes() {
    let options = PruneOptions { dead_share_max: 0.1, ..PruneOptions::default() };
    let whole = prepared();
    let fork = whole.fork();
    fork.open().prune(&options).unwrap();
    let expected: u64 = fork.backend.list_all("packs/").unwrap().iter().map(|e| e.size).sum();
    for n in 0.. {
        let fixture = whole.fork();
        let faulty = FaultBackend::new(fixture.shared());
        let repository = fixture.open_through(Arc::new(faulty.clone()));
        faulty.add(FaultRule::at_call(n, if n % 2 == 0 { Fault::StopBefore } else { Fault::StopAfter }));
        let done = repository.prune(&options).is_ok();
        let struck = faulty.stopped();
        drop(repository);
        faulty.lose_power(&|_| n % 3 == 0).unwrap();
        assert_eq!(all_readable(&fixture.open()), 1, "stopped at {n}");
        fixture.open().prune(&options).unwrap();
        assert_eq!(all_readable(&fixture.open()), 1, "after {n}");
        let left: u64 = fixture.backend.list_all("packs/").unwrap().iter().map(|e| e.size).sum();
        assert!(left <= expected + 5_000, "at {n}: {left} bytes instead of {expected}");
        let report = fixture.open().check(ReadData::All).unwrap();
        assert!(report.errors.is_empty(), "at {n}: {:?}", report.errors);
        if !struck {
            assert!(done && n > 20);
            break;
        }
    }
}

#[test]
fn beside_backups_and_other_prunes_nothing_listed_is_lost() {
    let fixture = prepared();
    thread::scope(|scope| {
        for t in 0..2 {
            let repository = fixture.open();
            scope.spawn(move || {
                for n in 0..12 {
                    snapshot(&repository, &[noise(n % 5, 20_000), noise(100 * t + n, 20_000)], "y");
                }
            });
        }
        for _ in 0..2 {
            let repository = fixture.open();
            scope.spawn(move || {
                for _ in 0..4 {
                    forget_first(&repository, 1);
                    repository
                        .prune(&PruneOptions { dead_share_max: 0.1, ..PruneOptions::default() })
                        .unwrap();
                }
            });
        }
    });
    let listed = all_readable(&fixture.open());
    assert!(listed >= 17, "{listed}");
    fixture.open().prune(&PruneOptions::default()).unwrap();
    assert_eq!(all_readable(&fixture.open()), listed);
    let report = fixture.open().check(ReadData::All).unwrap();
    assert!(report.errors.is_empty(), "{:?}", report.errors);
}

#[test]
fn a_session_from_before_the_prune_commits_after_it() {
    let fixture = prepared();
    let forgotten = noise(0, 20_000);
    let session = begin(&fixture.open()).unwrap();
    let mut data = session.writer(ChunkKind::Data);
    let put = data.put(&forgotten).unwrap();
    assert!(!put.new);
    data.finish().unwrap();
    let report = fixture.open().prune(&PruneOptions::default()).unwrap();
    assert!(report.bytes_pending > 0, "{report:?}");
    let mut refs = session.writer(ChunkKind::Refs);
    let root =
        refs.put(&RefList { meta: None, children: Vec::new(), data: vec![put.id] }.encode()).unwrap().id;
    refs.finish().unwrap();
    session.commit(&[root], b"{}").unwrap();
    fixture.open().prune(&PruneOptions::default()).unwrap();
    assert_eq!(all_readable(&fixture.open()), 2);
}
