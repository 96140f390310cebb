//! Files that shrink, grow or change between two reads of theirs: read again until they hold still, else named.

use std::fs::{File, OpenOptions};
use std::io::Write;
use std::os::unix::fs::FileExt;
use std::path::PathBuf;

use crate::support::{Home, Ran, noise};
use crate::traced::Traced;

/// Long enough for two reads of the buffer.
const LEN: usize = 3_000_000;

fn home() -> (Home, PathBuf) {
    let home = Home::new();
    let file = home.file("data/changing", &noise(1, LEN));
    home.file("data/still", b"still");
    (home, file)
}

/// Backs `data` up and does `deed` once, in the middle of reading the file.
fn backup_while(home: &Home, file: &std::path::Path, deed: impl FnMut()) -> Ran {
    let traced = Traced::start(home, file, "SIGSTOP", "2", &["backup", "data", "--json"]);
    let (ran, stops) = traced.at_each_stop(deed);
    assert!(stops >= 1, "the file was read in one go");
    ran
}

/// The snapshot holds both files as they are now.
fn assert_as_now(home: &Home) {
    home.run(["restore", &format!("latest:/{}", home.inside("data")), "--to", "out"]).code(0);
    for name in ["changing", "still"] {
        let (live, back) = (home.path("data").join(name), home.path("out").join(name));
        assert!(std::fs::read(live).unwrap() == std::fs::read(back).unwrap(), "{name}");
    }
    home.is_sound();
}

#[test]
fn a_file_that_shrinks_while_it_is_read_is_stored_as_it_is_then() {
    let (home, file) = home();
    let shrink = || OpenOptions::new().write(true).open(&file).unwrap().set_len(1_000_000).unwrap();
    let report = backup_while(&home, &file, shrink).code(0).json();
    assert_eq!((&report["status"], &report["errors"]), (&"completed".into(), &serde_json::json!([])));
    assert_eq!(report["bytes_processed"], 1_000_005);
    assert_as_now(&home);
}

#[test]
fn a_file_that_grows_while_it_is_read_is_stored_as_it_is_then() {
    let (home, file) = home();
    let grow = || OpenOptions::new().append(true).open(&file).unwrap().write_all(b"more").unwrap();
    let report = backup_while(&home, &file, grow).code(0).json();
    assert_eq!(report["status"], "completed");
    assert_eq!(report["bytes_processed"], LEN + 9);
    assert_as_now(&home);
}

#[test]
fn a_file_that_changes_behind_the_reader_is_stored_as_it_is_then() {
    let (home, file) = home();
    let change = || File::options().write(true).open(&file).unwrap().write_all_at(b"changed", 10).unwrap();
    let report = backup_while(&home, &file, change).code(0).json();
    assert_eq!(report["status"], "completed");
    assert_as_now(&home);
}

#[test]
fn a_file_that_is_removed_while_it_is_read_is_left_out_without_an_error() {
    let (home, file) = home();
    let report = backup_while(&home, &file, || std::fs::remove_file(&file).unwrap()).code(0).json();
    assert_eq!((&report["status"], &report["files_new"]), (&"completed".into(), &1.into()));
    home.is_sound();
}

#[test]
fn a_file_that_never_holds_still_is_named_and_the_rest_is_kept() {
    let (home, file) = home();
    let mut grow = OpenOptions::new().append(true).open(&file).unwrap();
    let traced = Traced::start(&home, &file, "SIGSTOP", "1+", &["backup", "data"]);
    let (ran, stops) = traced.at_each_stop(|| grow.write_all(b"x").unwrap());
    assert!(stops >= 6, "three tries of two reads and more, not {stops}");
    let ran = ran.code(3).says("data/changing: changed while it was read");
    assert!(ran.stdout.contains("partial"), "{}", ran.stdout);
    let rows = home.run(["snapshots", "--json"]).code(0).json();
    assert_eq!((&rows[0]["status"], &rows[0]["file_count"]), (&"partial".into(), &2.into()));
    let partial = rows[0]["backup_id"].as_str().unwrap();
    let still = format!("{partial}:/{}", home.inside("data/still"));
    assert_eq!(home.run(["cat", &still]).code(0).stdout, "still");
    home.run(["backup", "data"]).code(0);
    assert_as_now(&home);
}
