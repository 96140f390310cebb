//! Small files are stored together: in few chunks, the same ones for the same files, and not for longer than they are of use.

use std::collections::HashSet;
use std::fs;

use chronos_store::{Change, ChunkId, ChunkKind, PruneOptions, ReadData};

use super::content::meddled_on;
use super::{Stage, assert_whole, files_of, newest, nodes, noise};
use crate::backup::{BackupOptions, ChangeTest, ParentChoice, backup};
use crate::node::{Extent, NodeKind};

/// Bytes that are in no other file.
fn content(number: usize) -> Vec<u8> {
    let mut bytes = format!("workflow {number}\n").into_bytes();
    bytes.extend(noise((number % 251) as u8, 400 + number % 300));
    bytes
}

fn write_many(stage: &Stage, folder: &str, count: usize) {
    for number in 0..count {
        stage.write(&format!("{folder}/{number:04}.json"), content(number));
    }
}

/// The chunks of all files of the newest snapshot.
fn chunks(stage: &Stage) -> HashSet<ChunkId> {
    let repository = stage.open();
    let found = nodes(&repository, &newest(&repository));
    let content = |kind: &NodeKind| match kind {
        NodeKind::File(content) => content.chunks().copied().collect(),
        _ => Vec::new(),
    };
    found.values().flat_map(|node| content(&node.kind)).collect()
}

fn bytes_in(stage: &Stage, chunks: &HashSet<ChunkId>) -> usize {
    let reader = stage.open().view().unwrap().reader();
    chunks.iter().map(|id| reader.read(ChunkKind::Data, id).unwrap().len()).sum()
}

fn read_anew() -> BackupOptions {
    BackupOptions { parent: ParentChoice::None, ..BackupOptions::default() }
}

#[test]
fn many_small_files_make_few_chunks() {
    let stage = Stage::new();
    write_many(&stage, "a", 700);
    stage.run();
    assert_whole(&stage);
    let chunks = chunks(&stage);
    let bytes = bytes_in(&stage, &chunks);
    assert!(chunks.len() <= 4 + bytes / (16 << 10), "{} chunks", chunks.len());
    assert_eq!(bytes, (0..700).map(|n| content(n).len()).sum::<usize>());
}

#[test]
fn one_small_file_is_a_chunk_as_it_is() {
    let stage = Stage::new();
    stage.write("a", content(1));
    stage.write("large", noise(1, 20_000));
    stage.run();
    let repository = stage.open();
    let found = nodes(&repository, &newest(&repository));
    for name in ["a", "large"] {
        let NodeKind::File(content) = &found[&stage.inside(name)].kind else { panic!("{name}") };
        // The large one may have a cut.
        assert!(content.extents.iter().all(|e| matches!(e, Extent::Data { .. })), "{content:?}");
    }
}

#[test]
fn the_same_files_make_the_same_chunks() {
    let stage = Stage::new();
    write_many(&stage, "a", 1_500);
    stage.run();
    let first = chunks(&stage);
    stage.run_with(&read_anew());
    assert_eq!(chunks(&stage), first);

    // Under another name, behind other files: what is stored anew is where one meets the other.
    fs::rename(stage.path("a"), stage.path("moved")).unwrap();
    write_many(&stage, "b", 40);
    stage.run_with(&read_anew());
    assert_whole(&stage);
    let added = bytes_in(&stage, &chunks(&stage).difference(&first).copied().collect());
    let all = bytes_in(&stage, &first);
    assert!(added < 2 * all / 3, "{added} of {all}");
}

#[test]
fn equal_small_files_are_stored_once() {
    let stage = Stage::new();
    for place in 0..5 {
        write_many(&stage, &format!("copy{place}"), 300);
    }
    stage.run();
    assert_whole(&stage);
    let once: usize = (0..300).map(|n| content(n).len()).sum();
    // Two threads may each meet a file for the first time.
    assert!(bytes_in(&stage, &chunks(&stage)) <= 2 * once);
}

#[test]
fn a_file_that_is_read_again_and_is_the_same_stays_where_it_is() {
    let stage = Stage::new();
    write_many(&stage, "a", 300);
    stage.run();
    let first = chunks(&stage);
    let changes = ChangeTest { read_all: true, ..ChangeTest::default() };
    let report = stage.run_with(&BackupOptions { changes, ..BackupOptions::default() });
    assert!(report.unchanged && report.bytes_read > 100_000);
    assert_eq!(chunks(&stage), first);
}

#[test]
fn a_file_that_was_stored_alone_too_meanwhile_stays_where_it_is() {
    let stage = Stage::new();
    stage.write("a/one", content(1));
    stage.write("b", content(2));
    stage.run();
    let alone = BackupOptions { target: "other".to_owned(), ..BackupOptions::default() };
    backup(&stage.open(), files_of(&stage.path("a")), &alone).unwrap();
    let changes = ChangeTest { read_all: true, ..ChangeTest::default() };
    let report = stage.run_with(&BackupOptions { changes, ..BackupOptions::default() });
    assert!(report.unchanged, "{report:?}");
    assert_whole(&stage);
}

#[test]
fn what_changed_in_many_small_files_is_one_chunk() {
    let stage = Stage::new();
    write_many(&stage, "a", 300);
    stage.run();
    let first = chunks(&stage);
    for number in (0..300).step_by(10) {
        let mut bytes = content(number);
        bytes.splice(30..33, *b"edited");
        stage.write(&format!("a/{number:04}.json"), bytes);
    }
    stage.run();
    assert_whole(&stage);
    assert_eq!(chunks(&stage).difference(&first).count(), 1);
}

#[test]
fn a_file_that_is_gone_once_it_was_read_leaves_the_others_as_they_are() {
    let stage = Stage::new();
    write_many(&stage, "a", 20);
    let path = stage.path("a/0007.json");
    let report = meddled_on(&stage, "0003.json", move || fs::remove_file(&path).unwrap());
    assert_eq!((report.status.as_str(), report.files_new), ("completed", 19));
    assert_whole(&stage);
}

#[test]
fn the_few_that_are_left_of_a_chunk_do_not_keep_it() {
    let stage = Stage::new();
    write_many(&stage, "a", 600);
    stage.run();
    for number in (0..600).filter(|n| n % 20 != 19) {
        fs::remove_file(stage.path(&format!("a/{number:04}.json"))).unwrap();
    }
    stage.run();
    let stranded = chunks(&stage);
    let report = stage.run();
    assert_whole(&stage);
    assert_eq!((report.files_new, report.files_changed), (0, 0), "their content is as it was");
    let left: usize = (0..600).filter(|n| n % 20 == 19).map(|n| content(n).len()).sum();
    let settled = chunks(&stage);
    let (kept, before) = (bytes_in(&stage, &settled), bytes_in(&stage, &stranded));
    // What is dead behind the last file that is left of a chunk is not seen; where chunks end is random.
    assert!(before > 15 * left && kept < 3 * left, "{left} bytes in chunks of {kept}, before of {before}");
    let report = stage.run();
    assert!(report.unchanged && report.packs_written == 0, "{report:?}");
    assert_eq!(chunks(&stage), settled);

    let repository = stage.open();
    let last = newest(&repository);
    let all = crate::listed(&repository.view().unwrap()).0;
    let older: Vec<_> = all.iter().map(|s| s.session.clone()).filter(|id| *id != last.session).collect();
    repository.change(&|_| Ok(Some(Change::Forget { snapshots: older.clone() }))).unwrap();
    repository.prune(&PruneOptions { dead_share_max: 0.0, ..PruneOptions::default() }).unwrap();
    let repository = stage.open();
    assert!(repository.check(ReadData::All).unwrap().errors.is_empty());
    assert_whole(&stage);
}
