//! A prune that dies after any of its calls: nothing is lost, and the next one finishes the work.

use std::sync::Arc;

use chronos_store::PruneOptions;
use chronos_store::backend::{Fault, FaultBackend, FaultRule};

use super::kept::{assert_whole, forget, prune, snapshot};
use crate::fixture::Fixture;

#[test]
fn stopped_after_any_call_the_next_prune_finishes() {
    let fixture = Fixture::new();
    let repository = fixture.open();
    let one = snapshot(&repository, 0..120);
    let two = snapshot(&repository, 100..160);
    let three = snapshot(&repository, 300..330);
    forget(&repository, &one);
    let whole = fixture.fork();
    prune(&whole.open());
    let goal = whole.pack_bytes();
    for n in 0.. {
        let fork = fixture.fork();
        let faulty = FaultBackend::new(Arc::new(fork.backend.clone()));
        let repository = fork.open_through(Arc::new(faulty.clone()));
        faulty.add(FaultRule::at_call(n, Fault::StopAfter));
        let stopped = repository.prune(&PruneOptions::default());
        drop(repository);
        if !faulty.stopped() {
            assert!(stopped.is_ok() && n > 20, "{stopped:?}");
            break;
        }
        assert_whole(&fork.open(), &[&two, &three]);
        let first = prune(&fork.open());
        let second = prune(&fork.open());
        assert_whole(&fork.open(), &[&two, &three]);
        assert!(
            fork.pack_bytes() <= goal + goal / 10,
            "stopped after call {n}: {} bytes, not {goal}; {stopped:?}; {first:?}; {second:?}, {:?}",
            fork.pack_bytes(),
            fork.backend.content().keys()
        );
    }
}
