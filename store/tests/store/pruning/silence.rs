//! How long a session of another host is waited for: told by a clock that nobody can set, given here.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use chronos_store::backend::BackendExt;
use chronos_store::{Clock, Env, Error, PruneReport};

use super::kept::{Kept, begin, chunks, commit, forget, prune, snapshot, try_commit};
use crate::fixture::Fixture;

const HOUR: u64 = 3600;

/// A clock whose hands are moved by the test, in seconds.
#[derive(Debug, Default)]
struct Hands {
    day: AtomicU64,
    uptime: AtomicU64,
}

impl Clock for Hands {
    fn now(&self) -> i128 {
        i128::from(self.day.load(Ordering::Relaxed)) * 1_000_000_000
    }

    fn uptime(&self) -> Duration {
        Duration::from_secs(self.uptime.load(Ordering::Relaxed))
    }
}

/// A forgotten snapshot, and a clock for both hosts.
fn prepared() -> (Fixture, Arc<Hands>, Env, Kept) {
    let fixture = Fixture::new();
    let one = snapshot(&fixture.open(), 0..50);
    let hands = Arc::new(Hands::default());
    let env = Env { clock: hands.clone(), ..Env::system() };
    (fixture, hands, env, one)
}

fn prune_later(fixture: &Fixture, env: &Env, hands: &Hands, seconds: u64) -> PruneReport {
    hands.uptime.fetch_add(seconds, Ordering::Relaxed);
    prune(&fixture.open_with(env.clone(), "host"))
}

#[test]
fn a_silent_session_of_another_host_is_given_up_after_six_hours_of_watching() {
    let (fixture, hands, env, one) = prepared();
    let running = begin(&fixture.open_with(env.clone(), "elsewhere"));
    forget(&fixture.open(), &one);
    assert!(prune_later(&fixture, &env, &hands, 100 * HOUR).bytes_pending > 0, "watching begins");
    for _ in 0..11 {
        assert!(prune_later(&fixture, &env, &hands, HOUR / 2).bytes_pending > 0);
    }
    let report = prune_later(&fixture, &env, &hands, HOUR / 2);
    assert_eq!((report.packs_deleted, report.bytes_pending), (1, 0));
    let late = try_commit(running, &chunks(0..50));
    assert!(matches!(late, Err(Error::SessionLost(_))), "{:?}", late.err());
    assert_eq!(fixture.open().view().unwrap().snapshots().count(), 0);
}

#[test]
fn the_time_of_day_decides_nothing() {
    let (fixture, hands, env, one) = prepared();
    let running = begin(&fixture.open_with(env.clone(), "elsewhere"));
    forget(&fixture.open(), &one);
    for day in [0, 1_000_000 * HOUR, 3, u64::from(u32::MAX)] {
        hands.day.store(day, Ordering::Relaxed);
        assert!(prune_later(&fixture, &env, &hands, HOUR).bytes_pending > 0);
    }
    commit(running, &chunks(0..50));
}

#[test]
fn a_sign_of_life_begins_the_watch_anew() {
    let (fixture, hands, env, one) = prepared();
    let session = begin(&fixture.open_with(env.clone(), "elsewhere"));
    forget(&fixture.open(), &one);
    assert!(prune_later(&fixture, &env, &hands, HOUR).bytes_pending > 0);
    assert!(prune_later(&fixture, &env, &hands, 5 * HOUR).bytes_pending > 0);
    let mut writer = session.writer(chronos_store::ChunkKind::Data);
    writer.put(b"a chunk: the session is alive").unwrap();
    writer.finish().unwrap();
    for hours in [2, 3, 2] {
        assert!(prune_later(&fixture, &env, &hands, hours * HOUR).bytes_pending > 0, "{hours}");
    }
    let two = commit(session, &chunks(0..50));
    prune(&fixture.open());
    super::kept::assert_whole(&fixture.open(), &[&two]);
}

#[test]
fn a_session_that_stores_gives_a_sign_of_life_every_half_hour() {
    let (fixture, hands, env, _) = prepared();
    let session = begin(&fixture.open_with(env, "host"));
    let mut writer = session.writer(chronos_store::ChunkKind::Data);
    for (seconds, signs) in [(0, 0), (HOUR / 2 - 1, 0), (1, 1), (HOUR / 2 - 1, 1), (1, 2)] {
        hands.uptime.fetch_add(seconds, Ordering::Relaxed);
        (0..3).for_each(|_| assert!(writer.put(b"a chunk").is_ok()));
        assert_eq!(fixture.backend.list_all("sess/").unwrap().len(), 1 + signs);
    }
    writer.finish().unwrap();
    session.close().unwrap();
    assert_eq!(fixture.backend.list_all("sess/").unwrap(), []);
}

#[test]
fn what_a_session_uploads_after_it_was_given_up_counts_for_nobody() {
    let (fixture, hands, env, one) = prepared();
    let late = begin(&fixture.open_with(env.clone(), "elsewhere"));
    let two = snapshot(&fixture.open(), 50..90);
    forget(&fixture.open(), &one);
    assert!(prune_later(&fixture, &env, &hands, HOUR).bytes_pending > 0);
    assert_eq!(prune_later(&fixture, &env, &hands, 6 * HOUR).bytes_pending, 0);
    let mut writer = late.writer(chronos_store::ChunkKind::Data);
    let uploaded = chunks(200..230);
    assert!(uploaded.iter().all(|chunk| writer.put(chunk).unwrap().new));
    writer.finish().unwrap();
    late.flush().unwrap();
    assert_eq!(
        fixture.packs(),
        2,
        "its pack is there, and a prune that has seen it may delete it at any time"
    );

    // The index is built anew from what is stored.
    fixture.open().repair_index(false).unwrap();
    let runs = fixture.backend.list_all("index/").unwrap();
    runs.iter().for_each(|run| fixture.backend.damage(&run.name, Some(b"damaged")));
    fixture.open().repair_index(false).unwrap();
    super::kept::assert_whole(&fixture.open(), &[&two]);
    let session = begin(&fixture.open());
    let mut writer = session.writer(chronos_store::ChunkKind::Data);
    assert!(uploaded.iter().all(|chunk| writer.put(chunk).unwrap().new), "nobody may rely on that pack");
    writer.finish().unwrap();
    session.close().unwrap();
    super::kept::assert_whole(&fixture.open(), &[&two]);
}

#[test]
fn signs_of_life_of_a_session_that_was_given_up_are_removed() {
    let (fixture, hands, env, one) = prepared();
    let late = begin(&fixture.open_with(env.clone(), "elsewhere"));
    forget(&fixture.open(), &one);
    prune_later(&fixture, &env, &hands, HOUR);
    prune_later(&fixture, &env, &hands, 6 * HOUR);
    let mut writer = late.writer(chronos_store::ChunkKind::Data);
    writer.put(b"a chunk: the session does not know that it was given up").unwrap();
    writer.finish().unwrap();
    assert_eq!(fixture.backend.list_all("sess/").unwrap().len(), 1);
    prune(&fixture.open());
    assert_eq!(fixture.backend.list_all("sess/").unwrap(), []);
}
