//! Owners by name: on another host the same name may have another number. `/etc/passwd` and `/etc/group` of that
//! host are put in place in a mount namespace of the program's own.

use std::os::unix::fs::{MetadataExt, chown};

use crate::support::{Home, Ran, finish};

/// With a full name in Latin-1, as old hosts have them.
const USERS: &[u8] = b"root:x:0:0::/:/bin/sh\nmartin:x:61008:61008:J\xfcrgen Martin:/:/bin/sh\n";
const GROUPS: &str = "root:x:0:\n";

/// A home with two files: of somebody with a name, and of somebody with a number only.
fn home() -> Home {
    let home = Home::new();
    let (named, numbered) = (home.file("data/named", b"1"), home.file("data/numbered", b"2"));
    chown(named, Some(61_001), Some(61_002)).unwrap();
    chown(numbered, Some(61_009), Some(61_010)).unwrap();
    home
}

/// Runs the program on a host with these users and groups besides root.
fn on_host(home: &Home, user: &str, group: &str, args: &[&str]) -> Ran {
    let passwd = home.file("etc/passwd", &[USERS, user.as_bytes()].concat());
    let groups = home.file("etc/group", format!("{GROUPS}{group}").as_bytes());
    let script = format!(
        "mount --bind '{}' /etc/passwd && mount --bind '{}' /etc/group && exec \"$@\"",
        passwd.display(),
        groups.display()
    );
    finish(home.command_under(&["unshare", "--mount", "sh", "-c", &script, "sh"], args).spawn().unwrap())
}

fn backed_up() -> Home {
    let home = home();
    on_host(&home, "anna:x:61001:61002::/:/bin/sh\n", "team:x:61002:\n", &["backup", "data"]).code(0);
    home
}

fn owners(home: &Home, name: &str) -> (u32, u32) {
    let meta = std::fs::metadata(home.path("out").join(name)).unwrap();
    (meta.uid(), meta.gid())
}

#[test]
fn a_name_that_has_another_number_here_gets_it_if_asked_for() {
    let home = backed_up();
    let part = format!("latest:/{}", home.inside("data"));
    let (user, group) = ("anna:x:62001:62002::/:/bin/sh\n", "team:x:62002:\n");
    on_host(&home, user, group, &["restore", &part, "--to", "out", "--owner-by-name"]).code(0);
    assert_eq!(owners(&home, "named"), (62_001, 62_002));
    assert_eq!(owners(&home, "numbered"), (61_009, 61_010));
    std::fs::remove_dir_all(home.path("out")).unwrap();
    on_host(&home, user, group, &["restore", &part, "--to", "out"]).code(0);
    assert_eq!(owners(&home, "named"), (61_001, 61_002), "without the option numbers count");
}

#[test]
fn a_name_that_is_unknown_here_keeps_its_number() {
    let home = backed_up();
    let part = format!("latest:/{}", home.inside("data"));
    on_host(&home, "", "", &["restore", &part, "--to", "out", "--owner-by-name"]).code(0);
    assert_eq!(owners(&home, "named"), (61_001, 61_002));
    assert_eq!(owners(&home, "numbered"), (61_009, 61_010));
}

#[test]
fn a_listing_shows_the_names_of_the_snapshot() {
    let home = backed_up();
    let listing = home.run(["ls", "-l", &format!("latest:/{}", home.inside("data"))]).code(0).stdout;
    let named = listing.lines().find(|l| l.contains("named")).unwrap();
    assert!(named.contains("anna") && named.contains("team"), "{listing}");
    let numbered = listing.lines().find(|l| l.contains("numbered")).unwrap();
    assert!(numbered.contains("61009") && numbered.contains("61010"), "{listing}");
}

#[test]
fn the_same_name_with_another_number_is_no_change_of_content() {
    let home = backed_up();
    // The user was renumbered, and the file with it: attributes are stored again, nothing else.
    chown(home.path("data/named"), Some(62_001), Some(62_002)).unwrap();
    let (user, group) = ("anna:x:62001:62002::/:/bin/sh\n", "team:x:62002:\n");
    let report = on_host(&home, user, group, &["backup", "data", "--json"]).code(0).json();
    assert_eq!((&report["files_changed"], &report["files_unmodified"]), (&1.into(), &1.into()), "{report}");
    let part = format!("latest:/{}", home.inside("data"));
    on_host(&home, user, group, &["restore", &part, "--to", "out"]).code(0);
    assert_eq!(owners(&home, "named"), (62_001, 62_002));
    home.is_sound();
}
