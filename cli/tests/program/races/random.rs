//! A random race: three clients on two hosts back up while a keeper on each host prunes, deletes, undeletes, holds, releases and merges.
//!
//! `CHRONOS_RACES` is how many seeds are run and `CHRONOS_RACES_BACKUPS` how many backups each client makes, for longer runs;
//! `CHRONOS_RACES_SEED` is the first seed.

use std::io::Write;
use std::sync::Mutex;
use std::thread;

use super::crowd::{Ledger, Race};
use super::fate::{Board, Told};
use super::world::World;

/// Clients by host.
const CLIENTS: [(usize, u32); 3] = [(0, 0), (0, 1), (1, 2)];
/// Hosts; each has one keeper.
const HOSTS: usize = 2;
/// Seeds that are always run, from 1.
const SEEDS: u64 = 2;
/// Seeds that are run beyond them, where nobody slept or was killed.
const MORE: u64 = 20;
/// Backups that each client makes in each.
const BACKUPS: u32 = 10;
/// What is left beside a fresh repository with the same snapshot: the five per cent that a prune may leave unused, and what a few more
/// packs and frames need around the same chunks.
const SPACE_MAX: f64 = 1.06;

fn setting(name: &str, otherwise: u64) -> u64 {
    std::env::var(name).map_or(otherwise, |text| text.parse().unwrap())
}

#[test]
fn whatever_sleeps_or_dies_every_listed_snapshot_restores_and_space_is_given_back() {
    let first = setting("CHRONOS_RACES_SEED", 1);
    let backups = setting("CHRONOS_RACES_BACKUPS", u64::from(BACKUPS)) as u32;
    let wanted = first + setting("CHRONOS_RACES", SEEDS);
    let (mut slept, mut killed) = (0, 0);
    for seed in first..wanted + MORE {
        // On a quick machine everybody may have ended before fate came to it.
        if seed >= wanted && slept > 0 && killed > 0 {
            break;
        }
        let race = run(seed, backups);
        let told = race.board.look();
        let ledger = race.ledger.into_inner().unwrap();
        // A line of each long run says that it was one.
        writeln!(
            std::io::stderr(),
            "seed {seed}: {} slept, {} killed, {:?}",
            told.slept,
            told.killed,
            ledger.deeds
        )
        .unwrap();
        settled(&race.world, &ledger);
        slept += told.slept;
        killed += told.killed;
    }
    assert!(slept > 0 && killed > 0, "{slept} slept, {killed} killed");
}

fn run(seed: u64, backups: u32) -> Race {
    let told = Told { writers: CLIENTS.len() as u64, pruners: HOSTS as u64, ..Told::default() };
    let board = Board::default();
    board.tell(|now| *now = told);
    let race = Race { world: World::new(HOSTS), board, ledger: Mutex::new(Ledger::default()), seed };
    thread::scope(|scope| {
        let race = &race;
        for (host, client) in CLIENTS {
            scope.spawn(move || race.write(host, client, backups));
        }
        (0..HOSTS).for_each(|host| drop(scope.spawn(move || race.keep(host, host as u64))));
    });
    race
}

/// What must hold afterwards.
fn settled(world: &World, ledger: &Ledger) {
    let listed = world.is_sound();
    for (id, version) in &ledger.reported {
        let found = listed.iter().find(|s| s.id == *id);
        assert!(found.is_none_or(|s| s.version == *version), "{id} is another one");
        assert!(found.is_some() || ledger.doomed.contains(id), "{id} was reported and is not listed");
    }
    for id in &ledger.held {
        assert!(listed.iter().any(|s| s.id == *id), "{id} is held and not listed");
    }
    world.settles();
    assert_eq!(world.is_sound(), listed, "a prune changes nothing that is listed");
    let Some((kept, gone)) = listed.split_last() else { return };
    for snapshot in gone {
        world.run(0, &["release", &snapshot.id]).code(0);
        world.run(0, &["delete", &snapshot.id]).code(0);
    }
    world.settles();
    let fresh = World::new(1);
    fresh.back_up(0, kept.version).code(0);
    let (left, least) = (world.pack_bytes() as f64, fresh.pack_bytes() as f64);
    assert!(left <= least * SPACE_MAX, "{left} bytes instead of {least}");
    assert_eq!(world.is_sound(), std::slice::from_ref(kept));
    world.gives_everything_back();
}
