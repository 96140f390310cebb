//! Versions of a file after each other: what is stored of the next one, and that each reads as it was.

use std::collections::HashSet;

use chronos_store::{Change, ChunkId, ChunkKind, PruneOptions, ReadData};
use proptest::prelude::*;

use super::{Stage, bytes, newest, nodes, noise};
use crate::node::{Content, Extent, NodeKind};

/// Text of which most lines are told apart by a number.
fn lines(from: usize, count: usize) -> Vec<u8> {
    (from..from + count)
        .flat_map(|n| format!("{n}\tsome text of line {}\t{}\n", n * 7919, n % 13).into_bytes())
        .collect()
}

/// A file that is backed up again and again, and the chunks of its versions.
struct File {
    stage: Stage,
    seen: HashSet<ChunkId>,
}

impl File {
    fn new(first: &[u8]) -> Self {
        let mut file = Self { stage: Stage::new(), seen: HashSet::new() };
        assert_eq!(file.next(first), first.len());
        file
    }

    /// Backs `now` up and checks that it reads back; returns how many bytes of content are in new chunks.
    fn next(&mut self, now: &[u8]) -> usize {
        self.stage.write("file", now);
        self.stage.run();
        let repository = self.stage.open();
        let content = self.content();
        let node = &nodes(&repository, &newest(&repository))[&self.stage.inside("file")];
        assert!(bytes(&repository, node) == now, "the file reads back otherwise");
        let reader = repository.view().unwrap().reader();
        let fresh: HashSet<_> = content.chunks().filter(|id| !self.seen.contains(*id)).copied().collect();
        let sum = fresh.iter().map(|id| reader.read(ChunkKind::Data, id).unwrap().len()).sum();
        self.seen.extend(fresh);
        sum
    }

    /// How the newest version is stored.
    fn content(&self) -> Content {
        let repository = self.stage.open();
        let found = nodes(&repository, &newest(&repository));
        let NodeKind::File(content) = &found[&self.stage.inside("file")].kind else { panic!("not a file") };
        content.clone()
    }
}

fn assembled(content: &Content) -> usize {
    content.extents.iter().filter(|e| matches!(e, Extent::Assembled(_))).count()
}

#[test]
fn a_file_with_a_change_in_every_chunk_stores_the_changes() {
    let first = lines(0, 60_000);
    let mut file = File::new(&first);
    let mut second = first.clone();
    for at in (1_000..second.len()).step_by(5_000) {
        second[at] ^= 1;
    }
    let added = file.next(&second);
    let changes = second.len() / 5_000;
    assert!(added < 40 * changes, "{added} bytes for {changes} changes");
    let made = assembled(&file.content());
    assert!(made > 20, "{made}");

    // The same bytes with another time: described the same way, nothing is stored.
    let added = file.next(&second);
    assert_eq!(added, 0);
    assert_eq!(assembled(&file.content()), made);

    // A change in one place: the other chunks are taken over as they were put together.
    let mut third = second.clone();
    third[100_000] ^= 1;
    let added = file.next(&third);
    assert!(added < 100, "{added}");

    // Back to what it was first: all of that is known.
    let added = file.next(&first);
    assert_eq!(added, 0);
    assert_eq!(assembled(&file.content()), 0);
}

#[test]
fn lines_that_go_come_and_move_are_not_stored_again() {
    let first = lines(0, 40_000);
    let mut file = File::new(&first);
    let mut second = Vec::new();
    let mut moved = Vec::new();
    for (number, line) in first.split_inclusive(|b| *b == b'\n').enumerate() {
        match number % 100 {
            7 => {}
            8 => moved.extend_from_slice(line),
            9 => second.extend_from_slice(b"a line in between\n"),
            _ => second.extend_from_slice(line),
        }
    }
    second.extend(moved);
    let added = file.next(&second);
    assert!(added < first.len() / 20, "{added} of {}", first.len());
}

#[test]
fn what_has_nothing_in_common_is_stored_as_chunks() {
    let mut file = File::new(&lines(0, 20_000));
    let added = file.next(&noise(3, 6 << 20));
    assert_eq!(added, 6 << 20);
    assert_eq!(assembled(&file.content()), 0);
}

#[test]
fn a_small_file_with_a_small_change_stores_that() {
    let first = lines(0, 120);
    let mut file = File::new(&first);
    let mut second = first;
    second.splice(2_000..2_003, b"something".iter().copied());
    let added = file.next(&second);
    assert!(added < 60, "{added}");
}

#[test]
fn versions_read_back_after_the_ones_before_are_gone() {
    let mut now = lines(0, 30_000);
    let mut file = File::new(&now);
    for round in 0..4 {
        for at in (round * 37..now.len()).step_by(4_000) {
            now[at] ^= 3;
        }
        file.next(&now);
    }
    let repository = file.stage.open();
    let last = newest(&repository);
    let older: Vec<_> = crate::listed(&repository.view().unwrap())
        .0
        .iter()
        .map(|s| s.session.clone())
        .filter(|id| *id != last.session)
        .collect();
    repository.change(&|_| Ok(Some(Change::Forget { snapshots: older.clone() }))).unwrap();
    repository.prune(&PruneOptions { dead_share_max: 0.0, ..PruneOptions::default() }).unwrap();
    let repository = file.stage.open();
    assert!(repository.check(ReadData::All).unwrap().errors.is_empty());
    let found = nodes(&repository, &newest(&repository));
    assert!(bytes(&repository, &found[&file.stage.inside("file")]) == now);
}

#[test]
fn a_previous_version_that_cannot_be_read_is_no_obstacle() {
    let first = lines(0, 30_000);
    let file = File::new(&first);
    let chunk = *file.content().chunks().nth(3).unwrap();
    for (name, pack) in file.stage.memory.content().into_iter().filter(|(n, _)| n.starts_with("packs/")) {
        let mut damaged = pack.to_vec();
        damaged[1_000] ^= 1;
        file.stage.memory.damage(&name, Some(&damaged));
    }
    assert!(file.stage.open().view().unwrap().reader().read(ChunkKind::Data, &chunk).is_err());
    let mut second = first;
    second[50_000] ^= 1;
    file.stage.write("file", &second);
    assert_eq!(file.stage.run().status, "completed");
    assert_eq!(assembled(&file.content()), 0);
}

/// What is done to a file between two backups: where, what, how much.
type Edit = (usize, u8, usize);

fn edited(bytes: &[u8], edits: &[Edit], seed: u8) -> Vec<u8> {
    let mut now = bytes.to_vec();
    for (number, (at, what, len)) in edits.iter().enumerate() {
        let at = at % (now.len() + 1);
        let end = (at + len).min(now.len());
        match what {
            0 => drop(now.drain(at..end)),
            1 => drop(now.splice(at..at, noise(seed + number as u8, *len))),
            2 => now[at..end].iter_mut().for_each(|b| *b ^= 0x15),
            3 => {
                let piece = now[at..end].to_vec();
                now.extend(piece);
            }
            4 => now[at..end].fill(0),
            _ => now.truncate(end),
        }
    }
    now
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 24, ..ProptestConfig::default() })]

    #[test]
    fn every_version_reads_back(
        size in 1..400_000_usize,
        versions in prop::collection::vec(
            prop::collection::vec((any::<usize>(), 0..6_u8, 1..3_000_usize), 0..12), 1..5
        ),
    ) {
        let mut now = lines(0, 12_000);
        now.truncate(size);
        let mut all = vec![now.clone()];
        let mut file = File::new(&now);
        for (number, edits) in versions.iter().enumerate() {
            now = edited(&now, edits, 50 * number as u8);
            file.next(&now);
            all.push(now.clone());
        }
        let repository = file.stage.open();
        let (mut snapshots, _) = crate::listed(&repository.view().unwrap());
        snapshots.sort_by_key(crate::Snapshot::taken_at);
        for snapshot in snapshots {
            let found = nodes(&repository, &snapshot);
            let read = bytes(&repository, &found[&file.stage.inside("file")]);
            prop_assert!(all.contains(&read));
        }
    }
}
