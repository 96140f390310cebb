//! Content that cannot be read to its end: nothing of it gets into other files.

use std::io::{self, Read};
use std::sync::atomic::AtomicBool;

use chronos_store::SessionOptions;

use super::{Stage, noise};
use crate::backup::content::{Cutter, Failure, Known, Shared};
use crate::backup::literals::Places;
use crate::backup::sink::Sink;
use crate::node::Extent;
use crate::tree::Tree;

/// Gives nothing but an error.
struct Unreadable;

impl Read for Unreadable {
    fn read(&mut self, _: &mut [u8]) -> io::Result<usize> {
        Err(io::Error::other("a block of the disk is broken"))
    }
}

#[test]
fn what_was_read_before_an_error_gets_into_no_other_file() {
    let stage = Stage::new();
    stage.write("a", noise(1, 100_000));
    stage.run();
    let repository = stage.open();
    let before = super::newest(&repository);
    let session = repository.begin(SessionOptions { client: "c".to_owned(), level: 1 }).unwrap();
    let tree = Tree::new(session.view().reader(), before.manifest.tree);
    let entry = tree.find(&stage.inside("a")).unwrap().unwrap();

    let (sink, places, stop) = (Sink::Session(&session), Places::default(), AtomicBool::new(false));
    let previous = Some(&tree);
    let mut cutter =
        Cutter::new(Shared { repository: &repository, sink: &sink, places: &places, previous, stop: &stop });
    let known = Known { class: None, name: b"a", size: Some(100_000) };
    let mut broken = cutter.begin(Some(&entry));
    let changed = noise(2, 300_000);
    let outcome = cutter.store(&mut changed.as_slice().chain(Unreadable), known, &mut broken);
    assert!(matches!(outcome, Err(Failure::Read(_))));

    let whole = noise(3, 50_000);
    let mut extents = cutter.begin(None);
    cutter.store(&mut whole.as_slice(), known, &mut extents).unwrap();
    cutter.settle().unwrap();
    cutter.finish().unwrap();
    session.flush().unwrap();
    assert_eq!(extents.len, 50_000);
    assert!(extents.list.iter().all(|extent| matches!(extent, Extent::Data { .. })), "{:?}", extents.list);
}
