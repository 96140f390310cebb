//! Who may write where.

use chronos_store::backend::Backend;
use chronos_store::{ErrorKind, PruneOptions, Secret};

use super::{History, empty, options, sync, try_sync};
use crate::fixture::{self, Fixture};
use crate::pruning::kept;

#[test]
fn whatever_writes_is_refused_in_a_mirror_and_changes_nothing() {
    let history = History::new();
    sync(&history.source, &history.mirror);
    let before = history.mirror.backend.content();
    let repository = history.mirror.open();
    let session = repository.view().unwrap().snapshots().next().unwrap().session.clone();
    let forget = chronos_store::Change::Forget { snapshots: vec![session] };
    let slot = repository.key_slots().unwrap().remove(0).slot;
    let refusals = [
        fixture::begin(&repository).map(|_| ()).unwrap_err(),
        repository.prune(&PruneOptions::default()).map(|_| ()).unwrap_err(),
        repository.change(&|_| Ok(Some(forget.clone()))).map(|_| ()).unwrap_err(),
        repository.repair_index(false).map(|_| ()).unwrap_err(),
        repository.repair_packs(false).map(|_| ()).unwrap_err(),
        repository.add_key(&Secret::Key([9; 32]), "").map(|_| ()).unwrap_err(),
        repository.remove_key(&slot).unwrap_err(),
        repository.claim_name("a name").map(|_| ()).unwrap_err(),
    ];
    for error in refusals {
        assert_eq!(error.kind(), ErrorKind::ReadOnly);
        let text = error.to_string();
        assert!(text.contains("mirror of memory") && text.contains("--promote"), "{text}");
    }
    assert!(history.mirror.backend.content() == before);
    assert!(repository.prune(&PruneOptions { dry_run: true, ..PruneOptions::default() }).is_ok());
}

fn refused(source: &Fixture, dest: &Fixture, why: &str) {
    let before = dest.backend.content();
    let error = try_sync(source, dest.shared()).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Refused, "{error}");
    assert!(error.to_string().contains(why), "{error}");
    assert!(dest.backend.content() == before, "{why}: nothing is changed");
}

#[test]
fn only_an_empty_place_or_a_mirror_of_this_history_is_written_to() {
    let history = History::new();
    let (source, mirror) = (&history.source, &history.mirror);
    refused(source, &Fixture::new(), "no mirror");
    refused(source, source, "no mirror");
    // A copy of the source made otherwise.
    refused(source, &source.fork(), "no mirror");
    let strange = empty();
    strange.backend.damage("notes.txt", Some(b"mine"));
    refused(source, &strange, "not empty");
    refused(&Fixture::new(), mirror, "another repository");
    // The source was put back to an older state: the mirror knows more.
    let old = source.fork();
    sync(source, mirror);
    kept::snapshot(&source.open(), 300..305);
    sync(source, mirror);
    refused(&old, mirror, "not one history");
    // Both have gone on by themselves, with as many records.
    let (here, there) = (source.fork(), source.fork());
    for fixture in [&here, &there] {
        let all = kept::snapshot(&fixture.open(), 400..405);
        kept::forget(&fixture.open(), &all);
    }
    sync(&here, mirror);
    refused(&there, mirror, "not one history");
}

#[test]
fn a_place_that_is_no_repository_is_no_source() {
    let (source, dest) = (empty(), empty());
    let silent = chronos_store::Silent;
    let env = chronos_store::Env::system();
    let error = chronos_store::sync(source.shared(), dest.shared(), &options(), &env, &silent).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::NoRepository);
    assert!(dest.backend.list("", None, 1).unwrap().is_empty());
}
