//! `kill -9` at each system call that changes the disk: what was reported is there, the next run needs no repair.
//!
//! `strace` kills the program when it enters the n-th call of a kind, for each kind and each n, until it comes to its
//! end. Everything happens in one home, so that later runs meet what earlier ones left behind.

use std::path::Path;

use crate::support::{Home, Ran, finish, noise};

/// Calls that make, fill, move or remove something.
const CALLS: [&str; 10] = [
    "mkdir",
    "write",
    "fdatasync",
    "fsync",
    "renameat2",
    "unlink",
    "unlinkat",
    "ftruncate",
    "utimensat",
    "pwrite64",
];
/// Of which there are many, mostly of the cache: each next kill comes twice as late.
const MANY: &str = "pwrite64";
/// More than any of the runs here makes of one kind.
const TURNS_MAX: usize = 10_000;
/// Each of the runs here is killed at least so often.
const KILLS_MIN: usize = 25;

fn run_killed_at(home: &Home, call: &str, turn: usize, args: &[&str]) -> Ran {
    let inject = format!("inject={call}:signal=SIGKILL:when={turn}");
    let trace = format!("trace={call}");
    let strace = ["strace", "-f", "-qq", "-o", "/dev/null", "-e", &trace, "-e", &inject];
    finish(home.command_under(&strace, args).spawn().unwrap())
}

/// Kills `args` everywhere. `before` and `after` are told how often it was killed until then; `after` also whether it
/// came to its end.
fn kill_everywhere(
    home: &Home,
    args: &[&str],
    before: impl Fn(usize),
    mut after: impl FnMut(usize, Option<Ran>),
) {
    let mut kills = 0;
    for call in CALLS {
        let mut turn = 1;
        loop {
            assert!(turn < TURNS_MAX, "{call} is called without end");
            before(kills);
            let ran = run_killed_at(home, call, turn, args);
            let ended = (ran.code != -1).then_some(ran);
            let is_last = ended.is_some();
            kills += usize::from(!is_last);
            after(kills, ended);
            if is_last {
                break;
            }
            turn += if call == MANY { turn } else { 1 };
        }
    }
    assert!(kills >= KILLS_MIN, "{kills}");
}

fn write(home: &Home, kills: usize, turn: &str) {
    home.file("data/same", &noise(0, 100_000));
    home.file("data/other", format!("{turn} {kills}").as_bytes());
    home.file("data/sub/noise", &noise(kills as u8, 20_000));
}

fn is_same(home: &Home, back: &Path) {
    for name in ["same", "other", "sub/noise"] {
        assert!(
            std::fs::read(home.path("data").join(name)).unwrap() == std::fs::read(back.join(name)).unwrap()
        );
    }
}

#[test]
fn a_killed_backup_loses_no_snapshot_and_the_next_run_needs_no_repair() {
    let home = Home::new();
    write(&home, 0, "first");
    home.run(["backup", "data"]).code(0);
    let mut reported = home.snapshots();
    let args = ["backup", "data", "--json"];
    kill_everywhere(
        &home,
        &args,
        |kills| write(&home, kills, "killed"),
        |kills, ended| {
            if let Some(ran) = ended {
                reported.push(ran.code(0).json()["backup_id"].as_str().unwrap().to_owned());
            }
            write(&home, kills, "next");
            let next = home.run(args).code(0).json();
            reported.push(next["backup_id"].as_str().unwrap().to_owned());
            let listed = home.snapshots();
            assert!(reported.iter().all(|id| listed.contains(id)), "after {kills} kills");
        },
    );
    home.is_sound();
    home.run(["restore", &format!("latest:/{}", home.inside("data")), "--to", "out"]).code(0);
    is_same(&home, &home.path("out"));
    home.run(["prune"]).code(0);
    home.is_sound();
    assert!(reported.iter().all(|id| home.snapshots().contains(id)));
}

#[test]
fn a_killed_prune_loses_nothing_and_the_next_one_goes_on() {
    let home = Home::new();
    write(&home, 0, "first");
    home.run(["backup", "data"]).code(0);
    home.run(["hold", "latest"]).code(0);
    let fill = |kills: usize| {
        // Half of each pack is soon needed by nobody.
        write(&home, kills, "kept");
        home.file("data/gone", &noise((kills as u8).wrapping_add(100), 300_000));
        home.run(["backup", "data"]).code(0);
        home.run(["forget", "--keep-last", "1"]).code(0);
    };
    kill_everywhere(&home, &["prune"], fill, |kills, ended| {
        if let Some(ran) = ended {
            ran.code(0);
        }
        let found = home.run(["check"]);
        assert_eq!(found.code, 0, "after {kills} kills: {found:?}");
    });
    home.run(["prune"]).code(0);
    home.is_sound();
    assert_eq!(home.snapshots().len(), 2, "the newest one and the held one");
    home.run(["verify", "latest"]).code(0);
    home.run(["restore", &format!("latest:/{}", home.inside("data")), "--to", "out"]).code(0);
    is_same(&home, &home.path("out"));
}

#[test]
fn a_killed_restore_is_undone_or_finished_by_the_next() {
    let home = Home::new();
    write(&home, 0, "of the snapshot");
    home.run(["backup", "data"]).code(0);
    let part = format!("latest:/{}", home.inside("data"));
    let args = ["restore", &part, "--to", "target", "--strategy", "replace", "--no-restore-point"];
    let lay = |_| {
        if home.path("target").exists() {
            std::fs::remove_dir_all(home.path("target")).unwrap();
        }
        home.file("target/other", b"of today");
        home.file("target/extra/file", b"of today");
    };
    kill_everywhere(&home, &args, lay, |kills, _| {
        // Any restore first ends what was begun.
        std::fs::remove_dir_all(home.path("elsewhere")).unwrap_or_default();
        home.run(["restore", &part, "--to", "elsewhere"]).code(0);
        let names = std::fs::read_dir(home.path("target")).unwrap().count();
        if home.path("target/extra").exists() {
            assert_eq!(names, 2, "after {kills} kills");
            assert_eq!(std::fs::read(home.path("target/other")).unwrap(), b"of today");
            assert_eq!(std::fs::read(home.path("target/extra/file")).unwrap(), b"of today");
        } else {
            assert_eq!(names, 3, "after {kills} kills");
            is_same(&home, &home.path("target"));
        }
    });
    assert_eq!(std::fs::read_dir(home.path("elsewhere")).unwrap().count(), 3);
}
