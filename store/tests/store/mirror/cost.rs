//! What a sync asks of both places, and how much it holds in memory.

use std::ops::Range;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use chronos_store::backend::{
    Backend, BackendResult, Durability, Entry, MemoryBackend, Method, RecordBackend,
};

use super::{History, empty, options, sync};
use crate::fixture::{self, Fixture, noise};
use crate::pruning::kept;

/// Syncs, and returns what was asked of source and destination.
fn recorded(source: &Fixture, dest: &Fixture) -> [RecordBackend; 2] {
    let both = [RecordBackend::new(source.shared()), RecordBackend::new(dest.shared())];
    let repository = source.open_through(Arc::new(both[0].clone()));
    both[0].clear();
    assert!(repository.sync_to(Arc::new(both[1].clone()), &options()).unwrap().published);
    both
}

#[test]
fn a_sync_that_finds_nothing_new_costs_lists_and_a_few_small_reads() {
    let history = History::new();
    sync(&history.source, &history.mirror);
    let [source, dest] = recorded(&history.source, &history.mirror);
    for method in [Method::WriteNew, Method::Remove] {
        assert_eq!((source.count(method, ""), dest.count(method, "")), (0, 0));
    }
    // Config and newest record of each, and the mark.
    assert_eq!((source.count(Method::Read, ""), dest.count(Method::Read, "")), (2, 4), "{:?}", dest.calls());
    let lists = (source.count(Method::List, ""), dest.count(Method::List, ""));
    assert_eq!(lists, (10, 12), "{:?}", dest.calls());
}

#[test]
fn one_more_snapshot_costs_its_own_objects() {
    let history = History::new();
    sync(&history.source, &history.mirror);
    kept::snapshot(&history.source.open(), 300..305);
    let [_, dest] = recorded(&history.source, &history.mirror);
    let written: Vec<_> = dest.calls().into_iter().filter(|c| c.method == Method::WriteNew).collect();
    let names: Vec<&str> = written.iter().map(|c| c.name.split('/').next().unwrap()).collect();
    assert_eq!(names, ["packs", "snap"]);
    assert_eq!(dest.count(Method::Remove, ""), 0);
}

/// Counts bytes that were read from a source and not yet written to a destination.
#[derive(Debug)]
struct Gauge {
    inner: MemoryBackend,
    held: Arc<AtomicU64>,
    most: Arc<AtomicU64>,
}

impl Backend for Gauge {
    fn list(&self, prefix: &str, after: Option<&str>, limit: usize) -> BackendResult<Vec<Entry>> {
        assert!(limit <= 10_000, "a page of names is bounded");
        self.inner.list(prefix, after, limit)
    }
    fn stat(&self, name: &str) -> BackendResult<u64> {
        self.inner.stat(name)
    }
    fn read(&self, name: &str, range: Option<Range<u64>>) -> BackendResult<Vec<u8>> {
        let bytes = self.inner.read(name, range)?;
        let held = self.held.fetch_add(bytes.len() as u64, Ordering::SeqCst) + bytes.len() as u64;
        self.most.fetch_max(held, Ordering::SeqCst);
        Ok(bytes)
    }
    fn write_new(&self, name: &str, bytes: &[u8], durability: Durability) -> BackendResult<()> {
        self.inner.write_new(name, bytes, durability)?;
        if name.starts_with("packs/") {
            self.held.fetch_sub(bytes.len() as u64, Ordering::SeqCst);
        }
        Ok(())
    }
    fn remove(&self, name: &str) -> BackendResult<()> {
        self.inner.remove(name)
    }
    fn sync(&self) -> BackendResult<()> {
        self.inner.sync()
    }
    fn location(&self) -> String {
        self.inner.location()
    }
}

#[test]
fn few_bytes_are_on_their_way_at_one_time() {
    let (source, dest) = (Fixture::new(), empty());
    let chunks: Vec<Vec<u8>> = (0..40).map(|n| noise(n, 4_000_000)).collect();
    fixture::snapshot(&source.open(), &chunks, "large");
    let (held, most) = (Arc::new(AtomicU64::new(0)), Arc::new(AtomicU64::new(0)));
    let gauge = |fixture: &Fixture| -> Arc<dyn Backend> {
        let inner = fixture.backend.clone();
        Arc::new(Gauge { inner, held: Arc::clone(&held), most: Arc::clone(&most) })
    };
    let repository = source.open_through(gauge(&source));
    held.store(0, Ordering::SeqCst);
    repository.sync_to(gauge(&dest), &options()).unwrap();
    assert!(source.pack_bytes() > 150 << 20);
    let most = most.load(Ordering::SeqCst);
    assert!(most <= 65 << 20, "{most}");
}
