//! Parts of chunks: fetched by themselves, checked by their marks.

use std::collections::BTreeMap;
use std::sync::Mutex;

use chronos_store::{ChunkId, Error, ErrorKind, Part, Reader, Repository, Wanted};

use crate::fixture::{Fixture, noise, snapshot};

/// What is handed out, by token, and the tokens and errors of the rest.
fn fetch(
    reader: &Reader,
    wanted: &[(ChunkId, Option<Part>)],
) -> (BTreeMap<u64, Vec<u8>>, BTreeMap<u64, Error>) {
    let wanted: Vec<_> =
        (0..).zip(wanted).map(|(token, (id, part))| Wanted { id: *id, token, part: *part }).collect();
    let handed = Mutex::new(BTreeMap::new());
    let sink = |token, bytes: &[u8]| {
        assert!(handed.lock().unwrap().insert(token, bytes.to_vec()).is_none());
        Ok(())
    };
    let failed = reader.fetch(&wanted, 2, &sink).unwrap();
    (handed.into_inner().unwrap(), failed.into_iter().map(|(wanted, e)| (wanted.token, e)).collect())
}

/// Each chunk can be read as a part that is all of it.
pub(crate) fn readable_in_parts(repository: &Repository, ids: &[ChunkId], chunks: &[Vec<u8>]) {
    let all = |(id, chunk): (&ChunkId, &Vec<u8>)| {
        (*id, Some(Part { start: 0, len: u32::try_from(chunk.len()).unwrap(), mark: Some(id.mark()) }))
    };
    let wanted: Vec<_> = ids.iter().zip(chunks).map(all).collect();
    let (handed, failed) = fetch(&repository.view().unwrap().reader(), &wanted);
    assert!(failed.is_empty(), "{failed:?}");
    assert!(handed.into_values().eq(chunks.iter().cloned()));
}

#[test]
fn a_part_without_a_mark_is_handed_out_if_its_chunk_is_good_and_reaches_so_far() {
    let fixture = Fixture::new();
    let chunks = [noise(1, 100_000)];
    let (ids, _) = snapshot(&fixture.open(), &chunks, "one");
    let part = |start, len, mark| (ids[0], Some(Part { start, len, mark }));
    let whole = Some(ids[0].mark());
    let wanted =
        [part(9, 90_000, None), part(9, 100_000, None), part(9, u32::MAX, None), part(0, 100_000, whole)];
    let (handed, failed) = fetch(&fixture.open().view().unwrap().reader(), &wanted);
    assert!(failed.keys().copied().eq([1, 2]), "{failed:?}");
    assert_eq!((handed[&0].as_slice(), handed.len()), (&chunks[0][9..90_009], 2));
}

#[test]
fn a_part_that_is_not_what_its_mark_says_is_named_and_the_others_are_handed_out() {
    let fixture = Fixture::new();
    let chunk = noise(1, 100_000);
    let chunks = [chunk.clone(), chunk[10_000..30_000].to_vec(), chunk[90_000..].to_vec()];
    let (ids, _) = snapshot(&fixture.open(), &chunks, "one");
    let part = |start, len, of: usize| (ids[0], Some(Part { start, len, mark: Some(ids[of].mark()) }));
    let good = [part(10_000, 20_000, 1), part(90_000, 10_000, 2)];
    let bad =
        [part(10_001, 20_000, 1), part(10_000, 19_999, 1), part(90_001, 10_000, 2), part(9, u32::MAX, 2)];
    let reader = fixture.open().view().unwrap().reader();
    for whole in [false, true] {
        let mut wanted = [good.as_slice(), &bad].concat();
        wanted.extend(whole.then_some((ids[0], None)));
        let (handed, failed) = fetch(&reader, &wanted);
        assert!(failed.keys().copied().eq(2..6), "{failed:?}");
        assert!(
            failed.values().all(|e| e.kind() == ErrorKind::Damaged && e.to_string().contains("a part of it"))
        );
        assert_eq!((&handed[&0], &handed[&1]), (&chunks[1], &chunks[2]));
        assert_eq!(handed.get(&6), whole.then_some(&chunk));
        assert_eq!(handed.len() + failed.len(), wanted.len());
    }
}
