//! Holds, damaged packs and lost runs between prunes.

use chronos_store::backend::BackendExt;
use chronos_store::{Change, Marks, ReadData};

use super::kept::{assert_sound, assert_whole, begin, chunks, commit, prune, snapshot};
use crate::fixture::Fixture;

#[test]
fn held_snapshots_are_not_forgotten() {
    let fixture = Fixture::new();
    let repository = fixture.open();
    let one = snapshot(&repository, 0..5);
    let held = Change::Mark { marks: vec![(one.session.clone(), Marks { held: true, ..Marks::default() })] };
    repository.change(&|_| Ok(Some(held.clone()))).unwrap();
    let forget = Change::Forget { snapshots: vec![one.session.clone()] };
    assert!(repository.change(&|_| Ok(Some(forget.clone()))).is_err());
    prune(&repository);
    assert_whole(&fixture.open(), &[&one]);
}

#[test]
fn damage_is_found_named_and_written_anew() {
    let fixture = Fixture::new();
    snapshot(&fixture.open(), 0..200);
    let (name, bytes) = fixture.backend.content().into_iter().find(|(n, _)| n.starts_with("packs/")).unwrap();
    let mut bad = bytes.to_vec();
    bad[300_000] ^= 1;
    fixture.backend.damage(&name, Some(&bad));
    let report = fixture.open().check(ReadData::All).unwrap();
    assert!(report.errors.iter().any(|f| f.object == name), "{:?}", report.errors);
    let session = begin(&fixture.open());
    let mut writer = session.writer(chronos_store::ChunkKind::Data);
    let new = chunks(0..200).iter().all(|chunk| writer.put(chunk).unwrap().new);
    assert!(new, "quarantined packs are shunned");
    writer.finish().unwrap();
    let two = commit(session, &chunks(0..200));
    prune(&fixture.open());
    assert_whole(&fixture.open(), &[&two]);
    assert!(fixture.backend.content().contains_key(&name), "the first snapshot's names are only there");
    fixture.open().repair_packs(false).unwrap();
    prune(&fixture.open());
    assert!(!fixture.backend.content().contains_key(&name));
    assert_sound(&fixture.open(), 2);
}

#[test]
fn lost_runs_are_made_anew() {
    let fixture = Fixture::new();
    let all: Vec<_> = (0..40).map(|i| snapshot(&fixture.open(), i * 10..i * 10 + 3)).collect();
    let kept: Vec<_> = all.iter().collect();
    prune(&fixture.open());
    assert!(fixture.open().repair_index(false).unwrap().errors.is_empty());
    assert_sound(&fixture.open(), 40);
    for run in fixture.backend.list_all("index/").unwrap() {
        fixture.backend.damage(&run.name, None);
    }
    assert!(!fixture.open().check(ReadData::None).unwrap().errors.is_empty());
    fixture.open().repair_index(false).unwrap();
    assert_sound(&fixture.open(), 40);
    assert_whole(&fixture.open(), &kept);
}
