//! A probe says what a place is fit for, and leaves it as it was.

#![expect(clippy::unwrap_used, reason = "tests")]

use std::io;

use chronos_store::backend::{
    Call, Durability, Fault, FaultBackend, FaultRule, Flaw, MemoryBackend, Method, RecordBackend,
    UnsoundBackend,
};
use chronos_store::{Collect, Error, Silent};

use super::*;

fn both(backend: impl Backend + Clone + 'static) -> Handles {
    (Arc::new(backend.clone()), Arc::new(backend))
}

fn tried(handles: &Handles, depth: Depth) -> ProbeReport {
    try_out(handles, depth, [7; 16], &Silent).unwrap()
}

#[test]
fn memory_is_fit_for_many_writers_and_left_as_it_was() {
    let memory = MemoryBackend::new();
    memory.write_new("snap/0", b"a repository", Durability::Now).unwrap();
    let report = tried(&both(memory.clone()), Depth::Full);
    assert_eq!(report.verdict().0, Suitability::ManyWriters, "{report:?}");
    assert_eq!(report.capabilities.len(), 12);
    assert_eq!((report.removed, &report.left), (0, &None));
    assert_eq!(memory.content().into_keys().collect::<Vec<_>>(), ["snap/0"]);
}

#[test]
fn the_core_takes_few_requests_and_each_is_counted() {
    let record = RecordBackend::new(Arc::new(MemoryBackend::new()));
    let report = tried(&both(record.clone()), Depth::Core);
    let requests: Vec<u64> = report.capabilities.iter().map(|c| c.requests).collect();
    // Ten calls and two removals; three names, eight calls of each; eight races of sixteen and a look; each name is removed.
    assert_eq!(requests, [10 + 2, 3 * 8 + 3, 8 * 17 + 8]);
    // Two lists besides: what an earlier probe has left.
    assert_eq!(record.calls().len() as u64, report.requests() + 2);
    assert!(record.calls().iter().all(|call: &Call| call.name.starts_with(AREA)));
    let full = tried(&both(MemoryBackend::new()), Depth::Full);
    // How often somebody looks while objects appear is left to the threads.
    let counted = full.capabilities.iter().filter(|c| c.what != "no partial object is ever visible");
    assert_eq!(counted.map(|c| c.requests).sum::<u64>(), 625);
}

#[test]
fn what_a_place_gets_wrong_decides_what_it_is_fit_for() {
    let verdict = |flaw, depth| {
        let backend = UnsoundBackend::new(Arc::new(MemoryBackend::new()), flaw);
        tried(&both(backend), depth).verdict()
    };
    for depth in [Depth::Core, Depth::Full] {
        let (fit, why) = verdict(Flaw::Overwrites, depth);
        assert_eq!(fit, Suitability::SingleMaintainer, "{why}");
        assert!(
            why.contains("a second create fails and changes nothing: a second create: it succeeded"),
            "{why}"
        );
        let (fit, why) = verdict(Flaw::SeveralWinners, depth);
        assert_eq!(fit, Suitability::SingleMaintainer, "{why}");
        assert!(why.contains("16 of 16 were told that they won"), "{why}");
        assert_eq!(verdict(Flaw::StaleLists, depth).0, Suitability::Unfit);
    }
    for flaw in [Flaw::WholeRanges, Flaw::UnorderedLists, Flaw::EndlessPages, Flaw::KeepsRemoved] {
        assert_eq!(verdict(flaw, Depth::Full).0, Suitability::Unfit, "{flaw:?}");
    }
}

#[test]
fn a_place_that_refuses_is_not_called_fit() {
    let verdict = |method| {
        let fault = FaultBackend::new(Arc::new(MemoryBackend::new()));
        fault.add(FaultRule::always(method, "", Fault::Error(io::ErrorKind::PermissionDenied)));
        tried(&both(fault), Depth::Full)
    };
    let (fit, why) = verdict(Method::WriteNew).verdict();
    assert_eq!(fit, Suitability::Unfit);
    assert!(why.contains("is not known to hold"), "{why}");
    // A key that may not remove anything is a good key for a client.
    let kept = verdict(Method::Remove);
    assert_eq!(kept.verdict().0, Suitability::ManyWriters);
    assert!(kept.left.is_some() && kept.verdict().1.contains("cannot be removed"));
}

#[test]
fn a_removal_that_lies_is_told() {
    let report =
        tried(&both(UnsoundBackend::new(Arc::new(MemoryBackend::new()), Flaw::KeepsRemoved)), Depth::Core);
    assert!(report.left.unwrap().contains("is still there"));
}

/// Asks to stop once a number of checks were done.
#[derive(Debug)]
struct StopAt(std::sync::atomic::AtomicU64);

impl Monitor for StopAt {
    fn advance(&self, items: u64, _bytes: u64) {
        self.0.fetch_sub(items, std::sync::atomic::Ordering::Relaxed);
    }

    fn cancelled(&self) -> bool {
        self.0.load(std::sync::atomic::Ordering::Relaxed) == 0
    }
}

#[test]
fn a_probe_that_is_stopped_leaves_nothing() {
    for checks in [0, 1, 5] {
        let memory = MemoryBackend::new();
        let stopped = try_out(&both(memory.clone()), Depth::Full, [7; 16], &StopAt(checks.into()));
        assert!(matches!(stopped, Err(Error::Interrupted)));
        assert!(memory.content().is_empty());
    }
}

#[test]
fn what_a_killed_probe_has_left_is_removed_by_the_next_and_a_running_one_is_left_alone() {
    let memory = MemoryBackend::new();
    let fault = FaultBackend::new(Arc::new(memory.clone()));
    fault.add(FaultRule::at_call(43, Fault::StopBefore));
    let killed = try_out(&both(fault), Depth::Core, [1; 16], &Collect::default());
    assert!(killed.is_err());
    let left = memory.content().len() as u64;
    assert!(left > 0);
    // Another one works at the same time: it writes while this one does.
    let running = format!("{AREA}{}/", hex::encode([2; 16]));
    memory.write_new(&format!("{running}0/x"), b"", Durability::Now).unwrap();
    let during = Working { memory: memory.clone(), name: format!("{running}1/x") };
    let report = try_out(&both(memory.clone()), Depth::Core, [3; 16], &during).unwrap();
    assert_eq!((report.removed, report.left), (left, None));
    let names: Vec<String> = memory.content().into_keys().collect();
    assert_eq!(names, [format!("{running}0/x"), format!("{running}1/x")]);
}

/// Another probe that goes on while this one does.
#[derive(Debug)]
struct Working {
    memory: MemoryBackend,
    name: String,
}

impl Monitor for Working {
    fn phase(&self, _name: &'static str) {
        self.memory.write_new(&self.name, b"", Durability::Now).unwrap();
    }
}

#[test]
fn folders_that_were_not_there_are_not_there_afterwards() {
    let dir = tempfile::tempdir().unwrap();
    let place = Location::Local(dir.path().join("new/repository"));
    let report = probe(&place, &OpenOptions::default(), Depth::Full, [7; 16], &Silent).unwrap();
    assert_eq!(report.verdict().0, Suitability::ManyWriters, "{report:?}");
    assert_eq!(std::fs::read_dir(dir.path()).unwrap().count(), 0);
}
