//! How long forgotten snapshots stay in the trash.

use std::sync::Arc;
use std::time::Duration;

use chronos_store::{Change, Clock, Env, PruneOptions, Repository};

use super::kept::{assert_sound, assert_whole, forget, snapshot};
use crate::fixture::Fixture;

pub(crate) const DAY: i64 = 86_400_000_000_000;
/// When the snapshot is forgotten: a day like others.
const FORGOTTEN: i64 = 20_000 * DAY;

/// A clock that stands.
#[derive(Debug)]
pub(crate) struct At(pub(crate) i64);

impl Clock for At {
    fn now(&self) -> i128 {
        i128::from(self.0)
    }

    fn uptime(&self) -> Duration {
        Duration::from_hours(1)
    }
}

fn open(fixture: &Fixture, now: i64) -> Repository {
    fixture.open_with(Env { clock: Arc::new(At(now)), ..Env::system() }, "host")
}

#[test]
fn a_forgotten_snapshot_comes_back_until_its_time_is_over_to_the_moment() {
    let fixture = Fixture::new();
    let (one, other) = {
        let repository = open(&fixture, FORGOTTEN);
        let both = (snapshot(&repository, 0..50), snapshot(&repository, 100..150));
        forget(&repository, &both.0);
        both
    };
    let options = |dry_run| PruneOptions { keep_deleted: 7 * DAY, dry_run, ..PruneOptions::default() };
    let early = open(&fixture, FORGOTTEN + 7 * DAY - 1);
    for dry_run in [true, false] {
        let report = early.prune(&options(dry_run)).unwrap();
        assert_eq!((report.snapshots_purged, report.packs_deleted, report.bytes_freed), (0, 0, 0));
    }
    let back = Change::Undelete { snapshots: vec![one.session.clone()] };
    early.change(&|_| Ok(Some(back.clone()))).unwrap();
    assert_whole(&early, &[&one, &other]);
    forget(&open(&fixture, FORGOTTEN), &one);
    let late = open(&fixture, FORGOTTEN + 7 * DAY);
    for dry_run in [true, false] {
        let report = late.prune(&options(dry_run)).unwrap();
        assert_eq!((report.snapshots_purged, report.packs_deleted), (1, 1), "{dry_run}");
        assert!(report.bytes_freed > 0);
    }
    late.change(&|_| Ok(Some(back.clone()))).unwrap_err();
    assert_whole(&late, &[&other]);
    assert_sound(&late, 1);
}

#[test]
fn a_forgotten_snapshot_of_which_nothing_is_deleted_does_not_come_back_either() {
    let fixture = Fixture::new();
    let repository = fixture.open();
    let one = snapshot(&repository, 0..50);
    let same = snapshot(&repository, 0..50);
    forget(&repository, &one);
    let report = repository.prune(&PruneOptions::default()).unwrap();
    assert_eq!((report.snapshots_purged, report.packs_deleted), (1, 0));
    let back = Change::Undelete { snapshots: vec![one.session.clone()] };
    repository.change(&|_| Ok(Some(back.clone()))).unwrap_err();
    assert_whole(&repository, &[&same]);
}
