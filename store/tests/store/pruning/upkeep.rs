//! What a prune does for the storage itself.

use std::io;
use std::sync::Arc;

use chronos_store::backend::{Backend, Fault, FaultBackend, FaultRule, LocalBackend, Method, Upkeep};
use chronos_store::{CreateOptions, OpenOptions, PruneOptions, Repository};

use super::kept::{assert_whole, prune, snapshot};
use crate::fixture::{Fixture, KEY};

#[test]
fn the_space_that_a_full_disk_took_is_set_aside_again() {
    let fixture = Fixture::new();
    let root = tempfile::tempdir().unwrap();
    let local = Arc::new(LocalBackend::new(root.path().join("repository")));
    let repository =
        Repository::create(local.clone(), &KEY, &CreateOptions::default(), fixture.options()).unwrap();
    let one = snapshot(&repository, 0..5);
    assert!(local.maintain(Upkeep::ReleaseReserve).unwrap() > 0);
    repository.prune(&PruneOptions { dry_run: true, ..PruneOptions::default() }).unwrap();
    assert_eq!(local.maintain(Upkeep::ReleaseReserve).unwrap(), 0, "a dry run writes nothing");
    prune(&repository);
    assert!(local.maintain(Upkeep::ReleaseReserve).unwrap() > 0);
    assert_whole(&repository, &[&one]);
}

#[test]
fn upkeep_that_fails_is_told_and_fails_no_prune() {
    let fixture = Fixture::new();
    let one = snapshot(&fixture.open(), 0..5);
    let fault = Fault::Error(io::ErrorKind::StorageFull);
    let faulty = FaultBackend::with_rule(fixture.shared(), FaultRule::always(Method::Maintain, "", fault));
    let monitor = Arc::new(chronos_store::Collect::default());
    let options = OpenOptions { monitor: monitor.clone(), ..fixture.options() };
    let repository = Repository::open(Arc::new(faulty), &KEY, options).unwrap();
    prune(&repository);
    let problems = monitor.problems();
    assert!(problems.iter().any(|p| p.contains("upkeep")), "{problems:?}");
    assert_whole(&fixture.open(), &[&one]);
}
