//! Passwords and key files.

use std::os::unix::fs::PermissionsExt;

use crate::support::Home;

#[test]
fn a_new_repository_says_where_its_key_is_and_the_key_is_private() {
    let home = Home::new();
    home.file("data/a", b"1");
    let ran = home.run(["backup", "data"]).code(0).says("Keep a copy");
    let keys: Vec<_> =
        std::fs::read_dir(home.path(".config/chronos/keys")).unwrap().map(|e| e.unwrap().path()).collect();
    assert_eq!(keys.len(), 1);
    assert!(ran.stderr.contains(keys[0].to_str().unwrap()), "{}", ran.stderr);
    assert_eq!(std::fs::metadata(&keys[0]).unwrap().permissions().mode() & 0o777, 0o600);
    std::fs::rename(&keys[0], home.path("moved.key")).unwrap();
    home.run(["snapshots"]).code(12).says("no key file");
    home.run(["snapshots", "--key-file", "moved.key"]).code(0);
}

#[test]
fn a_wrong_password_is_told_apart_from_damage() {
    let home = Home::new();
    home.file("right", b"right\n");
    home.file("wrong", b"wrong\n");
    home.run(["-r", "repo", "init", "--password-file", "right"]).code(0);
    home.run(["-r", "repo", "snapshots", "--password-file", "wrong"]).code(12).says("wrong password");
    home.run(["-r", "repo", "snapshots", "--password-command", "cat right"]).code(0);
    home.run(["-r", "repo", "snapshots"]).code(12).says("no password was given");
    let set = home.command(["-r", "repo", "snapshots"]).env("CHRONOS_PASSWORD", "right").output().unwrap();
    assert_eq!(set.status.code(), Some(0));
    home.run(["-r", "repo", "init", "--password-file", "right"]).code(1).says("already exists");
}

#[test]
fn keys_are_added_replaced_and_removed_but_never_the_last() {
    let home = Home::with_snapshot();
    home.file("second", b"second\n");
    home.run(["keys", "add", "--new-password-file", "second", "--label", "spare"]).code(0);
    home.run(["snapshots", "--password-file", "second"]).code(0);
    let slots = home.run(["keys", "list", "--json"]).code(0).json();
    assert_eq!(slots.as_array().unwrap().len(), 2);
    home.file("third", b"third\n");
    home.run(["keys", "passwd", "--password-file", "second", "--new-password-file", "third"]).code(0);
    home.run(["snapshots", "--password-file", "second"]).code(12);
    home.run(["snapshots", "--password-file", "third"]).code(0);
    for slot in slots.as_array().unwrap().iter().filter(|s| s["current"] == true) {
        home.run(["keys", "remove", slot["slot"].as_str().unwrap(), "--password-file", "third"]).code(0);
    }
    let last = home.run(["keys", "list", "--json", "--password-file", "third"]).code(0).json();
    let last = last[0]["slot"].as_str().unwrap().to_owned();
    home.run(["keys", "remove", &last, "--password-file", "third"]).code(1);
}
