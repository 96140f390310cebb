//! Several programs at once in one repository, each killed with `SIGKILL` somewhere: what was reported restores, what was
//! asked to go is given back.
//!
//! `strace` kills a program when one of its threads makes the n-th call of a kind; kind and n come from a seed, so that
//! each round can be repeated. A few rounds; with `CHRONOS_LONG=1` many, with `CHRONOS_LONG=3/5` the third fifth of them.

use std::collections::BTreeMap;
use std::ops::Range;
use std::process::Child;

use crate::support::{Home, Share, finish, is_long, long_share, noise};

/// Calls at which programs are killed, and how many there may be before.
const KILLED_AT: [(&str, u64); 10] = [
    ("openat", 90),
    ("write", 8),
    ("pwrite64", 40),
    ("pread64", 60),
    ("fsync", 10),
    ("fdatasync", 3),
    ("renameat2", 8),
    ("unlink", 8),
    ("mkdir", 4),
    ("statx", 80),
];
const ROUNDS: u64 = 12;
const ROUNDS_LONG: u64 = 300;
/// Sources that are backed up at the same time.
const SOURCES: [&str; 2] = ["one", "two"];

/// A random number below `end`, the same in each run of the test.
fn random(round: u64, what: &str, end: u64) -> u64 {
    let hash = blake3::hash(format!("{round} {what}").as_bytes());
    u64::from_le_bytes(*hash.as_bytes().first_chunk().unwrap()) % end
}

/// Starts a program that is killed, or, if there are fewer calls, is not.
fn start(home: &Home, round: u64, who: &str, args: &[&str]) -> Child {
    let (call, most) = KILLED_AT[random(round, &format!("{who} call"), KILLED_AT.len() as u64) as usize];
    let turn = 1 + random(round, &format!("{who} turn"), most);
    let inject = format!("inject={call}:signal=SIGKILL:when={turn}");
    let trace = format!("trace={call}");
    let strace = ["strace", "-f", "-qq", "-o", "/dev/null", "-e", &trace, "-e", &inject];
    home.command_under(&strace, args).spawn().unwrap()
}

/// What a source holds in a round: a file that stays, one that changes.
fn content(source: &str, round: u64) -> [(String, Vec<u8>); 2] {
    let seed = if source == SOURCES[0] { 0 } else { 128 };
    [
        (format!("{source}/same"), noise(seed, 50_000)),
        (format!("{source}/sub/noise"), noise(seed + 1 + (round % 120) as u8, 30_000)),
    ]
}

/// Restores a snapshot and compares it with what there was in its round.
fn is_whole(home: &Home, id: &str, source: &str, round: u64) {
    std::fs::remove_dir_all(home.path("out")).unwrap_or_default();
    home.run(["restore", &format!("{id}:/{}", home.inside(source)), "--to", "out"]).code(0);
    for (name, bytes) in content(source, round) {
        let back = home.path("out").join(name.split_once('/').unwrap().1);
        assert!(std::fs::read(back).unwrap() == bytes, "{name} of {id}");
    }
}

/// The rounds that are run.
fn rounds() -> Range<u64> {
    if !is_long() {
        return 0..ROUNDS;
    }
    let Share { nth, of } = long_share();
    let share = (ROUNDS_LONG / of as u64).max(ROUNDS);
    nth as u64 * share..(nth as u64 + 1) * share
}

#[test]
fn killed_under_load_nothing_reported_is_lost() {
    let home = Home::with_snapshot();
    // What was reported, by name: source and round.
    let mut reported: BTreeMap<String, (&str, u64)> = BTreeMap::new();
    let mut kills = 0;
    for round in rounds() {
        for (name, bytes) in SOURCES.iter().flat_map(|source| content(source, round)) {
            home.file(&name, &bytes);
        }
        let backups: Vec<_> = SOURCES
            .iter()
            .map(|source| (*source, start(&home, round, source, &["backup", source, "--json"])))
            .collect();
        // Now and then the oldest one that is known goes: whether it did is not known when the program was killed.
        let doomed = if reported.len() > 6 { reported.pop_first().map(|(id, _)| id) } else { None };
        let deleting = doomed.as_ref().map(|id| start(&home, round, "delete", &["delete", id]));
        let others = [start(&home, round, "prune", &["prune"])].into_iter().chain(deleting);
        let others: Vec<_> = others.map(finish).collect();
        for (source, backup) in backups {
            let ran = finish(backup);
            if ran.code == 0 {
                let id = ran.json()["backup_id"].as_str().unwrap().to_owned();
                reported.insert(id, (source, round));
            } else {
                assert_eq!(ran.code, -1, "{ran:?}");
                kills += 1;
            }
        }
        for ran in others {
            kills += usize::from(ran.code == -1);
            assert!([0, -1].contains(&ran.code), "{ran:?}");
        }
        let listed = home.snapshots();
        assert!(reported.keys().all(|id| listed.contains(id)), "round {round}: {reported:?} {listed:?}");
        let found = home.run(["check", "--read-data"]);
        assert_eq!(found.code, 0, "round {round}: {found:?}");
    }
    assert!(kills > ROUNDS as usize, "{kills}");
    for (id, (source, round)) in &reported {
        is_whole(&home, id, source, *round);
    }
    home.run(["prune"]).code(0);
    assert_eq!(home.not_given_back(), None);
    home.is_sound();
    for (id, (source, round)) in reported.iter().rev().take(2) {
        is_whole(&home, id, source, *round);
    }
}
