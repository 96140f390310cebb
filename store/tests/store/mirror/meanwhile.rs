//! Something happens at the source between any two calls of a sync.

use chronos_store::PruneOptions;
use chronos_store::backend::Method;

use super::{History, assert_same, is_sound, listed, options, sync};
use crate::fixture::Fixture;
use crate::meanwhile::Meanwhile;
use crate::pruning::kept::{self, Kept};

/// Does `work` before each call that a sync makes of its source.
fn before_every_call(work: &(dyn Fn(&Fixture) -> Vec<Kept> + Sync)) {
    let history = History::new();
    for method in [Method::List, Method::Read] {
        for n in 0.. {
            let (source, dest) = (history.source.fork_of_this_host(), history.mirror.fork());
            let repository = source.open();
            let (sender, receiver) = std::sync::mpsc::channel();
            let done = std::thread::scope(|scope| {
                let (starter, start) = std::sync::mpsc::channel::<()>();
                let source = &source;
                scope.spawn(move || {
                    if start.recv().is_ok() {
                        sender.send(work(source)).unwrap();
                    }
                });
                let receiver = std::sync::Mutex::new(receiver);
                let (added, taken) = std::sync::mpsc::channel();
                let hook = Meanwhile::new(source.shared(), method, "", n, move || {
                    starter.send(()).unwrap();
                    added.send(receiver.lock().unwrap().recv().unwrap()).unwrap();
                });
                let through = source.open_through(hook.clone());
                let outcome = through.sync_to(dest.shared(), &options());
                assert!(outcome.is_ok_and(|r| r.published && r.damaged.is_empty()), "{method:?} {n}");
                let is_done = hook.is_done();
                drop((through, hook));
                is_done.then(|| taken.recv().unwrap())
            });
            let at = format!("before {method:?} {n}");
            let added = done.clone().unwrap_or_default();
            let all: Vec<&Kept> = history.all.iter().chain(&added).collect();
            is_sound(&dest, &all, &at);
            sync(&source, &dest);
            assert_same(&source, &dest, &at);
            assert_eq!(is_sound(&dest, &all, &at), listed(&repository), "{at}");
            if done.is_none() {
                assert!(n > 10, "{at}");
                break;
            }
        }
    }
}

#[test]
fn a_backup() {
    before_every_call(&|source| vec![kept::snapshot(&source.open(), 205..230)]);
}

#[test]
fn a_prune_that_takes_packs_away() {
    before_every_call(&|source| {
        let repository = source.open();
        let sessions: Vec<_> = repository.view().unwrap().snapshots().map(|r| r.session.clone()).collect();
        let added = kept::snapshot(&repository, 212..216);
        let change = chronos_store::Change::Forget { snapshots: sessions };
        repository.change(&|_| Ok(Some(change.clone()))).unwrap();
        let options =
            PruneOptions { pack_dead_share_max: 0.0, dead_share_max: 0.0, ..PruneOptions::default() };
        assert!(repository.prune(&options).unwrap().packs_deleted > 0);
        vec![added]
    });
}

#[test]
fn a_merge() {
    before_every_call(&|source| {
        source.open().repair_index(false).unwrap();
        Vec::new()
    });
}
