//! When the mirror deletes what the source has deleted.

use std::sync::Arc;

use chronos_store::{Env, SyncReport};

use super::{DAY, History, empty, is_sound, options, sync};
use crate::fixture::Fixture;
use crate::pruning::kept;
use crate::pruning::trash::At;

/// Later than the system's clock.
const NOW: i64 = 40_000 * DAY;

fn sync_at(source: &Fixture, dest: &Fixture, now: i64) -> SyncReport {
    let repository = source.open_with(Env { clock: Arc::new(At(now)), ..Env::system() }, "host");
    repository.sync_to(dest.shared(), &options()).unwrap()
}

#[test]
fn what_the_source_deleted_goes_as_long_after_the_mirror_saw_it() {
    let (source, mirror) = (Fixture::new(), empty());
    let repository = source.open();
    let all = [kept::snapshot(&repository, 0..20), kept::snapshot(&repository, 10..30)];
    sync_at(&source, &mirror, NOW);
    let packs = mirror.packs();
    all.iter().for_each(|kept| kept::forget(&repository, kept));
    kept::prune(&repository);
    assert_eq!(source.packs(), 0);
    // First seen now, whatever the records say of their time.
    assert_eq!(sync_at(&source, &mirror, NOW + DAY).removed.objects, 0);
    let early = sync_at(&source, &mirror, NOW + 31 * DAY - 1_000_000_000);
    assert_eq!((early.removed.objects, mirror.packs()), (0, packs));
    assert!(early.records_waiting > 0);
    let due = sync_at(&source, &mirror, NOW + 31 * DAY);
    assert!(due.removed.objects >= packs as u64, "{due:?}");
    assert_eq!((due.records_waiting, mirror.packs()), (0, 0));
    assert_eq!(sync_at(&source, &mirror, NOW + 62 * DAY).removed.objects, 0);
    is_sound(&mirror, &[], "");
}

#[test]
fn a_clock_that_goes_backwards_deletes_nothing() {
    let history = History::new();
    sync_at(&history.source, &history.mirror, NOW);
    assert_eq!(sync_at(&history.source, &history.mirror, NOW - 100 * DAY).removed.objects, 0);
}

#[test]
fn without_keys_nothing_is_deleted_however_long_it_takes() {
    let history = History::new();
    sync(&history.source, &history.mirror);
    let packs = history.mirror.packs();
    for now in [NOW + 100 * DAY, NOW + 200 * DAY] {
        let env = Env { clock: Arc::new(At(now)), ..Env::system() };
        let (source, dest) = (history.source.shared(), history.mirror.shared());
        let report = chronos_store::sync(source, dest, &options(), &env, &chronos_store::Silent).unwrap();
        assert_eq!((report.removed.objects, history.mirror.packs()), (0, packs));
    }
    // With them, what was seen long ago goes; what is needed stays.
    let report = sync_at(&history.source, &history.mirror, NOW + 300 * DAY);
    assert!(report.removed.objects > 0);
    assert_eq!(history.mirror.packs(), history.source.packs());
    is_sound(&history.mirror, &history.all(), "");
}

#[test]
fn runs_and_states_that_were_replaced_go_too() {
    let (source, mirror) = (Fixture::new(), empty());
    let repository = source.open();
    for n in 0..70 {
        let kept = kept::snapshot(&repository, n * 3..n * 3 + 6);
        repository.repair_index(false).unwrap();
        if n % 10 == 0 {
            sync_at(&source, &mirror, NOW);
        }
        if n > 2 {
            kept::forget(&repository, &kept);
        }
    }
    kept::prune(&repository);
    sync_at(&source, &mirror, NOW);
    let count = |fixture: &Fixture, area: &str| {
        fixture.backend.content().keys().filter(|name| name.starts_with(area)).count()
    };
    assert!(count(&mirror, "index/") > count(&source, "index/"));
    assert!(count(&mirror, "state/") > count(&source, "state/"));
    let report = sync_at(&source, &mirror, NOW + 40 * DAY);
    assert!(report.removed.objects > 0, "{report:?}");
    for area in ["packs/", "index/", "state/"] {
        assert_eq!(count(&mirror, area), count(&source, area), "{area}");
    }
    let check = mirror.open().check(chronos_store::ReadData::All).unwrap();
    assert!(check.errors.is_empty(), "{:?}", check.errors);
}
