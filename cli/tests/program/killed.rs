//! `kill -9` at each system call that changes the disk: what was reported is there, the next run needs no repair.
//!
//! `strace` kills the program when it enters the n-th call of a kind, for each kind and each n, until it comes to its
//! end. Everything happens in one home, so that later runs meet what earlier ones left behind.

use crate::support::{Home, Ran, finish, noise};
use crate::three_files::{is_old_or_new, is_same, lay_target, write};

/// Calls that make, fill, move or remove something.
pub(crate) const CALLS: [&str; 10] = [
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

pub(crate) fn run_killed_at(home: &Home, call: &str, turn: usize, args: &[&str]) -> Ran {
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
    let lay = |_| lay_target(&home);
    kill_everywhere(&home, &args, lay, |kills, _| {
        is_old_or_new(&home, &part, &format!("after {kills} kills"));
    });
}
