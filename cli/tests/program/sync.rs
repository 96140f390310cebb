//! Mirrors in folders: what a copy of the whole repository is worth, however it was made.

use std::process::Command;

use serde_json::Value;

use crate::killed::{CALLS, run_killed_at};
use crate::support::{Home, Ran, noise};

/// A home with a few snapshots, of which one was given back.
fn home() -> Home {
    let home = Home::new();
    for turn in 0..6_u8 {
        home.file("data/same", &noise(0, 30_000));
        home.file("data/new", &noise(turn, 20_000));
        home.run(["backup", "data"]).code(0);
        if turn == 3 {
            home.run(["forget", "--keep-last", "2"]).code(0);
            home.run(["prune"]).code(0);
        }
    }
    home
}

fn in_mirror<'a>(args: &[&'a str]) -> Vec<&'a str> {
    [&["-r", "mirror"], args].concat()
}

fn listed(ran: Ran) -> Vec<Value> {
    ran.code(0).json().as_array().unwrap().iter().map(|row| row["backup_id"].clone()).collect()
}

/// The mirror alone gives everything back.
fn is_whole(home: &Home) {
    let ids = listed(home.run(in_mirror(&["snapshots", "--json"])));
    assert_eq!(ids, listed(home.run(["snapshots", "--json"])));
    home.run(in_mirror(&["check", "--read-data"])).code(0);
    for id in ids.iter().filter_map(Value::as_str) {
        home.run(in_mirror(&["verify", id])).code(0);
    }
}

#[test]
fn the_mirror_alone_restores_and_nothing_else_writes_there() {
    let home = home();
    let said = home.run(["sync", "mirror", "--dry-run", "--json"]).code(0).json();
    assert_eq!(said["status"], "planned");
    assert!(!home.path("mirror").exists(), "a dry run makes nothing");
    let done = home.run(["sync", "mirror", "--json"]).code(0).json();
    assert_eq!((&done["status"], &done["published"]), (&Value::from("completed"), &Value::from(true)));
    is_whole(&home);
    for args in [&["backup", "data"][..], &["forget", "--keep-last", "1"], &["prune"], &["repair", "index"]] {
        home.run(in_mirror(args)).code(1).says("this is a mirror of");
    }
    is_whole(&home);
    // The first one is lost: everything comes from the mirror.
    let newest = std::fs::read(home.path("data/new")).unwrap();
    std::fs::remove_dir_all(home.repository()).unwrap();
    home.run(in_mirror(&["restore", "latest", "--to", "back"])).code(0);
    let back = home.path("back").join(home.path("data/new").strip_prefix("/").unwrap());
    assert_eq!(std::fs::read(back).unwrap(), newest);
    home.run(in_mirror(&["sync", "again"])).code(0);
    let promoted = home.run(["sync", "again", "--promote", "--json"]).code(0).json();
    assert_eq!(promoted["status"], "completed");
    home.run(["-r", "again", "backup", "data"]).code(0);
    home.run(in_mirror(&["sync", "again"])).code(1).says("made independent");
    home.run(["sync", "again", "--promote"]).code(1).says("nothing to promote");
}

#[test]
fn what_a_mirror_lost_comes_back_with_check() {
    let home = home();
    home.run(["sync", "mirror"]).code(0);
    let repository = home.repository();
    let pack = home.packs()[0].strip_prefix(&repository).unwrap().to_owned();
    let copy = home.path("mirror").join(&pack);
    let mut bytes = std::fs::read(&copy).unwrap();
    bytes[100] ^= 1;
    std::fs::remove_file(&copy).unwrap();
    std::fs::write(&copy, &bytes).unwrap();
    home.run(["sync", "mirror"]).code(0);
    home.run(in_mirror(&["check", "--read-data"])).code(4);
    let healed = home.run(["sync", "mirror", "--check", "--json"]).code(0).json();
    assert_eq!(healed["healed"].as_array().unwrap().len(), 1);
    is_whole(&home);
}

#[test]
fn a_killed_sync_leaves_a_mirror_that_shows_all_or_nothing_and_is_gone_on_with() {
    let home = home();
    let mut kills = 0;
    for call in CALLS {
        for turn in 1.. {
            let ran = run_killed_at(&home, call, turn, &["sync", "mirror"]);
            let is_killed = ran.code == -1;
            kills += usize::from(is_killed);
            if home.path("mirror/config").exists() {
                home.run(in_mirror(&["check", "--read-data"])).code(0);
                let shown = listed(home.run(in_mirror(&["snapshots", "--json"])));
                assert!(
                    shown.is_empty() || shown == listed(home.run(["snapshots", "--json"])),
                    "{call} {turn}"
                );
            }
            home.run(["sync", "mirror"]).code(0);
            is_whole(&home);
            std::fs::remove_dir_all(home.path("mirror")).unwrap();
            if !is_killed {
                ran.code(0);
                break;
            }
        }
    }
    assert!(kills > 5, "{kills}");
}

#[test]
fn a_plain_copy_made_meanwhile_is_complete_or_says_what_is_missing() {
    let home = home();
    let before = listed(home.run(["snapshots", "--json"]));
    for turn in 0..4 {
        let copy = format!("copy{turn}");
        let mut copying =
            Command::new("cp").arg("-r").arg(home.repository()).arg(home.path(&copy)).spawn().unwrap();
        home.file("data/new", &noise(100 + turn, 20_000));
        home.run(["backup", "data"]).code(0);
        home.run(["prune", "--max-unused", "0%"]).code(0);
        // Its exit code says nothing: objects may go while it looks at them.
        copying.wait().unwrap();
        let checked = home.run(["-r", &copy, "check", "--json"]);
        if checked.code == 0 {
            let held = listed(home.run(["-r", &copy, "snapshots", "--json"]));
            assert!(before.iter().all(|id| held.contains(id)), "{held:?}");
        } else {
            let named = checked.code(4).json()["errors"].as_array().unwrap().len();
            assert!(named > 0);
        }
    }
}
