//! A sync stopped after each of its calls, at either side: the mirror is sound at once, and the next sync goes on.

use std::sync::Arc;

use chronos_store::backend::{Backend, Fault, FaultBackend, FaultRule};

use super::{History, assert_same, empty, is_sound, listed, options, sync, try_sync};
use crate::fixture::Fixture;

/// Stops at every call of the destination. What was not made durable is gone, half of it or all.
fn stop_everywhere(history: &History, mirror: &Fixture, calls_min: u64) {
    let before = listed_if_any(mirror);
    let after = listed(&history.source.open());
    for n in 0.. {
        let dest = mirror.fork();
        let faulty = FaultBackend::with_rule(dest.shared(), FaultRule::at_call(n, Fault::StopAfter));
        let reported = try_sync(&history.source, Arc::new(faulty.clone())).is_ok();
        let struck = faulty.stopped();
        faulty.lose_power(&|name| n % 2 == 0 && blake3::hash(name.as_bytes()).as_bytes()[0] < 128).unwrap();
        let at = format!("stopped after call {n}, reported: {reported}");
        let seen = is_sound(&dest, &history.all(), &at);
        // All of it becomes visible at once.
        assert!(seen == after || seen == before && !reported, "{at}: {seen:?}");
        sync(&history.source, &dest);
        assert_same(&history.source, &dest, &at);
        assert_eq!(is_sound(&dest, &history.all(), &at), after, "{at}");
        if !struck {
            assert!(reported && n > calls_min, "{at}");
            break;
        }
    }
}

fn listed_if_any(dest: &Fixture) -> Vec<String> {
    if dest.backend.stat("config").is_ok() { listed(&dest.open()) } else { Vec::new() }
}

#[test]
fn the_first_sync() {
    stop_everywhere(&History::new(), &empty(), 40);
}

#[test]
fn a_later_sync() {
    let history = History::new();
    stop_everywhere(&history, &history.mirror, 40);
}

#[test]
fn a_source_that_goes_away() {
    let history = History::new();
    for n in 0.. {
        let dest = history.mirror.fork();
        let faulty = FaultBackend::new(history.source.shared());
        let repository = history.source.open_through(Arc::new(faulty.clone()));
        faulty.add(FaultRule::at_call(n, Fault::StopBefore));
        let reported = repository.sync_to(dest.shared(), &options()).is_ok();
        let at = format!("gone before call {n}, reported: {reported}");
        is_sound(&dest, &history.all(), &at);
        sync(&history.source, &dest);
        assert_same(&history.source, &dest, &at);
        if !faulty.stopped() {
            assert!(reported && n > 20, "{at}");
            break;
        }
    }
}

#[test]
fn answers_that_get_lost_do_no_harm() {
    let history = History::new();
    for n in 0..40 {
        let dest = history.mirror.fork();
        let fault = Fault::LostAnswer(std::io::ErrorKind::TimedOut);
        let faulty = FaultBackend::with_rule(dest.shared(), FaultRule::at_call(n, fault));
        let _ = try_sync(&history.source, Arc::new(faulty));
        is_sound(&dest, &history.all(), &format!("answer {n} is lost"));
        sync(&history.source, &dest);
        assert_same(&history.source, &dest, &format!("answer {n} was lost"));
    }
}
