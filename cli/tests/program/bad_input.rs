//! Bad input: a clear sentence, the right exit code, nothing lost.

use std::io::Write;
use std::os::unix::fs::PermissionsExt;
use std::process::Stdio;

use crate::support::{Home, finish};

#[test]
fn a_path_that_is_not_there_leaves_no_repository_behind() {
    let home = Home::new();
    home.run(["backup", "nowhere"]).code(1).says("nowhere\" not found");
    assert_eq!(std::fs::read_dir(home.path("")).unwrap().count(), 0, "not even a folder was made");
}

#[test]
fn a_path_that_is_not_there_is_named_and_the_others_are_kept() {
    let home = Home::new();
    home.file("data/a", b"1");
    let ran = home.run(["backup", "data", "nowhere"]).code(3).says("nowhere: No such file or directory");
    assert!(ran.stdout.contains("partial"), "{}", ran.stdout);
    let rows = home.run(["snapshots", "--json"]).code(0).json();
    assert_eq!((&rows[0]["status"], &rows[0]["file_count"]), (&"partial".into(), &1.into()));
}

#[test]
fn an_unreadable_file_is_named_and_the_rest_is_kept() {
    let home = Home::new();
    home.file("data/good", b"good");
    let bad = home.file("data/bad", b"bad");
    std::fs::set_permissions(&bad, std::fs::Permissions::from_mode(0o000)).unwrap();
    std::fs::set_permissions(home.path(""), std::fs::Permissions::from_mode(0o777)).unwrap();
    // Root may read everything; nobody may not.
    let program = env!("CARGO_BIN_EXE_chronos");
    let copy = home.path("chronos");
    std::fs::copy(program, &copy).unwrap();
    let mut command = std::process::Command::new("setpriv");
    command
        .args(["--reuid=65534", "--regid=65534", "--clear-groups"])
        .arg(&copy)
        .args(["backup", "data"])
        .env("HOME", home.path(""))
        .current_dir(home.path(""))
        .stdout(Stdio::piped())
        .stderr(Stdio::piped());
    let ran = finish(command.spawn().unwrap()).code(3);
    assert!(ran.stderr.contains("data/bad"), "{}", ran.stderr);
    assert!(ran.stdout.contains("partial"), "{}", ran.stdout);
    let rows = home.run(["snapshots", "--json"]).code(0).json();
    assert_eq!(rows[0]["status"], "partial");
    assert_eq!(rows[0]["file_count"], 1);
}

#[test]
fn a_place_that_is_no_repository_is_told_apart() {
    let home = Home::new();
    home.file("else/file", b"x");
    home.run(["-r", "else", "snapshots"]).code(10).says("no repository");
    home.run(["-r", "nowhere", "snapshots"]).code(10).says("no repository");
    home.run(["-r", "nowhere", "backup", "else"]).code(10).says("init");
    assert!(!home.path("nowhere").exists());
    home.run(["snapshots"]).code(10).says("chronos backup FOLDER");
}

#[test]
fn a_newer_format_is_refused_and_not_touched() {
    let home = Home::with_snapshot();
    let config = home.repository().join("config");
    let bytes = std::fs::read(&config).unwrap();
    let text = String::from_utf8_lossy(&bytes).into_owned();
    let (record, seal) = text.split_once("}\n").unwrap();
    let record = format!("{record}}}\n").replacen("\"version\":1", "\"version\":9", 1);
    let code = seal.split_once(' ').unwrap().1;
    let newer = format!("{record}{} {code}", blake3::hash(record.as_bytes()));
    std::fs::set_permissions(&config, std::fs::Permissions::from_mode(0o600)).unwrap();
    std::fs::write(&config, &newer).unwrap();
    home.run(["backup", "data"]).code(1).says("newer");
    std::fs::write(&config, &bytes).unwrap();
    assert_eq!(home.snapshots().len(), 1);
    home.is_sound();
}

#[test]
fn a_command_that_fails_leaves_no_snapshot() {
    let home = Home::with_snapshot();
    let ran = home.run(["backup", "--command", "echo half; echo broken >&2; exit 7", "--target", "db"]);
    assert_eq!(ran.code, 1, "{ran:?}");
    assert!(ran.stderr.contains("broken"), "{}", ran.stderr);
    assert_eq!(home.snapshots().len(), 1);
    home.run(["backup", "--command", "echo whole", "--stdin-filename", "db.sql", "--target", "db"]).code(0);
    assert_eq!(home.run(["cat", "latest:db:db.sql"]).code(0).stdout, "whole\n");
}

#[test]
fn standard_input_becomes_a_file() {
    let home = Home::new();
    let mut child = home
        .command(["backup", "--stdin", "--stdin-filename", "dump.sql", "--target", "db"])
        .stdin(Stdio::piped())
        .spawn()
        .unwrap();
    child.stdin.take().unwrap().write_all(b"rows\n").unwrap();
    finish(child).code(0);
    home.run(["cat", "latest:dump.sql"]).code(1).says("latest:/dump.sql");
    assert_eq!(home.run(["cat", "latest:/dump.sql"]).code(0).stdout, "rows\n");
}

#[test]
fn an_interrupted_backup_ends_with_130_and_the_next_needs_no_repair() {
    let home = Home::with_snapshot();
    for signal in ["INT", "TERM", "HUP"] {
        let mut child = home
            .command(["backup", "--stdin", "--target", "slow", "--progress", "json"])
            .stdin(Stdio::piped())
            .spawn()
            .unwrap();
        // The first line of progress says that the backup runs and the signal is not too early.
        let mut line = String::new();
        let mut stderr = std::io::BufReader::new(child.stderr.take().unwrap());
        std::io::BufRead::read_line(&mut stderr, &mut line).unwrap();
        let id = child.id().to_string();
        assert!(
            std::process::Command::new("kill").args([&format!("-{signal}"), &id]).status().unwrap().success()
        );
        let input = child.stdin.take();
        let code = child.wait().unwrap().code();
        drop(input);
        assert_eq!(code, Some(130), "SIG{signal}");
    }
    assert_eq!(home.snapshots().len(), 1);
    home.run(["backup", "data"]).code(0);
    home.is_sound();
}

#[test]
fn two_programs_at_once_both_keep_their_snapshot() {
    let home = Home::with_snapshot();
    home.file("other/c", &vec![b'c'; 1 << 20]);
    let running: Vec<_> = ["data", "other", "data", "other"]
        .map(|p| home.command(["backup", p]).spawn().unwrap())
        .into_iter()
        .collect();
    for child in running {
        finish(child).code(0);
    }
    let ids: std::collections::BTreeSet<_> = home.snapshots().into_iter().collect();
    assert_eq!(ids.len(), 5, "every snapshot has a name of its own");
    home.is_sound();
}

#[test]
fn a_reader_that_goes_away_is_no_disaster() {
    let home = Home::with_snapshot();
    let mut child = home.command(["snapshots"]).spawn().unwrap();
    drop(child.stdout.take());
    let ran = finish(child);
    assert!(ran.code == 0 || ran.code == 1, "{ran:?}");
    assert!(!ran.stderr.contains("panic"), "{}", ran.stderr);
}

#[test]
fn a_repository_is_not_made_among_other_things() {
    let home = Home::new();
    home.file("full/mine", b"1");
    home.run(["-r", "full", "init"]).code(1).says("is not empty: there is mine");
    assert_eq!(std::fs::read_dir(home.path("full")).unwrap().count(), 1);
    std::fs::create_dir(home.path("empty")).unwrap();
    home.run(["-r", "empty", "init"]).code(0);
    home.run(["-r", "empty", "init"]).code(1).says("already exists");
}

#[test]
fn first_backups_at_once_share_the_new_repository() {
    let home = Home::new();
    home.file("data/a", b"1");
    let first: Vec<_> = (0..4).map(|_| home.command(["backup", "data"]).spawn().unwrap()).collect();
    for child in first {
        finish(child).code(0);
    }
    assert_eq!(home.snapshots().len(), 4);
    assert_eq!(std::fs::read_dir(home.path(".config/chronos/keys")).unwrap().count(), 1);
}
