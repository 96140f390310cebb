//! Chosen snapshots in another repository, which has keys of its own.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::process::Command;

use chronos_tests::compare::differences;
use chronos_tests::special_tree;
use serde_json::Value;

use crate::killed::run_killed_at;
use crate::support::{Home, Ran, noise};

/// Every object of a repository with its bytes.
fn objects(folder: &Path) -> BTreeMap<PathBuf, Vec<u8>> {
    let mut waiting = vec![folder.to_owned()];
    let mut found = BTreeMap::new();
    while let Some(path) = waiting.pop() {
        for entry in std::fs::read_dir(&path).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                waiting.push(path);
            } else {
                drop(found.insert(path.clone(), std::fs::read(path).unwrap()));
            }
        }
    }
    found
}

fn column(ran: Ran, name: &str) -> Vec<Value> {
    let answer = ran.json();
    let rows = answer.get("snapshots").unwrap_or(&answer);
    rows.as_array().unwrap().iter().map(|row| row[name].clone()).collect()
}

fn listed(home: &Home, repository: &str) -> Vec<Value> {
    column(home.run(["-r", repository, "snapshots", "--json"]).code(0), "backup_id")
}

/// One byte of the largest pack: of what the first snapshot stored of files.
fn damage_first(home: &Home) {
    let pack = home.packs().into_iter().max_by_key(|p| std::fs::metadata(p).unwrap().len()).unwrap();
    let mut bytes = std::fs::read(&pack).unwrap();
    bytes[2_500_000] ^= 1;
    std::fs::remove_file(&pack).unwrap();
    std::fs::write(&pack, bytes).unwrap();
}

/// Two snapshots of a folder, of which the first has almost everything.
fn home() -> Home {
    let home = Home::new();
    home.file("data/big", &noise(0, 3 << 20));
    for n in 0..40_u8 {
        home.file(&format!("data/small/{n}"), &noise(n + 1, 900));
    }
    home.run(["backup", "data", "--tier", "daily", "--tag", "kept"]).code(0);
    home.file("data/small/0", &noise(98, 900));
    home.file("data/new", &noise(99, 20_000));
    home.run(["backup", "data"]).code(0);
    home
}

#[test]
fn copies_are_the_same_and_are_made_once() {
    let home = home();
    std::fs::create_dir(home.path("special")).unwrap();
    special_tree(&home.path("special"));
    home.run(["backup", "special"]).code(0);
    let ids = home.snapshots();
    home.run(["hold", &ids[2]]).code(0);
    home.file("password", b"another\n");
    home.run(["-r", "other", "init", "--password-file", "password"]).code(0);
    let copy = ["copy", "--all", "other", "--json", "--to-password-file", "password"];
    home.run(["copy", "latest", "other"]).code(12).says("--to-password-file");
    let planned = home.run([&copy[..], &["--dry-run"]].concat()).code(0);
    assert_eq!(column(planned, "status"), ["planned"; 3]);
    assert_eq!(column(home.run(copy).code(0), "status"), ["copied"; 3]);
    let other = |args: &[&str]| home.run([&["-r", "other", "--password-file", "password"], args].concat());
    for name in ["backup_id", "created_at", "target", "tier", "tags", "held", "file_count", "size_bytes"] {
        let rows = column(other(&["snapshots", "--json"]).code(0), name);
        assert_eq!(rows, column(home.run(["snapshots", "--json"]).code(0), name), "{name}");
    }
    other(&["check", "--read-data"]).code(0);
    for id in &ids {
        home.run(["restore", id, "--to", "one"]).code(0);
        other(&["restore", id, "--to", "two"]).code(0);
        let folder = ["data", "special"]
            .map(|f| home.inside(f))
            .into_iter()
            .find(|f| home.path("one").join(f).exists());
        let [one, two] = ["one", "two"].map(|place| home.path(place).join(folder.as_ref().unwrap()));
        assert_eq!(differences(&one, &two), [""; 0]);
        std::fs::remove_dir_all(home.path("one")).unwrap();
        std::fs::remove_dir_all(home.path("two")).unwrap();
    }
    let before = objects(&home.path("other"));
    assert_eq!(column(home.run(copy).code(0), "status"), ["present"; 3]);
    assert_eq!(objects(&home.path("other")), before, "what is there is not copied again");
    home.run(["hold", &ids[0]]).code(0);
    home.run(copy).code(0);
    assert_eq!(column(other(&["snapshots", "--json"]), "held"), [true, false, true]);
}

#[test]
fn what_the_other_repository_has_is_not_read() {
    for like in [true, false] {
        let home = home();
        let own = home.repository();
        let options = if like { vec!["--like", own.to_str().unwrap()] } else { Vec::new() };
        home.run([&["-r", "other", "init"], &options[..]].concat()).code(0);
        let ids = home.snapshots();
        home.run(["copy", &ids[1], "other"]).code(0);
        damage_first(&home);
        home.run(["verify", &ids[0]]).code(4);
        let done = home.run(["copy", &ids[0], "other", "--json"]).code(0);
        let stored = done.json()["snapshots"][0]["bytes_stored"].as_u64().unwrap();
        assert!(stored < 200_000, "{stored} bytes, with like: {like}");
        home.run(["-r", "other", "verify", "latest"]).code(0);
        home.run(["-r", "other", "check", "--read-data"]).code(0);
        home.run(["-r", "other", "restore", "latest", "--to", "back"]).code(0);
        let back = home.path("back").join(home.inside("data"));
        assert_eq!(differences(&home.path("data"), &back), [""; 0]);
    }
}

#[test]
fn a_snapshot_that_cannot_be_read_is_named_and_not_copied() {
    let home = home();
    home.file("else/file", b"whole");
    home.run(["backup", "else"]).code(0);
    home.run(["-r", "other", "init"]).code(0);
    damage_first(&home);
    let ran = home.run(["copy", "--all", "other", "--json"]).code(4);
    let answer = ran.json();
    assert_eq!(answer["status"], "partial");
    assert_eq!(column(ran, "status"), ["unreadable", "unreadable", "copied"]);
    let named = answer["snapshots"][0]["errors"][0]["path"].as_str().unwrap();
    assert!(named.starts_with(&home.inside("data/")), "{answer}");
    assert_eq!(listed(&home, "other"), [home.snapshots()[0].as_str()]);
    home.run(["-r", "other", "check", "--read-data"]).code(0);
}

#[test]
fn a_name_that_is_taken_gets_the_next_number_and_the_way_back_makes_no_second_copy() {
    let home = home();
    home.run(["-r", "other", "init"]).code(0);
    let id = home.snapshots()[0].clone();
    home.run(["copy", "latest", "other"]).code(0);
    home.run(["-r", "other", "delete", &id]).code(0);
    let again = home.run(["copy", "latest", "other", "--json"]).code(0);
    assert_eq!(column(again, "new_backup_id"), [format!("{id}_2")]);
    let own = home.repository();
    let back = home.run(["-r", "other", "copy", "latest", own.to_str().unwrap(), "--json"]).code(0);
    assert_eq!(column(back, "status"), ["present"]);
    home.run(["copy", "latest", own.to_str().unwrap()]).code(1).says("this repository");
    home.run(["copy", "other"]).code(2).says("no snapshot was named");
    home.run(["copy", "latest", "--all", "other"]).code(2).says("leave either out");
    home.run(["copy", "latest", "nowhere"]).code(10);
}

#[test]
fn a_killed_copy_shows_whole_snapshots_and_is_gone_on_with() {
    let home = home();
    home.run(["-r", "other", "init"]).code(0);
    let plain = |from: &str, to: &str| {
        let _ = std::fs::remove_dir_all(home.path(to));
        let copied = Command::new("cp").arg("-r").arg(home.path(from)).arg(home.path(to)).status().unwrap();
        assert!(copied.success());
    };
    plain("other", "empty");
    let mut kills = 0;
    for call in ["fdatasync", "fsync", "renameat2", "unlink"] {
        for turn in 1.. {
            plain("empty", "other");
            let ran = run_killed_at(&home, call, turn, &["copy", "--all", "other"]);
            let shown = listed(&home, "other").len();
            home.run(["-r", "other", "check", "--read-data"]).code(0);
            let done = home.run(["copy", "--all", "other", "--json"]).code(0);
            let statuses = column(done, "status");
            assert_eq!(statuses.iter().filter(|s| *s == "present").count(), shown, "{call} {turn}");
            assert_eq!(listed(&home, "other").len(), 2);
            home.run(["-r", "other", "check", "--read-data"]).code(0);
            if ran.code != -1 {
                ran.code(0);
                break;
            }
            kills += 1;
        }
    }
    assert!(kills > 5, "{kills}");
}
