//! What the program answers for by itself: names and sizes that it refuses, and its upkeep.

use super::{Ground, Outcome, bytes, fails, ok, put, same, truth};
use crate::backend::{BackendError, BackendExt, Durability, OBJECT_BYTES_MAX, Upkeep};

pub(super) fn bad_names_are_refused(ground: &Ground) -> Outcome {
    let a = &ground.a;
    let long = "x".repeat(ground.name_bytes_max + 1);
    let is_invalid = |e: &BackendError| matches!(e, BackendError::Invalid(_));
    for name in
        ["", "/", "/a", "a/", "a//b", "..", "../a", "a/../b", ".a", "a/.b", "A", "a b", "a\n", "ä", &long]
    {
        fails(name, a.write_new(name, b"", Durability::Relaxed), is_invalid)?;
        fails(name, a.read(name, None), is_invalid)?;
        fails(name, a.stat(name), is_invalid)?;
        fails(name, a.remove(name), is_invalid)?;
    }
    for prefix in ["/", "../", "..", "a//", ".a", "A"] {
        fails(prefix, a.list(prefix, None, 1), is_invalid)?;
    }
    let longest = "x".repeat(ground.name_bytes_max);
    put(&**a, &longest, b"1")?;
    same("the longest name", &ok("read", a.read(&longest, None))?, &b"1".to_vec())?;
    let huge = vec![0; OBJECT_BYTES_MAX + 1];
    fails("too many bytes", a.write_new("huge", &huge, Durability::Relaxed), is_invalid)?;
    same("nothing of it", &ok("exists", a.exists("huge"))?, &false)
}

pub(super) fn sync_keeps(ground: &Ground) -> Outcome {
    let (a, b) = (&ground.a, &ground.b);
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
