//! Sessions that are stopped, lose their storage, or die: nothing reported is lost, what was uploaded is found again.

use std::io;
use std::sync::Arc;

use crate::fixture::{Fixture, all_readable, begin, noise, snapshot, try_snapshot};
use crate::place::STRUCK;

use chronos_store::backend::{
    BackendExt, Fault, FaultBackend, FaultRule, ManualPace, Method, RecordBackend, RetryBackend, RetryPolicy,
};
use chronos_store::{Change, ChunkKind, Error, ErrorKind};

/// Chunks that share half with those of the number before.
fn chunks(number: u64) -> Vec<Vec<u8>> {
    (0..6).map(|i| noise(3 * number + i, 300 << 10)).collect()
}

#[test]
fn stopped_after_every_call_every_reported_snapshot_is_there_and_the_next_session_works() {
    for fault in [Fault::StopBefore, Fault::StopAfter] {
        for n in 0.. {
            let fixture = Fixture::new();
            snapshot(&fixture.open(), &chunks(0), "before");
            let faulty = FaultBackend::new(fixture.shared());
            let repository = fixture.open_through(Arc::new(faulty.clone()));
            faulty.add(FaultRule::at_call(n, fault));
            let reported = try_snapshot(&repository, &chunks(1), "struck").is_ok();
            let struck = faulty.stopped();
            drop(repository);
            faulty.lose_power(&|_| n % 2 == 0).unwrap();
            let listed = all_readable(&fixture.open());
            assert!(listed == 2 || (listed == 1 && !reported), "{fault:?} at {n}: {listed} snapshots");
            snapshot(&fixture.open(), &chunks(2), "after");
            assert_eq!(all_readable(&fixture.open()), listed + 1, "{fault:?} at {n}");
            assert_eq!(fixture.backend.list_all("sess/").unwrap(), [], "{fault:?} at {n}");
            if !struck {
                assert!(n > 10 && reported);
                break;
            }
        }
    }
}

#[test]
fn a_failure_of_every_call_is_reported_or_harmless() {
    for fault in [Fault::Error(io::ErrorKind::StorageFull), Fault::LostAnswer(io::ErrorKind::TimedOut)] {
        for n in 0.. {
            let fixture = Fixture::new();
            snapshot(&fixture.open(), &chunks(0), "before");
            let faulty = FaultBackend::new(fixture.shared());
            let repository = fixture.open_through(Arc::new(faulty.clone()));
            let before = faulty.calls();
            faulty.add(FaultRule::at_call(n, fault));
            let reported = try_snapshot(&repository, &chunks(1), "struck").is_ok();
            let calls = faulty.calls() - before;
            faulty.heal();
            let listed = all_readable(&fixture.open());
            assert!(listed == 2 || (listed == 1 && !reported), "{fault:?} at {n}");
            snapshot(&repository, &chunks(2), "after");
            assert_eq!(all_readable(&fixture.open()), listed + 1);
            assert_eq!(fixture.backend.list_all("sess/").unwrap(), [], "{fault:?} at {n}");
            if n > calls {
                break;
            }
        }
    }
}

#[test]
fn a_dropped_session_is_closed_by_the_next_one_which_reuses_its_chunks() {
    let fixture = Fixture::new();
    let parts: Vec<_> = (0..20).map(|i| noise(i, 1 << 20)).collect();
    let repository = fixture.open();
    let session = begin(&repository).unwrap();
    let mut writer = session.writer(ChunkKind::Data);
    parts.iter().for_each(|part| assert!(writer.put(part).unwrap().new));
    writer.finish().unwrap();
    drop(session);
    assert_eq!(fixture.backend.list_all("sess/").unwrap().len(), 1);
    let (_, stats) = snapshot(&repository, &parts, "next");
    assert!(stats.chunks_reused >= 16, "one pack of 16 MiB was uploaded: {stats:?}");
    assert_eq!(fixture.backend.list_all("sess/").unwrap(), []);
    assert_eq!(all_readable(&fixture.open()), 1);
}

#[test]
fn a_dead_session_of_many_packs_is_closed_with_a_run() {
    let fixture = Fixture::new();
    let parts: Vec<_> = (0..170).map(|i| noise(i, 1 << 20)).collect();
    let session = begin(&fixture.open()).unwrap();
    let mut writer = session.writer(ChunkKind::Data);
    parts.iter().for_each(|part| assert!(writer.put(part).unwrap().new));
    writer.finish().unwrap();
    drop(session);
    let (_, stats) = snapshot(&fixture.open(), &parts, "next");
    assert!(stats.chunks_reused >= 150, "{stats:?}");
    assert!(fixture.backend.list_all("index/").unwrap().len() == 1);
    assert_eq!(all_readable(&fixture.open()), 1);
}

#[test]
fn a_session_whose_writer_was_given_up_cannot_be_committed() {
    let fixture = Fixture::new();
    let repository = fixture.open();
    let session = begin(&repository).unwrap();
    let mut lost = session.writer(ChunkKind::Data);
    let id = lost.put(b"lost").unwrap().id;
    drop(lost);
    let mut refs = session.writer(ChunkKind::Refs);
    let list = chronos_store::RefList { meta: None, children: Vec::new(), data: vec![id] };
    let root = refs.put(&list.encode()).unwrap().id;
    refs.finish().unwrap();
    assert!(matches!(session.commit(&[root], b"{}"), Err(Error::Refused(_))));
    assert_eq!(repository.view().unwrap().snapshots().count(), 0);
}

#[test]
fn a_full_disk_is_told_as_such() {
    let fixture = Fixture::new();
    let full = FaultBackend::with_rule(
        fixture.shared(),
        FaultRule::always(Method::WriteNew, "packs/", Fault::Error(io::ErrorKind::StorageFull)),
    );
    let parts: Vec<_> = (0..60).map(|i| noise(i, 1 << 20)).collect();
    let error = try_snapshot(&fixture.open_through(Arc::new(full)), &parts, "full").unwrap_err();
    assert_eq!(error.kind(), ErrorKind::NoSpace, "{error}");
}

#[test]
fn a_session_that_was_revoked_is_lost_and_says_so() {
    let fixture = Fixture::new();
    let session = begin(&fixture.open()).unwrap();
    let name = format!("snap/{}", session.id());
    fixture.backend.damage(&name, Some(b"any decision"));
    assert!(matches!(session.commit(&[], b"{}"), Err(Error::SessionLost(_))));
}

#[test]
fn the_order_of_writes_is_packs_then_sync_then_the_decision() {
    let fixture = Fixture::new();
    let recording = RecordBackend::new(fixture.shared());
    let repository = fixture.open_through(Arc::new(recording.clone()));
    recording.clear();
    snapshot(&repository, &chunks(0), "one");
    let changing = [Method::WriteNew, Method::Sync, Method::Remove];
    let calls: Vec<_> = recording.calls().into_iter().filter(|c| changing.contains(&c.method)).collect();
    let order: Vec<_> =
        calls.iter().map(|c| (c.method, c.name.split('/').next().unwrap_or_default())).collect();
    let expected = [
        (Method::WriteNew, "sess"),
        (Method::WriteNew, "packs"),
        (Method::Sync, ""),
        (Method::WriteNew, "snap"),
        (Method::Remove, "sess"),
    ];
    assert_eq!(order, expected);
}

#[test]
fn a_change_stopped_at_every_call_is_done_or_not_and_the_next_one_works() {
    for fault in [Fault::StopBefore, Fault::StopAfter, Fault::LostAnswer(io::ErrorKind::TimedOut)] {
        for n in 0.. {
            let fixture = Fixture::new();
            snapshot(&fixture.open(), &chunks(0), "before");
            let faulty = FaultBackend::new(fixture.shared());
            let repository = fixture.open_through(Arc::new(faulty.clone()));
            let id = repository.view().unwrap().snapshots().next().unwrap().session.clone();
            let before = faulty.calls();
            faulty.add(FaultRule::at_call(n, fault));
            let forget = |_: &_| Ok(Some(Change::Forget { snapshots: vec![id.clone()] }));
            let reported = repository.change(&forget).is_ok();
            let calls = faulty.calls() - before;
            faulty.heal();
            let gone = fixture.open().view().unwrap().snapshots().count() == 0;
            assert!(gone || !reported, "{fault:?} at {n}");
            let back = |_: &_| Ok(Some(Change::Undelete { snapshots: vec![id.clone()] }));
            if gone {
                fixture.open().change(&back).unwrap();
            }
            assert_eq!(all_readable(&fixture.open()), 1, "{fault:?} at {n}");
            if n > calls {
                break;
            }
        }
    }
}

#[test]
fn a_record_that_is_there_and_cannot_be_made_durable_is_not_taken_for_that_of_another() {
    let fixture = Fixture::new();
    snapshot(&fixture.open(), &chunks(0), "one");
    let faulty = FaultBackend::new(fixture.shared());
    let (pace, policy) = (Arc::new(ManualPace::default()), RetryPolicy::default());
    let repeated = RetryBackend::new(Arc::new(faulty.clone()), policy, pace);
    let repository = fixture.open_through(Arc::new(repeated));
    let id = repository.view().unwrap().snapshots().next().unwrap().session.clone();
    let lost = FaultRule::always(Method::WriteNew, "log/", Fault::LostAnswer(io::ErrorKind::TimedOut));
    faulty.add(FaultRule { times: 1, ..lost });
    faulty.add(FaultRule::always(Method::Maintain, "", Fault::Error(io::ErrorKind::Other)));
    let forget = |_: &_| Ok(Some(Change::Forget { snapshots: vec![id.clone()] }));
    let error = repository.change(&forget).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Io, "{error}");
    let view = fixture.open().view().unwrap();
    assert_eq!(
        (view.log_len(), view.snapshots().count()),
        (1, 0),
        "the state that the record names is there"
    );
}

#[test]
fn housekeeping_that_fails_does_not_fail_the_snapshot() {
    let fixture = Fixture::new();
    let rule = FaultRule::always(Method::WriteNew, "log/", Fault::Error(io::ErrorKind::StorageFull));
    let faulty = FaultBackend::with_rule(fixture.shared(), rule);
    let repository = fixture.open_through(Arc::new(faulty));
    for n in 0..70 {
        snapshot(&repository, &[noise(n, 100)], "x");
    }
    assert_eq!(repository.view().unwrap().log_len(), 0);
    assert_eq!(all_readable(&fixture.open()), 70);
}

#[test]
fn merging_stopped_at_every_call_loses_nothing() {
    let prepared = Fixture::new();
    let repository = prepared.open();
    for n in 0..63 {
        snapshot(&repository, &[noise(n, 1000), noise(7, 500)], "x");
    }
    for n in (0..).step_by(STRUCK) {
        let fixture = prepared.fork();
        let faulty = FaultBackend::new(fixture.shared());
        let repository = fixture.open_through(Arc::new(faulty.clone()));
        faulty.add(FaultRule::at_call(n as u64, Fault::StopAfter));
        // Whether it is reported is for another test.
        let reported = try_snapshot(&repository, &[noise(63, 1000)], "struck").is_ok();
        let struck = faulty.stopped();
        faulty.lose_power(&|_| n % 2 == 0).unwrap();
        let again = fixture.open();
        let listed = all_readable(&again);
        assert!(listed == 64 || (listed == 63 && !reported), "at {n}");
        let (_, stats) = snapshot(&again, &[noise(7, 500), noise(40, 1000)], "after");
        assert_eq!((stats.chunks_new, all_readable(&again)), (1, listed + 1), "at {n}");
        if !struck {
            assert!(n > 60);
            assert_eq!(fixture.backend.list_all("index/").unwrap().len(), 1);
            break;
        }
    }
}
