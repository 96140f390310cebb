//! How a session ends: what its decision names, what it reports, and what keeps it from being committed.

use std::fs::{File, TryLockError};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::channel;
use std::sync::{Arc, Mutex};
use std::thread::{self, ThreadId};

use crate::fixture::{Fixture, KEY, begin, noise};
use crate::meanwhile::Meanwhile;

use chronos_store::backend::{BackendExt, Fault, FaultBackend, FaultRule, Method, RecordBackend};
use chronos_store::{
    ChunkKind, Collect, CreateOptions, Env, Error, OpenOptions, PruneOptions, Random, Repository, Result,
    Session, SystemRandom,
};

/// Stores so many small packs of one chunk.
fn upload(session: &Session, packs: u64) {
    for seed in 0..packs {
        let mut writer = session.writer(ChunkKind::Data);
        assert!(writer.put(&noise(seed, 1000)).unwrap().new);
        writer.finish().unwrap();
        session.flush().unwrap();
    }
}

#[test]
fn a_decision_names_eight_packs_and_more_are_named_by_a_run() {
    for (packs, runs) in [(8, 0), (9, 1)] {
        let fixture = Fixture::new();
        let session = begin(&fixture.open()).unwrap();
        upload(&session, packs);
        session.close().unwrap();
        let names = fixture.backend.list_all("packs/").unwrap();
        let numbers: Vec<_> = names.iter().map(|e| &e.name.rsplit('/').next().unwrap()[..8]).collect();
        let expected: Vec<_> = (0..packs).map(|number| format!("{number:08x}")).collect();
        assert_eq!(numbers, expected);
        assert_eq!(fixture.backend.list_all("index/").unwrap().len(), runs, "{packs} packs");
    }
}

#[test]
fn what_is_left_of_data_and_trees_is_one_pack_if_it_is_no_longer_than_others() {
    for (chunks, packs) in [(1, 1), (7, 1), (9, 2)] {
        let fixture = Fixture::new();
        let session = begin(&fixture.open()).unwrap();
        for (kind, seed) in [(ChunkKind::Data, 0), (ChunkKind::Meta, 100)] {
            let mut writer = session.writer(kind);
            (0..chunks).for_each(|n| assert!(writer.put(&noise(seed + n, 1 << 20)).unwrap().new));
            writer.finish().unwrap();
        }
        session.close().unwrap();
        assert_eq!(fixture.packs(), packs, "{chunks} MiB of each");
    }
}

#[test]
fn what_is_reported_as_stored_is_what_was_written() {
    for packs in [0, 1, 9] {
        let fixture = Fixture::new();
        let recorded = RecordBackend::new(fixture.shared());
        let session = begin(&fixture.open_through(Arc::new(recorded.clone()))).unwrap();
        upload(&session, packs);
        let (_, stats) = session.commit(&[], b"{}").unwrap();
        let written = ["packs/", "index/", "snap/"]
            .map(|area| recorded.bytes(Method::WriteNew, area))
            .iter()
            .sum::<u64>();
        assert_eq!((stats.bytes_stored, stats.packs_written), (written, packs));
        assert_eq!((stats.chunks_new, stats.bytes_added), (packs, packs * 1000));
    }
}

#[test]
fn a_manifest_is_text_of_one_mebibyte_at_most() {
    let fixture = Fixture::new();
    let commit = |manifest: &[u8]| begin(&fixture.open()).unwrap().commit(&[], manifest);
    assert!(matches!(commit(&vec![b' '; (1 << 20) + 1]), Err(Error::Invalid(_))));
    assert!(matches!(commit(b"\xff"), Err(Error::Invalid(_))));
    let largest = vec![b' '; 1 << 20];
    commit(&largest).unwrap();
    let view = fixture.open().view().unwrap();
    assert_eq!(view.snapshots().map(|row| row.manifest.clone()).collect::<Vec<_>>(), [largest]);
}

#[test]
fn a_dropped_session_counts_as_dead_only_once_its_last_pack_is_written() {
    let fixture = Fixture::new();
    begin(&fixture.open()).unwrap().close().unwrap();
    let released = Arc::new(AtomicBool::new(false));
    let (locks, seen) = (fixture.locks(), Arc::clone(&released));
    let (dropping, dropped) = channel();
    let backend = Meanwhile::new(fixture.shared(), Method::WriteNew, "packs/", 0, move || {
        // An error says that the test has failed.
        let _ = dropped.recv();
        let lock = std::fs::read_dir(&locks).unwrap().next().unwrap().unwrap().path();
        for _ in 0..50 {
            let free = !matches!(File::open(&lock).unwrap().try_lock_shared(), Err(TryLockError::WouldBlock));
            seen.fetch_or(free, Ordering::Relaxed);
            thread::yield_now();
        }
    });
    let session = begin(&fixture.open_through(backend.clone())).unwrap();
    let dropping = dropping;
    let mut writer = session.writer(ChunkKind::Data);
    (0..18).for_each(|n| assert!(writer.put(&noise(n, 1 << 20)).unwrap().new));
    writer.finish().unwrap();
    dropping.send(()).unwrap();
    drop(session);
    assert!(backend.is_done() && !released.load(Ordering::Relaxed));
    assert_eq!(fixture.packs(), 1);
}

/// Random bytes for one thread; another one that asks while it is armed panics.
#[derive(Debug)]
struct OneThread {
    thread: ThreadId,
    panicked: Mutex<bool>,
}

impl Random for OneThread {
    fn fill(&self, bytes: &mut [u8]) -> Result<()> {
        if thread::current().id() != self.thread {
            *self.panicked.lock().unwrap() = true;
            panic!("as a bug might");
        }
        SystemRandom.fill(bytes)
    }
}

#[test]
fn a_session_of_which_a_thread_panicked_cannot_be_committed() {
    let fixture = Fixture::new();
    let random = Arc::new(OneThread { thread: thread::current().id(), panicked: Mutex::new(false) });
    let repository = fixture.open_with(Env { random: random.clone(), ..Env::system() }, "host");
    for n in 0..1000 {
        let session = begin(&repository).unwrap();
        let mut tree = session.writer(ChunkKind::Meta);
        // A whole frame: now there are threads that seal, and soon they wait for the next.
        tree.put(&noise(2 * n, 512 << 10)).unwrap();
        let mut data = session.writer(ChunkKind::Data);
        let outcome =
            data.put(&noise(2 * n + 1, 2 << 20)).and_then(|_| data.finish()).and_then(|()| tree.finish());
        let outcome = outcome.and_then(|()| session.commit(&[], b"{}"));
        if *random.panicked.lock().unwrap() {
            outcome.unwrap_err();
            assert_eq!(fixture.open().view().unwrap().snapshots().count() as u64, n);
            return;
        }
        outcome.unwrap();
    }
    panic!("no thread has ever sealed a frame");
}

#[test]
fn trees_of_repositories_that_share_the_chunk_secret_are_cut_alike_and_others_are_not() {
    let [one, other] = [Fixture::new(), Fixture::new()];
    let alike = Fixture { backend: crate::place::Place::new(), ..Fixture::new() };
    let like = CreateOptions { like: Some(one.open().chunk_keys()), label: "copy".into() };
    Repository::create(alike.shared(), &crate::fixture::KEY, &like, alike.options()).unwrap();
    let [one, other, alike] = [one, other, alike].map(|f| begin(&f.open()).unwrap().boundary_key());
    assert_eq!(one, alike);
    assert_ne!(one, other);
}

#[test]
fn what_a_server_on_the_way_sends_twice_is_known_as_ones_own() {
    let fixture = Fixture::new();
    let twice = FaultRule::always(Method::WriteNew, "", Fault::Twice);
    let repository = fixture.open_through(Arc::new(FaultBackend::with_rule(fixture.shared(), twice)));
    crate::fixture::snapshot(&repository, &[noise(1, 1000)], "one");
    repository.repair_index(false).unwrap();
    assert!(repository.claim_name("a").unwrap());
    assert!(!repository.claim_name("a").unwrap());
    assert_eq!(crate::fixture::all_readable(&fixture.open()), 1);
    assert_eq!(fixture.backend.list_all("log/").unwrap().len(), 1);
}

#[test]
fn keys_that_remove_nothing_do_for_snapshots_and_whoever_may_clears_up() {
    let fixture = Fixture::new();
    let rule = FaultRule::always(Method::Remove, "", Fault::Error(std::io::ErrorKind::PermissionDenied));
    let faulty = FaultBackend::with_rule(fixture.shared(), rule);
    let record = RecordBackend::new(Arc::new(faulty));
    let monitor = Arc::new(Collect::default());
    let options = OpenOptions { monitor: monitor.clone(), ..fixture.options() };
    let client = Repository::open(Arc::new(record.clone()), &KEY, options).unwrap();
    for seed in 0..20 {
        crate::fixture::snapshot(&client, &[noise(seed, 1000)], "one");
    }
    assert_eq!(fixture.backend.list_all("sess/").unwrap().len(), 20);
    assert_eq!(monitor.problems(), [""; 0]);
    // However many are left, one of them is asked for, and one's own.
    let before = [record.count(Method::Remove, ""), record.count(Method::Stat, "snap/")];
    crate::fixture::snapshot(&client, &[noise(20, 1000)], "one");
    let after = [record.count(Method::Remove, ""), record.count(Method::Stat, "snap/")];
    assert_eq!([after[0] - before[0], after[1] - before[1]], [2, 0]);
    assert_eq!(crate::fixture::all_readable(&client), 21);
    let content = fixture.backend.content();
    let refused = client.prune(&PruneOptions::default()).unwrap_err().to_string();
    assert!(refused.contains("may delete nothing"), "{refused}");
    assert!(content == fixture.backend.content());
    fixture.open().prune(&PruneOptions::default()).unwrap();
    assert_eq!(fixture.backend.list_all("sess/").unwrap(), []);
    assert_eq!(crate::fixture::all_readable(&client), 21);
}
