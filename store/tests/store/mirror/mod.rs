//! Mirrors: at every moment a repository in which all that is visible is complete.

mod cost;
mod deleted;
mod healed;
mod meanwhile;
mod promoted;
mod roles;
mod stopped;

use std::sync::Arc;

use chronos_store::backend::{Backend, MemoryBackend};
use chronos_store::{ErrorKind, ReadData, Repository, Result, SyncOptions, SyncReport};

use crate::fixture::{Fixture, KEY};
use crate::pruning::kept::{self, Kept, assert_whole};

const DAY: i64 = crate::pruning::trash::DAY;

fn options() -> SyncOptions {
    SyncOptions { delete_after: 30 * DAY, ..SyncOptions::default() }
}

/// A place for a mirror.
fn empty() -> Fixture {
    Fixture { backend: MemoryBackend::new(), dir: tempfile::tempdir().unwrap() }
}

fn try_sync(source: &Fixture, dest: Arc<dyn Backend>) -> Result<SyncReport> {
    source.open().sync_to(dest, &options())
}

fn sync(source: &Fixture, dest: &Fixture) -> SyncReport {
    let report = try_sync(source, dest.shared()).unwrap();
    assert!(report.published && report.damaged.is_empty(), "{report:?}");
    report
}

/// Session ids of what is listed.
fn listed(repository: &Repository) -> Vec<String> {
    repository.view().unwrap().snapshots().map(|row| row.session.to_string()).collect()
}

/// Every byte of what is visible is there; returns what is listed, nothing before there is a repository.
fn is_sound(dest: &Fixture, all: &[&Kept], at: &str) -> Vec<String> {
    let repository = match Repository::open(dest.shared(), &KEY, dest.options()) {
        Err(e) if dest.backend.stat("config").is_err() => {
            assert!(matches!(e.kind(), ErrorKind::NoRepository | ErrorKind::Damaged), "{at}: {e}");
            return Vec::new();
        }
        repository => repository.unwrap(),
    };
    let report = repository.check(ReadData::All).unwrap();
    assert!(report.errors.is_empty(), "{at}: {:?}", report.errors);
    let listed = listed(&repository);
    let is_listed = |kept: &&&Kept| listed.contains(&kept.session.to_string());
    let kept: Vec<&Kept> = all.iter().filter(is_listed).copied().collect();
    assert_eq!(kept.len(), listed.len(), "{at}: what is listed is known");
    assert_whole(&repository, &kept);
    listed
}

/// Everything but announcements is at the mirror, byte by byte.
fn assert_same(source: &Fixture, dest: &Fixture, at: &str) {
    let there = dest.backend.content();
    for (name, bytes) in source.backend.content().iter().filter(|(name, _)| !name.starts_with("sess/")) {
        assert!(there.get(name) == Some(bytes), "{at}: {name}");
    }
    let curtains: Vec<_> = there.keys().filter(|name| name.starts_with("log/-sync")).collect();
    assert!(curtains.is_empty(), "{at}: {curtains:?}");
}

/// A source with a history, a mirror of an earlier moment, and all snapshots that there ever were.
struct History {
    source: Fixture,
    mirror: Fixture,
    all: Vec<Kept>,
}

impl History {
    fn new() -> Self {
        let (source, mirror) = (Fixture::new(), empty());
        let repository = source.open();
        let mut all = vec![kept::snapshot(&repository, 0..20), kept::snapshot(&repository, 10..30)];
        kept::forget(&repository, &all[0]);
        kept::prune(&repository);
        sync(&source, &mirror);
        // Comes and goes between two syncs: its decision stays, its packs do not.
        all.push(kept::snapshot(&repository, 100..120));
        kept::forget(&repository, &all[2]);
        kept::forget(&repository, &all[1]);
        all.push(kept::snapshot(&repository, 20..40));
        kept::prune(&repository);
        // Each leans on the one before, and no record came between.
        for from in [200, 205, 210] {
            all.push(kept::snapshot(&repository, from..from + 10));
        }
        Self { source, mirror, all }
    }

    fn all(&self) -> Vec<&Kept> {
        self.all.iter().collect()
    }
}

#[test]
fn a_mirror_shows_what_the_source_shows() {
    let history = History::new();
    let report = sync(&history.source, &history.mirror);
    assert!(report.copied["snap"].objects >= 4 && report.copied["packs"].objects >= 4, "{report:?}");
    assert_same(&history.source, &history.mirror, "");
    assert_eq!(is_sound(&history.mirror, &history.all(), ""), listed(&history.source.open()));
    assert_eq!(listed(&history.mirror.open()).len(), 4);
}

#[test]
fn without_keys_the_same_is_copied() {
    let history = History::new();
    let env = chronos_store::Env::system();
    let silent = chronos_store::Silent;
    for _ in 0..2 {
        let (source, dest) = (history.source.shared(), history.mirror.shared());
        let report = chronos_store::sync(source, dest, &options(), &env, &silent).unwrap();
        assert!(report.published, "{report:?}");
    }
    assert_same(&history.source, &history.mirror, "");
    is_sound(&history.mirror, &history.all(), "");
}

#[test]
fn a_dry_run_writes_nothing_and_says_what_a_run_then_does() {
    let history = History::new();
    for dest in [&history.mirror, &empty()] {
        let before = dest.backend.content();
        let dry = SyncOptions { dry_run: true, ..options() };
        let said = history.source.open().sync_to(dest.shared(), &dry).unwrap();
        assert!(dest.backend.content() == before && !said.published);
        let mut done = sync(&history.source, dest).copied;
        // The config and the slots of an empty place are copied before anything is compared.
        done.remove("keys");
        let mut said = said.copied;
        said.remove("keys");
        assert_eq!(said, done);
    }
}

#[test]
fn a_mirror_of_a_mirror_is_made_the_same_way() {
    let history = History::new();
    let (behind, back) = (history.mirror.fork(), empty());
    sync(&history.source, &history.mirror);
    sync(&history.mirror, &behind);
    sync(&behind, &back);
    assert_eq!(is_sound(&back, &history.all(), ""), listed(&history.source.open()));
}
