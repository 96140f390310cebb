//! Files that are pieces of chunks: they come back, and a piece that is not what the tree says is damage of its file alone.

use std::fs;
use std::path::Path;
use std::sync::Arc;

use chronos_store::{ChunkClass, ChunkId, ChunkMark};

use super::{Memory, Scratch, options};
use crate::node::{Assembled, Content, Extent, NodeKind, Piece};
use crate::restore::options::Strategy;
use crate::restore::report::RestoreStatus;

/// Three files in one chunk, one of two pieces.
fn together(memory: &mut Memory) -> ChunkId {
    let Extent::Data { id, .. } = memory.chunk(b"first,second,third") else { unreachable!("a chunk") };
    memory.add("a", file(id, b"first", &[(0, 5)]));
    memory.add("b", file(id, b"second", &[(6, 6)]));
    memory.add("c", file(id, b"third", &[(13, 3), (16, 2)]));
    id
}

fn file(chunk: ChunkId, bytes: &[u8], pieces: &[(u32, u32)]) -> NodeKind {
    let mark = ChunkId(*blake3::hash(bytes).as_bytes()).mark();
    content(mark, pieces.iter().map(|(start, len)| Piece { chunk, start: *start, len: *len }).collect())
}

fn content(mark: ChunkMark, pieces: Vec<Piece>) -> NodeKind {
    let len = pieces.iter().map(|p| p.len).sum();
    let extents = vec![Extent::Assembled(Arc::new(Assembled { mark, len, pieces }))];
    NodeKind::File(Content { class: ChunkClass::Std, size: u64::from(len), extents })
}

/// Where files are compared later, and where as they are written.
fn each_place(test: impl Fn(&Path, &Scratch)) {
    let scratch = Scratch::new();
    test(&scratch.at("to"), &scratch);
    let in_memory = tempfile::tempdir_in("/dev/shm").unwrap();
    test(&in_memory.path().join("to"), &scratch);
}

#[test]
fn files_that_are_pieces_come_back() {
    each_place(|to, scratch| {
        let mut memory = Memory::default();
        together(&mut memory);
        let report = scratch.restore(&memory, &options(Strategy::NewLocation, to)).unwrap();
        assert_eq!(
            (report.status, report.files_restored),
            (RestoreStatus::Completed, 3),
            "{:?}",
            report.errors
        );
        for (name, bytes) in [("a", "first"), ("b", "second"), ("c", "third")] {
            assert_eq!(fs::read_to_string(to.join(name)).unwrap(), bytes);
        }
    });
}

#[test]
fn a_piece_at_the_wrong_place_is_damage_of_its_file() {
    for (start, len) in [(5, 6), (13, 6), (u32::MAX - 3, 2)] {
        each_place(|to, scratch| {
            let mut memory = Memory::default();
            let chunk = together(&mut memory);
            memory.add("d", file(chunk, b"second", &[(start, len)]));
            let report = scratch.restore(&memory, &options(Strategy::NewLocation, to)).unwrap();
            assert_eq!((report.status, report.files_restored), (RestoreStatus::Damaged, 3));
            assert!(report.errors.len() == 1 && report.errors[0].path.ends_with("/d"), "{:?}", report.errors);
            assert!(!to.join("d").exists());
            assert_eq!(fs::read_to_string(to.join("b")).unwrap(), "second");
        });
    }
}

#[test]
fn a_lost_chunk_costs_the_files_in_it() {
    each_place(|to, scratch| {
        let mut memory = Memory::default();
        let chunk = together(&mut memory);
        memory.add_file("d", b"elsewhere");
        memory.lost.insert(chunk);
        let report = scratch.restore(&memory, &options(Strategy::NewLocation, to)).unwrap();
        assert_eq!((report.status, report.files_restored), (RestoreStatus::Damaged, 1));
        assert_eq!(report.errors.len(), 3, "{:?}", report.errors);
        assert_eq!(fs::read_to_string(to.join("d")).unwrap(), "elsewhere");
    });
}
