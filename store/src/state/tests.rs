//! What each record makes of a state.

#![expect(clippy::unwrap_used, clippy::indexing_slicing, reason = "tests")]

use super::*;
use crate::decision::Core;

fn sid(n: u64) -> SessionId {
    SessionId::new(n, "t", n).unwrap()
}

fn pack(n: u64) -> PackName {
    PackName { session: sid(n), seq: 0, attempt: 7 }
}

fn packs(numbers: &[u64]) -> BTreeSet<PackName> {
    numbers.iter().map(|n| pack(*n)).collect()
}

/// Snapshots 1 to 3, each with its pack.
fn three() -> State {
    let mut state = State::default();
    for n in 1..=3 {
        let core = Core {
            outcome: Outcome::Committed,
            roots: Vec::new(),
            packs: vec![OwnPack(0, 7, 9)],
            runs: Vec::new(),
        };
        state.fold(&Decision { session: sid(n), core, manifest: b"{}".to_vec() }).unwrap();
    }
    state
}

fn forget(numbers: &[u64]) -> Record {
    Record::Forget { snapshots: numbers.iter().map(|n| sid(*n)).collect(), at: 5 }
}

fn undelete(n: u64) -> Record {
    Record::Undelete { snapshots: vec![sid(n)] }
}

#[test]
fn every_record_makes_the_log_one_longer() {
    let state = three().apply(&Record::Checkpoint).unwrap().apply(&forget(&[1])).unwrap();
    assert_eq!((state.n, state.fresh), (2, 0));
}

#[test]
fn forgotten_snapshots_come_back_until_they_are_purged() {
    let state = three().apply(&forget(&[1, 2])).unwrap();
    assert!(state.clone().apply(&forget(&[1])).is_err(), "it is forgotten already");
    let state = state.apply(&undelete(1)).unwrap();
    assert!(state.clone().apply(&undelete(1)).is_err(), "it is not in the trash");
    let condemned = state.n;
    let state = state.apply(&Record::Condemn { packs: packs(&[2]), roots: [sid(1), sid(3)].into() }).unwrap();
    let sweep = Record::Sweep { condemned, swept: packs(&[2]), purged: [sid(2)].into() };
    let state = state.apply(&sweep).unwrap();
    assert!(state.clone().apply(&undelete(2)).is_err(), "its packs are gone");
    assert_eq!(state.unpurged().count(), 2);
}

#[test]
fn held_snapshots_are_not_forgotten() {
    let marks = Marks { held: true, ..Marks::default() };
    let state = three().apply(&Record::Mark { marks: vec![(sid(1), marks)] }).unwrap();
    assert!(matches!(state.clone().apply(&forget(&[1])), Err(Error::Refused(_))));
    assert!(state.clone().apply(&forget(&[2, 1])).is_err());
    let state = state.apply(&Record::Mark { marks: vec![(sid(1), Marks::default())] }).unwrap();
    assert!(state.apply(&forget(&[1])).is_ok());
}

#[test]
fn a_mark_neither_forgets_nor_purges() {
    let marks =
        Marks { forgotten_at: Some(1), purged: true, tags: Some(vec!["a".into()]), ..Marks::default() };
    let state = three().apply(&Record::Mark { marks: vec![(sid(1), marks)] }).unwrap();
    let marks = &state.rows[&sid(1)].marks;
    assert_eq!((marks.forgotten_at, marks.purged), (None, false));
    assert_eq!(marks.tags.as_deref(), Some(&["a".to_owned()][..]));
}

#[test]
fn a_condemnation_is_carried_out_once() {
    let state = three().apply(&Record::Condemn { packs: packs(&[1, 2]), roots: [sid(3)].into() }).unwrap();
    assert_eq!(state.shunned().count(), 2);
    let sweep = Record::Sweep { condemned: 0, swept: packs(&[1]), purged: BTreeSet::new() };
    let state = state.apply(&sweep).unwrap();
    assert!(state.condemned.is_empty());
    assert_eq!(state.shunned().collect::<Vec<_>>(), [&pack(1)], "what was not swept is free again");
    assert!(state.apply(&sweep).is_err());
}

#[test]
fn a_merge_takes_over_what_sessions_name() {
    let state = three().apply(&Record::Quarantine { packs: packs(&[3]) }).unwrap();
    let merge = |removed: &str| Record::Merge {
        sessions: [sid(1), sid(2)].into(),
        removed: if removed.is_empty() { BTreeSet::new() } else { [removed.to_owned()].into() },
        added: ["index/m-1".to_owned()].into(),
        unswept: BTreeSet::new(),
    };
    assert!(state.clone().apply(&merge("index/m-0")).is_err(), "another process was faster");
    let state = state.apply(&merge("")).unwrap();
    assert_eq!(state.rows.values().filter(|r| r.packs.is_empty() && r.merged).count(), 2);
    assert_eq!(state.runs.len(), 1);
    let state = state.apply(&merge("index/m-1")).unwrap();
    assert_eq!(state.runs, ["index/m-1".to_owned()].into());
    let state = state.apply(&Record::Heal { packs: packs(&[3]) }).unwrap();
    assert_eq!(state.shunned().count(), 0);
}

#[test]
fn a_decision_that_is_in_the_table_is_not_taken_in_twice() {
    let mut state = three();
    let marks = Marks { held: true, ..Marks::default() };
    state = state.apply(&Record::Mark { marks: vec![(sid(1), marks)] }).unwrap();
    let decision = Decision::without_snapshot(sid(1), Outcome::Closed, Vec::new(), Vec::new());
    state.fold(&decision).unwrap();
    assert!(state.rows[&sid(1)].marks.held);
    state.fold(&Decision::without_snapshot(sid(9), Outcome::Revoked, Vec::new(), Vec::new())).unwrap();
    assert!(!state.rows.contains_key(&sid(9)), "what is revoked has no effect");
}

#[test]
fn a_stored_state_is_the_same_again() {
    let secrets = crate::crypto::Secrets { master: [1; 32], chunk: [2; 32] };
    let keys = Keys::new(&secrets);
    let state = three().apply(&forget(&[2])).unwrap();
    let bytes = state.encode(&keys, "state/a", [3; 32]).unwrap();
    assert_eq!(State::decode(&keys, "state/a", &bytes).unwrap(), state);
    assert!(State::decode(&keys, "state/b", &bytes).is_err(), "it cannot stand in for another");
}
