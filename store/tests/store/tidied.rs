//! What sessions do at their end so that the next ones have little to read.

use crate::fixture::{Fixture, all_readable, noise, snapshot};

use chronos_store::backend::BackendExt;

/// How many runs and how many log records there are.
fn runs_and_records(fixture: &Fixture) -> (usize, usize) {
    ["index/", "log/"].map(|area| fixture.backend.list_all(area).unwrap().len()).into()
}

#[test]
fn the_tables_of_contents_of_sixty_four_sessions_become_a_run() {
    let fixture = Fixture::new();
    let repository = fixture.open();
    (0..63).for_each(|n| drop(snapshot(&repository, &[noise(n, 100)], "x")));
    assert_eq!(runs_and_records(&fixture), (0, 0));
    snapshot(&repository, &[noise(63, 100)], "x");
    assert_eq!(runs_and_records(&fixture), (1, 1));
    snapshot(&repository, &[noise(64, 100)], "x");
    assert_eq!(runs_and_records(&fixture), (1, 1));
    assert_eq!(all_readable(&fixture.open()), 65);
}

#[test]
fn sixty_four_decisions_become_part_of_the_table_though_they_name_no_pack() {
    let fixture = Fixture::new();
    let repository = fixture.open();
    (0..63).for_each(|_| drop(snapshot(&repository, &[noise(1, 100)], "x")));
    assert_eq!(runs_and_records(&fixture), (0, 0));
    snapshot(&repository, &[noise(1, 100)], "x");
    assert_eq!(runs_and_records(&fixture), (0, 1));
    snapshot(&repository, &[noise(1, 100)], "x");
    assert_eq!(runs_and_records(&fixture), (0, 1));
    assert_eq!(all_readable(&fixture.open()), 65);
}
