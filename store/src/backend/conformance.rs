//! The contract of [`Backend`] as checks that any implementation and any wrapper must pass.
//!
//! For tests of every crate: [`run`] makes a fresh, empty store for each check and names the first
//! sentence of the contract that does not hold.

use std::fmt::Debug;
use std::ops::Range;
use std::sync::{Arc, Barrier};
use std::thread;

use super::{
    Backend, BackendError, BackendExt, BackendResult, Durability, Entry, NAME_BYTES_MAX, OBJECT_BYTES_MAX,
    Upkeep,
};

/// Two handles of one empty store, as two processes would have them.
pub type Handles = (Arc<dyn Backend>, Arc<dyn Backend>);

type Outcome = Result<(), String>;
type Check = (&'static str, fn(&Handles) -> Outcome);

/// Threads that race for one name.
const RACERS: usize = 16;

const CHECKS: [Check; 12] = [
    ("what was written is read back, at any size", written_is_read),
    ("an object shows at once on every handle", shows_everywhere),
    ("ranges give exactly the asked bytes", ranges_are_exact),
    ("what is missing is reported as missing", missing_is_reported),
    ("a second create fails and changes nothing", second_create_fails),
    ("of racing creates exactly one succeeds, whole", one_racer_wins),
    ("no partial object is ever visible", nothing_partial),
    ("lists are in byte order, by prefix, after a name, up to a limit", lists_are_ordered),
    ("pages of a list lose and repeat nothing", pages_join),
    ("removing is final and idempotent, and frees the name", removing_is_idempotent),
    ("bad names, prefixes and sizes are refused", bad_names_are_refused),
    ("sync and upkeep keep everything", sync_keeps),
];

/// Runs every check, each on a fresh store from `fresh`. The error names the check that failed.
pub fn run(fresh: &dyn Fn() -> Handles) -> Result<(), String> {
    CHECKS.iter().try_for_each(|(what, check)| check(&fresh()).map_err(|e| format!("{what}: {e}")))
}

fn same<T: PartialEq + Debug>(what: &str, got: &T, wanted: &T) -> Outcome {
    if got == wanted { Ok(()) } else { Err(format!("{what}: got {got:?}, wanted {wanted:?}")) }
}

fn truth(what: &str, holds: bool) -> Outcome {
    if holds { Ok(()) } else { Err(what.to_owned()) }
}

fn ok<T>(what: &str, outcome: BackendResult<T>) -> Result<T, String> {
    outcome.map_err(|e| format!("{what}: {e}"))
}

fn put(backend: &dyn Backend, name: &str, bytes: &[u8]) -> Outcome {
    ok(name, backend.write_new(name, bytes, Durability::Relaxed))
}

/// Bytes that differ from place to place and from seed to seed.
fn bytes(seed: u64, len: usize) -> Vec<u8> {
    let mut out = vec![0; len];
    blake3::Hasher::new().update(&seed.to_le_bytes()).finalize_xof().fill(&mut out);
    out
}

fn written_is_read((a, _): &Handles) -> Outcome {
    let durabilities = [Durability::Now, Durability::Deferred, Durability::Relaxed];
    for (n, size) in [0, 1, 31, 4095, 4096, 4097, 65_537, (1 << 20) + 3].into_iter().enumerate() {
        for (d, durability) in durabilities.into_iter().enumerate() {
            let (name, content) = (format!("a{n}/b{d}"), bytes(n as u64, size));
            ok(&name, a.write_new(&name, &content, durability))?;
            truth("the same bytes", ok(&name, a.read(&name, None))? == content)?;
            same("size", &ok(&name, a.stat(&name))?, &(size as u64))?;
        }
    }
    Ok(())
}

fn shows_everywhere((a, b): &Handles) -> Outcome {
    put(&**a, "x/1", b"one")?;
    same("read", &ok("read", b.read("x/1", None))?, &b"one".to_vec())?;
    same("stat", &ok("stat", b.stat("x/1"))?, &3)?;
    same("list", &ok("list", b.list_all("x/"))?.len(), &1)?;
    ok("remove", b.remove("x/1"))?;
    truth("gone for a read", matches!(a.read("x/1", None), Err(BackendError::NotFound(_))))?;
    truth("gone for a range", matches!(a.read("x/1", Some(0..1)), Err(BackendError::NotFound(_))))?;
    same("gone for a list", &ok("list", a.list_all(""))?, &Vec::new())
}

fn ranges_are_exact((a, _): &Handles) -> Outcome {
    let content = bytes(7, 10_000);
    for name in ["packs/s/p", "other"] {
        put(&**a, name, &content)?;
        for range in [0..0, 0..1, 0..10_000, 1..9_999, 9_999..10_000, 10_000..10_000, 4_000..4_100] {
            let wanted = content.get(range.start..range.end).unwrap_or_default();
            let part = range.start as u64..range.end as u64;
            truth(&format!("{range:?}"), ok(name, a.read(name, Some(part)))? == wanted)?;
        }
        for range in [0..10_001, 10_000..10_001, 10_001..10_001, 20_000..30_000, 0..u64::MAX] {
            let got = a.read(name, Some(range.clone()));
            truth(
                &format!("{range:?} is out of range with the size"),
                matches!(got, Err(BackendError::OutOfRange { size: 10_000, .. })),
            )?;
        }
        let backwards = Range { start: 5, end: 4 };
        truth("backwards", matches!(a.read(name, Some(backwards)), Err(BackendError::Invalid(_))))?;
    }
    Ok(())
}

fn missing_is_reported((a, _): &Handles) -> Outcome {
    put(&**a, "a/b", b"")?;
    for name in ["none", "a/none", "none/none", "a", "a/b/c"] {
        truth(name, matches!(a.stat(name), Err(BackendError::NotFound(n)) if n == name))?;
        truth(name, matches!(a.read(name, None), Err(BackendError::NotFound(_))))?;
        truth(name, matches!(a.read(name, Some(0..1)), Err(BackendError::NotFound(_))))?;
        same(name, &ok(name, a.exists(name))?, &false)?;
    }
    same("list", &ok("list", a.list_all("none/"))?, &Vec::new())
}

fn second_create_fails((a, b): &Handles) -> Outcome {
    for (n, durability) in
        [Durability::Now, Durability::Deferred, Durability::Relaxed].into_iter().enumerate()
    {
        let name = format!("snap/{n}");
        ok(&name, a.write_new(&name, b"first", durability))?;
        for handle in [a, b] {
            for content in [&b"first"[..], b"second", b""] {
                let again = handle.write_new(&name, content, durability);
                truth(&name, matches!(again, Err(BackendError::AlreadyExists(n)) if n == name))?;
                let created = handle.create(&name, content, durability);
                truth(&name, matches!(created, Err(BackendError::AlreadyExists(_))))?;
            }
        }
        same(&name, &ok(&name, b.read(&name, None))?, &b"first".to_vec())?;
    }
    Ok(())
}

fn one_racer_wins((a, b): &Handles) -> Outcome {
    for round in 0..8 {
        let name = format!("snap/{round}");
        let barrier = Barrier::new(RACERS);
        let outcomes: Vec<BackendResult<()>> = thread::scope(|scope| {
            let racers: Vec<_> = (0..RACERS)
                .map(|n| {
                    let (name, barrier) = (&name, &barrier);
                    let handle = if n % 2 == 0 { a } else { b };
                    scope.spawn(move || {
                        let content = bytes(n as u64, 5000 + n);
                        barrier.wait();
                        handle.write_new(name, &content, Durability::Now)
                    })
                })
                .collect();
            racers.into_iter().filter_map(|racer| racer.join().ok()).collect()
        });
        same("racers that came back", &outcomes.len(), &RACERS)?;
        let winners: Vec<usize> =
            (0..RACERS).filter(|n| outcomes.get(*n).is_some_and(Result::is_ok)).collect();
        let [winner] = winners.as_slice() else { return Err(format!("winners: {winners:?}")) };
        let lost = |o: &&BackendResult<()>| matches!(o, Err(BackendError::AlreadyExists(_)));
        same("losers told so", &outcomes.iter().filter(lost).count(), &(RACERS - 1))?;
        let content = bytes(*winner as u64, 5000 + winner);
        truth("the winner's bytes", ok(&name, b.read(&name, None))? == content)?;
    }
    Ok(())
}

fn nothing_partial((a, b): &Handles) -> Outcome {
    let content = bytes(1, 300_000);
    thread::scope(|scope| {
        let writer =
            scope.spawn(|| (0..20).try_for_each(|n| put(&**a, &format!("packs/s/{n:02}"), &content)));
        let mut seen = 0;
        while seen < 20 && !(writer.is_finished() && seen == 0) {
            let entries = ok("list", b.list_all("packs/"))?;
            seen = entries.len();
            for entry in &entries {
                same(&entry.name, &entry.size, &(content.len() as u64))?;
            }
            if let Some(last) = entries.last() {
                truth(&last.name, ok(&last.name, b.read(&last.name, None))? == content)?;
            }
            if writer.is_finished() && seen < 20 {
                seen = ok("list", b.list_all("packs/"))?.len();
                same("objects in the end", &seen, &20)?;
            }
        }
        writer.join().map_err(|_| "the writer panicked".to_owned())?
    })
}

/// Names whose byte order differs from the order of their segments.
const NAMES: [&str; 14] = [
    "a-b", "a.b", "a/b-c", "a/b.c", "a/b/c", "a/b/d", "a/b0", "a0", "b", "log/0", "log/1", "log/10", "log/2",
    "z/z/z/z",
];

fn lists_are_ordered((a, b): &Handles) -> Outcome {
    for (n, name) in NAMES.iter().enumerate().rev() {
        put(&**a, name, &bytes(0, n))?;
    }
    let all: Vec<Entry> = (0u64..).zip(NAMES).map(|(size, n)| Entry { name: n.to_owned(), size }).collect();
    for prefix in ["", "a", "a/", "a/b", "a/b/", "b", "log/", "log/1", "z/z", "c", "log/10", "log/100"] {
        for after in
            [None, Some(""), Some("a"), Some("a/b"), Some("a/b/c"), Some("a/c"), Some("log/1"), Some("zz")]
        {
            for limit in [0, 1, 2, 5, usize::MAX] {
                let wanted: Vec<Entry> = all
                    .iter()
                    .filter(|e| {
                        e.name.starts_with(prefix) && after.is_none_or(|after| e.name.as_str() > after)
                    })
                    .take(limit)
                    .cloned()
                    .collect();
                let what = format!("list({prefix:?}, {after:?}, {limit})");
                same(&what, &ok(&what, b.list(prefix, after, limit))?, &wanted)?;
            }
        }
    }
    Ok(())
}

fn pages_join((a, _): &Handles) -> Outcome {
    let names: Vec<String> = (0..57).map(|n| format!("packs/s{}/{:02}", n / 20, n)).collect();
    for name in &names {
        put(&**a, name, b"x")?;
    }
    for limit in [1, 2, 19, 20, 21, 57, 58] {
        let mut got: Vec<String> = Vec::new();
        loop {
            let page = ok("list", a.list("packs/", got.last().map(String::as_str), limit))?;
            let full = page.len() == limit;
            got.extend(page.into_iter().map(|e| e.name));
            if !full {
                break;
            }
        }
        same(&format!("pages of {limit}"), &got, &names)?;
    }
    same("all at once", &ok("list", a.list_all(""))?.len(), &names.len())?;
    let rest = ok("list", a.list_after("packs/", names.get(9).map(String::as_str)))?;
    same("all after one", &rest.len(), &47)
}

fn removing_is_idempotent((a, b): &Handles) -> Outcome {
    for name in ["packs/s/1", "packs/s/2", "config"] {
        put(&**a, name, b"old")?;
    }
    for handle in [a, b, a] {
        ok("remove", handle.remove("packs/s/1"))?;
        ok("remove", handle.remove("config"))?;
        ok("remove", handle.remove("never/was"))?;
        ok("remove", handle.remove("packs/s"))?;
    }
    same("the other object", &ok("read", b.read("packs/s/2", None))?, &b"old".to_vec())?;
    ok("remove the last of a folder", b.remove("packs/s/2"))?;
    same("nothing", &ok("list", a.list_all(""))?, &Vec::new())?;
    put(&**a, "packs/s/1", b"new")?;
    same("written anew", &ok("read", b.read("packs/s/1", None))?, &b"new".to_vec())
}

fn bad_names_are_refused((a, _): &Handles) -> Outcome {
    let long = "x".repeat(NAME_BYTES_MAX + 1);
    let invalid = |outcome: BackendResult<()>| matches!(outcome, Err(BackendError::Invalid(_)));
    for name in
        ["", "/", "/a", "a/", "a//b", "..", "../a", "a/../b", ".a", "a/.b", "A", "a b", "a\n", "ä", &long]
    {
        truth(name, invalid(a.write_new(name, b"", Durability::Relaxed)))?;
        truth(name, invalid(a.read(name, None).map(drop)))?;
        truth(name, invalid(a.stat(name).map(drop)))?;
        truth(name, invalid(a.remove(name)))?;
    }
    for prefix in ["/", "../", "..", "a//", ".a", "A"] {
        truth(prefix, invalid(a.list(prefix, None, 1).map(drop)))?;
    }
    let longest = "x".repeat(NAME_BYTES_MAX);
    put(&**a, &longest, b"1")?;
    same("the longest name", &ok("read", a.read(&longest, None))?, &b"1".to_vec())?;
    let huge = vec![0; OBJECT_BYTES_MAX + 1];
    truth("too many bytes", invalid(a.write_new("huge", &huge, Durability::Relaxed)))?;
    same("nothing of it", &ok("exists", a.exists("huge"))?, &false)
}

fn sync_keeps((a, b): &Handles) -> Outcome {
    ok("sync of nothing", a.sync())?;
    for n in 0..100 {
        ok("write", a.write_new(&format!("packs/s/{n:03}"), &bytes(n, 1000), Durability::Deferred))?;
    }
    ok("remove before sync", b.remove("packs/s/050"))?;
    ok("sync", a.sync())?;
    ok("sync again", a.sync())?;
    for work in
        [Upkeep::RefillReserve, Upkeep::RemoveLeftovers, Upkeep::ReleaseReserve, Upkeep::ReleaseReserve]
    {
        ok("upkeep", a.maintain(work))?;
        same("objects", &ok("list", b.list_all(""))?.len(), &99)?;
    }
    truth("bytes", ok("read", b.read("packs/s/099", None))? == bytes(99, 1000))
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::*;
    use crate::backend::{
        CacheBackend, FaultBackend, LocalBackend, ManualPace, MemoryBackend, RecordBackend, RetryBackend,
        RetryPolicy, ThrottleBackend,
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
        let throttle = |b| -> Arc<dyn Backend> {
            Arc::new(ThrottleBackend::new(b, Some(1000), Some(1000), pace.clone()))
        };
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
}
