//! What an object holds is given back, whole and in parts, until it is removed.

use std::ops::Range;

use super::{Ground, Outcome, bytes, fails, is_missing, ok, put, same, truth};
use crate::backend::{BackendError, BackendExt, Durability};

/// A little more than a pack has.
const PACK_BYTES: usize = (17 << 20) + 5;

pub(super) fn written_is_read(ground: &Ground) -> Outcome {
    let a = &ground.a;
    let durabilities = [Durability::Now, Durability::Deferred, Durability::Relaxed];
    for (n, size) in [0, 1, 31, 4095, 4096, 4097, 65_537, (1 << 20) + 3].into_iter().enumerate() {
        for (d, durability) in durabilities.into_iter().enumerate() {
            let (name, content) = (format!("a{n}/b{d}"), bytes(n as u64, size));
            ok(&name, a.write_new(&name, &content, durability))?;
            truth(&format!("{size} bytes came back as others"), ok(&name, a.read(&name, None))? == content)?;
            same("size", &ok(&name, a.stat(&name))?, &(size as u64))?;
        }
    }
    Ok(())
}

pub(super) fn packs_fit(ground: &Ground) -> Outcome {
    let (name, content) = ("packs/s/p", bytes(3, PACK_BYTES));
    put(&*ground.a, name, &content)?;
    same("size", &ok(name, ground.b.stat(name))?, &(PACK_BYTES as u64))?;
    truth("its bytes came back as others", ok(name, ground.b.read(name, None))? == content)?;
    for range in [0..4096, PACK_BYTES - 4096..PACK_BYTES, PACK_BYTES / 2..PACK_BYTES / 2 + (1 << 20)] {
        let part = range.start as u64..range.end as u64;
        let wanted = content.get(range).unwrap_or_default();
        truth(
            &format!("other bytes at {part:?}"),
            ok(name, ground.b.read(name, Some(part.clone())))? == wanted,
        )?;
    }
    Ok(())
}

pub(super) fn shows_everywhere(ground: &Ground) -> Outcome {
    for (writer, reader, name) in [(&ground.a, &ground.b, "x/1"), (&ground.b, &ground.a, "x/2")] {
        same(
            "listed before it was written",
            &ok("list", reader.list_all("x/"))?.len(),
            &(name == "x/2").into(),
        )?;
        put(&**writer, name, b"one")?;
        let listed = ok("list", reader.list_all("x/"))?;
        truth("it is not in the list that was asked for after it", listed.iter().any(|e| e.name == name))?;
        same("read", &ok("read", reader.read(name, None))?, &b"one".to_vec())?;
        same("stat", &ok("stat", reader.stat(name))?, &3)?;
    }
    Ok(())
}

pub(super) fn removed_is_gone(ground: &Ground) -> Outcome {
    let (a, b) = (&ground.a, &ground.b);
    put(&**a, "x/1", b"one")?;
    ok("list", a.list_all("x/"))?;
    ok("remove", b.remove("x/1"))?;
    fails("a read of what was removed", a.read("x/1", None), is_missing)?;
    fails("a range of what was removed", a.read("x/1", Some(0..1)), is_missing)?;
    same("still listed", &ok("list", a.list_all(""))?, &Vec::new())
}

pub(super) fn ranges_are_exact(ground: &Ground) -> Outcome {
    let (a, content) = (&ground.a, bytes(7, 10_000));
    for name in ["packs/s/p", "other"] {
        put(&**a, name, &content)?;
        for range in [0..0, 0..1, 0..10_000, 1..9_999, 9_999..10_000, 10_000..10_000, 4_000..4_100] {
            let wanted = content.get(range.start..range.end).unwrap_or_default();
            let part = range.start as u64..range.end as u64;
            truth(&format!("other bytes at {range:?}"), ok(name, a.read(name, Some(part)))? == wanted)?;
        }
        let is_beyond = |e: &BackendError| matches!(e, BackendError::OutOfRange { size: 10_000, .. });
        for range in [0..10_001, 10_000..10_001, 10_001..10_001, 20_000..30_000, 0..u64::MAX] {
            let what = format!("bytes {range:?} of 10000");
            fails(&what, a.read(name, Some(range)), is_beyond)?;
        }
        let backwards = Range { start: 5, end: 4 };
        let is_invalid = |e: &BackendError| matches!(e, BackendError::Invalid(_));
        fails("a range that runs backwards", a.read(name, Some(backwards)), is_invalid)?;
    }
    Ok(())
}

pub(super) fn missing_is_reported(ground: &Ground) -> Outcome {
    let a = &ground.a;
    put(&**a, "a/b", b"")?;
    for name in ["none", "a/none", "none/none", "a", "a/b/c"] {
        fails(
            "the size of what is missing",
            a.stat(name),
            |e| matches!(e, BackendError::NotFound(n) if n == name),
        )?;
        fails("a read of what is missing", a.read(name, None), is_missing)?;
        fails("a range of what is missing", a.read(name, Some(0..1)), is_missing)?;
        same(name, &ok(name, a.exists(name))?, &false)?;
    }
    same("list", &ok("list", a.list_all("none/"))?, &Vec::new())
}

pub(super) fn removing_is_idempotent(ground: &Ground) -> Outcome {
    let (a, b) = (&ground.a, &ground.b);
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
    same("what is left", &ok("list", a.list_all(""))?, &Vec::new())?;
    put(&**a, "packs/s/1", b"new")?;
    same("written anew", &ok("read", b.read("packs/s/1", None))?, &b"new".to_vec())
}
