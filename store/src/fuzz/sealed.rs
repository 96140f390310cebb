//! Targets of small sealed objects: the container, and the JSON inside of each kind.

use std::collections::{BTreeMap, BTreeSet};

use super::{Target, chunk, keys, pack_name, part, session, with_part};
use crate::crypto::Purpose;
use crate::decision::{Core, Decision, Outcome, OwnPack};
use crate::format::{Header, ObjectKind, Sealed};
use crate::local::Host;
use crate::log::{LogRecord, Record};
use crate::names;
use crate::session::begin::Announcement;
use crate::state::State;
use crate::view::Marks;

/// A section expands to its stated length; a seed does so by a factor of several hundred.
const EXPANDED: usize = 4 << 20;

pub(super) const TARGETS: &[Target] = &[
    Target::new("sealed", sealed, sealed_seeds),
    Target::new("section", section, section_seeds).within(64, EXPANDED),
    Target::new("decision", decision, decision_seeds),
    Target::new("state", state, state_seeds),
    Target::new("log_record", log_record, log_record_seeds),
    Target::new("replay", replay, replay_seeds).within(256, 1 << 20),
    Target::new("session", announcement, announcement_seeds),
];

const SALT: [u8; 32] = [6; 32];

fn container(kind: ObjectKind, name: &str) -> Sealed<'_> {
    Sealed { keys: keys(), kind, name }
}

/// A whole object as it is.
fn sealed(bytes: &[u8]) -> bool {
    let sections = [Purpose::Index, Purpose::Manifest];
    let one = container(ObjectKind::State, "state/x").open(bytes, &sections);
    let two = Decision::decode(keys(), &session(3), bytes);
    one.is_ok() || two.is_ok()
}

fn sealed_seeds() -> Vec<Vec<u8>> {
    let sections: [(Purpose, &[u8]); 2] = [(Purpose::Index, b"one"), (Purpose::Manifest, b"")];
    let object = container(ObjectKind::State, "state/x").seal(SALT, &sections).unwrap();
    vec![object, decisions().into_iter().next().unwrap().encode(keys(), SALT).unwrap()]
}

/// One section before it is sealed: length and zstd frame, whatever they are.
fn section(bytes: &[u8]) -> bool {
    let header = Header { kind: ObjectKind::Record, salt: SALT }.encode();
    let mut section = bytes.to_vec();
    let aad = [&header[..], b"log/x"].concat();
    keys().object_key(Purpose::Index, &SALT).unwrap().seal(0, &aad, &mut section).unwrap();
    let object = [&header[..], &(section.len() as u32).to_le_bytes(), &section].concat();
    let Ok(read) = container(ObjectKind::Record, "log/x").open(&object, &[Purpose::Index]) else {
        return false;
    };
    let plain = read.into_iter().next().unwrap();
    let stated = bytes.first_chunk::<4>().map(|l| u32::from_le_bytes(*l) as usize);
    assert_eq!(stated, Some(plain.len()), "as long as it says");
    true
}

fn section_seeds() -> Vec<Vec<u8>> {
    [b"some text of a section ".repeat(3), Vec::new(), vec![0; 100_000]]
        .map(|plain| {
            let packed = crate::compress::compress(&plain, 3).unwrap();
            [&(plain.len() as u32).to_le_bytes()[..], &packed].concat()
        })
        .to_vec()
}

/// Seals what stands for the sections of an object.
fn object(kind: ObjectKind, name: &str, sections: &[(Purpose, &[u8])]) -> Vec<u8> {
    container(kind, name).seal(SALT, sections).unwrap()
}

fn decision(mut bytes: &[u8]) -> bool {
    let (core, manifest) = (part(&mut bytes), bytes);
    let sections = [(Purpose::Index, core), (Purpose::Manifest, manifest)];
    let sealed = object(ObjectKind::Decision, &names::decision(&session(3)), &sections);
    let Ok(decision) = Decision::decode(keys(), &session(3), &sealed) else { return false };
    let again = Decision::decode(keys(), &session(3), &decision.encode(keys(), SALT).unwrap()).unwrap();
    assert_eq!(again, decision);
    // What is damaged in it is found when it is taken in, and no later.
    let mut state = State::default();
    if state.fold(&decision).is_ok() {
        assert_eq!(state.rows.len(), usize::from(decision.core.outcome != Outcome::Revoked));
    }
    true
}

fn decisions() -> Vec<Decision> {
    let committed = Core {
        outcome: Outcome::Committed,
        roots: vec![chunk(1), chunk(2)],
        packs: vec![OwnPack(0, 0, 100), OwnPack(1, 7, u64::MAX)],
        runs: vec!["index/0000000003-host-0000000000000003-00000000".to_owned()],
    };
    let manifest = br#"{"v":1}"#.to_vec();
    let mut all = vec![Decision { session: session(3), core: committed, manifest }];
    for outcome in [Outcome::Closed, Outcome::Revoked] {
        all.push(Decision::without_snapshot(session(3), outcome, Vec::new(), Vec::new()));
    }
    all
}

fn decision_seeds() -> Vec<Vec<u8>> {
    decisions().iter().map(|d| with_part(&serde_json::to_vec(&d.core).unwrap(), &d.manifest)).collect()
}

fn state(mut bytes: &[u8]) -> bool {
    let (core, manifests) = (part(&mut bytes), bytes);
    let sections = [(Purpose::Index, core), (Purpose::Manifest, manifests)];
    let sealed = object(ObjectKind::State, "state/x", &sections);
    let Ok(state) = State::decode(keys(), "state/x", &sealed) else { return false };
    let again = state.encode(keys(), "state/x", SALT).unwrap();
    assert_eq!(State::decode(keys(), "state/x", &again).unwrap(), state);
    assert!(state.unpurged().count() <= state.rows.len());
    for record in records() {
        let n = state.n;
        if let Ok(next) = state.clone().apply(&record) {
            assert_eq!(next.n, n + 1);
        }
    }
    true
}

fn some_state() -> State {
    let mut state = State { n: 4, watermark: 3, ..State::default() };
    decisions().iter().for_each(|d| state.fold(d).unwrap());
    state.runs.insert("index/m-00000000000000000000000000000000".to_owned());
    state.quarantined.insert(pack_name(8));
    state.apply(&Record::Condemn { packs: [pack_name(1)].into(), roots: [session(3)].into() }).unwrap()
}

fn state_seeds() -> Vec<Vec<u8>> {
    [State::default(), some_state()]
        .map(|s| with_part(&serde_json::to_vec(&s).unwrap(), &serde_json::to_vec(&s.manifests).unwrap()))
        .to_vec()
}

fn log_record(bytes: &[u8]) -> bool {
    let sealed = object(ObjectKind::Record, &names::log(5), &[(Purpose::Index, bytes)]);
    let Ok(record) = LogRecord::decode(keys(), 5, &sealed) else { return false };
    let again = LogRecord::decode(keys(), 5, &record.encode(keys(), SALT).unwrap()).unwrap();
    assert_eq!(again, record);
    assert_eq!(record.n, 5);
    true
}

/// One record of each kind.
fn records() -> Vec<Record> {
    let marks = Marks { held: true, tags: Some(vec!["a".to_owned()]), ..Marks::default() };
    let run = |n: u8| BTreeSet::from([format!("index/m-{}", hex::encode([n; 16]))]);
    vec![
        Record::Mark { marks: vec![(session(3), marks)] },
        Record::Mark { marks: vec![(session(3), Marks::default())] },
        Record::Forget { snapshots: vec![session(3)], at: i64::MAX },
        Record::Undelete { snapshots: vec![session(3)] },
        Record::Condemn { packs: [pack_name(1)].into(), roots: [session(3)].into() },
        Record::Sweep { condemned: 4, swept: [pack_name(1)].into(), purged: [session(3)].into() },
        Record::Purge { snapshots: [session(3)].into() },
        Record::Merge {
            sessions: [session(3)].into(),
            removed: run(0),
            added: run(1),
            unswept: [pack_name(1)].into(),
        },
        Record::Quarantine { packs: [pack_name(2)].into() },
        Record::Heal { packs: [pack_name(2)].into() },
        Record::Checkpoint,
        Record::Repair { damaged: [1, 2].into() },
    ]
}

fn log_record_seeds() -> Vec<Vec<u8>> {
    let stored = |change: Record| LogRecord {
        n: 5,
        kind: change.kind().to_owned(),
        state: "state/x".to_owned(),
        hash: "00".repeat(32),
        at: 1,
        watermark: Some(3),
        change: Some(change),
    };
    records().into_iter().map(|r| serde_json::to_vec(&stored(r)).unwrap()).collect()
}

/// Records one a line, done again on a state that has a snapshot, a condemnation and a run.
fn replay(bytes: &[u8]) -> bool {
    let mut state = some_state();
    let mut any = false;
    for line in bytes.split(|b| *b == b'\n') {
        let Ok(record) = serde_json::from_slice::<Record>(line) else { continue };
        any = true;
        let before = (state.n, state.swept.clone());
        state = state.replay(&record, 3);
        assert_eq!(state.n, before.0 + 1, "one record more");
        if !matches!(record, Record::Merge { .. }) {
            assert!(before.1.is_subset(&state.swept), "nothing that was swept comes back");
        }
        let dead: BTreeMap<_, _> = state.rows.iter().filter(|(_, r)| r.marks.purged).collect();
        assert!(dead.values().all(|r| r.marks.forgotten_at.is_some()), "only what is forgotten is purged");
    }
    any
}

fn replay_seeds() -> Vec<Vec<u8>> {
    let line = |r: &Record| serde_json::to_vec(r).unwrap();
    let mut seeds: Vec<_> = records().iter().map(line).collect();
    seeds.push(records().iter().map(line).collect::<Vec<_>>().join(&b'\n'));
    seeds
}

fn announcement(bytes: &[u8]) -> bool {
    let name = names::session(&session(3));
    let sealed = object(ObjectKind::Session, &name, &[(Purpose::Index, bytes)]);
    let Ok(read) = Announcement::decode(keys(), &name, &sealed) else { return false };
    let again = Announcement::decode(keys(), &name, &read.encode(keys(), &name, SALT).unwrap()).unwrap();
    assert_eq!(again, read);
    true
}

fn announcement_seeds() -> Vec<Vec<u8>> {
    let host = Host { id: "0".repeat(32), boot: "boot".to_owned() };
    vec![serde_json::to_vec(&Announcement { host, pid: 1, started: -1 }).unwrap()]
}
