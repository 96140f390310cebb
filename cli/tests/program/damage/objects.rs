//! What is damaged, and how.

use std::fs;

use super::fixture::{Copy, Fixture, objects, replace};
use crate::support::Home;

/// The object of a kind, and another of its sort to swap it with.
pub(crate) fn object(fixture: &Fixture, kind: &str) -> (String, String) {
    let copy = fixture.copy();
    let all = objects(&copy.home.repository());
    let of =
        |prefix: &str| -> Vec<String> { all.iter().filter(|n| n.starts_with(prefix)).cloned().collect() };
    let pack = |called: &str| fixture.taken[called].pack.clone();
    let decision = |called: &str| fixture.taken[called].decision.clone();
    let slots = of("keys/");
    let second = slots.iter().find(|s| **s != fixture.slot).unwrap().clone();
    let log = of("log/");
    let (newest, oldest) = (log[0].clone(), log[log.len() - 1].clone());
    let newest_state = state_of(fixture, &copy);
    let old_state = of("state/").into_iter().find(|s| *s != newest_state).unwrap();
    match kind {
        "config" => ("config".into(), "config".into()),
        "slot" => (fixture.slot.clone(), second),
        "second slot" => (second, fixture.slot.clone()),
        "announcement" => (of("sess/")[0].clone(), decision("old")),
        "first pack" | "content" | "tree" | "contents" => (pack("old"), pack("other")),
        // A pack that holds nothing but a tree: lists of ids, then names and attributes.
        "lists" | "attributes" => (pack("touched"), pack("old")),
        "other pack" => (pack("other"), pack("old")),
        "new pack" => (pack("new"), pack("old")),
        "index" => (fixture.run.clone(), pack("old")),
        "old decision" => (decision("old"), decision("other")),
        "new decision" => (decision("new"), decision("other")),
        "name" => (of("name/")[0].clone(), of("name/")[1].clone()),
        "old record" => (oldest, newest),
        "newest record" => (newest, oldest),
        "old state" => (old_state, newest_state),
        "newest state" => (newest_state, old_state),
        other => panic!("{other} is no kind"),
    }
}

/// The state that the newest record names: the one that is gone if everything but it is taken away and nothing can be listed.
fn state_of(fixture: &Fixture, copy: &Copy) -> String {
    let all = objects(&copy.home.repository());
    let mut states: Vec<_> = all.into_iter().filter(|n| n.starts_with("state/")).collect();
    let written = |name: &String| fs::metadata(copy.file(name)).unwrap().modified().unwrap();
    states.sort_by_key(written);
    assert!(states.len() > 1 && fixture.taken.len() > 1);
    states.pop().unwrap()
}

/// Where in an object of this kind a bit is flipped: packs have parts that different readers need.
fn place(kind: &str, bytes: &[u8]) -> usize {
    /// Head of a pack, and what stands at its end: see `docs/format.md`.
    const HEAD: usize = 96;
    const FOOTER: usize = 164;
    match kind {
        // The first frame of a small pack is of content, the last before the table of contents are of the tree.
        "content" => HEAD + 1000,
        "tree" | "attributes" | "other pack" | "new pack" => {
            let footer = &bytes[bytes.len() - FOOTER..];
            u64::from_le_bytes(footer[..8].try_into().unwrap()) as usize - 20
        }
        "lists" => HEAD + 10,
        "contents" => bytes.len() - FOOTER - 10,
        "index" => 64 + 100,
        _ => bytes.len() / 2,
    }
}

/// Damages one object of a copy. Returns the names that may be told: of the object, and of the other one if two are swapped.
pub(crate) fn damage(fixture: &Fixture, copy: &Copy, kind: &str, way: &str) -> Vec<String> {
    let (name, other) = object(fixture, kind);
    let file = copy.file(&name);
    let good = fs::read(&file).unwrap();
    match way {
        "gone" => replace(&file, None),
        "cut" => replace(&file, Some(&good[..good.len() * 2 / 3])),
        "flipped" => {
            let mut bad = good;
            let at = place(kind, &bad);
            bad[at] ^= 0x10;
            replace(&file, Some(&bad));
        }
        "zeroed" => replace(&file, Some(&vec![0; good.len()])),
        "swapped" if kind == "config" => {
            let another = Home::new();
            another.run(["init"]).code(0);
            replace(&file, Some(&fs::read(another.repository().join("config")).unwrap()));
        }
        "swapped" => {
            let theirs = fs::read(copy.file(&other)).unwrap();
            replace(&file, Some(&theirs));
            replace(&copy.file(&other), Some(&good));
            return vec![name, other];
        }
        // The newest record is taken back: the log is as it was before it.
        "stale" if kind == "newest record" => replace(&file, None),
        "stale" if kind == "newest state" => replace(&file, Some(&fs::read(copy.file(&other)).unwrap())),
        "stale" => {
            let mut runs = fixture.removed.iter().filter(|(name, _)| name.starts_with("index/"));
            replace(&file, Some(runs.next_back().unwrap().1));
        }
        other => panic!("{other} is no way"),
    }
    vec![name]
}

/// Puts everything back that was removed from the repository since it began: none of it may count again.
pub(crate) fn bring_back(fixture: &Fixture, copy: &Copy) {
    for (name, bytes) in &fixture.removed {
        replace(&copy.file(name), Some(bytes));
    }
}
