//! Repairs that are stopped everywhere: of the state, of the index, of packs.

use std::collections::BTreeMap;

use chronos_store::backend::BackendExt;
use chronos_store::{Repository, Result};

use super::{Operation, Prepared, stop_everywhere};
use crate::fixture::Fixture;
use crate::pruning::kept::{assert_whole, begin, chunks, commit, forget, prune, snapshot};

/// Snapshots that share chunks, a forgotten one, an index of a run and decisions.
fn prepared() -> Prepared {
    let fixture = Fixture::new();
    let repository = fixture.open();
    let mut kept = vec![snapshot(&repository, 0..30), snapshot(&repository, 20..40)];
    let gone = snapshot(&repository, 50..70);
    forget(&repository, &gone);
    prune(&repository);
    repository.repair_index(false).unwrap();
    kept.push(snapshot(&repository, 35..55));
    Prepared { fixture, kept }
}

fn objects(fixture: &Fixture, area: &str) -> Vec<String> {
    fixture.backend.list_all(area).unwrap().into_iter().map(|e| e.name).collect()
}

fn repaired(prepared: &Prepared, calls_min: u64, run: &dyn Fn(&Repository) -> Result<()>) {
    let done = |fixture: &Fixture| {
        assert_whole(&fixture.open(), &prepared.kept.iter().collect::<Vec<_>>());
        true
    };
    stop_everywhere(prepared, &Operation { calls_min, sound_before: false, run, done: &done });
}

#[test]
fn a_repair_of_the_index_that_nothing_calls_for() {
    repaired(&prepared(), 5, &|repository| repository.repair_index(false).map(|_| ()));
}

#[test]
fn a_repair_without_states_and_runs() {
    let prepared = prepared();
    for name in objects(&prepared.fixture, "state/").into_iter().chain(objects(&prepared.fixture, "index/")) {
        prepared.fixture.backend.damage(&name, None);
    }
    repaired(&prepared, 20, &|repository| repository.repair_index(false).map(|_| ()));
}

#[test]
fn a_repair_of_packs_of_which_there_are_other_copies() {
    let mut prepared = prepared();
    // Two sessions that do not see each other write the same chunks; then one copy breaks.
    let repository = prepared.fixture.open();
    let (one, two) = (begin(&repository), begin(&repository));
    let before: BTreeMap<_, _> = prepared.fixture.backend.content();
    prepared.kept.push(commit(one, &chunks(400..420)));
    let broken = objects(&prepared.fixture, "packs/").into_iter().find(|n| !before.contains_key(n)).unwrap();
    prepared.kept.push(commit(two, &chunks(400..420)));
    let mut bytes = prepared.fixture.backend.content()[&broken].to_vec();
    bytes[5000] ^= 1;
    prepared.fixture.backend.damage(&broken, Some(&bytes));
    repaired(&prepared, 20, &|repository| repository.repair_packs(false).map(|_| ()));
}
