//! Clients whose time of day is decades off: what is listed or running loses nothing to them.
//!
//! The program asks the C library for the time; a library loaded before it answers wrongly.

use std::path::{Path, PathBuf};
use std::process::Command;

use super::content::Version;
use super::world::World;
use crate::support::{Ran, finish};
use crate::traced::Traced;

const YEAR: i64 = 31_556_952;
/// Wrong by so many years: before 1970, and more than a century ahead, among others.
const WRONG: [i64; 4] = [-70, -40, 30, 150];

const SHIM: &str = r#"
#define _GNU_SOURCE
#include <stdlib.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>
int clock_gettime(clockid_t id, struct timespec *time) {
    int failed = (int)syscall(SYS_clock_gettime, id, time);
    if (!failed && id == CLOCK_REALTIME) time->tv_sec += atoll(getenv("CLOCK_WRONG_BY"));
    return failed;
}
"#;

/// Builds the library that tells the wrong time.
fn shim(world: &World) -> PathBuf {
    let source = world.host(0).file("clock.c", SHIM.as_bytes());
    let library = world.host(0).path("clock.so");
    let made = Command::new("cc").args(["-shared", "-fPIC", "-o"]).args([&library, &source]).status();
    assert!(made.unwrap().success(), "cc (Debian package gcc)");
    library
}

fn run_wrong(world: &World, shim: &Path, years: i64, words: &[&str]) -> Ran {
    let mut command = world.command(1, words);
    command.env("LD_PRELOAD", shim).env("CLOCK_WRONG_BY", (years * YEAR).to_string());
    finish(command.spawn().unwrap())
}

#[test]
fn a_client_whose_clock_is_decades_off_removes_nothing_that_is_needed() {
    for years in WRONG {
        let world = World::new(2);
        let shim = shim(&world);
        let wrong = |words: &[&str]| run_wrong(&world, &shim, years, words).code(0);
        let version = |number| Version { seed: 9, client: 0, number };
        (1..4).for_each(|number| drop(world.back_up(0, version(number)).code(0)));

        // A backup is under way while the other client backs up, deletes, keeps and prunes by its own time.
        version(4).lay(&world.source(0, 0));
        let words = World::backup_words(version(4));
        let words = world.words(&words.iter().map(String::as_str).collect::<Vec<_>>());
        let theirs = Version { seed: 9, client: 1, number: 1 };
        theirs.lay(&world.source(1, 1));
        let mut done = false;
        let (ran, _) = Traced::stopped_at(world.host(0), "renameat2", 2, &words).at_each_stop(|| {
            // Several threads may come to that call.
            if std::mem::replace(&mut done, true) {
                return;
            }
            let words = World::backup_words(theirs);
            let made = wrong(&words.iter().map(String::as_str).collect::<Vec<_>>()).json();
            let year = made["created_at"].as_str().unwrap();
            assert!(
                !year.starts_with("20") || years == 30 && year.starts_with("205"),
                "the clock is wrong: {year}"
            );
            let first = world.snapshots(1).into_iter().find(|s| s.version == version(1)).unwrap();
            wrong(&["delete", &first.id]);
            wrong(&["prune", "--max-unused", "0%", "--keep-deleted", "7d"]);
            wrong(&["prune", "--max-unused", "0%"]);
        });
        assert!(done);
        ran.code(0);
        let listed = world.is_sound();
        let mut versions: Vec<Version> = listed.iter().map(|s| s.version).collect();
        versions.sort_unstable();
        assert_eq!(versions, [version(2), version(3), version(4), theirs], "{years}");

        // Who keeps the right time prunes what the other has stamped.
        world.run(0, &["prune", "--max-unused", "0%", "--keep-deleted", "7d"]).code(0);
        assert_eq!(world.is_sound(), listed);

        // Rules go by the time of whoever applies them; the last good one of each target stays and is whole.
        wrong(&["cleanup"]);
        let left = world.is_sound();
        for last in [version(4), theirs] {
            assert!(left.iter().any(|s| s.version == last), "{years}: {left:?}");
        }
        world.gives_everything_back();
    }
}
