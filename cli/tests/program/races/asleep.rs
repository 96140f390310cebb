//! One process falls asleep at each of its steps while others do everything that could pull the ground from under it.
//!
//! `strace` stops it when it has moved, removed or listed something for the n-th time, for each n; it wakes when the others are done.
//! A usual run takes some n, each half as large again as the one before; `CHRONOS_LONG=1` takes all.

use std::cell::Cell;
use std::path::Path;

use super::content::Version;
use super::world::{Listed, World};
use crate::support::{Ran, finish};
use crate::traced::Traced;

/// Calls by which a process acts on the repository or learns what is in it.
const CALLS: [&str; 3] = ["renameat2", "unlink", "getdents64"];
/// At least so often each process here fell asleep.
const SLEEPS_MIN: usize = 4;
/// Longer than the six hours of silence after which a session of another host is given up, in seconds.
const GIVEN_UP: &str = "25200";

/// The host that is awake, and the one that falls asleep.
const AWAKE: usize = 0;
const ASLEEP: usize = 1;

/// Puts a process to sleep everywhere. `before` prepares and tells what is run; `after` is told how it ended.
fn asleep_everywhere(
    world: &World,
    mut before: impl FnMut() -> Vec<String>,
    meanwhile: impl Fn(),
    mut after: impl FnMut(Ran),
) {
    let all_turns = std::env::var_os("CHRONOS_LONG").is_some();
    let mut slept = 0;
    for call in CALLS {
        let mut turn = 1;
        loop {
            let words = before();
            let all = world.words(&words.iter().map(String::as_str).collect::<Vec<_>>());
            let traced = Traced::stopped_at(world.host(ASLEEP), call, turn, &all);
            let (ran, stops) = traced.at_each_stop(&meanwhile);
            after(ran);
            slept += stops;
            if stops == 0 {
                break;
            }
            turn += if all_turns { 1 } else { 1 + turn / 2 };
        }
    }
    assert!(slept >= SLEEPS_MIN, "{slept}");
}

fn words(words: &[&str]) -> Vec<String> {
    words.iter().map(|word| (*word).to_owned()).collect()
}

/// Versions of one client, one after the other.
struct Versions {
    seed: u64,
    client: u32,
    number: Cell<u32>,
}

impl Versions {
    fn new(client: u32) -> Self {
        Self { seed: 7, client, number: Cell::new(0) }
    }

    fn now(&self) -> Version {
        Version { seed: self.seed, client: self.client, number: self.number.get() }
    }

    fn next(&self) -> Version {
        self.number.set(self.number.get() + 1);
        self.now()
    }
}

impl World {
    fn delete_all(&self) {
        self.snapshots(AWAKE).iter().for_each(|s| drop(self.run(AWAKE, &["delete", &s.id]).code(0)));
    }

    /// Whether the host's own snapshot of a version is listed.
    fn lists(&self, host: usize, version: Version) -> bool {
        let home = self.host(host).path("");
        self.snapshots(AWAKE).iter().any(|s| s.version == version && Path::new(&s.path).starts_with(&home))
    }

    fn prune_all(&self) {
        self.run(AWAKE, &["prune", "--max-unused", "0%"]).code(0);
    }

    /// Whoever is listed restores on the host that slept.
    #[track_caller]
    fn all_restore(&self) -> Vec<Listed> {
        let listed = self.snapshots(ASLEEP);
        listed.iter().for_each(|one| self.restores(ASLEEP, one, "restored"));
        listed
    }

    /// Nothing is wrong in the end, and nothing left.
    #[track_caller]
    fn ends_well(&self) {
        self.settles();
        self.is_sound();
        self.gives_everything_back();
    }
}

#[test]
fn a_backup_that_sleeps_through_prunes_is_whole() {
    let (world, versions) = (World::new(2), Versions::new(0));
    let over = Cell::new(false);
    asleep_everywhere(
        &world,
        || {
            // What it finds there, also its parent, is deleted and pruned while it sleeps.
            let version = versions.next();
            world.back_up(AWAKE, version).code(0);
            version.lay(&world.source(ASLEEP, version.client));
            over.set(false);
            World::backup_words(version)
        },
        || {
            over.set(over.get() || world.lists(ASLEEP, versions.now()));
            world.delete_all();
            world.prune_all();
            world.run(AWAKE, &["repair", "index"]).code(0);
            world.prune_all();
        },
        |ran| {
            ran.code(0);
            world.all_restore();
            let listed = world.lists(ASLEEP, versions.now());
            assert!(listed != over.get(), "listed, unless it was over and the others deleted it");
            if !listed {
                // The next one shall have a parent again.
                world.back_up(ASLEEP, versions.now()).code(0);
            }
        },
    );
    world.ends_well();
}

#[test]
fn a_backup_that_is_silent_for_too_long_has_no_effect_or_is_whole() {
    let (world, versions) = (World::new(2), Versions::new(0));
    let lost = Cell::new(0);
    let later = |args: &[&str]| {
        let hours = ["unshare", "--time", "--boottime", GIVEN_UP];
        finish(world.host(AWAKE).command_under(&hours, world.words(args)).spawn().unwrap()).code(0)
    };
    asleep_everywhere(
        &world,
        || {
            world.delete_all();
            let version = versions.next();
            world.back_up(AWAKE, version).code(0);
            version.lay(&world.source(ASLEEP, version.client));
            World::backup_words(version)
        },
        || {
            // What it relies on goes; its own snapshot, if it is over, stays.
            let home = world.host(AWAKE).path("");
            for first in world.snapshots(AWAKE).iter().filter(|s| Path::new(&s.path).starts_with(&home)) {
                world.run(AWAKE, &["delete", &first.id]).code(0);
            }
            world.prune_all();
            let report = later(&["prune", "--max-unused", "0%", "--json"]).json();
            assert_eq!(report["pending_bytes"], 0, "six hours are long enough: {report}");
        },
        |ran| {
            world.all_restore();
            let said = format!("{}{}", ran.stdout, ran.stderr);
            let given_up = said.contains("was ended by another process");
            // One that was given up begins once more.
            assert!(ran.code == 0 || ran.code == 11 && given_up, "{ran:?}");
            assert_eq!(ran.code == 0, world.lists(ASLEEP, versions.now()));
            lost.set(lost.get() + u32::from(given_up));
            // The next one needs no repair.
            world.back_up(ASLEEP, versions.now()).code(0);
            world.all_restore();
        },
    );
    assert!(lost.get() > 0, "no session was given up");
    world.ends_well();
}

#[test]
fn a_prune_that_sleeps_through_backups_and_other_prunes_removes_nothing_that_is_needed() {
    let (world, ones, others) = (World::new(2), Versions::new(0), Versions::new(1));
    let needed = Cell::new(false);
    asleep_everywhere(
        &world,
        || {
            world.delete_all();
            needed.set(false);
            let one = ones.next();
            world.back_up(AWAKE, one).code(0);
            world.back_up(AWAKE, others.next()).code(0);
            let gone = world.snapshots(AWAKE).into_iter().find(|s| s.version == one).unwrap();
            world.run(AWAKE, &["delete", &gone.id]).code(0);
            words(&["prune", "--max-unused", "0%"])
        },
        || {
            let trash = world.list(AWAKE, &["snapshots", "--deleted", "--json"]);
            // Refused if the sleeping one has just purged it.
            let back = trash.first().map(|s| world.run(AWAKE, &["undelete", &s.id]).code);
            assert!([None, Some(0), Some(1)].contains(&back), "{back:?}");
            // Needs again what the sleeping one is about to remove.
            world.back_up(AWAKE, ones.now()).code(0);
            needed.set(true);
            world.prune_all();
            world.run(AWAKE, &["repair", "index"]).code(0);
            world.prune_all();
        },
        |ran| {
            ran.code(0);
            let listed = world.all_restore();
            assert!(listed.iter().any(|s| s.version == others.now()));
            assert_eq!(listed.iter().any(|s| s.version == ones.now()), needed.get());
        },
    );
    world.ends_well();
}

#[test]
fn changes_that_sleep_through_prunes_are_refused_or_hold() {
    let (world, versions) = (World::new(2), Versions::new(0));
    for deed in ["undelete", "hold"] {
        let one = std::cell::RefCell::new(String::new());
        asleep_everywhere(
            &world,
            || {
                for s in world.snapshots(AWAKE) {
                    world.run(AWAKE, &["release", &s.id]).code(0);
                }
                world.delete_all();
                for _ in 0..2 {
                    world.back_up(AWAKE, versions.next()).code(0);
                }
                let found = world.snapshots(AWAKE).into_iter().find(|s| s.version == versions.now()).unwrap();
                if deed == "undelete" {
                    world.run(AWAKE, &["delete", &found.id]).code(0);
                }
                one.replace(found.id.clone());
                words(&[deed, if deed == "repair" { "index" } else { &found.id }])
            },
            || {
                if deed == "hold" {
                    let code = world.run(AWAKE, &["delete", &one.borrow()]).code;
                    assert!([0, 1].contains(&code), "{code}");
                }
                world.prune_all();
                world.run(AWAKE, &["repair", "index"]).code(0);
                world.back_up(AWAKE, versions.now()).code(0);
                world.prune_all();
            },
            |ran| {
                let listed = world.all_restore().iter().any(|s| s.id == *one.borrow());
                assert!([0, 1].contains(&ran.code), "{ran:?}");
                assert_eq!(listed || deed == "repair", ran.code == 0, "{deed}: {ran:?}");
            },
        );
    }
    world.ends_well();
}
