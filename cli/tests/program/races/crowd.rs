//! Who takes part in a random race: clients that back up, and keepers that prune, delete, undelete, hold, release, merge and look.
//!
//! The ledger says what must be listed in the end whatever the others did.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Mutex;

use super::content::{Numbers, Version};
use super::fate::{Board, Pace, run_to_fate};
use super::world::{Listed, World};
use crate::support::Ran;

/// What was reported as done.
#[derive(Debug, Default)]
pub(crate) struct Ledger {
    /// Snapshots by their names.
    pub(crate) reported: BTreeMap<String, Version>,
    /// Those that somebody wanted to delete.
    pub(crate) doomed: BTreeSet<String>,
    /// Those that are held, and that nobody wanted to release.
    pub(crate) held: BTreeSet<String>,
    /// How many releases of a snapshot were begun, and how many of them ended.
    releases: BTreeMap<String, (u64, u64)>,
    /// How often what was done.
    pub(crate) deeds: BTreeMap<&'static str, u64>,
}

impl Ledger {
    fn releases_of(&self, id: &str) -> (u64, u64) {
        self.releases.get(id).copied().unwrap_or_default()
    }
}

/// One race.
pub(crate) struct Race {
    pub(crate) world: World,
    pub(crate) board: Board,
    pub(crate) ledger: Mutex<Ledger>,
    pub(crate) seed: u64,
}

impl Race {
    fn note(&self, note: impl FnOnce(&mut Ledger)) {
        note(&mut self.ledger.lock().unwrap());
    }

    fn run(&self, host: usize, words: &[&str], luck: &mut Luck) -> Option<Ran> {
        let child = self.world.spawn(host, words);
        let pace = luck.paces.entry(words[0].to_owned()).or_insert_with(Pace::new);
        let ran = run_to_fate(&self.board, &mut luck.numbers, pace, child, words[0] != "backup");
        if words[0] == "prune" && ran.is_some() {
            self.board.tell(|told| told.prunes += 1);
        }
        ran
    }

    /// A client backs its tree up so many times.
    pub(crate) fn write(&self, host: usize, client: u32, backups: u32) {
        let mut luck = Luck::new(self.seed, u64::from(client));
        for number in 0..backups {
            let version = Version { seed: self.seed, client, number };
            version.lay(&self.world.source(host, client));
            let words = World::backup_words(version);
            let words: Vec<&str> = words.iter().map(String::as_str).collect();
            if let Some(ran) = self.run(host, &words, &mut luck) {
                let id = ran.code(0).json()["backup_id"].as_str().unwrap().to_owned();
                self.note(|ledger| _ = ledger.reported.insert(id, version));
            }
        }
        self.board.tell(|told| told.writers -= 1);
    }

    /// A keeper does this and that until all clients are done.
    pub(crate) fn keep(&self, host: usize, of: u64) {
        let mut luck = Luck::new(self.seed, 1000 + of);
        while self.board.look().writers > 0 {
            match luck.numbers.below(10) {
                0..3 => self.prune(host, &mut luck),
                3..5 => self.delete(host, &mut luck),
                5 => self.undelete(host, &mut luck),
                6 => self.hold(host, &mut luck),
                7 => self.release(host, &mut luck),
                8 => self.merge(host, &mut luck),
                _ => self.look(host, of, &mut luck),
            }
        }
        self.board.tell(|told| told.pruners -= 1);
    }

    fn did(&self, deed: &'static str) {
        self.note(|ledger| *ledger.deeds.entry(deed).or_default() += 1);
    }

    fn prune(&self, host: usize, luck: &mut Luck) {
        let keeps: &[&str] = match luck.numbers.below(3) {
            0 => &["--keep-deleted", "1h"],
            _ => &[],
        };
        let unused = ["0%", "10%", "40%"][luck.numbers.below(3) as usize];
        let words = [&["prune", "--max-unused", unused][..], keeps].concat();
        if let Some(ran) = self.run(host, &words, luck) {
            ran.code(0);
            self.did("prune");
        }
    }

    fn any(&self, host: usize, luck: &mut Luck, words: &[&str]) -> Option<Listed> {
        luck.numbers.one_of(&self.world.list(host, words)).cloned()
    }

    fn delete(&self, host: usize, luck: &mut Luck) {
        let Some(one) = self.any(host, luck, &["snapshots", "--json"]) else { return };
        self.note(|ledger| _ = ledger.doomed.insert(one.id.clone()));
        let ran = self.run(host, &["delete", &one.id], luck);
        if self.happened(ran, "delete") {
            // A hold that was reported before protects; one that comes later finds nothing.
            let still = self.ledger.lock().unwrap().held.contains(&one.id);
            assert!(!still || self.list_has(host, &one.id), "{} was held and is deleted", one.id);
        }
    }

    fn list_has(&self, host: usize, id: &str) -> bool {
        self.world.snapshots(host).iter().any(|s| s.id == id)
    }

    fn undelete(&self, host: usize, luck: &mut Luck) {
        let Some(one) = self.any(host, luck, &["snapshots", "--deleted", "--json"]) else { return };
        let ran = self.run(host, &["undelete", &one.id], luck);
        self.happened(ran, "undelete");
    }

    fn hold(&self, host: usize, luck: &mut Luck) {
        let Some(one) = self.any(host, luck, &["snapshots", "--json"]) else { return };
        let (begun, ended) = self.ledger.lock().unwrap().releases_of(&one.id);
        let ran = self.run(host, &["hold", &one.id], luck);
        if self.happened(ran, "hold") {
            // A release at the same time may come after it: then the snapshot is free again before this is reported.
            self.note(|ledger| {
                if begun == ended && begun == ledger.releases_of(&one.id).0 {
                    ledger.held.insert(one.id);
                }
            });
        }
    }

    /// Each keeper holds and releases only what it may: two who disagree about one snapshot are both right.
    fn release(&self, host: usize, luck: &mut Luck) {
        let held: Vec<String> = self.ledger.lock().unwrap().held.iter().cloned().collect();
        let Some(one) = luck.numbers.one_of(&held).filter(|id| home_of(id) == host) else { return };
        self.note(|ledger| {
            ledger.held.remove(one);
            ledger.releases.entry(one.clone()).or_default().0 += 1;
        });
        let ran = self.run(host, &["release", one], luck);
        self.note(|ledger| ledger.releases.entry(one.clone()).or_default().1 += 1);
        self.happened(ran, "release");
    }

    fn merge(&self, host: usize, luck: &mut Luck) {
        if let Some(ran) = self.run(host, &["repair", "index"], luck) {
            ran.code(0);
            self.did("merge");
        }
    }

    /// A held snapshot restores at any moment, and a check of the structure finds nothing.
    fn look(&self, host: usize, of: u64, luck: &mut Luck) {
        let held: Vec<String> = self.ledger.lock().unwrap().held.iter().cloned().collect();
        match luck.numbers.one_of(&held) {
            Some(id) if home_of(id) == host => {
                let one = self.world.snapshots(host).into_iter().find(|s| s.id == *id).unwrap();
                self.world.restores(host, &one, &format!("looked{of}"));
                self.did("restore");
            }
            _ => {
                self.world.run(host, &["check"]).code(0);
                self.did("check");
            }
        }
    }

    /// Whether it was done: of two that change one snapshot one is refused.
    fn happened(&self, ran: Option<Ran>, deed: &'static str) -> bool {
        let Some(ran) = ran else { return false };
        assert!([0, 1].contains(&ran.code), "{deed}: {ran:?}");
        if ran.code == 0 {
            self.did(deed);
        }
        ran.code == 0
    }
}

/// The keeper that may release a snapshot, and look at it while it is held.
fn home_of(id: &str) -> usize {
    id.bytes().map(usize::from).sum::<usize>() % 2
}

/// What one thread draws from.
struct Luck {
    numbers: Numbers,
    paces: BTreeMap<String, Pace>,
}

impl Luck {
    fn new(seed: u64, of: u64) -> Self {
        Self { numbers: Numbers::new(seed, of), paces: BTreeMap::new() }
    }
}
