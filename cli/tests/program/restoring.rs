//! Restores over what is there, and the way back.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::os::unix::process::CommandExt;
use std::process::Command;

use crate::support::{Home, Mounted, finish};

/// A user without rights.
const NOBODY: u32 = 65534;

/// Everything below a folder: path, kind, content.
fn state(home: &Home, folder: &str) -> Vec<String> {
    let list = "find \"$1\" -printf '%P %y %m %T@\\n' -type f -exec cat {} + | sort";
    let path = home.path(folder);
    let out = Command::new("sh").args(["-c", list, "sh"]).arg(path).output().unwrap();
    String::from_utf8_lossy(&out.stdout).lines().map(str::to_owned).collect()
}

#[test]
fn a_restore_point_has_the_roots_of_what_is_restored_and_brings_it_back_exactly() {
    let home = Home::with_snapshot();
    let root = home.path("data").display().to_string();
    home.file("data/a.txt", b"changed since\n");
    home.file("data/new/later.txt", b"later\n");
    fs::remove_file(home.path("data/sub/b.json")).unwrap();
    let before = state(&home, "data");
    for strategy in ["overwrite", "replace"] {
        let args = ["restore", "latest", "--strategy", strategy, "--json"];
        let answer = home.run(args).code(0).json();
        let point = answer["restore_point"].as_str().unwrap().to_owned();
        let rows = home.run(["snapshots", "--json"]).code(0).json();
        let row = rows.as_array().unwrap().iter().find(|r| r["backup_id"] == point.as_str()).unwrap();
        assert_eq!(row["paths"], serde_json::json!([root]), "{row}");
        assert_ne!(state(&home, "data"), before);
        home.run(["restore", &point, "--strategy", "replace", "--no-restore-point"]).code(0);
        assert_eq!(state(&home, "data"), before, "after {strategy}");
    }
}

#[test]
fn a_restore_point_of_a_part_or_of_another_place_holds_that() {
    let home = Home::with_snapshot();
    let inside = home.inside("data");
    home.file("data/sub/b.json", b"other");
    let file = format!("latest:{inside}/sub/b.json");
    let answer = home.run(["restore", &file, "--strategy", "overwrite", "--json"]).code(0).json();
    let point = answer["restore_point"].as_str().unwrap().to_owned();
    let paths = |point: &str| {
        let rows = home.run(["snapshots", "--json"]).code(0).json();
        rows.as_array().unwrap().iter().find(|r| r["backup_id"] == point).unwrap()["paths"].clone()
    };
    assert_eq!(paths(&point), serde_json::json!([format!("/{inside}/sub/b.json")]));
    let args = ["restore", "latest", "--strategy", "overwrite", "--include", "sub", "--json"];
    let answer = home.run(args).code(0).json();
    let point = answer["restore_point"].as_str().unwrap().to_owned();
    assert_eq!(paths(&point), serde_json::json!([format!("/{inside}/sub")]));

    home.file("other/a.txt", b"stands here");
    home.file("other/more/extra.txt", b"too");
    let before = state(&home, "other");
    let from = format!("latest:{inside}");
    let args = ["restore", &from, "--strategy", "replace", "--to", "other", "--json"];
    let answer = home.run(args).code(0).json();
    let point = answer["restore_point"].as_str().unwrap().to_owned();
    assert_eq!(paths(&point), serde_json::json!([home.path("other").display().to_string()]));
    home.run(["restore", &point, "--strategy", "replace"]).code(0);
    assert_eq!(state(&home, "other"), before);
}

#[test]
fn a_state_before_a_rollback_is_not_what_a_backup_is_compared_with() {
    let home = Home::with_snapshot();
    home.file("data/a.txt", b"changed since\n");
    let changed = state(&home, "data");
    let answer = home.run(["restore", "latest", "--strategy", "overwrite", "--json"]).code(0).json();
    let point = answer["restore_point"].as_str().unwrap().to_owned();
    home.run(["restore", &point, "--strategy", "overwrite", "--no-restore-point"]).code(0);
    assert_eq!(state(&home, "data"), changed);
    let answer = home.run(["backup", "data", "--skip-if-unchanged", "--json"]).code(0).json();
    assert_eq!(answer["status"], "completed", "{answer}");
}

#[test]
fn replace_removes_nothing_that_the_snapshot_could_not_read_or_does_not_restore() {
    let home = Home::with_snapshot();
    let secret = home.file("data/locked/secret", b"secret");
    home.file("data/unreadable", b"mine");
    let _socket = std::os::unix::net::UnixListener::bind(home.path("data/socket")).unwrap();
    for name in ["data/locked", "data/unreadable"] {
        fs::set_permissions(home.path(name), fs::Permissions::from_mode(0o000)).unwrap();
    }
    std::os::unix::fs::chown(home.path(""), Some(NOBODY), Some(NOBODY)).unwrap();
    let own =
        Command::new("sh").args(["-c", "chown -R 65534:65534 .[a-z]*"]).current_dir(home.path("")).status();
    assert!(own.unwrap().success());
    let mut backup = home.command(["backup", "data", "--json"]);
    let partial = finish(backup.uid(NOBODY).gid(NOBODY).spawn().unwrap()).code(3).json();
    home.file("data/extra", b"extra");
    let id = partial["backup_id"].as_str().unwrap();
    home.run(["restore", id, "--strategy", "replace"])
        .code(0)
        .says("2 things that the snapshot could not read");
    assert!(!home.path("data/extra").exists());
    assert_eq!(fs::read(secret).unwrap(), b"secret");
    assert_eq!(fs::read(home.path("data/unreadable")).unwrap(), b"mine");
    assert!(home.path("data/socket").exists());
}

#[test]
fn nothing_is_restored_into_a_repository() {
    let home = Home::with_snapshot();
    let into = home.repository().join("out");
    home.run(["restore", "latest", "--to", into.to_str().unwrap()])
        .code(1)
        .says("a folder of chronos itself");
    assert!(!into.exists());
    home.is_sound();
}

#[test]
fn a_new_place_on_a_read_only_disk_leaves_nothing_to_undo() {
    let home = Home::with_snapshot();
    let disk = Mounted::new(&["-t", "tmpfs", "-o", "ro", "tmpfs"], &home.path("disk"));
    home.run(["restore", "latest", "--to", "disk/new"]).code(1).says("the target is as it was before");
    drop(disk);
    assert!(!home.run(["restore", "latest", "--to", "out"]).code(0).stderr.contains("interrupted"));
}

#[test]
fn from_a_read_only_repository_nothing_is_overwritten_without_a_word() {
    let home = Home::with_snapshot();
    home.file("data/a.txt", b"changed since\n");
    let repository = home.repository();
    let _disk = Mounted::new(&["--bind", "-o", "ro", repository.to_str().unwrap()], &repository);
    home.run(["restore", "latest", "--strategy", "overwrite"]).code(1).says("--no-restore-point");
    assert_eq!(fs::read(home.path("data/a.txt")).unwrap(), b"changed since\n");
    home.run(["restore", "latest", "--strategy", "overwrite", "--no-restore-point"]).code(0);
    assert_eq!(fs::read(home.path("data/a.txt")).unwrap(), b"first\n");
}

#[test]
fn what_came_from_no_file_goes_to_no_original_place() {
    let home = Home::new();
    // Beside the root of the file system, where its path would lead.
    let name = format!("{}/dump.sql", home.inside("streams"));
    home.run(["backup", "--command", "echo rows", "--stdin-filename", &name]).code(0);
    for strategy in ["overwrite", "replace", "merge"] {
        home.run(["restore", "latest", "--strategy", strategy]).code(1).says("has no original place");
        assert!(!home.path("streams").exists(), "{strategy}");
    }
    home.run(["restore", "latest", "--to", "there"]).code(0);
    assert_eq!(std::fs::read(home.path("there").join(&name)).unwrap(), b"rows\n");
    // Beside files, which go where they were.
    let config = format!(
        "[[target]]\nname = \"shop\"\npaths = [{:?}]\n[[target.source]]\nname = \"db\"\nkind = \"command\"\n\
         command = \"echo rows\"\nfilename = {name:?}\n",
        home.path("data")
    );
    home.file(".config/chronos/chronos.toml", config.as_bytes());
    home.file("data/a", b"first");
    home.run(["backup", "--target", "shop"]).code(0);
    home.file("data/a", b"second");
    home.file("streams/dump.sql", b"of today");
    let ran = home.run(["restore", "latest:shop", "--strategy", "replace", "--no-restore-point"]);
    assert_eq!(std::fs::read(home.path("data/a")).unwrap(), b"first", "{ran:?}");
    assert_eq!(std::fs::read(home.path("streams/dump.sql")).unwrap(), b"of today");
    ran.code(0).says("has no original place");
}
