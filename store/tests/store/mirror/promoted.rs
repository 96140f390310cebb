//! A mirror that becomes independent.

use std::sync::Arc;

use chronos_store::backend::{Backend, Fault, FaultBackend, FaultRule};
use chronos_store::{ErrorKind, Repository};

use super::{History, empty, is_sound, listed, sync, try_sync};
use crate::fixture::{Fixture, KEY};
use crate::pruning::kept::{self, assert_sound};

fn refused(source: &Fixture, dest: &Fixture) -> String {
    let error = try_sync(source, dest.shared()).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Refused, "{error}");
    error.to_string()
}

#[test]
fn a_promoted_mirror_takes_backups_and_no_syncs() {
    let history = History::new();
    sync(&history.source, &history.mirror);
    let other = history.mirror.fork();
    let repository = history.mirror.open();
    let report = repository.promote().unwrap();
    assert_eq!((report.dropped, report.shown), (0, 0));
    assert!(refused(&history.source, &history.mirror).contains("made independent"));
    let before = listed(&repository).len();
    let more = kept::snapshot(&repository, 500..510);
    kept::forget(&repository, &more);
    kept::prune(&repository);
    assert_sound(&repository, before as u64);
    assert!(repository.promote().unwrap_err().to_string().contains("before"));
    assert!(history.source.open().promote().unwrap_err().to_string().contains("is no mirror"));
    // Its log and the source's are two from here on: a mirror of the one takes nothing of the other.
    kept::snapshot(&history.source.open(), 520..525);
    assert!(refused(&history.mirror, &history.source).contains("no mirror"));
    sync(&history.mirror, &other);
    kept::forget(&history.source.open(), &history.all[3]);
    assert!(refused(&history.source, &other).contains("not one history"));
}

#[test]
fn what_is_lost_comes_back_from_a_mirror() {
    let history = History::new();
    sync(&history.source, &history.mirror);
    let again = empty();
    sync(&history.mirror, &again);
    again.open().promote().unwrap();
    kept::snapshot(&again.open(), 600..605);
    assert_eq!(listed(&again.open()).len(), listed(&history.source.open()).len() + 1);
    // The new first one has a mirror of its own.
    sync(&again, &empty());
}

#[test]
fn an_unfinished_sync_is_shown_if_it_is_complete_and_removed_if_not() {
    let history = History::new();
    let before = listed(&history.mirror.open());
    let after = listed(&history.source.open());
    let (mut dropped, mut shown) = (0, 0);
    for n in 0.. {
        let dest = history.mirror.fork();
        let faulty = FaultBackend::with_rule(dest.shared(), FaultRule::at_call(n, Fault::StopAfter));
        let done = try_sync(&history.source, Arc::new(faulty.clone())).is_ok();
        let at = format!("stopped after call {n}");
        let report = dest.open().promote().unwrap();
        dropped += u64::from(report.dropped > 0);
        shown += u64::from(report.shown > 0);
        let seen = is_sound(&dest, &history.all(), &at);
        assert!(
            seen == before && report.shown == 0 || seen == after && report.dropped == 0,
            "{at}: {report:?}"
        );
        kept::snapshot(&dest.open(), 700..705);
        kept::prune(&dest.open());
        let check = dest.open().check(chronos_store::ReadData::All).unwrap();
        assert!(check.errors.is_empty(), "{at}: {:?}", check.errors);
        if done {
            break;
        }
    }
    assert!(dropped > 3 && shown > 0, "{dropped} {shown}");
}

#[test]
fn a_promotion_that_is_stopped_is_gone_on_with() {
    let history = History::new();
    sync(&history.source, &history.mirror);
    for n in 0.. {
        let dest = history.mirror.fork();
        let faulty = FaultBackend::new(dest.shared());
        let repository = Repository::open(Arc::new(faulty.clone()), &KEY, dest.options()).unwrap();
        faulty.add(FaultRule::at_call(n, Fault::StopAfter));
        let reported = repository.promote().is_ok();
        let is_mirror = dest.backend.content().keys().any(|name| name.starts_with("log/-mirror"));
        let is_promoted = dest.backend.stat("mirror/promoted").is_ok();
        let at = format!("stopped after call {n}");
        assert!(is_mirror || is_promoted, "{at}: writers are let in only once syncs are not");
        assert!(!reported || !is_mirror, "{at}");
        if is_mirror {
            dest.open().promote().unwrap();
        }
        assert!(refused(&history.source, &dest).contains("made independent"), "{at}");
        kept::snapshot(&dest.open(), 800..805);
        if reported {
            assert!(n > 5);
            break;
        }
    }
}
