//! Damage at either side.

use std::sync::Arc;

use chronos_store::backend::{Backend, Fault, FaultBackend, FaultRule};
use chronos_store::{SyncOptions, SyncReport};

use super::{History, assert_same, is_sound, listed, options, sync};
use crate::fixture::Fixture;

fn checked(source: &Fixture, dest: Arc<dyn Backend>) -> chronos_store::Result<SyncReport> {
    source.open().sync_to(dest, &SyncOptions { check: true, ..options() })
}

/// Damages every third object of a place in another way each: a changed byte, a lost end, lost altogether.
fn damage(fixture: &Fixture) -> usize {
    let content = fixture.backend.content();
    let third: Vec<_> = content.iter().filter(|(name, _)| !name.starts_with("mirror/")).step_by(3).collect();
    for (n, (name, bytes)) in third.iter().enumerate() {
        let mut bad = bytes.to_vec();
        match n % 3 {
            0 => bad[bytes.len() / 2] ^= 1,
            1 => bad.truncate(bytes.len() / 2),
            _ => {
                fixture.backend.damage(name, None);
                continue;
            }
        }
        fixture.backend.damage(name, Some(&bad));
    }
    third.len()
}

#[test]
fn a_mirror_of_which_a_third_is_damaged_is_whole_after_one_run() {
    let history = History::new();
    sync(&history.source, &history.mirror);
    let damaged = damage(&history.mirror);
    assert!(damaged > 10);
    let report = checked(&history.source, history.mirror.shared()).unwrap();
    assert!(report.published && report.healed.len() * 2 > damaged, "{report:?}");
    assert_same(&history.source, &history.mirror, "");
    assert_eq!(is_sound(&history.mirror, &history.all(), ""), listed(&history.source.open()));
}

#[test]
fn a_run_that_heals_and_is_stopped_is_gone_on_with() {
    let history = History::new();
    sync(&history.source, &history.mirror);
    damage(&history.mirror);
    for n in 0.. {
        let dest = history.mirror.fork();
        let faulty = FaultBackend::with_rule(dest.shared(), FaultRule::at_call(n, Fault::StopAfter));
        let done = checked(&history.source, Arc::new(faulty)).is_ok();
        checked(&history.source, dest.shared()).unwrap();
        assert_same(&history.source, &dest, &format!("stopped after call {n}"));
        if done {
            break;
        }
    }
}

#[test]
fn what_is_damaged_at_the_source_is_named_and_does_no_harm() {
    let history = History::new();
    sync(&history.source, &history.mirror);
    let whole = history.mirror.backend.content();
    let pack = whole.keys().find(|name| name.starts_with("packs/")).unwrap().clone();
    let (old, fresh) = (history.source.backend.read(&pack, None).unwrap(), super::empty());
    for bad in [[&old[..50], &[old[50] ^ 1], &old[51..]].concat(), old[..100].to_vec()] {
        history.source.backend.damage(&pack, Some(&bad));
        let report = checked(&history.source, history.mirror.shared()).unwrap();
        assert_eq!(history.mirror.backend.read(&pack, None).unwrap(), old);
        let says_so = bad.len() == old.len() || report.damaged.iter().any(|f| f.object == pack);
        assert!(says_so, "{report:?}");
        // A mirror that lacks it gets all the rest.
        let report = super::try_sync(&history.source, fresh.shared()).unwrap();
        assert!(report.published && report.damaged.iter().any(|f| f.object == pack), "{report:?}");
        assert!(fresh.backend.read(&pack, None).is_err());
    }
    history.source.backend.damage(&pack, Some(&old));
    sync(&history.source, &fresh);
    assert_same(&history.source, &fresh, "");
}

#[test]
fn a_newest_state_that_cannot_be_copied_leaves_the_mirror_as_it_was() {
    let history = History::new();
    let before = listed(&history.mirror.open());
    let repository = history.source.open();
    let content = history.source.backend.content();
    for name in content.keys().filter(|name| name.starts_with("state/")) {
        history.source.backend.damage(name, Some(b"gone"));
    }
    let report = repository.sync_to(history.mirror.shared(), &options()).unwrap();
    assert!(!report.published && report.damaged.iter().any(|f| f.object.starts_with("state/")), "{report:?}");
    assert_eq!(is_sound(&history.mirror, &history.all(), ""), before);
}
