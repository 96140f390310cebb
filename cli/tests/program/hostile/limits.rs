//! Structures that would take for ever or all memory end in an error, within seconds and little memory.

use chronos_store::{ChunkId, ChunkKind, RefList};
use serde_json::json;

use super::forge::{Forge, file, honest};
use crate::support::{Home, Ran, finish};

/// Seconds of the processor that any command may take: an honest run takes hundredths.
const SECONDS: u64 = 20;
/// Bytes of address space: the program and its threads take some hundreds of MB of it, of which they use little.
const MEMORY: u64 = 3 << 30;

/// Runs with limits that the kernel enforces.
fn limited(home: &Home, words: &[&str]) -> Ran {
    let (time, memory) = (format!("--cpu={SECONDS}"), format!("--as={MEMORY}"));
    let ran = finish(home.command_under(&["prlimit", &time, &memory, "--"], words).spawn().unwrap());
    assert!([0, 1, 3, 4].contains(&ran.code) && !ran.stderr.contains("panicked"), "{words:?}: {ran:?}");
    ran
}

/// Runs everything that walks a tree or its lists.
fn walk(home: &Home) -> Vec<i32> {
    let commands: &[&[&str]] = &[
        &["ls", "-R", "forged"],
        &["find", "**"],
        &["diff", "latest", "forged"],
        &["restore", "forged", "--to", "out"],
        &["export", "forged", "-o", "out.tar"],
        &["verify", "forged"],
        &["check"],
        &["check", "--read-data"],
        &["stats"],
        &["repair", "snapshots"],
        &["backup", "data"],
        &["prune"],
    ];
    commands.iter().map(|words| limited(home, words).code).collect()
}

/// Lists above lists, each with the one below it so many times.
fn tower(forge: &Forge, mut below: ChunkId, levels: usize, times: usize) -> ChunkId {
    for _ in 0..levels {
        let list = RefList { meta: None, children: vec![below; times], data: Vec::new() };
        below = forge.put(ChunkKind::Refs, &list.encode());
    }
    below
}

#[test]
fn lists_nested_without_end_are_refused() {
    let home = honest();
    let forge = Forge::new(&home);
    let leaf = forge.leaf(&[file("a", b"1")], b"name");
    let tree = tower(&forge, leaf, 20_000, 1);
    forge.commit(tree, json!({}));
    let codes = walk(&home);
    assert_eq!(codes[6], 4, "check tells it: {codes:?}");
}

#[test]
fn lists_that_multiply_are_walked_once() {
    for lost in [false, true] {
        let home = honest();
        let forge = Forge::new(&home);
        let bottom = if lost {
            let list = RefList { meta: None, children: Vec::new(), data: vec![ChunkId([9; 32])] };
            forge.put(ChunkKind::Refs, &list.encode())
        } else {
            forge.leaf(&[file("a", b"1")], b"name")
        };
        let tree = tower(&forge, bottom, 100, 3);
        forge.commit(tree, json!({}));
        walk(&home);
    }
}

#[test]
fn recipes_that_multiply_are_as_long_as_their_file_at_most() {
    let home = honest();
    let forge = Forge::new(&home);
    let chunk = forge.put(ChunkKind::Data, b"x");
    let mut id = forge.node(&[1, 2, 1, 2], Vec::new(), vec![chunk]);
    let mut covers = 1_u64;
    for level in 1..=12 {
        let mut meta = vec![1, 3, level, 128, 1];
        for _ in 0..128 {
            let mut rest = covers;
            while rest >= 0x80 {
                meta.push(rest as u8 | 0x80);
                rest >>= 7;
            }
            meta.push(rest as u8);
        }
        id = forge.node(&meta, vec![id; 128], Vec::new());
        covers = covers.saturating_mul(128);
    }
    // A leaf with one file of 10 bytes whose content is that recipe.
    let mut meta = vec![1, 0, 1, 0, 0, 0, 1, b'f', 0];
    meta.extend([0xa4, 0x03, 0, 0, 0, 0, 0, 0, 0, 0, 1, 0, 1, 0]);
    meta.extend([0, 10, 0]);
    let tree = forge.node(&meta, vec![id], Vec::new());
    forge.commit(tree, json!({}));
    let codes = walk(&home);
    assert_eq!(codes[3..6], [4, 4, 4], "restore, export, verify: {codes:?}");
    assert!(!home.path("out/f").exists());
}
