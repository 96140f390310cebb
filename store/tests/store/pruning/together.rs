//! Pruning beside sessions, other prunes and second thoughts.

use chronos_store::{Change, ChunkKind, Error};

use super::kept::{assert_whole, begin, chunks, commit, forget, prune, snapshot};
use crate::fixture::Fixture;

#[test]
fn a_running_session_may_still_use_what_was_condemned() {
    let fixture = Fixture::new();
    let repository = fixture.open();
    let one = snapshot(&repository, 0..50);
    let running = begin(&fixture.open());
    forget(&repository, &one);
    let report = prune(&fixture.open());
    assert_eq!((report.packs_deleted, report.bytes_pending as usize), (0, fixture.pack_bytes()));
    let two = commit(running, &chunks(0..50));
    assert_whole(&fixture.open(), &[&two]);
    prune(&fixture.open());
    assert_whole(&fixture.open(), &[&two]);
    assert_eq!(fixture.open().view().unwrap().trash().count(), 0, "the forgotten one was purged");
}

#[test]
fn a_session_that_began_after_the_condemnation_writes_anew() {
    let fixture = Fixture::new();
    let repository = fixture.open();
    let one = snapshot(&repository, 0..50);
    let running = begin(&fixture.open());
    forget(&repository, &one);
    prune(&fixture.open());
    let session = begin(&fixture.open());
    let mut writer = session.writer(ChunkKind::Data);
    let new = chunks(0..50).iter().all(|chunk| writer.put(chunk).unwrap().new);
    assert!(new, "condemned packs are shunned");
    writer.finish().unwrap();
    let two = commit(session, &chunks(0..50));
    running.close().unwrap();
    let report = prune(&fixture.open());
    assert_eq!((report.packs_deleted, report.bytes_pending), (1, 0));
    assert_whole(&fixture.open(), &[&two]);
}

#[test]
fn a_live_session_of_another_host_is_waited_for() {
    let fixture = Fixture::new();
    let repository = fixture.open();
    let one = snapshot(&repository, 0..50);
    let running = begin(&fixture.open_elsewhere());
    forget(&repository, &one);
    assert!(prune(&repository).bytes_pending > 0);
    let two = commit(running, &chunks(0..50));
    prune(&repository);
    assert_whole(&fixture.open(), &[&two]);
}

#[test]
fn undeleted_before_the_sweep_everything_is_back() {
    let fixture = Fixture::new();
    let repository = fixture.open();
    let one = snapshot(&repository, 0..50);
    let running = begin(&fixture.open());
    forget(&repository, &one);
    assert!(prune(&repository).bytes_pending > 0);
    let undelete = Change::Undelete { snapshots: vec![one.session.clone()] };
    repository.change(&|_| Ok(Some(undelete.clone()))).unwrap();
    running.close().unwrap();
    assert_eq!(prune(&repository).packs_deleted, 0);
    assert_whole(&fixture.open(), &[&one]);
}

#[test]
fn after_the_sweep_nothing_can_be_undeleted() {
    let fixture = Fixture::new();
    let repository = fixture.open();
    let one = snapshot(&repository, 0..50);
    forget(&repository, &one);
    prune(&repository);
    let undelete = Change::Undelete { snapshots: vec![one.session.clone()] };
    let refused = repository.change(&|_| Ok(Some(undelete.clone())));
    assert!(matches!(refused, Err(Error::Refused(_))), "{refused:?}");
}

#[test]
fn prunes_and_backups_at_once_lose_nothing() {
    let fixture = Fixture::new();
    let repository = fixture.open();
    let first = snapshot(&repository, 0..100);
    let kept = std::thread::scope(|scope| {
        let pruning: Vec<_> = (0..2)
            .map(|_| {
                scope.spawn(|| {
                    for _ in 0..6 {
                        prune(&fixture.open());
                    }
                })
            })
            .collect();
        let writing: Vec<_> = (0..2_u32)
            .map(|t| {
                let fixture = &fixture;
                scope.spawn(move || {
                    let mut kept = Vec::new();
                    for i in 0..8 {
                        let repository = fixture.open();
                        kept.push(snapshot(&repository, t * 50 + i * 10..t * 50 + i * 10 + 60));
                        if i % 2 == 0 {
                            forget(&repository, &kept.pop().unwrap());
                        }
                    }
                    kept
                })
            })
            .collect();
        pruning.into_iter().for_each(|p| p.join().unwrap());
        writing.into_iter().flat_map(|w| w.join().unwrap()).collect::<Vec<_>>()
    });
    prune(&fixture.open());
    let all: Vec<_> = kept.iter().chain([&first]).collect();
    assert_whole(&fixture.open(), &all);
}

#[test]
fn a_copy_in_a_pack_that_vanished_does_not_replace_another() {
    let fixture = Fixture::new();
    // Neither session sees what the other writes.
    let (first, second) = (begin(&fixture.open()), begin(&fixture.open()));
    let kept = [commit(first, &chunks(0..50)), commit(second, &chunks(0..50))];
    for (lost, merged) in [(0, false), (0, true), (1, false), (1, true)] {
        let fork = fixture.fork();
        if merged {
            fork.open().repair_index(false).unwrap();
        }
        let (lost, other) = (&kept[lost], &kept[1 - lost]);
        forget(&fork.open(), lost);
        let prefix = format!("packs/{}/", lost.session);
        let gone = fork.backend.content().into_keys().filter(|name| name.starts_with(&prefix));
        gone.for_each(|name| fork.backend.damage(&name, None));
        prune(&fork.open());
        assert_whole(&fork.open(), &[other]);
    }
}
