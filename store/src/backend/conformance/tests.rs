//! Every backend and wrapper of this crate conforms, and what does not is found by name.

use std::path::Path;
use std::sync::Arc;

use super::*;
use crate::backend::{
    CacheBackend, Fault, FaultBackend, FaultRule, Flaw, LocalBackend, ManualPace, MemoryBackend, Method,
    RecordBackend, RetryBackend, RetryPolicy, ThrottleBackend, UnsoundBackend,
};

fn memory() -> Handles {
    let memory = MemoryBackend::new();
    (Arc::new(memory.clone()), Arc::new(memory))
}

fn wrapped(wrap: impl Fn(Arc<dyn Backend>) -> Arc<dyn Backend>) -> Handles {
    let (a, b) = memory();
    (wrap(a), wrap(b))
}

#[test]
fn memory_conforms() {
    assert_eq!(run(&memory), Ok(()));
}

#[test]
#[expect(clippy::unwrap_used, reason = "tests")]
fn a_local_folder_conforms() {
    let dirs = std::cell::RefCell::new(Vec::new());
    let fresh = || -> Handles {
        let dir = tempfile::tempdir().unwrap();
        let (a, b) = (LocalBackend::new(dir.path()), LocalBackend::new(dir.path()));
        dirs.borrow_mut().push(dir);
        (Arc::new(a), Arc::new(b))
    };
    assert_eq!(run(&fresh), Ok(()));
}

#[test]
fn wrappers_conform() {
    let pace = Arc::new(ManualPace::default());
    assert_eq!(run(&|| wrapped(|b| Arc::new(RecordBackend::new(b)))), Ok(()));
    assert_eq!(run(&|| wrapped(|b| Arc::new(FaultBackend::new(b)))), Ok(()));
    let retry =
        |b| -> Arc<dyn Backend> { Arc::new(RetryBackend::new(b, RetryPolicy::default(), pace.clone())) };
    assert_eq!(run(&|| wrapped(retry)), Ok(()));
    let throttle =
        |b| -> Arc<dyn Backend> { Arc::new(ThrottleBackend::new(b, Some(1000), Some(1000), pace.clone())) };
    assert_eq!(run(&|| wrapped(throttle)), Ok(()));
}

#[test]
#[expect(clippy::unwrap_used, reason = "tests")]
fn the_cache_conforms() {
    let dir = tempfile::tempdir().unwrap();
    let cache = |folder: &Path| {
        let folder = folder.to_owned();
        move |b| -> Arc<dyn Backend> { Arc::new(CacheBackend::new(b, &folder, 1 << 20)) }
    };
    let count = std::cell::Cell::new(0);
    let fresh = || {
        count.set(count.get() + 1);
        wrapped(cache(&dir.path().join(count.get().to_string())))
    };
    assert_eq!(run(&fresh), Ok(()));
}

/// The checks that fail, each in an area of its own in one place.
fn failing(handles: &Handles) -> Vec<(&'static str, Trouble)> {
    let tried = CHECKS.iter().filter(|c| c.standing != Standing::Program).enumerate();
    let failing = tried.filter_map(|(n, check)| {
        let ground = Ground::new(handles, &format!("probe/x/{n}/"));
        let trouble = check.run(&ground).err()?;
        Some((check.what, trouble))
    });
    failing.collect()
}

#[test]
fn every_flaw_is_found_by_name() {
    let found = |flaw| {
        let broken = UnsoundBackend::new(memory().0, flaw);
        let failing = failing(&(Arc::new(broken.clone()), Arc::new(broken)));
        assert!(failing.iter().all(|(_, t)| matches!(t, Trouble::Broken(_))), "{flaw:?}: {failing:?}");
        failing.into_iter().map(|(what, _)| what).collect::<Vec<_>>()
    };
    let (second, race) =
        ("a second create fails and changes nothing", "of racing creates exactly one succeeds, whole");
    assert_eq!(found(Flaw::Overwrites), [second, race]);
    assert_eq!(found(Flaw::SeveralWinners), [race]);
    assert!(found(Flaw::StaleLists).contains(&"what was written shows at once on every handle"));
    let parts = "an object as large as a pack is taken whole and given in parts";
    assert_eq!(found(Flaw::WholeRanges), [parts, "ranges give exactly the asked bytes"]);
    let ordered = "lists are in byte order, by prefix, after a name, up to a limit";
    assert!(found(Flaw::UnorderedLists).contains(&ordered));
    assert!(found(Flaw::EndlessPages).contains(&ordered));
    let removal = [
        "what was removed is gone at once on every handle",
        "removing is final and idempotent, and frees the name",
    ];
    assert_eq!(found(Flaw::KeepsRemoved), removal);
}

#[test]
fn what_could_not_be_asked_is_not_called_broken() {
    let fault = FaultBackend::new(memory().0);
    fault.add(FaultRule::always(Method::WriteNew, "", Fault::Error(std::io::ErrorKind::PermissionDenied)));
    let failing = failing(&(Arc::new(fault.clone()), Arc::new(fault)));
    assert_eq!(failing.len(), CHECKS.iter().filter(|c| c.standing != Standing::Program).count());
    assert!(failing.iter().all(|(_, t)| matches!(t, Trouble::Untried(_))), "{failing:?}");
}

#[test]
#[expect(clippy::unwrap_used, reason = "tests")]
fn an_area_is_left_as_it_was_and_every_request_counts() {
    let (memory, other) = memory();
    other.write_new("snap/0", b"a repository", Durability::Now).unwrap();
    let record = RecordBackend::new(memory);
    let handles: Handles = (Arc::new(record.clone()), Arc::new(record.clone()));
    for (n, check) in CHECKS.iter().enumerate() {
        let ground = Ground::new(&handles, &format!("probe/x/{n}/"));
        check.run(&ground).unwrap();
        ground.clear().unwrap();
        let calls = record.calls();
        let asked = calls.iter().filter(|c| !matches!(c.method, Method::Sync | Method::Maintain));
        assert_eq!(ground.requests(), asked.clone().count() as u64, "{}", check.what);
        assert!(asked.clone().all(|c| c.name.starts_with("probe/x/")), "{}", check.what);
        record.clear();
    }
    let left = other.list("", None, 10).unwrap();
    assert_eq!(left.iter().map(|e| e.name.as_str()).collect::<Vec<_>>(), ["snap/0"]);
}
