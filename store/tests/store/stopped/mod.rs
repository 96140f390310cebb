//! Every operation that changes a repository, stopped after each of its backend calls: what was reported is there, a
//! check of every byte finds nothing wrong, the same operation and a backup then work without repair, and the next prune
//! gives back all space that an undisturbed run would have given back.

mod keys;
mod operations;
mod repairs;
mod space;

use std::sync::Arc;

use chronos_store::backend::{Fault, FaultBackend, FaultRule};
use chronos_store::{Repository, Result};

use crate::fixture::Fixture;
use crate::pruning::kept::{Kept, assert_whole, snapshot};

use space::{Space, pruned};

/// A repository before the operation.
struct Prepared {
    fixture: Fixture,
    /// Snapshots that must be whole whatever happens.
    kept: Vec<Kept>,
}

/// What is done, and what must then be true.
struct Operation<'a> {
    /// More calls than this are known to be made.
    calls_min: u64,
    /// Whether a check finds nothing before the operation is over; a repair comes to something damaged.
    sound_before: bool,
    /// Does it; is also what a later process does after it was stopped.
    run: &'a dyn Fn(&Repository) -> Result<()>,
    /// Must hold after it was reported as done.
    done: &'a dyn Fn(&Fixture) -> bool,
}

/// Stops `operation` after each of its calls; some of what was not synced is gone too.
fn stop_everywhere(prepared: &Prepared, operation: &Operation) {
    let goal = undisturbed(prepared, operation);
    for n in 0.. {
        let fixture = prepared.fixture.fork_of_this_host();
        let faulty = FaultBackend::new(fixture.shared());
        let repository = fixture.open_through(Arc::new(faulty.clone()));
        faulty.add(FaultRule::at_call(n, Fault::StopAfter));
        let reported = (operation.run)(&repository).is_ok();
        let struck = faulty.stopped();
        drop(repository);
        faulty.lose_power(&|name| blake3::hash(name.as_bytes()).as_bytes()[0] % 2 == (n % 2) as u8).unwrap();
        let at = format!("stopped after call {n}, reported: {reported}");
        assert!(!reported || (operation.done)(&fixture), "{at}");
        if operation.sound_before {
            is_sound(&fixture, &prepared.kept, &at);
        }
        (operation.run)(&fixture.open()).unwrap_or_else(|e| panic!("{at}: the next run: {e}"));
        assert!((operation.done)(&fixture), "{at}");
        // The same snapshot that was taken after the undisturbed run.
        snapshot(&fixture.open(), 900..905);
        let left = pruned(&fixture);
        left.assert_no_more_than(&goal, &at);
        is_sound(&fixture, &prepared.kept, &at);
        if !struck {
            assert!(reported && n > operation.calls_min, "{at}");
            break;
        }
    }
}

/// What is stored when nothing disturbs the operation and it is done as often.
fn undisturbed(prepared: &Prepared, operation: &Operation) -> Space {
    let fixture = prepared.fixture.fork_of_this_host();
    (operation.run)(&fixture.open()).unwrap();
    (operation.run)(&fixture.open()).unwrap();
    snapshot(&fixture.open(), 900..905);
    pruned(&fixture)
}

fn is_sound(fixture: &Fixture, kept: &[Kept], at: &str) {
    let repository = fixture.open();
    let report = repository.check(chronos_store::ReadData::All).unwrap();
    assert!(report.errors.is_empty(), "{at}: {:?}", report.errors);
    assert_whole(&repository, &kept.iter().collect::<Vec<_>>());
}
