//! Keys that are added, replaced and removed, and repositories that are made: stopped everywhere.

use std::sync::Arc;

use chronos_store::backend::{Backend, Fault, FaultBackend, FaultRule, MemoryBackend};
use chronos_store::{CreateOptions, ErrorKind, Repository, Result, Secret};

use super::{Operation, Prepared, stop_everywhere};
use crate::fixture::{Fixture, KEY};
use crate::pruning::kept::snapshot;

const SECOND: Secret = Secret::Key([8; 32]);

fn prepared() -> Prepared {
    let fixture = Fixture::new();
    let kept = vec![snapshot(&fixture.open(), 0..5)];
    Prepared { fixture, kept }
}

fn opens(fixture: &Fixture, secret: &Secret) -> bool {
    match Repository::open(fixture.shared(), secret, fixture.options()) {
        Ok(_) => true,
        Err(e) => {
            assert_eq!(e.kind(), ErrorKind::WrongKey, "{e}");
            false
        }
    }
}

#[test]
fn an_added_key() {
    let run = |repository: &Repository| repository.add_key(&SECOND, "second").map(|_| ());
    let done = |fixture: &Fixture| opens(fixture, &SECOND);
    stop_everywhere(&prepared(), &Operation { calls_min: 1, sound_before: true, run: &run, done: &done });
}

#[test]
fn a_removed_key() {
    let prepared = prepared();
    let slot = prepared.fixture.open().add_key(&SECOND, "second").unwrap();
    let run = |repository: &Repository| match repository.remove_key(&slot) {
        // It was removed before the stop.
        Err(e) if e.kind() == ErrorKind::Refused => Ok(()),
        outcome => outcome,
    };
    let done = |fixture: &Fixture| !opens(fixture, &SECOND);
    stop_everywhere(&prepared, &Operation { calls_min: 2, sound_before: true, run: &run, done: &done });
}

/// What `keys passwd` does: the new key is there before the old one goes.
fn replace(repository: &Repository) -> Result<()> {
    let old = repository.key_slots()?.into_iter().find(|s| s.current);
    repository.add_key(&SECOND, "new")?;
    old.into_iter().try_for_each(|old| repository.remove_key(&old.slot))
}

#[test]
fn a_replaced_key_at_no_moment_shuts_everybody_out() {
    let prepared = prepared();
    for fault in [Fault::StopBefore, Fault::StopAfter, Fault::LostAnswer(std::io::ErrorKind::TimedOut)] {
        for n in 0.. {
            let fixture = prepared.fixture.fork();
            let faulty = FaultBackend::new(fixture.shared());
            let repository = fixture.open_through(Arc::new(faulty.clone()));
            let before = faulty.calls();
            faulty.add(FaultRule::at_call(n, fault));
            let reported = replace(&repository).is_ok();
            let calls = faulty.calls() - before;
            faulty.lose_power(&|_| false).unwrap();
            let (old, new) = (opens(&fixture, &KEY), opens(&fixture, &SECOND));
            assert!(old || new, "{fault:?} at {n}: nothing opens it");
            assert!(!reported || new && !old, "{fault:?} at {n}");
            let secret = if new { SECOND } else { KEY };
            let again = Repository::open(fixture.shared(), &secret, fixture.options()).unwrap();
            assert!(again.check(chronos_store::ReadData::All).unwrap().errors.is_empty());
            let slots = again.key_slots().unwrap();
            slots.iter().filter(|s| !s.current).for_each(|s| again.remove_key(&s.slot).unwrap());
            if n > calls {
                assert!(n > 4);
                break;
            }
        }
    }
}

#[test]
fn a_repository_whose_making_is_stopped_can_be_made() {
    for fault in [Fault::StopBefore, Fault::StopAfter] {
        for n in 0.. {
            let backend = MemoryBackend::new();
            let shared: Arc<dyn Backend> = Arc::new(backend.clone());
            let fixture = Fixture { backend, dir: tempfile::tempdir().unwrap() };
            let faulty = FaultBackend::with_rule(Arc::clone(&shared), FaultRule::at_call(n, fault));
            let make = |backend| {
                Repository::create(backend, &KEY, &CreateOptions::default(), fixture.options()).map(|_| ())
            };
            let reported = make(Arc::new(faulty.clone()));
            match make(shared) {
                Ok(()) => assert!(reported.is_err(), "{fault:?} at {n}: made twice"),
                Err(e) => assert_eq!(e.kind(), ErrorKind::Exists, "{fault:?} at {n}: {e}"),
            }
            let kept = snapshot(&fixture.open(), 0..5);
            super::is_sound(&fixture, &[kept], &format!("{fault:?} at {n}"));
            if !faulty.stopped() {
                assert!(n > 3 && reported.is_ok());
                break;
            }
        }
    }
}
