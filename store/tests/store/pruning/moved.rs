//! How what is needed is copied out of packs that are worn.

use std::sync::Arc;

use chronos_store::backend::{Method, RecordBackend};

use super::kept::{assert_sound, assert_whole, begin, chunks, commit, forget, prune, snapshot};
use crate::fixture::Fixture;

/// The packs that are stored.
fn packs(fixture: &Fixture) -> Vec<Arc<[u8]>> {
    fixture.backend.content().into_iter().filter(|(n, _)| n.starts_with("packs/")).map(|(_, b)| b).collect()
}

#[test]
fn a_frame_that_is_nearly_all_needed_moves_as_it_is_and_a_worn_one_is_written_anew() {
    let fixture = Fixture::new();
    let one = snapshot(&fixture.open(), 0..840);
    let two = snapshot(&fixture.open(), (0..205).chain(206..290));
    let old = packs(&fixture).into_iter().max_by_key(|pack| pack.len()).unwrap();
    forget(&fixture.open(), &one);
    let recorded = RecordBackend::new(fixture.shared());
    let report = prune(&fixture.open_through(Arc::new(recorded.clone())));
    assert_eq!(report.packs_repacked, 1);
    let new = packs(&fixture).into_iter().max_by_key(|pack| pack.len()).unwrap();
    // A frame holds 53 of these chunks, which do not compress; the last one 45.
    let kept = |frame: usize| {
        let inside = frame * 530_016 + 200_000;
        let part = old.get(inside..inside + 64).unwrap();
        new.windows(part.len()).any(|window| window == part)
    };
    // In whatever order the frames are stored: of four nothing is dead, of one a fiftieth, of one more than half, of the others all.
    assert_eq!((0..16).filter(|frame| kept(*frame)).count(), 5);
    let written = recorded.bytes(Method::WriteNew, "packs/") + recorded.bytes(Method::WriteNew, "snap/");
    assert_eq!(report.bytes_repacked, written);
    assert_whole(&fixture.open(), &[&two]);
    assert_sound(&fixture.open(), 1);
}

#[test]
fn a_copy_for_which_another_stands_is_not_copied() {
    let fixture = Fixture::new();
    // Neither session sees what the other writes, so that there are two copies of a hundred chunks.
    let (first, second) = (begin(&fixture.open()), begin(&fixture.open()));
    let one = commit(first, &chunks((0..100).chain(200..250)));
    let two = commit(second, &chunks((0..100).chain(300..350)));
    let report = prune(&fixture.open());
    assert_eq!((report.packs_repacked, report.bytes_dead), (1, 1_000_000), "{report:?}");
    assert!(fixture.pack_bytes() < 2_020_000, "{} bytes of 200 chunks", fixture.pack_bytes());
    assert_whole(&fixture.open(), &[&one, &two]);
    assert_sound(&fixture.open(), 2);
}

#[test]
fn what_nothing_needs_is_deleted_before_anything_is_copied() {
    let fixture = Fixture::new();
    let (gone, worn) = (snapshot(&fixture.open(), 0..50), snapshot(&fixture.open(), 100..300));
    let part = snapshot(&fixture.open(), 100..150);
    forget(&fixture.open(), &gone);
    forget(&fixture.open(), &worn);
    let recorded = RecordBackend::new(fixture.shared());
    let report = prune(&fixture.open_through(Arc::new(recorded.clone())));
    assert_eq!((report.packs_deleted, report.packs_repacked), (2, 1));
    let calls = recorded.calls();
    let first =
        |method| calls.iter().position(|c| c.method == method && c.name.starts_with("packs/")).unwrap();
    assert!(first(Method::Remove) < first(Method::WriteNew), "a full disk has room for the copies then");
    assert_whole(&fixture.open(), &[&part]);
}
