//! Snapshots that are made of an earlier one by rewriting and repair: what must go is gone, whatever it was stored with, and
//! a stop at any call leaves the old one or the new one.

use std::collections::{BTreeMap, HashSet};
use std::fs;
use std::io;
use std::sync::Arc;

use chronos_store::backend::{Backend, Fault, FaultBackend, FaultRule};
use chronos_store::{ChunkId, ChunkKind, PruneOptions, ReadData, Repository, SessionOptions, Silent};

use super::{Stage, bytes, newest, nodes, noise};
use crate::error::Result;
use crate::node::NodeKind;
use crate::read::{Case, Patterns};
use crate::record::Snapshot;
use crate::rewrite::{RewriteMode, RewriteOptions, chunks_of_excluded, rewrite};
use crate::{TreePath, repair_snapshot};

fn session() -> SessionOptions {
    SessionOptions { client: "test".to_owned(), level: 3 }
}

fn without(name: &str) -> RewriteOptions {
    RewriteOptions {
        exclude: Patterns::new([name], Case::Sensitive).unwrap(),
        mode: RewriteMode::Write,
        session: session(),
        apart: HashSet::new(),
    }
}

fn listed(repository: &Repository) -> Vec<Snapshot> {
    let (snapshots, errors) = crate::listed(&repository.view().unwrap());
    assert!(errors.is_empty(), "{errors:?}");
    snapshots
}

/// The files of a snapshot, read in full.
fn files(repository: &Repository, snapshot: &Snapshot) -> BTreeMap<TreePath, Vec<u8>> {
    let files = nodes(repository, snapshot).into_iter().filter(|(_, n)| matches!(n.kind, NodeKind::File(_)));
    files.map(|(path, node)| (path, bytes(repository, &node))).collect()
}

fn prune(repository: &Repository) {
    repository.prune(&PruneOptions { dead_share_max: 0.0, ..PruneOptions::default() }).unwrap();
}

/// Twenty small files and a large one, one of the small ones a secret.
fn with_secret() -> Stage {
    let stage = Stage::new();
    for n in 0..20 {
        stage.write(&format!("d/f{n:02}"), noise(n, 700));
    }
    stage.write("d/f10-secret", "the password");
    stage.write("large", noise(50, 400_000));
    stage.run();
    stage
}

/// The chunk in which the secret lies, and which others do.
fn chunk_of_secret(stage: &Stage) -> ChunkId {
    let repository = stage.open();
    let snapshot = newest(&repository);
    let chunks = chunks_of_excluded(&repository, &snapshot, &without("*secret").exclude).unwrap();
    let [chunk] = chunks.into_iter().collect::<Vec<_>>()[..] else { panic!("one chunk") };
    let read = repository.view().unwrap().reader().read(ChunkKind::Data, &chunk).unwrap();
    assert!(read.len() > 700 && read.windows(12).any(|bytes| bytes == b"the password"));
    chunk
}

#[test]
fn a_secret_that_was_stored_with_other_files_is_gone_after_rewriting_and_a_prune() {
    let stage = with_secret();
    let chunk = chunk_of_secret(&stage);
    let repository = stage.open();
    let old = newest(&repository);
    let mut wanted = files(&repository, &old);
    assert!(wanted.remove(&stage.inside("d/f10-secret")).is_some());
    let report = rewrite(&repository, &old, &without("*secret")).unwrap();
    assert!((1..=20).contains(&report.moved) && report.files == 1, "{report:?}");
    prune(&repository);
    let repository = stage.open();
    assert!(repository.view().unwrap().reader().read(ChunkKind::Data, &chunk).is_err());
    assert_eq!(files(&repository, &newest(&repository)), wanted);
    assert!(repository.check(ReadData::All).unwrap().errors.is_empty());
}

#[test]
fn a_snapshot_that_holds_only_its_neighbours_is_rewritten_too() {
    let stage = with_secret();
    let chunk = chunk_of_secret(&stage);
    fs::remove_file(stage.path("d/f10-secret")).unwrap();
    stage.run();
    let repository = stage.open();
    let mut options = without("*secret");
    for snapshot in listed(&repository) {
        options.apart.extend(chunks_of_excluded(&repository, &snapshot, &options.exclude).unwrap());
    }
    for snapshot in listed(&repository) {
        let wanted = files(&repository, &snapshot).len();
        let report = rewrite(&repository, &snapshot, &options).unwrap();
        assert!(report.snapshot.is_some() && report.moved > 0, "{report:?}");
        assert!(report.files <= 1 && wanted >= 21, "{report:?}");
    }
    prune(&repository);
    let repository = stage.open();
    assert_eq!(listed(&repository).len(), 2);
    assert!(repository.view().unwrap().reader().read(ChunkKind::Data, &chunk).is_err());
    assert!(repository.check(ReadData::All).unwrap().errors.is_empty());
}

/// Lets `work` be stopped or fail at each call; then `holds` is asked, `work` is done again and it is asked once more. It is told
/// whether the work was reported as done.
fn at_every_call(
    base: &Stage,
    work: &dyn Fn(&Repository) -> Result<()>,
    holds: &dyn Fn(&Repository, bool, &str),
) {
    let other = io::ErrorKind::Other;
    for fault in [Fault::StopBefore, Fault::StopAfter, Fault::Error(other), Fault::LostAnswer(other)] {
        let mut failures = 0;
        for n in 0.. {
            let stage = base.fork();
            let memory: Arc<dyn Backend> = Arc::new(stage.memory.clone());
            let backend = FaultBackend::with_rule(memory, FaultRule::at_call(n, fault));
            let outcome = stage
                .over(Arc::new(backend.clone()), Arc::new(Silent))
                .and_then(|repository| work(&repository));
            let reached = backend.calls() > n;
            backend.heal();
            let at = format!("{fault:?} at call {n}: {outcome:?}");
            holds(&stage.open(), outcome.is_ok(), &at);
            failures += u32::from(outcome.is_err());
            work(&stage.open()).unwrap_or_else(|e| panic!("{at}, then {e}"));
            holds(&stage.open(), true, &at);
            if !reached {
                break;
            }
        }
        assert!(failures >= 5, "{fault:?}: {failures}");
    }
}

#[test]
fn a_rewriting_that_is_stopped_at_any_call_leaves_the_old_snapshot_or_the_new_one() {
    let base = with_secret();
    let secret = base.inside("d/f10-secret");
    let repository = base.open();
    let old = newest(&repository);
    let wanted = files(&repository, &old);
    let work = |repository: &Repository| {
        for snapshot in crate::listed(&*repository.view()?).0 {
            rewrite(repository, &snapshot, &without("*secret"))?;
        }
        Ok(())
    };
    at_every_call(&base, &work, &|repository, done, at| {
        let all = listed(repository);
        assert!(!all.is_empty(), "{at}");
        for snapshot in all {
            let mut found = files(repository, &snapshot);
            match found.remove(&secret) {
                Some(_) => assert!(!done && snapshot.id == old.id, "{at}"),
                None => assert!(snapshot.id != old.id, "{at}"),
            }
            assert!(found.iter().all(|(path, bytes)| wanted[path] == *bytes), "{at}");
            assert_eq!(found.len(), wanted.len() - 1, "{at}");
        }
    });
}

#[test]
fn a_repair_of_a_snapshot_that_is_stopped_at_any_call_can_be_done_again() {
    let base = Stage::new();
    for n in 0..12 {
        base.write(&format!("d/f{n:02}"), noise(n, 200_000));
    }
    base.run();
    let repository = base.open();
    let wanted = files(&repository, &newest(&repository));
    let is_pack = |name: &&String| name.starts_with("packs/");
    let content = base.memory.content();
    let pack = content.keys().find(is_pack).unwrap().clone();
    let mut damaged = content[&pack].to_vec();
    damaged[5_000] ^= 1;
    base.memory.damage(&pack, Some(&damaged));
    let base = base.fork();
    let old = newest(&base.open());
    let work = |repository: &Repository| {
        let old = crate::listed(&*repository.view()?).0.into_iter().find(|s| s.id == old.id).unwrap();
        let report = repair_snapshot(repository, &old, RewriteMode::Write, &session())?;
        assert!(!report.lost.is_empty() && report.snapshot.is_some());
        Ok(())
    };
    at_every_call(&base, &work, &|repository, done, at| {
        let all = listed(repository);
        assert!(all.iter().any(|s| s.id == old.id), "{at}");
        let made: Vec<_> = all.iter().filter(|s| s.id != old.id).collect();
        assert!(!done || !made.is_empty(), "{at}");
        for snapshot in made {
            let found = files(repository, snapshot);
            assert!(!found.is_empty() && found.len() < wanted.len(), "{at}");
            assert!(found.iter().all(|(path, bytes)| wanted[path] == *bytes), "{at}");
            assert_eq!(snapshot.manifest.status, "partial");
        }
    });
}
