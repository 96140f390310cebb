//! Passwords and key files.

use std::os::unix::fs::PermissionsExt;

use crate::support::{Home, Ran, finish};

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

/// A repository `repo` that the password `right` and the key file `spare.key` open, and nothing else at hand.
fn locked() -> Home {
    let home = Home::new();
    home.file("right", b"right\n");
    home.file("wrong", b"wrong\n");
    home.run(["-r", "repo", "init", "--password-file", "right"]).code(0);
    home.run(["-r", "repo", "keys", "add", "--password-file", "right", "--new-key-file", "spare.key"])
        .code(0);
    home.run(["-r", "other", "init", "--key-file", "other.key"]).code(0);
    home
}

#[track_caller]
fn opens_with(home: &Home, variables: &[(&str, &str)], args: &[&str], code: i32) -> Ran {
    let mut command = home.command(["-r", "repo", "snapshots"].iter().chain(args));
    command.envs(variables.iter().map(|(name, value)| (*name, value)));
    let ran = finish(command.spawn().unwrap()).code(code);
    for secret in ["right", "wrong"] {
        let given = variables.iter().any(|(name, value)| *name == "CHRONOS_PASSWORD" && *value == secret);
        assert!(
            !given || !format!("{}{}", ran.stdout, ran.stderr).contains(&format!("{secret}\n")),
            "{ran:?}"
        );
    }
    ran
}

#[test]
fn secrets_come_from_variables_options_first() {
    let home = locked();
    opens_with(&home, &[("CHRONOS_PASSWORD", "right")], &[], 0);
    opens_with(&home, &[("CHRONOS_PASSWORD", "wrong")], &[], 12).says("wrong password");
    opens_with(&home, &[("CHRONOS_PASSWORD_FILE", "right")], &[], 0);
    opens_with(&home, &[("CHRONOS_PASSWORD_FILE", "wrong")], &[], 12).says("wrong password");
    opens_with(&home, &[("CHRONOS_PASSWORD_FILE", "absent")], &[], 2).says("absent");
    opens_with(&home, &[("CHRONOS_KEY_FILE", "spare.key")], &[], 0);
    opens_with(&home, &[("CHRONOS_KEY_FILE", "other.key")], &[], 12);
    opens_with(&home, &[("CHRONOS_KEY_FILE", "right")], &[], 2).says("right is not a key file");
    opens_with(&home, &[("CHRONOS_KEY_FILE", "absent.key")], &[], 2).says("absent.key");
    // A variable that is set but empty is as good as none.
    opens_with(&home, &[("CHRONOS_PASSWORD", ""), ("CHRONOS_PASSWORD_FILE", "right")], &[], 0);
    // An option is stronger than a variable, a variable than one that stands after it.
    opens_with(&home, &[("CHRONOS_PASSWORD", "wrong")], &["--password-file", "right"], 0);
    opens_with(&home, &[("CHRONOS_KEY_FILE", "other.key")], &["--key-file", "spare.key"], 0);
    opens_with(&home, &[("CHRONOS_PASSWORD", "right"), ("CHRONOS_PASSWORD_FILE", "wrong")], &[], 0);
}

#[test]
fn a_key_file_named_by_a_variable_is_made_with_the_repository() {
    let home = Home::new();
    home.file("data/a", b"1");
    let run = |args: &[&str]| {
        let mut command = home.command(args);
        finish(command.env("CHRONOS_KEY_FILE", home.path("made.key")).spawn().unwrap())
    };
    run(&["-r", "repo", "init"]).code(0).says("made.key");
    assert_eq!(std::fs::metadata(home.path("made.key")).unwrap().permissions().mode() & 0o777, 0o600);
    run(&["-r", "repo", "backup", "data"]).code(0);
    home.run(["-r", "repo", "snapshots"]).code(12);
    home.run(["-r", "repo", "snapshots", "--key-file", "made.key"]).code(0);
}

#[test]
fn credentials_of_a_service_open_the_repository() {
    let home = locked();
    let credentials = |name: &str| home.path(name).display().to_string();
    home.file("a/chronos-password", b"right\n");
    opens_with(&home, &[("CREDENTIALS_DIRECTORY", &credentials("a"))], &[], 0);
    let key = std::fs::read(home.path("spare.key")).unwrap();
    home.file("b/chronos-key", &key);
    opens_with(&home, &[("CREDENTIALS_DIRECTORY", &credentials("b"))], &[], 0);
    home.file("c/something-else", b"right\n");
    opens_with(&home, &[("CREDENTIALS_DIRECTORY", &credentials("c"))], &[], 12).says("no password was given");
    // What was set for chronos itself is stronger than what the service manager hands to everybody.
    let both = [("CREDENTIALS_DIRECTORY", &*credentials("a")), ("CHRONOS_PASSWORD", "wrong")];
    opens_with(&home, &both, &[], 12);
}

/// Slots of other attempts to make a repository with the same password or with key files of this home.
fn orphans(home: &Home, args: &[&str]) {
    for other in ["a", "b", "c"] {
        home.run(["-r", other, "init"].iter().chain(args)).code(0);
        for slot in std::fs::read_dir(home.path(other).join("keys")).unwrap() {
            let slot = slot.unwrap();
            std::fs::copy(slot.path(), home.path("repo/keys").join(slot.file_name())).unwrap();
        }
    }
}

#[test]
fn what_interrupted_attempts_to_make_a_repository_have_left_does_not_keep_it_shut() {
    let home = Home::new();
    home.file("word", b"word\n");
    home.run(["-r", "repo", "init", "--password-file", "word"]).code(0);
    orphans(&home, &["--password-file", "word"]);
    home.run(["-r", "repo", "snapshots", "--password-file", "word"]).code(0);

    let home = Home::new();
    home.run(["-r", "repo", "init"]).code(0);
    orphans(&home, &[]);
    home.run(["-r", "repo", "snapshots"]).code(0);
    std::fs::write(home.path("repo/config"), b"nonsense").unwrap();
    home.run(["-r", "repo", "snapshots"]).code(4);
}
